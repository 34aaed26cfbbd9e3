# Which training images stay: near-duplicates left out, the most valuable chosen. Validation and test never change.
rule duplicates:
    input:
        manifest=f"{DATA}/manifest.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        features_digest=f"{EMBEDDING}/features.json",
        features=ancient(f"{EMBEDDING}/features.npy"),
    output:
        pairs=f"{RESULTS}/duplicates/{{method}}/pairs.parquet",
    log:
        f"{RESULTS}/logs/duplicates/{{method}}.log",
    group:
        "subsets"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "duplicates",
            {
                "method": DUPLICATES[wildcards.method][0],
                "loosest": DUPLICATES[wildcards.method][1],
            },
            plan.modules(("duplicates", DUPLICATES[wildcards.method][0])),
        ),
    script:
        "../workflow/scripts/duplicates.py"


rule scores:
    input:
        manifest=f"{DATA}/manifest.parquet",
        split=f"{DATA}/split.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
        masks=ancient(f"{DATA}/masks.npy"),
        features_digest=f"{EMBEDDING}/features.json",
        features=ancient(f"{EMBEDDING}/features.npy"),
    output:
        scores=f"{RESULTS}/curation/scores.parquet",
    log:
        f"{RESULTS}/logs/scores.log",
    group:
        "subsets"
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=later(describe, "scores", {}),
    script:
        "../workflow/scripts/scores.py"


# One job for all choices that differ in their parameters alone: starting a process takes longer than making one.
for family, subsets in PLAN.families().items():

    rule:
        name:
            f"keep_{family}"
        input:
            manifest=f"{DATA}/manifest.parquet",
            split=f"{DATA}/split.parquet",
            digest=f"{DATA}/images.json",
            images=ancient(f"{DATA}/images.npy"),
            masks=ancient(f"{DATA}/masks.npy"),
            features_digest=f"{EMBEDDING}/features.json",
            features=ancient(f"{EMBEDDING}/features.npy"),
            pairs=subset_pairs(subsets),
            scores=subset_scores(subsets),
        output:
            **{f"keep_{place}": keep_file(subset) for place, subset in enumerate(subsets)},
        log:
            f"{RESULTS}/logs/subsets/{family}.log",
        group:
            "subsets"
        conda:
            "../envs/reidflow.yaml"
        resources:
            mem_mb=growing(CONFIG.compute.image_memory_mb),
            runtime=growing(CONFIG.compute.minutes),
        params:
            job=later(describe_subsets, subsets),
        script:
            "../workflow/scripts/keep.py"
