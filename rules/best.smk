# The best experiment: chosen on validation among others, and tried on other splits than that which chose it.


rule best:
    input:
        candidates_files,
    output:
        best=f"{EXPERIMENT}/best.json",
    log:
        f"{RESULTS}/logs/best/{{experiment}}.log",
    group:
        "heads-{experiment}"
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
    group:
        heads(experiment_specs)
    conda:
        "../envs/reidflow.yaml"
    threads: cores(experiment_specs)
    resources:
        **compute(experiment_specs),
    params:
        job=describe_split_runs,
    script:
        "../workflow/scripts/split_runs.py"
