# From raw photographs to squares, groups and a split. Only `ingest` reads raw bytes.
DEMO = CONFIG.dataset.source["name"] == "demo"


if DEMO:

    rule draw_demo:
        output:
            truth=f"{DATA}/truth.parquet",
        log:
            f"{RESULTS}/logs/draw_demo.log",
        group:
            "data"
        conda:
            "../envs/reidflow.yaml"
        threads: CONFIG.compute.workers
        resources:
            mem_mb=growing(CONFIG.compute.image_memory_mb),
            runtime=growing(CONFIG.compute.minutes),
        params:
            job=lambda wildcards: describe(
                "draw_demo",
                {"source": CONFIG.dataset.source},
            ),
        script:
            "../workflow/scripts/draw_demo.py"


rule ingest:
    input:
        rules.draw_demo.output if DEMO else [],
    output:
        manifest=f"{DATA}/manifest.parquet",
        quarantine=f"{DATA}/quarantine.parquet",
        images=f"{DATA}/images.npy",
        masks=f"{DATA}/masks.npy",
        digest=f"{DATA}/images.json",
    log:
        f"{RESULTS}/logs/ingest.log",
    group:
        "data"
    conda:
        "../envs/reidflow.yaml"
    threads: CONFIG.compute.workers
    resources:
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "ingest",
            {
                "dataset": CONFIG.dataset.model_dump(mode="json"),
                "size": PLAN.store_size(),
                "raw": RAW,
            },
            rawdata.modules(CONFIG),
        ),
    script:
        "../workflow/scripts/ingest.py"


rule groups:
    input:
        manifest=rules.ingest.output.manifest,
        digest=rules.ingest.output.digest,
        images=ancient(rules.ingest.output.images),
    output:
        groups=f"{DATA}/groups.parquet",
        pairs=f"{DATA}/pairs.parquet",
    log:
        f"{RESULTS}/logs/groups.log",
    group:
        "data"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe("groups", {"groups": CONFIG.groups.model_dump(mode="json")}),
    script:
        "../workflow/scripts/groups.py"


rule split:
    input:
        manifest=rules.ingest.output.manifest,
        groups=rules.groups.output.groups,
        pairs=rules.groups.output.pairs,
    output:
        split=f"{DATA}/split.parquet",
        audit=shown(f"{DATA}/audit.json", "Data", "audit", ("data", "leak audit of the split (JSON)")),
        digest=f"{DATA}/split.json",
    log:
        f"{RESULTS}/logs/split.log",
    group:
        "data"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=later(describe_split, PLAN.division),
    script:
        "../workflow/scripts/split.py"


rule other_split:
    input:
        manifest=rules.ingest.output.manifest,
        groups=rules.groups.output.groups,
        pairs=rules.groups.output.pairs,
    output:
        split=f"{DATA}/splits/{{split}}/split.parquet",
        audit=f"{DATA}/splits/{{split}}/audit.json",
        digest=f"{DATA}/splits/{{split}}/split.json",
    log:
        f"{RESULTS}/logs/splits/{{split}}.log",
    group:
        "data"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_split(SPLITS[wildcards.split]),
    script:
        "../workflow/scripts/split.py"
