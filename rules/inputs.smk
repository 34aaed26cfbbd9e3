# What the jobs read and ask for, as functions of their wildcards.
plain = once_each(RunSpec.plain)
modules_of = once_each(RunSpec.component_modules)
DATA = f"{RESULTS}/data"
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
EXPERIMENT = f"{RESULTS}/experiments/{{experiment}}"
KINDS_OF_FIGURES = figures_of(tuned=False)
BANKS = PLAN.banks()
REQUIRED = PLAN.required_banks()
BACKBONES = PLAN.backbones()
BACKGROUNDS = PLAN.backgrounds()
DUPLICATES = PLAN.duplicates()
SUBSETS = PLAN.subsets()
SPLITS = PLAN.splits()
EMBEDDING = f"{RESULTS}/features/{plan.bank_id(PLAN.embedding())}"


def arms_of(wildcards):
    return PLAN.experiments[wildcards.experiment].arms


def split_folder(wildcards):
    """Return the folder of an experiment's split."""
    return PLAN.split_folder(PLAN.experiments[wildcards.experiment].division)


def other_split_folder(wildcards):
    """Return the folder of an experiment's split where it is not the config's own."""
    return PLAN.other_split_folder(PLAN.experiments[wildcards.experiment].division)


def split_file(wildcards):
    return f"{split_folder(wildcards)}/split.parquet"


def audit_file(wildcards):
    return f"{split_folder(wildcards)}/audit.json"


def describe_split(division):
    return describe("split", division, plan.modules(("split", division["split"])))


def swept(wildcards):
    """Return the (arm, run) of a job that tries tuned settings."""
    return PLAN.sweep(wildcards.experiment)[int(wildcards.batch)]


def reported(wildcards):
    """Return the (arm, seed) of a job that trains runs which are reported."""
    return PLAN.training(wildcards.experiment)[int(wildcards.batch)]


def swept_specs(wildcards):
    return [spec for _, spec in swept(wildcards)]


def reported_specs(wildcards):
    """Return the specs that such a job may train: every point of its arms' grids, or whatever a search may find."""
    arms = dict.fromkeys(arm for arm, _ in reported(wildcards))
    return [spec for arm in arms for spec in arms_of(wildcards)[arm].specs]


def points_of(experiment, arms):
    """Return arm -> [values, plain spec] at every point of its grid."""
    found = {arm: PLAN.experiments[experiment].arms[arm].points for arm in arms}
    return {arm: [[values, plain(spec)] for values, spec in points] for arm, points in found.items()}


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


def description(network):
    """Return the description of a network whose weights are downloaded: it tells whether they could be had."""
    if network["backbone"].get("weights") != "hub":
        return []
    return [f"{RESULTS}/backbones/{plan.backbone_id(network)}.json"]


def bank_network(wildcards):
    return description(plan.network_of(BANKS[wildcards.bank]))


def networks_of(specs):
    """Return the descriptions of the downloaded networks behind runs."""
    return sorted({file for spec in specs for file in network_files(spec)})


@once_each
def network_files(spec):
    return description(plan.network_of(plan.frozen_bank(spec)))


def compared_networks(name):
    """Return arm -> its network, in an experiment whose arms differ in it."""
    experiment = PLAN.experiments[name]
    if not any(path.split(".")[:2] in (["model"], ["model", "backbone"]) for path in experiment.file.varies):
        return {}
    found = {arm: plan.network_of(plan.frozen_bank(spec.spec)) for arm, spec in experiment.arms.items()}
    return {arm: plan.backbone_id(network) for arm, network in found.items()}


def described_together():
    """Return the networks that are described in each job, which is named after what it describes."""
    compared = {network for name in PLAN.experiments for network in compared_networks(name).values()}
    downloaded = [name for name, network in BACKBONES.items() if description(network)]
    installed = sorted(compared - set(downloaded))
    return {**{name: [name] for name in downloaded}, **({"installed": installed} if installed else {})}


def describe_networks(names):
    networks = [BACKBONES[name] for name in names]
    executed = sorted({module for network in networks for module in plan.network_modules(network)})
    return describe("backbones", {"networks": networks}, executed)


def speeds_of(wildcards):
    """Return arm -> the measured speed of its backbone, in an experiment whose arms differ in it."""
    found = compared_networks(wildcards.experiment)
    return {arm: f"{RESULTS}/backbones/{network}.speed.json" for arm, network in found.items()}


def speed_files(wildcards):
    return sorted(set(speeds_of(wildcards).values()))


def keep_of(spec):
    """Return the table of the training images that a run keeps, where it does not keep all."""
    subset = plan.subset_id(spec)
    return [keep_file(subset)] if subset else []


def keep_file(subset):
    return f"{RESULTS}/subsets/{subset}/keep.parquet"


@once_each
def files_of(spec):
    """Return what a run reads beside the split: small files, then arrays."""
    small, large = {*network_files(spec), *keep_of(spec)}, set()
    if spec.frozen:
        folders = [plan.bank_id(bank) for bank in (plan.trained_bank(spec), plan.tested_bank(spec))]
        small.update(f"{RESULTS}/features/{folder}/features.json" for folder in folders)
        large.update(f"{RESULTS}/features/{folder}/features.npy" for folder in folders)
    else:
        for background in (plan.ORIGINAL, spec.background):
            pixels, digest, images = drawn(background)
            small.update((pixels, digest))
            large.update((images, f"{DATA}/masks.npy"))
    return small, large


def training_inputs(specs_of):
    """Return a function that lists what a job's runs read: the split, and the digests of their features or images."""

    def inputs(wildcards):
        read = [files_of(spec) for spec in specs_of(wildcards)]
        small, large = (set().union(*(files[size] for files in read)) for size in (0, 1))
        fixed = [f"{split_folder(wildcards)}/split.{suffix}" for suffix in ("parquet", "json")]
        fixed = [f"{DATA}/manifest.parquet", *fixed]
        return [*fixed, *sorted(small - set(fixed)), *map(ancient, sorted(large))]

    return inputs


def jobs_of(pattern, jobs):
    """Return a function that lists the outputs of all jobs that an experiment's runs make."""
    return lambda wildcards: expand(
        pattern, experiment=wildcards.experiment, batch=range(len(jobs(wildcards.experiment)))
    )


def executed(specs):
    """Return the modules of the components that runs execute."""
    return sorted({name for spec in specs for name in modules_of(spec)})


def describe_training(wildcards, runs, specs, what):
    """Return the param of a job that trains runs, given as (arm, ...) and as the specs that they may have."""
    arms = {arm: arms_of(wildcards)[arm] for arm in dict.fromkeys(arm for arm, _ in runs)}
    return describe(
        "train",
        {
            **what,
            "gallery": CONFIG.gallery,
            "split": other_split_folder(wildcards),
            "baseline": PLAN.experiments[wildcards.experiment].file.baseline,
            "downloaded": {name: networks_of([arm.spec]) for name, arm in arms.items() if not arm.winner_of},
        },
        ["reidflow.training.loop", *executed(specs)],
    )


def describe_sweep(wildcards):
    runs = [[arm, plain(spec)] for arm, spec in swept(wildcards)]
    return describe_training(wildcards, runs, swept_specs(wildcards), {"specs": runs})


def describe_reported(wildcards):
    runs = [[arm, seed] for arm, seed in reported(wildcards)]
    arms = [arms_of(wildcards)[arm] for arm in dict.fromkeys(arm for arm, _ in runs)]
    what = {
        "arms": points_of(wildcards.experiment, [arm.name for arm in arms]),
        "outcomes": {arm.name: [arm.winner_of, arm.over] for arm in arms if arm.winner_of},
        "runs": runs,
    }
    return describe_training(wildcards, runs, reported_specs(wildcards), what)


def geometries(specs):
    """Return the modules of the geometries in which embeddings are ranked."""
    return plan.modules(*(("geometry", spec.model.geometry) for spec in specs))


def experiment_specs(wildcards):
    return [spec for arm in arms_of(wildcards).values() for spec in arm.specs]


def compute(specs_of):
    """Return what a job's runs ask a scheduler for: no graphics card where features suffice."""

    def images(wildcards):
        return not all(spec.frozen for spec in specs_of(wildcards))

    def memory(wildcards, attempt):
        amount = CONFIG.compute.image_memory_mb if images(wildcards) else CONFIG.compute.memory_mb
        return amount * 2 ** (attempt - 1)

    return {
        "gpu": lambda wildcards: GPUS if images(wildcards) else 0,
        "mem_mb": memory,
        "runtime": growing(CONFIG.compute.minutes),
    }


def heads(specs_of):
    """Return the group in which a scheduler runs an experiment's jobs on features: none for jobs that need images."""
    return lambda wildcards: (
        f"heads-{wildcards.experiment}" if all(spec.frozen for spec in specs_of(wildcards)) else None
    )


def scoring(wildcards):
    """Return the group of what scores an experiment: that of its runs, where no job of its own trains from images."""
    return heads(experiment_specs)(wildcards) or f"scores-{wildcards.experiment}"


def cores(specs_of):
    return lambda wildcards: max(spec.threads for spec in specs_of(wildcards))


EVALUATED = {name: f"{EXPERIMENT}/{name}.parquet" for name in ("metrics", "per_query", "history", "efficiency")}
UNAVAILABLE = f"{EXPERIMENT}/unavailable.json"


def chosen(wildcards):
    """Return the file of an experiment's choices, where settings are tuned."""
    return f"{EXPERIMENT}/chosen.json" if PLAN.experiments[wildcards.experiment].tuned else []


def study_of(wildcards):
    return PLAN.experiments[wildcards.experiment].studies[wildcards.study]


def study_specs(wildcards):
    """Return runs that read and execute whatever a trial of a study may."""
    return study_of(wildcards).variants


RECORD = f"{EXPERIMENT}/search/{{study}}-{{worker}}.json"


def matched_record(wildcards):
    """Return the record of the study that a study's budget is matched to."""
    other = study_of(wildcards).matched_to
    return expand(RECORD, experiment=wildcards.experiment, study=other, worker=0) if other else []


def records(wildcards):
    """Return the record of each study, which all of its workers write alike: that of the first."""
    return expand(
        RECORD, experiment=wildcards.experiment, study=PLAN.experiments[wildcards.experiment].studies, worker=0
    )


def workers(wildcards):
    studies = PLAN.experiments[wildcards.experiment].studies
    count = CONFIG.compute.search_workers
    return expand(RECORD, experiment=wildcards.experiment, study=studies, worker=range(1, count))


def describe_study(wildcards):
    study = study_of(wildcards)
    searching = plan.modules(("algorithm", study.algorithm), ("pruner", study.pruner))
    return describe(
        "search",
        {
            "study": study.told(),
            "gallery": CONFIG.gallery,
            "split": other_split_folder(wildcards),
        },
        ["reidflow.training.loop", *searching, *executed(study.variants)],
    )


def winners(wildcards):
    """Return the file of what an experiment's search or ranking found, where arms are made of it."""
    experiment = PLAN.experiments[wildcards.experiment]
    if experiment.studies:
        return f"{EXPERIMENT}/winners.json"
    return f"{EXPERIMENT}/best.json" if experiment.file.candidates else []


def pairs_file(spec):
    """Return the pairs of near-duplicates that a choice of images needs."""
    return f"{RESULTS}/duplicates/{plan.method_id(spec.dedup.method)}/pairs.parquet" if spec.dedup else None


def subset_pairs(subsets):
    return sorted(set(filter(None, (pairs_file(SUBSETS[subset]) for subset in subsets))))


def subset_scores(subsets):
    return f"{RESULTS}/curation/scores.parquet" if any(SUBSETS[subset].curation for subset in subsets) else []


def describe_subsets(subsets):
    specs = [SUBSETS[subset] for subset in subsets]
    methods = [("curation", plain(spec)["curation"]["method"]) for spec in specs if spec.curation]
    choices = [
        {
            "dedup": plain(spec)["dedup"],
            "curation": plain(spec)["curation"],
            "pairs": pairs_file(spec),
            "seeds": PLAN.subset_seeds[subset],
        }
        for subset, spec in zip(subsets, specs, strict=True)
    ]
    return describe("keep", {"choices": choices}, plan.modules(*methods))


def all_results():
    """Return every file that a user of the results reads, and the evaluated runs that tables are made of."""
    wanted = [f"{DATA}/{name}.parquet" for name in ("manifest", "quarantine", "groups", "split")]
    wanted += [f"{DATA}/audit.json", f"{FIGURES}/data/identities.png"]
    wanted += [f"{TABLES}/leaderboard.{suffix}" for suffix in ("parquet", "csv", "md")]
    for name in PLAN.experiments:
        wanted += results_of(name)
    return wanted


def results_of(name):
    """Return every file of one experiment that a user reads, and its evaluated runs."""
    wanted = [
        f"{TABLES}/{name}.{suffix}" for suffix in ("parquet", "efficiency.parquet", "csv", "md", "tex", "findings.md")
    ]
    wanted += [f"{FIGURES}/{name}/{kind}.png" for kind in figures_of(PLAN.experiments[name].tuned)]
    wanted += [f"{RESULTS}/pages/{name}.html"]
    wanted += [path.format(experiment=name) for path in EVALUATED.values()]
    if PLAN.experiments[name].studies:
        wanted += [f"{TABLES}/{name}.{kind}.parquet" for kind in ("trials", "trials.efficiency")]
    wanted += details_results(name)
    return wanted
