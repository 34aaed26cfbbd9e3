# Runs tested on other versions of the images, and parts of arms tried at other strengths.


rule tested_on:
    input:
        runs=inputs.runs,
        split=inputs.split,
        manifest=f"{DATA}/manifest.parquet",
        digests=inputs.tested_digests,
        versions=ancient(inputs.tested_arrays),
    output:
        tested_on=f"{EXPERIMENT}/tested_on.parquet",
    log:
        files.log("tested_on", "{experiment}"),
    group:
        requests.heads(inputs.all_runs)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.all_runs)
    resources:
        **requests.of_runs(inputs.all_runs),
    params:
        job=params.tested_on,
    script:
        "../workflow/scripts/tested_on.py"


rule pick_parts:
    input:
        metrics=files.per_run["metrics"],
    output:
        picked=f"{EXPERIMENT}/picked.json",
    log:
        files.log("pick_parts", "{experiment}"),
    group:
        requests.scoring
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.pick_parts,
    script:
        "../workflow/scripts/pick_parts.py"


rule strengths:
    input:
        inputs.of_runs(inputs.strengthened),
        arrays=ancient(inputs.arrays_of_runs(inputs.strengthened)),
        picked=rules.pick_parts.output.picked,
        split=inputs.split,
        manifest=f"{DATA}/manifest.parquet",
        local=inputs.local_digests,
        local_arrays=ancient(inputs.local_arrays),
    output:
        metrics=f"{EXPERIMENT}/strengths.parquet",
    log:
        files.log("strengths", "{experiment}"),
    group:
        requests.heads(inputs.strengthened)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.strengthened)
    resources:
        **requests.of_runs(inputs.strengthened),
    params:
        job=params.strengths,
    script:
        "../workflow/scripts/strengths.py"
