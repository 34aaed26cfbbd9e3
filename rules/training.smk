# A job is one arm's runs, a few per process; a run is the unit of invalidation and lives in the run store.


rule sweep:
    input:
        training_inputs,
    output:
        runs=f"{ARM}/sweep/runs-{{batch}}.json",
    log:
        f"{RESULTS}/logs/sweep/{{experiment}}/{{arm}}-{{batch}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: cores
    resources:
        gpu=cards,
        mem_mb=memory,
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_training(
            wildcards,
            {"specs": [spec.plain() for spec in PLAN.batch(sweep_runs(wildcards), int(wildcards.batch))]},
        ),
    script:
        "../workflow/scripts/train.py"


rule choose:
    input:
        runs=job_files(rules.sweep.output.runs, sweep_runs),
    output:
        chosen=f"{ARM}/chosen.json",
    log:
        f"{RESULTS}/logs/choose/{{experiment}}/{{arm}}.log",
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "choose",
            {
                "grid": PLAN.experiments[wildcards.experiment].file.tuned,
                "points": points_of(wildcards),
            },
        ),
    script:
        "../workflow/scripts/choose.py"


rule train:
    input:
        training_inputs,
        chosen=lambda wildcards: (f"{ARM}/chosen.json" if PLAN.experiments[wildcards.experiment].tuned else []),
    output:
        runs=f"{ARM}/runs/runs-{{batch}}.json",
    log:
        f"{RESULTS}/logs/train/{{experiment}}/{{arm}}-{{batch}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: cores
    resources:
        gpu=cards,
        mem_mb=memory,
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_training(
            wildcards,
            {
                "points": points_of(wildcards),
                "seeds": PLAN.batch(arm_of(wildcards).seeds, int(wildcards.batch)),
            },
        ),
    script:
        "../workflow/scripts/train.py"


rule evaluate:
    input:
        runs=job_files(rules.train.output.runs, lambda wildcards: arm_of(wildcards).seeds),
        split=f"{DATA}/split.parquet",
        manifest=f"{DATA}/manifest.parquet",
    output:
        metrics=f"{ARM}/metrics.parquet",
        per_query=f"{ARM}/per_query.parquet",
        history=f"{ARM}/history.parquet",
        efficiency=f"{ARM}/efficiency.parquet",
    log:
        f"{RESULTS}/logs/evaluate/{{experiment}}/{{arm}}.log",
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe("evaluate", {"gallery": CONFIG.gallery}),
    script:
        "../workflow/scripts/evaluate.py"
