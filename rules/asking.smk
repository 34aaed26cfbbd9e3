# What is ranked in an experiment, and on which further splits, as functions of its wildcards.
def mirrored_array(spec):
    """Return the array that a run reads to embed mirror images: of their features, or the images themselves."""
    if spec.frozen:
        return f"{RESULTS}/features/{plan.bank_id(plan.mirrored_bank(spec))}/features.npy"
    return f"{DATA}/images.npy"


def mirrored_arrays(wildcards):
    """Return the array of each run behind the arms of an experiment that rank by mirror images too."""
    arms = plan.mirroring(PLAN.experiments[wildcards.experiment])
    return sorted({mirrored_array(run) for arm in arms for run in arm.specs})


def mirrored_digests(wildcards):
    return [path.replace(".npy", ".json") for path in mirrored_arrays(wildcards)]


def mirrored(wildcards):
    """Return the embeddings of mirror images, where an experiment ranks by them."""
    return f"{EXPERIMENT}/mirrored.parquet" if mirrored_arrays(wildcards) else []


def inferences(specs):
    """Return the modules of what is done with embeddings before ranking."""
    return plan.modules(*(("inference", step) for spec in specs for step in spec.inference))


def ranking_modules(wildcards):
    """Return the modules by which an experiment's embeddings are ranked."""
    points = [spec for arm in arms_of(wildcards).values() for _, spec in arm.points]
    return sorted({*geometries(experiment_specs(wildcards)), *inferences(points)})


def named_split(name):
    """Return the folder of a split by its id, or by the name of the folder with the config's own."""
    return DATA if name == Path(DATA).name else f"{DATA}/splits/{name}"


def other_splits(wildcards):
    """Return label -> name of the further splits that an experiment is trained and tested on."""
    also_on = PLAN.experiments[wildcards.experiment].also_on
    return {label: Path(PLAN.split_folder(division)).name for label, division in also_on.items()}


def label_on(wildcards):
    return next(label for label, name in other_splits(wildcards).items() if name == wildcards.split)


def on_other_splits(wildcards, suffix):
    """Return what an experiment's runs on its further splits scored, in the order of its file."""
    return [f"{EXPERIMENT}/also_on/{name}.{suffix}" for name in other_splits(wildcards).values()]
