# From evaluated arms to the table of every experiment, and the leaderboard.


rule table:
    input:
        **inputs.data_files(),
        **files.per_run,
        unavailable=rules.evaluate.output.unavailable,
        chosen=inputs.chosen,
        speeds=inputs.speeds,
    output:
        results=f"{TABLES}/{{experiment}}.parquet",
        efficiency=f"{TABLES}/{{experiment}}.efficiency.parquet",
        comparisons=f"{TABLES}/{{experiment}}.identities.parquet",
        profiles=f"{TABLES}/{{experiment}}.profiles.parquet",
    log:
        files.log("table", "{experiment}"),
    group:
        requests.scoring
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.table,
    script:
        "../workflow/scripts/table.py"


rule tuning:
    input:
        chosen=rules.choose.output.chosen,
    output:
        **shown.core_figures(["tuning"]),
    log:
        files.log("tuning", "{experiment}"),
    group:
        "tables-{experiment}"
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.experiment("tuning", "question"),
    script:
        "../workflow/scripts/tuning.py"


rule leaderboard:
    input:
        tables=[f"{TABLES}/{name}.parquet" for name in plan.experiments],
    output:
        table=f"{TABLES}/leaderboard.parquet",
        csv=shown.result(f"{TABLES}/leaderboard.csv", "Leaderboard", ("leaderboard", "table (CSV)"), "leaderboard"),
        markdown=f"{TABLES}/leaderboard.md",
        page=shown.result(f"{RESULTS}/pages/leaderboard.html", "Leaderboard", ("leaderboard", "page"), "leaderboard"),
        png=f"{FIGURES}/leaderboard.png",
        svg=shown.result(f"{FIGURES}/leaderboard.svg", "Leaderboard", ("leaderboard", "figure"), "leaderboard"),
    log:
        files.log("leaderboard"),
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.title("leaderboard", templates=["reidflow.pages"], experiments=list(plan.experiments)),
    script:
        "../workflow/scripts/leaderboard.py"


rule sheet:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=f"{DATA}/split.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
    output:
        sheet=shown.result(
            f"{FIGURES}/data/identities.png", "Data", ("data", "images of each identity"), "identities_sheet"
        ),
        masks=shown.result(f"{FIGURES}/data/masks.png", "Data", ("data", "images with their masks"), "masks_sheet"),
    log:
        files.log("sheet"),
    group:
        WITH_GROUPS
    conda:
        "../envs/reidflow.yaml"
    params:
        job=params.title("sheet"),
    script:
        "../workflow/scripts/sheet.py"
