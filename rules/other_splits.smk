# Runs on other splits: those that an experiment names, and random ones for the best of several experiments.


rule on_other_split:
    input:
        inputs.of_runs(inputs.all_runs),
        arrays=ancient(inputs.arrays_of_runs(inputs.all_runs)),
        runs=inputs.runs,
        split=lambda wildcards: inputs.other_split(wildcards)[0],
        digest=lambda wildcards: inputs.other_split(wildcards)[1],
        manifest=f"{DATA}/manifest.parquet",
        local=inputs.local_digests,
        local_arrays=ancient(inputs.local_arrays),
    output:
        metrics=f"{EXPERIMENT}/also_on/{{split}}.parquet",
        per_query=f"{EXPERIMENT}/also_on/{{split}}.per_query.parquet",
    log:
        files.log("also_on", "{experiment}-{split}"),
    group:
        requests.heads(inputs.all_runs)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.all_runs)
    resources:
        **requests.of_runs(inputs.all_runs),
    params:
        job=params.on_other_split,
    script:
        "../workflow/scripts/on_other_split.py"


rule also_on:
    input:
        metrics=inputs.on_other_splits("parquet"),
        per_query=inputs.on_other_splits("per_query.parquet"),
    output:
        metrics=f"{EXPERIMENT}/also_on.parquet",
        per_query=f"{EXPERIMENT}/also_on.per_query.parquet",
    log:
        files.log("also_on", "{experiment}"),
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.fixed("also_on"),
    script:
        "../workflow/scripts/also_on.py"


rule best:
    input:
        inputs.best_candidates,
    output:
        best=f"{EXPERIMENT}/best.json",
    log:
        files.log("best", "{experiment}"),
    group:
        "heads-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.best,
    script:
        "../workflow/scripts/best.py"


rule split_runs:
    input:
        inputs.of_runs(inputs.all_runs),
        inputs.choosing_files,
        inputs.drawn_splits,
        arrays=ancient(inputs.arrays_of_runs(inputs.all_runs)),
        choosing=ancient(inputs.choosing_arrays),
        runs=inputs.runs,
        manifest=f"{DATA}/manifest.parquet",
        local=inputs.local_digests,
        local_arrays=ancient(inputs.local_arrays),
    output:
        metrics=f"{EXPERIMENT}/split_runs.parquet",
    log:
        files.log("split_runs", "{experiment}"),
    group:
        requests.heads(inputs.all_runs)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.all_runs)
    resources:
        **requests.of_runs(inputs.all_runs),
    params:
        job=params.split_runs,
    script:
        "../workflow/scripts/split_runs.py"
