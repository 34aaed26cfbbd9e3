# A job is many runs of an experiment in one process; a run is the unit of invalidation and lives in the run store.


rule sweep:
    input:
        training_inputs(swept_specs),
    output:
        runs=f"{EXPERIMENT}/sweep/runs-{{batch}}.json",
    log:
        f"{RESULTS}/logs/sweep/{{experiment}}-{{batch}}.log",
    group:
        heads(swept_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(swept_specs)
    resources:
        **compute(swept_specs),
    params:
        job=describe_sweep,
    script:
        "../workflow/scripts/train.py"


rule choose:
    input:
        runs=jobs_of(rules.sweep.output.runs, PLAN.sweep),
    output:
        chosen=f"{EXPERIMENT}/chosen.json",
    log:
        f"{RESULTS}/logs/choose/{{experiment}}.log",
    group:
        "heads-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "choose",
            {
                "grid": PLAN.experiments[wildcards.experiment].file.tuned,
                "arms": points_of(wildcards.experiment, arms_of(wildcards)),
            },
        ),
    script:
        "../workflow/scripts/choose.py"


# Every worker of a study takes the next trial that nobody else has, and writes the whole record when all are done.
rule search:
    input:
        training_inputs(study_specs),
        matched=matched_record,
    output:
        record=RECORD,
    log:
        f"{RESULTS}/logs/search/{{experiment}}-{{study}}-{{worker}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: cores(study_specs)
    resources:
        **compute(study_specs),
    params:
        job=describe_study,
    script:
        "../workflow/scripts/search.py"


rule trials:
    input:
        records=records,
        workers=workers,
    output:
        trials=f"{TABLES}/{{experiment}}.trials.parquet",
        trials_efficiency=f"{TABLES}/{{experiment}}.trials.efficiency.parquet",
        winners=f"{EXPERIMENT}/winners.json",
    log:
        f"{RESULTS}/logs/trials/{{experiment}}.log",
    group:
        "heads-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "trials",
            {"studies": [study.told() for study in PLAN.experiments[wildcards.experiment].studies.values()]},
        ),
    script:
        "../workflow/scripts/trials.py"


rule train:
    input:
        training_inputs(reported_specs),
        chosen=chosen,
        winners=winners,
    output:
        runs=f"{EXPERIMENT}/runs/runs-{{batch}}.json",
    log:
        f"{RESULTS}/logs/train/{{experiment}}-{{batch}}.log",
    group:
        heads(reported_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(reported_specs)
    resources:
        **compute(reported_specs),
    params:
        job=describe_reported,
    script:
        "../workflow/scripts/train.py"


rule mirrored:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
        digests=mirrored_digests,
        arrays=lambda wildcards: list(map(ancient, mirrored_arrays(wildcards))),
    output:
        mirrored=f"{EXPERIMENT}/mirrored.parquet",
    log:
        f"{RESULTS}/logs/mirrored/{{experiment}}.log",
    group:
        heads(experiment_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(experiment_specs)
    resources:
        **compute(experiment_specs),
    params:
        job=lambda wildcards: describe(
            "mirrored",
            {"gallery": CONFIG.gallery, "order": list(arms_of(wildcards))},
            executed(experiment_specs(wildcards)),
        ),
    script:
        "../workflow/scripts/mirrored.py"


rule evaluate:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
        mirrored=mirrored,
    output:
        **EVALUATED,
        unavailable=UNAVAILABLE,
    log:
        f"{RESULTS}/logs/evaluate/{{experiment}}.log",
    group:
        scoring
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "evaluate",
            {
                "gallery": CONFIG.gallery,
                "arms": {arm.name: arm.slug for arm in arms_of(wildcards).values()},
                "order": list(arms_of(wildcards)),
            },
            ranking_modules(wildcards),
        ),
    script:
        "../workflow/scripts/evaluate.py"


rule on_other_split:
    input:
        training_inputs(experiment_specs),
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=lambda wildcards: f"{named_split(wildcards.split)}/split.parquet",
        digest=lambda wildcards: f"{named_split(wildcards.split)}/split.json",
        manifest=f"{DATA}/manifest.parquet",
    output:
        metrics=f"{EXPERIMENT}/also_on/{{split}}.parquet",
        per_query=f"{EXPERIMENT}/also_on/{{split}}.per_query.parquet",
    log:
        f"{RESULTS}/logs/also_on/{{experiment}}-{{split}}.log",
    group:
        heads(experiment_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(experiment_specs)
    resources:
        **compute(experiment_specs),
    params:
        job=lambda wildcards: describe(
            "on_other_split",
            {
                "gallery": CONFIG.gallery,
                "order": list(arms_of(wildcards)),
                "split": named_split(wildcards.split),
                "label": label_on(wildcards),
            },
            [
                "reidflow.training.loop",
                *executed(experiment_specs(wildcards)),
                *ranking_modules(wildcards),
            ],
        ),
    script:
        "../workflow/scripts/on_other_split.py"


rule also_on:
    input:
        metrics=lambda wildcards: on_other_splits(wildcards, "parquet"),
        per_query=lambda wildcards: on_other_splits(wildcards, "per_query.parquet"),
    output:
        metrics=f"{EXPERIMENT}/also_on.parquet",
        per_query=f"{EXPERIMENT}/also_on.per_query.parquet",
    log:
        f"{RESULTS}/logs/also_on/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=later(describe, "also_on", {}),
    script:
        "../workflow/scripts/also_on.py"
