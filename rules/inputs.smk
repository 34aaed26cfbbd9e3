# What the jobs read and ask for, as functions of their wildcards.
DATA = f"{RESULTS}/data"
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
ARM = f"{RESULTS}/experiments/{{experiment}}/{{arm}}"
KINDS_OF_FIGURES = ["arms", "curves", "identities", "tuning", "pareto"]
BANKS = PLAN.banks()
BACKGROUNDS = PLAN.backgrounds()
DUPLICATES = PLAN.duplicates()
SUBSETS = PLAN.subsets()
EMBEDDING = f"{RESULTS}/features/{plan.bank_id(PLAN.embedding())}"


def arm_of(wildcards):
    return PLAN.arm(wildcards.experiment, wildcards.arm)


def specs_of(wildcards):
    return [spec for _, spec in arm_of(wildcards).points]


def points_of(wildcards):
    return [[values, spec.plain()] for values, spec in arm_of(wildcards).points]


def needs_images(wildcards):
    return not all(spec.frozen for spec in specs_of(wildcards))


def drawn(background):
    """Return the table of pixel digests, the small digest and the pixels of the photographs with a background."""
    if background == plan.ORIGINAL:
        return f"{DATA}/manifest.parquet", f"{DATA}/images.json", f"{DATA}/images.npy"
    folder = f"{RESULTS}/backgrounds/{plan.background_id(background)}"
    return f"{folder}/pixels.parquet", f"{folder}/images.json", f"{folder}/images.npy"


def bank_pixels(wildcards):
    return drawn(BANKS[wildcards.bank]["background"])[0]


def bank_digest(wildcards):
    return drawn(BANKS[wildcards.bank]["background"])[1]


def bank_images(wildcards):
    return ancient(drawn(BANKS[wildcards.bank]["background"])[2])


def keep_of(spec):
    """Return the table of the training images that a run keeps, where it does not keep all."""
    subset = plan.subset_id(spec)
    return [f"{RESULTS}/subsets/{subset}/keep.parquet"] if subset else []


def training_inputs(wildcards):
    """Return what the runs of an arm read: the split's digest and the digests of their features or images."""
    specs, small, large = specs_of(wildcards), set(), set()
    for spec in specs:
        small.update(keep_of(spec))
        if spec.frozen:
            folders = [plan.bank_id(bank) for bank in (plan.trained_bank(spec), plan.tested_bank(spec))]
            small.update(f"{RESULTS}/features/{folder}/features.json" for folder in folders)
            large.update(f"{RESULTS}/features/{folder}/features.npy" for folder in folders)
        else:
            for background in (plan.ORIGINAL, spec.background):
                pixels, digest, images = drawn(background)
                small.update((pixels, digest))
                large.add(images)
    fixed = [f"{DATA}/{name}" for name in ("manifest.parquet", "split.parquet", "split.json")]
    return [*fixed, *sorted(small - set(fixed)), *map(ancient, sorted(large))]


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


def subset_pairs(wildcards):
    spec = SUBSETS[wildcards.subset]
    return f"{RESULTS}/duplicates/{plan.method_id(spec.dedup.method)}/pairs.parquet" if spec.dedup else []


def subset_scores(wildcards):
    return f"{RESULTS}/curation/scores.parquet" if SUBSETS[wildcards.subset].curation else []


def describe_subset(wildcards):
    spec = SUBSETS[wildcards.subset]
    chosen = spec.plain()
    methods = [("curation", chosen["curation"]["method"])] if spec.curation else []
    return describe(
        "keep",
        {
            "dedup": chosen["dedup"],
            "curation": chosen["curation"],
            "seeds": PLAN.subset_seeds(wildcards.subset),
        },
        plan.modules(*methods),
    )


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
        wanted += details_results(name)
    return wanted
