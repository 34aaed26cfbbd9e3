# From evaluated arms to tables, findings, figures and pages; words are told only to the rules that print them.
SETTING = {
    "split": split_file,
    "audit": audit_file,
    "images": f"{DATA}/images.json",
}


rule table:
    input:
        **SETTING,
        **EVALUATED,
        unavailable=UNAVAILABLE,
        chosen=chosen,
        speeds=speed_files,
    output:
        results=f"{TABLES}/{{experiment}}.parquet",
        efficiency=f"{TABLES}/{{experiment}}.efficiency.parquet",
        comparisons=f"{TABLES}/{{experiment}}.identities.parquet",
    log:
        f"{RESULTS}/logs/table/{{experiment}}.log",
    group:
        scoring
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "table",
            {"experiment": PLAN.told(wildcards.experiment), "speeds": speeds_of(wildcards)},
        ),
    script:
        "../workflow/scripts/table.py"


rule findings:
    input:
        **SETTING,
        results=rules.table.output.results,
        efficiency=rules.table.output.efficiency,
        comparisons=rules.table.output.comparisons,
        details=details,
        winners=winners,
    output:
        csv=shown(f"{TABLES}/{{experiment}}.csv", "Tables", "table", ("experiment", "{experiment}")),
        markdown=f"{TABLES}/{{experiment}}.md",
        latex=f"{TABLES}/{{experiment}}.tex",
        findings=shown(
            f"{TABLES}/{{experiment}}.findings.md",
            "Findings",
            "findings",
            ("experiment", "{experiment}"),
        ),
    log:
        f"{RESULTS}/logs/findings/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe("findings", {"experiment": PLAN.told(wildcards.experiment, *plan.WORDS)}),
    script:
        "../workflow/scripts/findings.py"


rule figures:
    input:
        history=EVALUATED["history"],
        results=rules.table.output.results,
        efficiency=rules.table.output.efficiency,
        comparisons=rules.table.output.comparisons,
    output:
        **shown_plots(KINDS_OF_FIGURES),
    log:
        f"{RESULTS}/logs/figures/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe("figures", {"experiment": PLAN.told(wildcards.experiment, "question")}),
    script:
        "../workflow/scripts/figures.py"


rule tuning:
    input:
        chosen=rules.choose.output.chosen,
    output:
        **shown_plots(["tuning"]),
    log:
        f"{RESULTS}/logs/tuning/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe("tuning", {"experiment": PLAN.told(wildcards.experiment, "question")}),
    script:
        "../workflow/scripts/tuning.py"


rule page:
    input:
        **SETTING,
        results=rules.table.output.results,
        efficiency=rules.table.output.efficiency,
        findings=rules.findings.output.findings,
        figures=lambda wildcards: [
            f"{FIGURES}/{wildcards.experiment}/{kind}.svg"
            for kind in figures_of(PLAN.experiments[wildcards.experiment].tuned)
        ],
        details=details,
        details_figures=details_figures,
        winners=winners,
    output:
        page=shown(f"{RESULTS}/pages/{{experiment}}.html", "Pages", "page", ("experiment", "{experiment}")),
    log:
        f"{RESULTS}/logs/page/{{experiment}}.log",
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe("page", {"experiment": PLAN.told(wildcards.experiment, "question")}),
    script:
        "../workflow/scripts/page.py"


rule leaderboard:
    input:
        tables=[f"{TABLES}/{name}.parquet" for name in PLAN.experiments],
    output:
        board=f"{TABLES}/leaderboard.parquet",
        csv=shown(f"{TABLES}/leaderboard.csv", "Leaderboard", "leaderboard", ("leaderboard", "table (CSV)")),
        markdown=f"{TABLES}/leaderboard.md",
        png=f"{FIGURES}/leaderboard.png",
        svg=shown(f"{FIGURES}/leaderboard.svg", "Leaderboard", "leaderboard", ("leaderboard", "figure")),
    log:
        f"{RESULTS}/logs/leaderboard.log",
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "leaderboard",
            {
                "experiments": list(PLAN.experiments),
                "title": CONFIG.title,
                "scale": CONFIG.scale,
            },
        ),
    script:
        "../workflow/scripts/leaderboard.py"


rule sheet:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=f"{DATA}/split.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
    output:
        sheet=shown(f"{FIGURES}/data/identities.png", "Data", "identities_sheet", ("data", "images of each identity")),
    log:
        f"{RESULTS}/logs/sheet.log",
    group:
        "data"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe("sheet", {"title": CONFIG.title, "scale": CONFIG.scale}),
    script:
        "../workflow/scripts/sheet.py"
