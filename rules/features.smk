# One forward pass per image and augmented view through each frozen backbone, ever.
rule features:
    input:
        pixels=bank_pixels,
        digest=bank_digest,
        images=bank_images,
        network=bank_network,
    output:
        features=f"{RESULTS}/features/{{bank}}/features.npy",
        digest=f"{RESULTS}/features/{{bank}}/features.json",
    log:
        f"{RESULTS}/logs/features/{{bank}}.log",
    group:
        "features"
    conda:
        "../envs/reidflow.yaml"
    threads: lambda wildcards: BANKS[wildcards.bank]["threads"]
    resources:
        gpu=GPUS,
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "features",
            {"bank": BANKS[wildcards.bank], "required": wildcards.bank in REQUIRED},
            plan.bank_modules(BANKS[wildcards.bank]),
        ),
    script:
        "../workflow/scripts/features.py"
