# Settings chosen on validation: grids that every arm tries, and searches. A job is many runs in one process; a run is the unit
# of invalidation and lives in the run store.


rule sweep:
    input:
        inputs.of_runs(inputs.swept),
        arrays=ancient(inputs.arrays_of_runs(inputs.swept)),
    output:
        runs=files.swept,
    log:
        files.log("sweep", "{experiment}-{batch}"),
    group:
        requests.heads(inputs.swept)
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.swept)
    resources:
        **requests.of_runs(inputs.swept),
    params:
        job=params.sweep,
    script:
        "../workflow/scripts/train.py"


rule choose:
    input:
        runs=inputs.sweeps,
        ranked=inputs.ranked_points,
        local=inputs.points_local,
        local_arrays=ancient(inputs.points_local_arrays),
    output:
        chosen=f"{EXPERIMENT}/chosen.json",
    log:
        files.log("choose", "{experiment}"),
    group:
        "heads-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    threads: requests.comparing
    params:
        job=params.choose,
    script:
        "../workflow/scripts/choose.py"


# Every worker of a study takes the next trial that nobody else has, and writes the whole record when all are done.
rule search:
    input:
        inputs.of_runs(inputs.studied),
        arrays=ancient(inputs.arrays_of_runs(inputs.studied)),
        matched=inputs.matched_record,
    output:
        record=files.study,
    log:
        files.log("search", "{experiment}-{study}-{worker}"),
    conda:
        "../envs/reidflow.yaml"
    threads: requests.threads(inputs.studied)
    resources:
        **requests.of_runs(inputs.studied),
    params:
        job=params.search,
    script:
        "../workflow/scripts/search.py"


rule trials:
    input:
        records=inputs.records,
        workers=inputs.workers,
    output:
        trials=f"{TABLES}/{{experiment}}.trials.parquet",
        trials_efficiency=f"{TABLES}/{{experiment}}.trials.efficiency.parquet",
        winners=f"{EXPERIMENT}/winners.json",
    log:
        files.log("trials", "{experiment}"),
    group:
        "heads-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.trials,
    script:
        "../workflow/scripts/trials.py"
