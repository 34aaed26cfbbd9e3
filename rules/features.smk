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


# Local features see larger squares than the image store holds, which are cut out of the images' files again.
LOCAL_INPUTS = {
    "manifest": rules.ingest.output.manifest,
    "images": rules.ingest.output.digest,
    "network": rules.network_masks.output.digest if MASKED else [],
    "masks": ancient(rules.network_masks.output.masks) if MASKED else [],
}


rule local_features_shard:
    input:
        **LOCAL_INPUTS,
    output:
        shard=temp(files.local_shard),
    log:
        files.log("local_features_shard", "{bank}-{shard}"),
    group:
        "local_features_shards"
    conda:
        "../envs/reidflow.yaml"
    threads: requests.matching
    resources:
        **requests.local,
    params:
        job=params.local_features(session.raw, session.raw_modules()),
    script:
        "../workflow/scripts/local_features.py"


rule local_features:
    input:
        **LOCAL_INPUTS,
        shards=ancient(inputs.local_shards),
    output:
        rows=f"{files.local_bank}/rows.parquet",
        points=f"{files.local_bank}/points.npy",
        descriptors=f"{files.local_bank}/descriptors.npy",
        digest=f"{files.local_bank}/local.json",
    log:
        files.log("local_features", "{bank}"),
    group:
        "local_features"
    conda:
        "../envs/reidflow.yaml"
    threads: requests.matching
    resources:
        **requests.local,
    params:
        job=params.local_features(session.raw, session.raw_modules()),
    script:
        "../workflow/scripts/local_features.py"
