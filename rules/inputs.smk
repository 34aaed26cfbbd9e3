# What the jobs read and ask for, as functions of their wildcards.
DATA = f"{RESULTS}/data"
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
ARM = f"{RESULTS}/experiments/{{experiment}}/{{arm}}"
KINDS_OF_FIGURES = ["arms", "curves", "identities", "tuning", "pareto"]
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
        f"{DATA}/manifest.parquet",
        f"{DATA}/split.parquet",
        f"{DATA}/split.json",
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


def all_results():
    """Return every file that a user of the results reads, and the evaluated arms that tables are made of."""
    wanted = [f"{DATA}/{name}.parquet" for name in ("manifest", "quarantine", "groups", "split")]
    wanted += [f"{DATA}/audit.json", f"{FIGURES}/data/identities.png"]
    wanted += [f"{TABLES}/leaderboard.{suffix}" for suffix in ("parquet", "csv", "md")]
    for name in PLAN.experiments:
        wanted += [
            f"{TABLES}/{name}.{suffix}"
            for suffix in ("parquet", "efficiency.parquet", "csv", "md", "tex", "findings.md")
        ]
        wanted += [f"{FIGURES}/{name}/{kind}.png" for kind in KINDS_OF_FIGURES]
        wanted += [f"{RESULTS}/pages/{name}.html"]
        wanted += [f"{RESULTS}/experiments/{name}/{arm}/metrics.parquet" for arm in arms(name)]
    return wanted
