# A job is one arm's runs, a few per process; a run is the unit of invalidation and lives in the run store.
ARM = f"{RESULTS}/experiments/{{experiment}}/{{arm}}"


def arm_of(wildcards):
    return PLAN.arm(wildcards.experiment, wildcards.arm)


def specs_of(wildcards):
    return [spec for _, spec in arm_of(wildcards).points]


def points_of(wildcards):
    return [[values, spec.plain()] for values, spec in arm_of(wildcards).points]


def needs_images(wildcards):
    return not all(spec.frozen for spec in specs_of(wildcards))


def training_inputs(wildcards):
    """Return what the runs of an arm read: the split's digest and the digests of their features or images."""
    banks = sorted({plan.bank_id(spec) for spec in specs_of(wildcards) if spec.frozen})
    digests = [f"{RESULTS}/features/{bank}/features.json" for bank in banks]
    large = [f"{RESULTS}/features/{bank}/features.npy" for bank in banks]
    if needs_images(wildcards):
        digests.append(f"{DATA}/images.json")
        large.append(f"{DATA}/images.npy")
    return [
        f"{DATA}/split.json",
        f"{DATA}/split.parquet",
        *digests,
        *map(ancient, large),
    ]


def sweep_runs(wildcards):
    return PLAN.sweep(wildcards.experiment, wildcards.arm)


def job_files(pattern, runs):
    """Return a function that lists the outputs of all jobs that an arm's runs make."""
    return lambda wildcards: expand(
        pattern,
        experiment=wildcards.experiment,
        arm=wildcards.arm,
        batch=range(PLAN.batches(len(runs(wildcards)))),
    )


def describe_training(wildcards, what):
    executed = sorted(
        {name for spec in specs_of(wildcards) for name in spec.component_modules()}
    )
    return describe(
        "train",
        {**what, "gallery": CONFIG.gallery},
        ["reidflow.training.loop", *executed],
    )


def cards(wildcards):
    """Return the graphics cards that an arm's runs need: none where features suffice."""
    return planning.cards(CONFIG.compute.device) if needs_images(wildcards) else 0


def memory(wildcards, attempt):
    amount = (
        CONFIG.compute.image_memory_mb
        if needs_images(wildcards)
        else CONFIG.compute.memory_mb
    )
    return amount * 2 ** (attempt - 1)


def cores(wildcards):
    return max(spec.threads for spec in specs_of(wildcards))


rule sweep:
    input:
        training_inputs,
    output:
        runs=f"{ARM}/sweep/runs-{{batch}}.json",
    log:
        f"{RESULTS}/logs/sweep/{{experiment}}/{{arm}}-{{batch}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: cores
    resources:
        gpu=cards,
        mem_mb=memory,
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_training(
            wildcards,
            {
                "specs": [
                    spec.plain()
                    for spec in PLAN.batch(sweep_runs(wildcards), int(wildcards.batch))
                ]
            },
        ),
    script:
        "../workflow/scripts/train.py"


rule choose:
    input:
        runs=job_files(rules.sweep.output.runs, sweep_runs),
    output:
        chosen=f"{ARM}/chosen.json",
    log:
        f"{RESULTS}/logs/choose/{{experiment}}/{{arm}}.log",
    conda:
        "../envs/reidflow.yaml"
    params:
        job=lambda wildcards: describe(
            "choose",
            {
                "grid": PLAN.experiments[wildcards.experiment].file.tuned,
                "points": points_of(wildcards),
            },
        ),
    script:
        "../workflow/scripts/choose.py"


rule train:
    input:
        training_inputs,
        chosen=lambda wildcards: (
            f"{ARM}/chosen.json"
            if PLAN.experiments[wildcards.experiment].tuned
            else []
        ),
    output:
        runs=f"{ARM}/runs/runs-{{batch}}.json",
    log:
        f"{RESULTS}/logs/train/{{experiment}}/{{arm}}-{{batch}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: cores
    resources:
        gpu=cards,
        mem_mb=memory,
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_training(
            wildcards,
            {
                "points": points_of(wildcards),
                "seeds": PLAN.batch(arm_of(wildcards).seeds, int(wildcards.batch)),
            },
        ),
    script:
        "../workflow/scripts/train.py"


rule evaluate:
    input:
        runs=job_files(
            rules.train.output.runs, lambda wildcards: arm_of(wildcards).seeds
        ),
        split=f"{DATA}/split.parquet",
        manifest=f"{DATA}/manifest.parquet",
    output:
        metrics=f"{ARM}/metrics.parquet",
        per_query=f"{ARM}/per_query.parquet",
        history=f"{ARM}/history.parquet",
        efficiency=f"{ARM}/efficiency.parquet",
    log:
        f"{RESULTS}/logs/evaluate/{{experiment}}/{{arm}}.log",
    conda:
        "../envs/reidflow.yaml"
    resources:
        mem_mb=growing(CONFIG.compute.memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe("evaluate", {"gallery": CONFIG.gallery}),
    script:
        "../workflow/scripts/evaluate.py"
