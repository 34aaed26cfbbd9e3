# From raw images to squares and masks. Only these rules read raw bytes.
DEMO = plan.config.dataset.source["name"] == "demo"
MASKED = plan.config.dataset.masks is not None


if DEMO:

    rule draw_demo:
        output:
            truth=f"{DATA}/truth.parquet",
        log:
            files.log("draw_demo"),
        group:
            "data"
        conda:
            "../envs/reidflow.yaml"
        threads: plan.config.compute.workers
        resources:
            **requests.images,
        params:
            job=params.draw_demo,
        script:
            "../workflow/scripts/draw_demo.py"


if MASKED:

    rule network_masks:
        input:
            rules.draw_demo.output if DEMO else [],
        output:
            masks=f"{DATA}/network_masks.parquet",
            digest=f"{DATA}/network_masks.json",
        log:
            files.log("network_masks"),
        group:
            "data"
        conda:
            "../envs/reidflow.yaml"
        threads: plan.config.compute.workers
        resources:
            **requests.images,
        params:
            job=params.network_masks(session.raw, session.network),
        script:
            "../workflow/scripts/network_masks.py"


rule ingest:
    input:
        rules.draw_demo.output if DEMO else [],
        network=rules.network_masks.output.digest if MASKED else [],
        masks=ancient(rules.network_masks.output.masks) if MASKED else [],
    output:
        manifest=f"{DATA}/manifest.parquet",
        quarantine=f"{DATA}/quarantine.parquet",
        images=f"{DATA}/images.npy",
        masks=f"{DATA}/masks.npy",
        digest=f"{DATA}/images.json",
    log:
        files.log("ingest"),
    group:
        "data"
    conda:
        "../envs/reidflow.yaml"
    threads: plan.config.compute.workers
    resources:
        **requests.images,
    params:
        job=params.ingest(session.raw, session.raw_modules(), session.answers),
    script:
        "../workflow/scripts/ingest.py"
