# The photographs once more, with an intervention on their background.
rule background:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=f"{DATA}/split.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
    output:
        images=f"{RESULTS}/backgrounds/{{background}}/images.npy",
        pixels=f"{RESULTS}/backgrounds/{{background}}/pixels.parquet",
        digest=f"{RESULTS}/backgrounds/{{background}}/images.json",
    log:
        f"{RESULTS}/logs/backgrounds/{{background}}.log",
    group:
        "backgrounds"
    conda:
        "../envs/reidflow.yaml"
    threads: CONFIG.compute.workers
    resources:
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "background",
            {
                "background": BACKGROUNDS[wildcards.background],
                "without_mask": CONFIG.backgrounds.without_mask,
            },
            plan.modules(("background", BACKGROUNDS[wildcards.background])),
        ),
    script:
        "../workflow/scripts/background.py"
