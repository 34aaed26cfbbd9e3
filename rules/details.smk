# What an analysis adds to an experiment: tables of its own, sections of the findings, figures.
rule tested_on:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
        digests=version_digests,
        versions=lambda wildcards: list(map(ancient, versions_of(wildcards))),
    output:
        tested_on=f"{EXPERIMENT}/tested_on.parquet",
    log:
        f"{RESULTS}/logs/tested_on/{{experiment}}.log",
    group:
        heads(experiment_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(experiment_specs)
    resources:
        **compute(experiment_specs),
    params:
        job=describe_tested,
    script:
        "../workflow/scripts/tested_on.py"


rule backgrounds_report:
    input:
        tested=rules.tested_on.output.tested_on,
        results=f"{TABLES}/{{experiment}}.parquet",
    output:
        **plots("backgrounds"),
        matrix=f"{TABLES}/{{experiment}}.tested_on.parquet",
        reliance=f"{TABLES}/{{experiment}}.reliance.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/backgrounds.json",
    log:
        f"{RESULTS}/logs/details/backgrounds/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "backgrounds_report",
            {
                "experiment": PLAN.told(wildcards.experiment, "question"),
                "probes": PLAN.experiments[wildcards.experiment].file.probes.model_dump(),
                "labels": list(PLAN.experiments[wildcards.experiment].file.tested_on),
            },
        ),
    script:
        "../workflow/scripts/backgrounds_report.py"


rule interventions:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=split_file,
        masks=ancient(f"{DATA}/masks.npy"),
        digests=version_pictures,
        versions=version_images,
    output:
        sheet=shown_figure("interventions", "png", "interventions"),
    log:
        f"{RESULTS}/logs/interventions/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "interventions",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
        ),
    script:
        "../workflow/scripts/interventions.py"


rule dedup_report:
    input:
        pairs=pairs_files,
        keep=kept_files,
        manifest=f"{DATA}/manifest.parquet",
        split=split_file,
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        truth=rules.draw_demo.output.truth if DEMO else [],
        results=f"{TABLES}/{{experiment}}.parquet",
        efficiency=f"{TABLES}/{{experiment}}.efficiency.parquet",
        history=EVALUATED["history"],
    output:
        **plots("dedup"),
        **sheets("dedup"),
        methods=f"{TABLES}/{{experiment}}.methods.parquet",
        suspects=f"{TABLES}/{{experiment}}.suspects.parquet",
        arms_table=f"{TABLES}/{{experiment}}.dedup.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/dedup.json",
    log:
        f"{RESULTS}/logs/details/dedup/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=describe_dedup,
    script:
        "../workflow/scripts/dedup_report.py"


rule curation_report:
    input:
        keep=kept_files,
        scores=f"{RESULTS}/curation/scores.parquet",
        manifest=f"{DATA}/manifest.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        results=f"{TABLES}/{{experiment}}.parquet",
        efficiency=f"{TABLES}/{{experiment}}.efficiency.parquet",
    output:
        **plots("curation"),
        **sheets("curation"),
        arms_table=f"{TABLES}/{{experiment}}.curation.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/curation.json",
    log:
        f"{RESULTS}/logs/details/curation/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "curation_report",
            {
                "experiment": PLAN.told(wildcards.experiment, "question"),
                "subsets": subsets_of(wildcards.experiment),
            },
        ),
    script:
        "../workflow/scripts/curation_report.py"


rule schedules:
    input:
        chosen=chosen,
        history=EVALUATED["history"],
        metrics=EVALUATED["metrics"],
    output:
        **plots("schedules"),
        rates=f"{TABLES}/{{experiment}}.rates.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/schedules.json",
    log:
        f"{RESULTS}/logs/details/schedules/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "schedules",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
            plan.modules(*(("scheduler", spec.scheduler) for spec in experiment_specs(wildcards))),
        ),
    script:
        "../workflow/scripts/schedules.py"


rule pick_parts:
    input:
        metrics=EVALUATED["metrics"],
    output:
        picked=f"{EXPERIMENT}/picked.json",
    log:
        f"{RESULTS}/logs/pick_parts/{{experiment}}.log",
    group:
        scoring
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "pick_parts",
            {"arms": {found.part: found.arm for found in candidates(PLAN.experiments[wildcards.experiment])}},
        ),
    script:
        "../workflow/scripts/pick_parts.py"


rule strengths:
    input:
        training_inputs(strength_specs),
        picked=rules.pick_parts.output.picked,
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
    output:
        metrics=f"{EXPERIMENT}/strengths.parquet",
    log:
        f"{RESULTS}/logs/strengths/{{experiment}}.log",
    group:
        heads(strength_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(strength_specs)
    resources:
        **compute(strength_specs),
    params:
        job=describe_strengths,
    script:
        "../workflow/scripts/strengths.py"


rule augmentation_report:
    input:
        metrics=EVALUATED["metrics"],
        results=f"{TABLES}/{{experiment}}.parquet",
        picked=rules.pick_parts.output.picked,
        strengths=rules.strengths.output.metrics,
    output:
        **plots("augmentation"),
        parts=f"{TABLES}/{{experiment}}.parts.parquet",
        strengths=f"{TABLES}/{{experiment}}.strengths.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/augmentation.json",
    log:
        f"{RESULTS}/logs/details/augmentation/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "augmentation_report", {"experiment": PLAN.told(wildcards.experiment, "question", "why")}
        ),
    script:
        "../workflow/scripts/augmentation_report.py"


rule augmentation_sheet:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=split_file,
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
    output:
        sheet=shown_figure("augmented", "png", "augmented"),
    log:
        f"{RESULTS}/logs/augmentation_sheet/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "augmentation_sheet",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
            sorted(
                plan.modules(*(("augmentation", a) for spec in experiment_specs(wildcards) for a in spec.augmentation))
            ),
        ),
    script:
        "../workflow/scripts/augmentation_sheet.py"


rule resizing_report:
    input:
        metrics=EVALUATED["metrics"],
        history=EVALUATED["history"],
        tested=tested_files,
        results=f"{TABLES}/{{experiment}}.parquet",
    output:
        **plots("resizing"),
        resizing=f"{TABLES}/{{experiment}}.resizing.parquet",
        sizes=f"{TABLES}/{{experiment}}.sizes.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/resizing.json",
    log:
        f"{RESULTS}/logs/details/resizing/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "resizing_report",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
        ),
    script:
        "../workflow/scripts/resizing_report.py"


rule geometry_report:
    input:
        metrics=EVALUATED["metrics"],
        history=EVALUATED["history"],
        manifest=f"{DATA}/manifest.parquet",
        split=split_file,
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
        features_digest=lambda wildcards: [path.replace(".npy", ".json") for path in baseline_features(wildcards)],
        features=lambda wildcards: list(map(ancient, baseline_features(wildcards))),
    output:
        **plots("geometry"),
        arms_table=f"{TABLES}/{{experiment}}.geometry.parquet",
        runs_table=f"{TABLES}/{{experiment}}.geometry_runs.parquet",
        radii_table=f"{TABLES}/{{experiment}}.radii.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/geometry.json",
    log:
        f"{RESULTS}/logs/details/geometry/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "geometry_report",
            {"experiment": PLAN.told(wildcards.experiment, "question"), "gallery": CONFIG.gallery},
            geometries(experiment_specs(wildcards)),
        ),
    script:
        "../workflow/scripts/geometry_report.py"


rule seeds_report:
    input:
        metrics=EVALUATED["metrics"],
        best=f"{EXPERIMENT}/best.json",
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split_runs=split_runs_of,
        audits=lambda wildcards: [f"{folder}/audit.json" for folder in split_folders(wildcards)],
        others=lambda wildcards: [path for _, path in other_experiments(wildcards)],
    output:
        **plots("seeds"),
        seeds=f"{TABLES}/{{experiment}}.seeds.parquet",
        spreads=f"{TABLES}/{{experiment}}.spreads.parquet",
        ranking=f"{TABLES}/{{experiment}}.ranking.parquet",
        readings=f"{TABLES}/{{experiment}}.readings.parquet",
        best=f"{TABLES}/{{experiment}}.best.yaml",
        sections=f"{RESULTS}/details/{{experiment}}/seeds.json",
    log:
        f"{RESULTS}/logs/details/seeds/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "seeds_report",
            {
                "experiment": PLAN.told(wildcards.experiment, "question"),
                "others": other_experiments(wildcards),
            },
        ),
    script:
        "../workflow/scripts/seeds_report.py"
