# Which training images are kept: near-duplicates left out, the most valuable chosen. Validation and test never change.


# Of many images, shards are compared with all others side by side before.
rule duplicates_shard:
    input:
        manifest=f"{DATA}/manifest.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        features_digest=f"{files.embedding}/features.json",
        features=ancient(f"{files.embedding}/features.npy"),
    output:
        pairs=temp(files.duplicates_shard),
    log:
        files.log("duplicates_shard", "{method}-{shard}"),
    group:
        "duplicates_shards"
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.images,
    params:
        job=params.duplicates,
    script:
        "../workflow/scripts/duplicates.py"


rule duplicates:
    input:
        shards=ancient(inputs.duplicates_shards),
        manifest=f"{DATA}/manifest.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        features_digest=f"{files.embedding}/features.json",
        features=ancient(f"{files.embedding}/features.npy"),
    output:
        pairs=f"{RESULTS}/duplicates/{{method}}/pairs.parquet",
    log:
        files.log("duplicates", "{method}"),
    group:
        "subsets"
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.images,
    params:
        job=params.duplicates,
    script:
        "../workflow/scripts/duplicates.py"


rule scores:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=f"{DATA}/split.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
        features_digest=f"{files.embedding}/features.json",
        features=ancient(f"{files.embedding}/features.npy"),
    output:
        scores=f"{RESULTS}/curation/scores.parquet",
    log:
        files.log("scores"),
    group:
        "subsets"
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.images,
    params:
        job=params.fixed("scores"),
    script:
        "../workflow/scripts/scores.py"


# One job for all choices that differ in their parameters alone: starting a process takes longer than making one.
for family, subsets in plan.families().items():

    rule:
        name:
            f"keep_{family}"
        input:
            manifest=f"{DATA}/manifest.parquet",
            split=f"{DATA}/split.parquet",
            digest=f"{DATA}/images.json",
            images=ancient(f"{DATA}/images.npy"),
            masks=ancient(f"{DATA}/masks.npy"),
            features_digest=f"{files.embedding}/features.json",
            features=ancient(f"{files.embedding}/features.npy"),
            pairs=inputs.subset_pairs(subsets),
            scores=inputs.subset_scores(subsets),
        output:
            **{f"keep_{place}": files.keep(subset) for place, subset in enumerate(subsets)},
        log:
            files.log("subsets", family),
        group:
            "subsets"
        conda:
            "../envs/reidflow.yaml"
        resources:
            **requests.images,
        params:
            job=params.keep(subsets),
        script:
            "../workflow/scripts/keep.py"
