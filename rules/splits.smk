# From squares to groups, splits and their audits.
# A cluster's job cannot hold both ingest and what waits for shards, which are other jobs.
WITH_GROUPS = "groups" if inputs.pair_shards else "data"


# Of many images, shards are hashed and compared with all others side by side before.
rule hashes_shard:
    input:
        manifest=rules.ingest.output.manifest,
        digest=rules.ingest.output.digest,
        images=ancient(rules.ingest.output.images),
    output:
        hashes=temp(files.data_shard("hashes.npy")),
    log:
        files.log("hashes_shard", "{shard}"),
    group:
        "hashes_shards"
    conda:
        "../envs/reidflow.yaml"
    threads: plan.config.compute.workers
    resources:
        **requests.small,
    params:
        job=params.hashes_shard,
    script:
        "../workflow/scripts/hashes_shard.py"


rule pairs_shard:
    input:
        hashes=inputs.hash_shards,
    output:
        pairs=temp(files.data_shard("pairs.npz")),
    log:
        files.log("pairs_shard", "{shard}"),
    group:
        "pairs_shards"
    conda:
        "../envs/reidflow.yaml"
    threads: plan.config.compute.workers
    resources:
        **requests.small,
    params:
        job=params.pairs_shard,
    script:
        "../workflow/scripts/pairs_shard.py"


rule groups:
    input:
        shards=ancient(inputs.pair_shards),
        manifest=rules.ingest.output.manifest,
        digest=rules.ingest.output.digest,
        images=ancient(rules.ingest.output.images),
    output:
        groups=f"{DATA}/groups.parquet",
        pairs=f"{DATA}/pairs.parquet",
        joined=f"{DATA}/groups.json",
    log:
        files.log("groups"),
    group:
        WITH_GROUPS
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.small,
    params:
        job=params.groups,
    script:
        "../workflow/scripts/groups.py"


rule split:
    input:
        manifest=rules.ingest.output.manifest,
        groups=rules.groups.output.groups,
        pairs=rules.groups.output.pairs,
        joined=rules.groups.output.joined,
    output:
        split=f"{DATA}/split.parquet",
        audit=shown.result(f"{DATA}/audit.json", "Data", ("data", "leak audit of the split (JSON)"), "audit"),
        digest=f"{DATA}/split.json",
    log:
        files.log("split"),
    group:
        WITH_GROUPS
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.small,
    params:
        job=params.split,
    script:
        "../workflow/scripts/split.py"


rule other_split:
    input:
        manifest=rules.ingest.output.manifest,
        groups=rules.groups.output.groups,
        pairs=rules.groups.output.pairs,
        joined=rules.groups.output.joined,
    output:
        split=f"{DATA}/splits/{{split}}/split.parquet",
        audit=f"{DATA}/splits/{{split}}/audit.json",
        digest=f"{DATA}/splits/{{split}}/split.json",
    log:
        files.log("splits", "{split}"),
    group:
        WITH_GROUPS
    conda:
        "../envs/reidflow.yaml"
    resources:
        **requests.small,
    params:
        job=params.split,
    script:
        "../workflow/scripts/split.py"
