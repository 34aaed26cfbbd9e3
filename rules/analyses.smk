# What the analyses of an experiment read, are told, and write, as functions of the experiment.
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
    "geometry": {
        "tables": ["geometry", "geometry_runs", "radii"],
        "plots": ["geodesic", "radii", "projections"],
        "sheets": [],
    },
    "schedules": {"tables": ["rates"], "plots": ["rates"], "sheets": []},
    "resizing": {
        "tables": ["resizing", "sizes"],
        "plots": ["stages", "sizes", "training_flops"],
        "sheets": [],
    },
    "augmentation": {
        "tables": ["parts", "strengths"],
        "plots": ["parts", "strengths"],
        "sheets": ["augmented"],
    },
    "seeds": {
        "tables": ["seeds", "spreads", "ranking", "readings"],
        "plots": ["seeds", "readings"],
        "sheets": [],
    },
    "search": {
        "tables": ["search", "search.efficiency", "progress", "importances", "effects"],
        "plots": ["progress", "slices", "parallel", "importances", "effects", "front"],
        "sheets": [],
    },
    "architectures": {"tables": [], "plots": ["architectures"], "sheets": []},
    "gap": {"tables": ["gap", "lost"], "plots": ["gap", "remedies"], "sheets": []},
    "errors": {"tables": ["errors"], "plots": ["errors"], "sheets": []},
    "faces": {
        "tables": [
            "configurations",
            "configurations.efficiency",
            "architectures",
            "ablation",
            "choices.efficiency",
        ],
        "plots": [
            "score_by_rate",
            "score_by_epochs",
            "score_ablation",
            "score_per_minute",
            "score_by_time",
        ],
        "sheets": [],
    },
    "inference": {"tables": ["inference", "inference.efficiency"], "plots": ["methods", "queries"], "sheets": []},
    "ranked": {"tables": ["ranked", "worst"], "plots": [], "sheets": ["ranked", "worst"]},
}


def version_array(spec, version):
    """Return the array that a run reads to be tested on a version of the images."""
    if spec.frozen:
        bank = plan.tested_bank(spec, version.background, version.size(spec.model.size))
        return f"{RESULTS}/features/{plan.bank_id(bank)}/features.npy"
    return drawn(version.background)[2]


def arm_versions(wildcards):
    """Return arm -> these arrays, in the order of the versions in the experiment's file."""
    versions = PLAN.experiments[wildcards.experiment].file.tested_on.values()
    return {
        name: [version_array(arm.spec, version) for version in versions] for name, arm in arms_of(wildcards).items()
    }


def versions_of(wildcards):
    return sorted({array for arrays in arm_versions(wildcards).values() for array in arrays})


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


def tested_files(wildcards):
    """Return the tests of an experiment's runs on other versions of the images, where it asks for any."""
    asked = PLAN.experiments[wildcards.experiment].file.tested_on
    return f"{EXPERIMENT}/tested_on.parquet".format(experiment=wildcards.experiment) if asked else []


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
    return [keep_file(subset) for subset in subsets]


def pairs_files(wildcards):
    return [f"{RESULTS}/duplicates/{method}/pairs.parquet" for method in methods_of(wildcards.experiment)]


def describe_tested(wildcards):
    versions = PLAN.experiments[wildcards.experiment].file.tested_on
    specs = experiment_specs(wildcards)
    return describe(
        "tested_on",
        {
            "gallery": CONFIG.gallery,
            "labels": list(versions),
            "tests": {label: version.model_dump(mode="json") for label, version in versions.items()},
            "arms": arm_versions(wildcards),
            "sizes": {
                name: [version.size(arm.spec.model.size) for version in versions.values()]
                for name, arm in arms_of(wildcards).items()
            },
            "order": list(arms_of(wildcards)),
        },
        executed(specs),
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


def baseline_features(wildcards):
    """Return the frozen features behind the baseline, where it has some."""
    experiment = PLAN.experiments[wildcards.experiment]
    spec = experiment.arms[experiment.file.baseline].spec
    return [f"{RESULTS}/features/{plan.bank_id(plan.tested_bank(spec))}/features.npy"] if spec.frozen else []


def plots(name):
    """Return the plots of an analysis as named outputs."""
    return shown_plots(DETAILS[name]["plots"], name)


def sheets(name):
    """Return the sheets of pictures of an analysis as named outputs."""
    return {f"{kind}_png": shown_figure(kind, "png", name) for kind in DETAILS[name]["sheets"]}


def details_of(experiment):
    """Return the analyses that an experiment calls for."""
    # What an arm is that wins a search is known when the search has ended, and then its section tells it.
    specs = [arm.spec for arm in PLAN.experiments[experiment].arms.values() if not arm.winner_of]
    versions = PLAN.experiments[experiment].file.tested_on.values()
    # An analysis of one component says nothing where others change with it.
    varied = set(PLAN.experiments[experiment].file.varies)
    called = {
        "backgrounds": bool(PLAN.experiments[experiment].file.probes),
        "dedup": any(spec.dedup for spec in specs),
        "curation": any(spec.curation for spec in specs),
        "geometry": len({canonical(spec.model.geometry) for spec in specs}) > 1,
        "schedules": varied <= {"scheduler"} and len({canonical(spec.scheduler) for spec in specs}) > 1,
        "resizing": any(spec.resizing for spec in specs) or any(version.resized for version in versions),
        "augmentation": varied <= {"augmentation", "views"}
        and len({canonical(spec.augmentation) for spec in specs}) > 1,
        "seeds": PLAN.experiments[experiment].file.candidates is not None,
        "search": bool(PLAN.experiments[experiment].studies),
        "architectures": any(study.architectural for study in PLAN.experiments[experiment].studies.values()),
        "gap": bool(PLAN.experiments[experiment].also_on) and not PLAN.experiments[experiment].file.score,
        "errors": bool(PLAN.experiments[experiment].also_on or PLAN.experiments[experiment].file.score),
        "faces": bool(PLAN.experiments[experiment].file.score),
        "ranked": bool(PLAN.experiments[experiment].also_on or PLAN.experiments[experiment].file.score)
        or any(spec.inference or spec.ensemble for spec in specs),
        "inference": varied <= {"inference", "ensemble"}
        and len({canonical([spec.inference, spec.plain()["ensemble"]]) for spec in specs}) > 1,
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


def strength_runs(wildcards):
    """Return part -> (name, run) of every strength and seed at which it may be tried."""
    return {
        candidate.part: [
            (candidate.arm_of(tried), tried.spec.with_seed(seed))
            for tried in candidate.tried
            for seed in candidate.seeds
        ]
        for candidate in candidates(PLAN.experiments[wildcards.experiment])
    }


def strength_specs(wildcards):
    """Return the specs of all runs that may be needed; those of the arms where no part has strengths."""
    runs = strength_runs(wildcards).values()
    return [spec for own in runs for _, spec in own] or experiment_specs(wildcards)


def describe_strengths(wildcards):
    runs = strength_runs(wildcards)
    specs = strength_specs(wildcards)
    return describe(
        "strengths",
        {
            "gallery": CONFIG.gallery,
            "split": other_split_folder(wildcards),
            "runs": {part: [[name, spec.plain()] for name, spec in own] for part, own in runs.items()},
        },
        ["reidflow.training.loop", *executed(specs)],
    )


def other_experiments(wildcards):
    """Return (name, table) of all experiments but this one."""
    return [[name, f"{TABLES}/{name}.parquet"] for name in PLAN.experiments if name != wildcards.experiment]


def also_on_files(wildcards):
    """Return the metrics of an experiment's runs on other splits, where it asks for any."""
    asked = PLAN.experiments[wildcards.experiment].also_on
    return f"{EXPERIMENT}/also_on.parquet".format(experiment=wildcards.experiment) if asked else []


def split_runs_of(wildcards):
    """Return an experiment's runs on other splits, where it asks for any."""
    asked = PLAN.experiments[wildcards.experiment].file.candidates.split_seeds
    return f"{EXPERIMENT}/split_runs.parquet".format(experiment=wildcards.experiment) if asked else []
