# What the submissions of a competitor read and are told.
from reidflow.spec.entrants import entrants
from reidflow.spec.submission import chosen_arms, mirroring_specs

SUBMISSION = f"{RESULTS}/submission"
CHOSEN = chosen_arms(CONFIG, PLAN.experiments)


def asked_pairs():
    """Return the table of the pairs that a competition asks for, where the data come with one."""
    if REPORTING:
        # The photographs need not be there any more; what is handed in tells.
        return present(f"{SUBMISSION}/submission.csv")
    source = CONFIG.dataset.source
    path = Path(source.get("path") or "").expanduser() / "test.csv"
    if source["name"] != "jaguar" or not path.is_file():
        return None
    with path.open(encoding="utf-8-sig") as table:
        return str(path) if "query_image" in table.readline() else None


PAIRS = asked_pairs()


def chosen_jobs(experiment, arm, seeds):
    """Return the files of the jobs that train the chosen runs of an arm."""
    wanted = {(arm, seed) for seed in seeds}
    batches = [batch for batch, job in enumerate(PLAN.training(experiment)) if wanted & set(job)]
    return expand(rules.train.output.runs, experiment=experiment, batch=batches)


def chosen_splits():
    """Return the splits on which the chosen runs were trained."""
    divisions = [PLAN.experiments[name].division for name, _, _ in CHOSEN]
    return list(dict.fromkeys(f"{PLAN.split_folder(division)}/split.parquet" for division in divisions))


def submission_specs():
    """Return specs of runs that read and execute whatever those behind the submission may."""
    return [spec for name, arm, _ in CHOSEN for spec in PLAN.experiments[name].arms[arm].specs]


def submission_arrays():
    """Return what the runs read to embed images, and mirror images where these are ranked by."""
    read = set()
    for spec in submission_specs():
        folder = f"{RESULTS}/features/{plan.bank_id(plan.tested_bank(spec))}" if spec.frozen else None
        read.add(f"{folder}/features.npy" if folder else f"{DATA}/images.npy")
    return sorted(read | {mirrored_array(spec) for spec in mirroring_specs(CONFIG, PLAN.experiments)})


def describe_submission(script, what, modules=()):
    """Return the param of a job that embeds images with the runs behind the submission."""
    runs = [
        {
            "experiment": name,
            "arm": arm,
            "seeds": seeds,
            "arms": list(PLAN.experiments[name].arms),
            "runs": chosen_jobs(name, arm, seeds),
        }
        for name, arm, seeds in CHOSEN
    ]
    points = [spec for name, arm, _ in CHOSEN for _, spec in PLAN.experiments[name].arms[arm].points]
    steps = [("inference", step) for step in CONFIG.submission.model_dump(mode="json")["inference"]]
    specs = submission_specs()
    used = {*executed(specs), *geometries(specs), *inferences(points), *plan.modules(*steps)}
    return describe(script, {"runs": runs, **what}, sorted(used | set(modules)))


SUBMISSION_INPUTS = {
    "runs": [file for name, arm, seeds in CHOSEN for file in chosen_jobs(name, arm, seeds)],
    "manifest": f"{DATA}/manifest.parquet",
    "quarantine": f"{DATA}/quarantine.parquet",
    "splits": chosen_splits(),
    "images": f"{DATA}/images.json",
    "digests": [path.replace(".npy", ".json") for path in submission_arrays()],
    "arrays": list(map(ancient, submission_arrays())),
}


FACES = f"{SUBMISSION}/faces"
ENTRANTS = entrants(
    CONFIG.protocol,
    [spec for experiment in PLAN.experiments.values() for arm in experiment.arms.values() for spec in arm.specs],
    CONFIG.submission.candidates,
)


def submission_protocol():
    """Return the run whose head is trained on the network that is chosen, ranked as a submission is."""
    plain = CONFIG.protocol.with_seed(CONFIG.seeds[0]).plain()
    steps = CONFIG.submission.model_dump(mode="json")["inference"]
    return {**plain, "inference": [*plain["inference"], *steps]}


def describe_faces_submission():
    """Return the param of the job that chooses a network, trains its head and ranks the gallery within a time budget."""
    protocol, source = submission_protocol(), CONFIG.dataset.source
    banks = [plan.frozen_bank(spec) for spec in ENTRANTS]
    used = ["reidflow.training.loop", "reidflow.models.geometries.hypersphere", *CONFIG.protocol.component_modules()]
    used += [module for bank in banks for module in plan.bank_modules(bank)]
    used += plan.modules(*(("augmentation", step) for step in protocol["augmentation"]))
    used += plan.modules(*(("inference", step) for step in protocol["inference"]), ("index", {"name": "flat"}))
    sides = {side: source[side] for side in ("query", "gallery") if source["name"] == "query_gallery"}
    return describe(
        "faces_submission",
        {
            "networks": [plan.network_of(bank) for bank in banks],
            "protocol": protocol,
            "folders": sides,
            "k": CONFIG.submission.k,
            "minutes": CONFIG.submission.time_budget,
            "title": CONFIG.title,
        },
        sorted(set(used)),
    )
