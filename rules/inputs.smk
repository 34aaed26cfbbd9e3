# What the jobs read and ask for, as functions of their wildcards.
DATA = f"{RESULTS}/data"
ARM = f"{RESULTS}/experiments/{{experiment}}/{{arm}}"
BANKS = PLAN.banks()


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
    executed = sorted({name for spec in specs_of(wildcards) for name in spec.component_modules()})
    return describe(
        "train",
        {**what, "gallery": CONFIG.gallery},
        ["reidflow.training.loop", *executed],
    )


def cards(wildcards):
    """Return the graphics cards that an arm's runs need: none where features suffice."""
    return planning.cards(CONFIG.compute.device) if needs_images(wildcards) else 0


def memory(wildcards, attempt):
    amount = CONFIG.compute.image_memory_mb if needs_images(wildcards) else CONFIG.compute.memory_mb
    return amount * 2 ** (attempt - 1)


def cores(wildcards):
    return max(spec.threads for spec in specs_of(wildcards))


def evaluated(wildcards):
    return [f"{RESULTS}/experiments/{wildcards.experiment}/{arm}/metrics.parquet" for arm in arms(wildcards.experiment)]
