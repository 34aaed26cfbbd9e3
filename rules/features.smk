# The networks behind the arms, and one forward pass per image and augmented view through each frozen one, ever.
# A downloaded network has a job of its own, which the next run repeats where a failed download may succeed by then. All
# others are described in one job: starting a process takes longer.


for batch, networks in session.networks().items():

    rule:
        name:
            f"backbones_{batch}"
        output:
            **{f"description_{n}": f"{RESULTS}/backbones/{name}.json" for n, name in enumerate(networks)},
            **{f"speed_{n}": f"{RESULTS}/backbones/{name}.speed.json" for n, name in enumerate(networks)},
        log:
            files.log("backbones", batch),
        conda:
            "../envs/reidflow.yaml"
        threads: max(plan.backbones()[name]["threads"] for name in networks)
        resources:
            **requests.network,
        params:
            job=params.backbones(networks),
        script:
            "../workflow/scripts/backbones.py"


# Of many images, shards are embedded side by side before: they leave their rows in the store.
rule features_shard:
    input:
        pixels=inputs.bank_pixels,
        manifest=inputs.bank_manifest,
        digest=inputs.bank_digest,
        network=inputs.bank_network,
        images=ancient(inputs.bank_images),
    output:
        shard=temp(files.bank_shard),
    log:
        files.log("features_shard", "{bank}-{shard}"),
    group:
        "features_shards"
    conda:
        "../envs/reidflow.yaml"
    threads: lambda wildcards: plan.banks()[wildcards.bank]["threads"]
    resources:
        **requests.network,
    params:
        job=params.features,
    script:
        "../workflow/scripts/features.py"


rule features:
    input:
        shards=ancient(inputs.bank_shards),
        pixels=inputs.bank_pixels,
        manifest=inputs.bank_manifest,
        digest=inputs.bank_digest,
        network=inputs.bank_network,
        images=ancient(inputs.bank_images),
    output:
        features=f"{RESULTS}/features/{{bank}}/features.npy",
        digest=f"{RESULTS}/features/{{bank}}/features.json",
    log:
        files.log("features", "{bank}"),
    group:
        "features"
    conda:
        "../envs/reidflow.yaml"
    threads: lambda wildcards: plan.banks()[wildcards.bank]["threads"]
    resources:
        **requests.network,
    params:
        job=params.features,
    script:
        "../workflow/scripts/features.py"
