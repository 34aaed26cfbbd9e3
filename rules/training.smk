# Reported runs, and their scores on the test images.


rule train:
    input:
        inputs.of_runs(inputs.reported),
        arrays=ancient(inputs.arrays_of_runs(inputs.reported)),
        chosen=inputs.chosen,
        winners=inputs.winners,
        undecided=inputs.undecided,
    output:
        runs=files.trained,
    log:
        files.log("train", "{experiment}-{batch}"),
    group:
        requests.training
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.reported)
    resources:
        **requests.of_runs(inputs.reported),
    params:
        job=params.train,
    script:
        "../workflow/scripts/train.py"


# Where seeds are added to undecided arms: which arms are undecided with the seeds so far.
rule look:
    input:
        runs=inputs.looked_at,
        split=inputs.split,
        manifest=f"{DATA}/manifest.parquet",
        local=inputs.local_digests,
        local_arrays=ancient(inputs.local_arrays),
    output:
        look=files.look,
    log:
        files.log("look", "{experiment}-{look}"),
    group:
        requests.heads(inputs.all_runs)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.comparing
    resources:
        **requests.small,
    params:
        job=params.look,
    script:
        "../workflow/scripts/look.py"


rule mirrored:
    input:
        runs=inputs.runs,
        split=inputs.split,
        manifest=f"{DATA}/manifest.parquet",
        digests=inputs.mirrored_digests,
        arrays=ancient(inputs.mirrored_arrays),
    output:
        mirrored=f"{EXPERIMENT}/mirrored.parquet",
    log:
        files.log("mirrored", "{experiment}"),
    group:
        requests.heads(inputs.all_runs)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.all_runs)
    resources:
        **requests.of_runs(inputs.all_runs),
    params:
        job=params.mirrored,
    script:
        "../workflow/scripts/mirrored.py"


rule evaluate:
    input:
        runs=inputs.runs,
        splits=inputs.splits,
        manifest=f"{DATA}/manifest.parquet",
        mirrored=inputs.mirrored,
        local=inputs.local_digests,
        local_arrays=ancient(inputs.local_arrays),
    output:
        **files.per_run,
        unavailable=f"{EXPERIMENT}/unavailable.json",
    log:
        files.log("evaluate", "{experiment}"),
    group:
        requests.scoring
    conda:
        "../envs/reidflow.yaml"
    threads: requests.comparing
    resources:
        **requests.small,
    params:
        job=params.evaluate,
    script:
        "../workflow/scripts/evaluate.py"
