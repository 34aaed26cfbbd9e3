# What the choice of the best arm, and its runs on other splits, read and are told.
from reidflow.spec.evaluation import reseeded
from reidflow.spec.outcomes import candidate_experiments


def candidates_of(wildcards):
    """Return the experiments that an experiment ranks."""
    return candidate_experiments(PLAN.experiments[wildcards.experiment], PLAN.experiments)


def candidate_files(experiment):
    """Return where an experiment's scores and the runs behind them lie, and its arms."""
    jobs = range(len(PLAN.training(experiment)))
    return {
        "metrics": EVALUATED["metrics"].format(experiment=experiment),
        "runs": expand(rules.train.output.runs, experiment=experiment, batch=jobs),
        "arms": list(PLAN.experiments[experiment].arms),
    }


def candidates_files(wildcards):
    files = map(candidate_files, candidates_of(wildcards))
    return [path for found in files for path in [found["metrics"], *found["runs"]]]


def split_seeds(wildcards):
    return PLAN.experiments[wildcards.experiment].file.candidates.split_seeds


def split_folders(wildcards):
    return [PLAN.split_folder(reseeded(PLAN.division, seed)) for seed in split_seeds(wildcards)]


def split_files(wildcards):
    """Return the splits and their digests."""
    return [f"{folder}/split.{suffix}" for folder in split_folders(wildcards) for suffix in ("parquet", "json")]


def choosing_specs(wildcards):
    """Return the specs of the runs that may have to choose their training images on each split."""
    return [spec for spec in experiment_specs(wildcards) if plan.subset_id(spec)]


def choosing_material(wildcards):
    """Return what the methods that choose training images look at, apart from arrays."""
    specs = choosing_specs(wildcards)
    pairs = {pairs_file(spec) for spec in specs} - {None}
    return sorted({*pairs, f"{DATA}/images.json", f"{EMBEDDING}/features.json"}) if specs else []


def choosing_arrays(wildcards):
    arrays = [f"{DATA}/images.npy", f"{DATA}/masks.npy", f"{EMBEDDING}/features.npy"]
    return list(map(ancient, arrays)) if choosing_specs(wildcards) else []


def describe_split_runs(wildcards):
    specs, choosing = experiment_specs(wildcards), choosing_specs(wildcards)
    deduplicated = [spec for spec in choosing if spec.dedup]
    methods = [("curation", spec.curation.method) for spec in choosing if spec.curation]
    return describe(
        "split_runs",
        {
            "gallery": CONFIG.gallery,
            "order": list(arms_of(wildcards)),
            "seeds": list(PLAN.experiments[wildcards.experiment].baseline.seeds[:1]),
            "split_seeds": split_seeds(wildcards),
            "splits": split_folders(wildcards),
            "material": {
                "images": f"{DATA}/images.npy",
                "masks": f"{DATA}/masks.npy",
                "features": f"{EMBEDDING}/features.npy",
                "pairs": {plan.method_id(spec.dedup.method): pairs_file(spec) for spec in deduplicated},
            },
        },
        ["reidflow.training.loop", *executed(specs), *plan.modules(*methods)],
    )
