# The same images with an intervention on their background: a job each, side by side on one core.


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
        files.log("backgrounds", "{background}"),
    group:
        "backgrounds"
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.images,
    params:
        job=params.background,
    script:
        "../workflow/scripts/background.py"
