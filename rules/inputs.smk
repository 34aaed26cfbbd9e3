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
# What an analysis adds to an experiment: tables, plots (PNG and SVG) and sheets of pictures (PNG).
DETAILS = {
    "backgrounds": {
        "tables": ["tested_on", "reliance"],
        "plots": ["tested_on", "query_only", "reliance"],
        "sheets": ["interventions"],
    },
    "dedup": {
        "tables": ["methods", "suspects", "dedup"],
        "plots": ["detection", "thresholds", "dynamics"],
        "sheets": ["groups", "suspects"],
    },
    "curation": {
        "tables": ["curation"],
        "plots": ["shares", "distributions"],
        "sheets": ["valuable", "scores"],
    },
}


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


def tested(wildcards):
    return [path.replace("metrics.parquet", "tested_on.parquet") for path in evaluated(wildcards)]


def versions_of(wildcards):
    """Return the arrays of the versions that an arm's runs are tested on, in the order of the experiment's file."""
    versions = PLAN.experiments[wildcards.experiment].file.tested_on.values()
    spec = arm_of(wildcards).spec
    if spec.frozen:
        banks = [plan.bank_id(plan.tested_bank(spec, version.background)) for version in versions]
        return [f"{RESULTS}/features/{bank}/features.npy" for bank in banks]
    return [drawn(version.background)[2] for version in versions]


def version_digests(wildcards):
    """Return the digests of these arrays."""
    return [path.replace(".npy", ".json") for path in versions_of(wildcards)]


def version_images(wildcards):
    """Return the pixels of the versions that an experiment's runs are tested on, in the order of its file."""
    versions = PLAN.experiments[wildcards.experiment].file.tested_on.values()
    return [ancient(drawn(version.background)[2]) for version in versions]


def version_pictures(wildcards):
    """Return the digests of these pixels."""
    versions = PLAN.experiments[wildcards.experiment].file.tested_on.values()
    return [drawn(version.background)[1] for version in versions]


def subsets_of(experiment):
    """Return for each arm of an experiment that leaves training images out where its choice lies."""
    found = {arm.name: plan.subset_id(arm.spec) for arm in PLAN.experiments[experiment].arms.values()}
    return {arm: subset for arm, subset in found.items() if subset}


def methods_of(experiment):
    """Return the deduplication methods of an experiment: id -> method, thresholds of its arms, loosest threshold."""
    found = {}
    for arm in PLAN.experiments[experiment].arms.values():
        if arm.spec.dedup:
            name = plan.method_id(arm.spec.dedup.method)
            method = {"method": arm.spec.dedup.method, "thresholds": [], "loosest": DUPLICATES[name][1]}
            found.setdefault(name, method)["thresholds"].append(arm.spec.dedup.threshold)
    return {name: {**method, "thresholds": sorted(set(method["thresholds"]))} for name, method in found.items()}


def kept_files(wildcards):
    subsets = sorted(set(subsets_of(wildcards.experiment).values()))
    return [f"{RESULTS}/subsets/{subset}/keep.parquet" for subset in subsets]


def pairs_files(wildcards):
    return [f"{RESULTS}/duplicates/{method}/pairs.parquet" for method in methods_of(wildcards.experiment)]


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


def describe_tested(wildcards):
    versions = PLAN.experiments[wildcards.experiment].file.tested_on
    return describe(
        "tested_on",
        {
            "gallery": CONFIG.gallery,
            "frozen": arm_of(wildcards).spec.frozen,
            "labels": list(versions),
            "tests": {label: version.model_dump(mode="json") for label, version in versions.items()},
        },
        arm_of(wildcards).spec.component_modules(),
    )


def describe_dedup(wildcards):
    methods = methods_of(wildcards.experiment)
    return describe(
        "dedup_report",
        {
            "experiment": PLAN.told(wildcards.experiment, "question"),
            "subsets": subsets_of(wildcards.experiment),
            "methods": {name: found["method"] for name, found in methods.items()},
            "thresholds": {name: found["thresholds"] for name, found in methods.items()},
            "loosest": {name: found["loosest"] for name, found in methods.items()},
        },
    )


def plots(name):
    """Return the plots of an analysis as named outputs."""
    return {
        f"{kind}_{suffix}": f"{FIGURES}/{{experiment}}/{kind}.{suffix}"
        for kind in DETAILS[name]["plots"]
        for suffix in ("png", "svg")
    }


def sheets(name):
    """Return the sheets of pictures of an analysis as named outputs."""
    return {f"{kind}_png": f"{FIGURES}/{{experiment}}/{kind}.png" for kind in DETAILS[name]["sheets"]}


def details_of(experiment):
    """Return the analyses that an experiment calls for."""
    specs = [arm.spec for arm in PLAN.experiments[experiment].arms.values()]
    called = {
        "backgrounds": bool(PLAN.experiments[experiment].file.tested_on),
        "dedup": any(spec.dedup for spec in specs),
        "curation": any(spec.curation for spec in specs),
    }
    return [name for name in DETAILS if called[name]]


def details(wildcards):
    return [f"{RESULTS}/details/{wildcards.experiment}/{name}.json" for name in details_of(wildcards.experiment)]


def details_figures(wildcards):
    found = []
    for name in details_of(wildcards.experiment):
        found += [f"{kind}.svg" for kind in DETAILS[name]["plots"]]
        found += [f"{kind}.png" for kind in DETAILS[name]["sheets"]]
    return [f"{FIGURES}/{wildcards.experiment}/{name}" for name in found]


def details_results(experiment):
    """Return the files of an experiment's analyses that a user reads."""
    wanted = []
    for name in details_of(experiment):
        wanted += [f"{TABLES}/{experiment}.{kind}.parquet" for kind in DETAILS[name]["tables"]]
        wanted += [f"{FIGURES}/{experiment}/{kind}.png" for kind in DETAILS[name]["plots"] + DETAILS[name]["sheets"]]
    return wanted


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
