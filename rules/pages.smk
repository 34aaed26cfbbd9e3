# What people read of an experiment: findings, exported tables, and a page with everything.


rule findings:
    input:
        **inputs.data_files(),
        results=rules.table.output.results,
        efficiency=rules.table.output.efficiency,
        comparisons=rules.table.output.comparisons,
        sections=targets.sections,
        quantities=targets.quantities,
        winners=inputs.winners,
    output:
        csv=shown.result(f"{TABLES}/{{experiment}}.csv", "Tables", ("experiment", "{experiment}"), "table"),
        markdown=f"{TABLES}/{{experiment}}.md",
        latex=f"{TABLES}/{{experiment}}.tex",
        findings=shown.result(
            f"{TABLES}/{{experiment}}.findings.md", "Findings", ("experiment", "{experiment}"), "findings"
        ),
        answer=files.answer,
    log:
        files.log("findings", "{experiment}"),
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.experiment("findings", *TEXTS, templates="reidflow.tables"),
    script:
        "../workflow/scripts/findings.py"


rule page:
    input:
        **inputs.data_files(),
        results=rules.table.output.results,
        efficiency=rules.table.output.efficiency,
        findings=rules.findings.output.findings,
        answer=rules.findings.output.answer,
        quantities=targets.quantities,
        figures=targets.core_figures,
        sections=targets.sections,
        analysis_figures=targets.analysis_figures,
        browsing=f"{TABLES}/{{experiment}}.browsing.json",
        thumbnails=f"{TABLES}/{{experiment}}.thumbnails.jpg",
        winners=inputs.winners,
    output:
        page=shown.result(f"{RESULTS}/pages/{{experiment}}.html", "Pages", ("experiment", "{experiment}"), "page"),
    log:
        files.log("page", "{experiment}"),
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.experiment("page", *TEXTS, templates="reidflow.pages", experiments=list(plan.experiments)),
    script:
        "../workflow/scripts/page.py"
