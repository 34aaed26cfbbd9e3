# What searches found: their trials, what mattered in them, the architectures.


rule architectures_report:
    input:
        trials=rules.trials.output.trials,
    output:
        **plots("architectures"),
        sections=f"{RESULTS}/details/{{experiment}}/architectures.json",
    log:
        f"{RESULTS}/logs/details/architectures/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "architectures_report",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
        ),
    script:
        "../workflow/scripts/architectures_report.py"


rule search_report:
    input:
        trials=rules.trials.output.trials,
        timed=rules.trials.output.trials_efficiency,
        winners=rules.trials.output.winners,
        results=f"{TABLES}/{{experiment}}.parquet",
        comparisons=f"{TABLES}/{{experiment}}.identities.parquet",
    output:
        **plots("search"),
        search=f"{TABLES}/{{experiment}}.search.parquet",
        search_efficiency=f"{TABLES}/{{experiment}}.search.efficiency.parquet",
        progress=f"{TABLES}/{{experiment}}.progress.parquet",
        importances=f"{TABLES}/{{experiment}}.importances.parquet",
        effects=f"{TABLES}/{{experiment}}.effects.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/search.json",
    log:
        f"{RESULTS}/logs/details/search/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "search_report",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
        ),
    script:
        "../workflow/scripts/search_report.py"
