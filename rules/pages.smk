# What people read of an experiment, made in one process: findings, exported tables, figures, and a page with everything.


rule page:
    input:
        **inputs.data_files(),
        history=files.per_run["history"],
        results=rules.table.output.results,
        efficiency=rules.table.output.efficiency,
        comparisons=rules.table.output.comparisons,
        profiles=rules.table.output.profiles,
        sections=targets.sections,
        quantities=targets.quantities,
        figures=targets.further_figures,
        browsing=f"{TABLES}/{{experiment}}.browsing.json",
        thumbnails=f"{TABLES}/{{experiment}}.thumbnails.jpg",
        winners=inputs.winners,
    output:
        **shown.core_figures(figures_of(tuned=False)),
        csv=shown.result(f"{TABLES}/{{experiment}}.csv", "Tables", ("experiment", "{experiment}"), "table"),
        markdown=f"{TABLES}/{{experiment}}.md",
        latex=f"{TABLES}/{{experiment}}.tex",
        findings=shown.result(
            f"{TABLES}/{{experiment}}.findings.md", "Findings", ("experiment", "{experiment}"), "findings"
        ),
        answer=files.answer,
        page=shown.result(f"{RESULTS}/pages/{{experiment}}.html", "Pages", ("experiment", "{experiment}"), "page"),
    log:
        files.log("page", "{experiment}"),
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.experiment(
            "page", *TEXTS, templates=["reidflow.tables", "reidflow.pages"], experiments=list(plan.experiments)
        ),
    script:
        "../workflow/scripts/page.py"


if plan.reviewed:

    # Labels that may be wrong, as pairs of images that a person compares; the answers come back by dataset.review.
    rule review:
        input:
            manifest=f"{DATA}/manifest.parquet",
            groups=f"{DATA}/groups.parquet",
            digest=f"{DATA}/images.json",
            images=ancient(f"{DATA}/images.npy"),
            features_digest=f"{files.embedding}/features.json",
            features=ancient(f"{files.embedding}/features.npy"),
        output:
            table=f"{TABLES}/review.parquet",
            page=f"{RESULTS}/pages/review.html",
        log:
            files.log("review"),
        conda:
            "../envs/reidflow.yaml"
        resources:
            **requests.images,
        params:
            job=params.review(session.answers),
        script:
            "../workflow/scripts/review.py"
