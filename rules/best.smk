# The best experiment: chosen on validation among others, and tried on other splits than that which chose it.


rule best:
    input:
        candidates_files,
    output:
        best=f"{EXPERIMENT}/best.json",
    log:
        f"{RESULTS}/logs/best/{{experiment}}.log",
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "best",
            {
                "candidates": {name: candidate_files(name) for name in candidates_of(wildcards)},
                "order": candidates_of(wildcards),
            },
        ),
    script:
        "../workflow/scripts/best.py"


rule other_split:
    input:
        manifest=rules.ingest.output.manifest,
        groups=rules.groups.output.groups,
        pairs=rules.groups.output.pairs,
    output:
        split=f"{DATA}/splits/{{split_seed}}/split.parquet",
        audit=f"{DATA}/splits/{{split_seed}}/audit.json",
        digest=f"{DATA}/splits/{{split_seed}}/split.json",
    log:
        f"{RESULTS}/logs/splits/{{split_seed}}.log",
    wildcard_constraints:
        split_seed="[0-9]+",
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "split",
            {"split": {**CONFIG.split, "seed": int(wildcards.split_seed)}, "gallery": CONFIG.gallery},
            plan.modules(("split", CONFIG.split)),
        ),
    script:
        "../workflow/scripts/split.py"


rule split_runs:
    input:
        training_inputs(experiment_specs),
        choosing_material,
        choosing_arrays,
        split_files,
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        manifest=f"{DATA}/manifest.parquet",
    output:
        metrics=f"{EXPERIMENT}/split_runs.parquet",
    log:
        f"{RESULTS}/logs/split_runs/{{experiment}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: cores(experiment_specs)
    resources:
        **compute(experiment_specs),
    params:
        job=describe_split_runs,
    script:
        "../workflow/scripts/split_runs.py"
