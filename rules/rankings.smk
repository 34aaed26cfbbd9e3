# Analyses of how queries are answered: gaps between splits, scores of a competition, errors, pictures, inference.


rule gap_report:
    input:
        metrics=EVALUATED["metrics"],
        per_query=EVALUATED["per_query"],
        also_on=rules.also_on.output.metrics,
        also_on_queries=rules.also_on.output.per_query,
        manifest=f"{DATA}/manifest.parquet",
        results=f"{TABLES}/{{experiment}}.parquet",
    output:
        **plots("gap"),
        gap=f"{TABLES}/{{experiment}}.gap.parquet",
        lost=f"{TABLES}/{{experiment}}.lost.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/gap.json",
    log:
        f"{RESULTS}/logs/details/gap/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "gap_report",
            {"experiment": PLAN.told(wildcards.experiment, "question")},
            ranking_modules(wildcards),
        ),
    script:
        "../workflow/scripts/gap_report.py"


rule faces_report:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
        mirrored=mirrored,
        metrics=EVALUATED["metrics"],
        also_on=also_on_files,
        results=f"{TABLES}/{{experiment}}.parquet",
        efficiency=f"{TABLES}/{{experiment}}.efficiency.parquet",
    output:
        **plots("faces"),
        configurations=f"{TABLES}/{{experiment}}.configurations.parquet",
        efficiency=f"{TABLES}/{{experiment}}.configurations.efficiency.parquet",
        architectures=f"{TABLES}/{{experiment}}.architectures.parquet",
        ablation=f"{TABLES}/{{experiment}}.ablation.parquet",
        choices=f"{TABLES}/{{experiment}}.choices.efficiency.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/faces.json",
    log:
        f"{RESULTS}/logs/details/faces/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "faces_report",
            {
                "experiment": PLAN.told(wildcards.experiment, "question"),
                "gallery": CONFIG.gallery,
                "links": [name for name in ("ranked",) if name in details_of(wildcards.experiment)],
            },
            ranking_modules(wildcards),
        ),
    script:
        "../workflow/scripts/faces_report.py"


rule errors_report:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        metrics=EVALUATED["metrics"],
        manifest=f"{DATA}/manifest.parquet",
        split=split_file,
        mirrored=mirrored,
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
    output:
        **plots("errors"),
        errors=f"{TABLES}/{{experiment}}.errors.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/errors.json",
    log:
        f"{RESULTS}/logs/details/errors/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "errors_report",
            {"experiment": PLAN.told(wildcards.experiment, "question"), "gallery": CONFIG.gallery},
            ranking_modules(wildcards),
        ),
    script:
        "../workflow/scripts/errors_report.py"


rule ranked_report:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
        mirrored=mirrored,
        per_query=EVALUATED["per_query"],
        results=f"{TABLES}/{{experiment}}.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
    output:
        **sheets("ranked"),
        ranked=f"{TABLES}/{{experiment}}.ranked.parquet",
        worst=f"{TABLES}/{{experiment}}.worst.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/ranked.json",
    log:
        f"{RESULTS}/logs/details/ranked/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "ranked_report",
            {"experiment": PLAN.told(wildcards.experiment, "question"), "gallery": CONFIG.gallery},
            ranking_modules(wildcards),
        ),
    script:
        "../workflow/scripts/ranked_report.py"


rule inference_report:
    input:
        runs=jobs_of(rules.train.output.runs, PLAN.training),
        split=split_file,
        manifest=f"{DATA}/manifest.parquet",
        mirrored=mirrored,
        per_query=EVALUATED["per_query"],
        results=f"{TABLES}/{{experiment}}.parquet",
        comparisons=f"{TABLES}/{{experiment}}.identities.parquet",
    output:
        **plots("inference"),
        inference=f"{TABLES}/{{experiment}}.inference.parquet",
        inference_efficiency=f"{TABLES}/{{experiment}}.inference.efficiency.parquet",
        sections=f"{RESULTS}/details/{{experiment}}/inference.json",
    log:
        f"{RESULTS}/logs/details/inference/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "inference_report",
            {"experiment": PLAN.told(wildcards.experiment, "question"), "gallery": CONFIG.gallery},
            ranking_modules(wildcards),
        ),
    script:
        "../workflow/scripts/inference_report.py"
