"""The section `submission` of a config: which runs answer a competition, and the networks that it chooses among."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from reidflow.spec.canonical import canonical
from reidflow.spec.components import declared, needing
from reidflow.spec.config_errors import first_message
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.inference import problem, transductive
from reidflow.spec.merge import merge
from reidflow.spec.network_names import unknown_network
from reidflow.spec.run import HYPERSPHERE, Model, RunSpec, Trainable
from reidflow.spec.strict import Strict, component

if TYPE_CHECKING:
    from reidflow.spec.config import Config
    from reidflow.spec.experiment import Arm, Experiment


class Chosen(Strict):
    """The runs of an arm."""

    experiment: str = Field(description="name of an experiment of the config")
    arm: str = Field(description="name of one of its arms, with its ensemble and inference")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([], description="seeds of its runs; [] for all")


class Submission(Strict):
    """What a competitor submits."""

    runs: list[Chosen] = Field(
        [],
        description="the runs that it combines; [] for the baseline of the first experiment",
    )
    combine: Literal["concatenate", "average"] = Field(
        "concatenate",
        description="concatenate: unit embeddings side by side, whose cosine is the mean of the runs'; average: the mean of "
        "the runs' similarities, each in its own geometry and after its own inference",
    )
    inference: list[component("inference")] = Field(
        [], description="files of retrieval/inference/, in order: steps after the arm's own, before ranking"
    )
    index: component("index") = Field(
        {"name": "flat"},
        description="a file of retrieval/indexes/: of the gallery beside submission.json, for `reidflow retrieve`",
        validate_default=True,
    )
    k: Annotated[int, Field(ge=1)] = Field(10, description="answers to each query in submission.json")
    new: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="answer `new individual` too: the share of queries of new individuals that may be answered with a known one, "
        "such as 0.05; null: never",
    )
    time_budget: Annotated[float, Field(gt=0)] = Field(
        120.0, description="minutes that the target faces_submission may take"
    )
    candidates: list[dict[str, Any]] = Field(
        [],
        description="networks that faces_submission chooses among: backbone, size, pooling of each, as changes to the "
        "protocol's model; [] for the protocol's and those of the experiments' arms",
    )


def chosen_arms(config: "Config", experiments: dict[str, "Experiment"]) -> list[tuple[str, str, list[int]]]:
    """Return (experiment, arm, seeds) of the runs behind the submission of a checked config."""
    if not config.submission.runs:
        name, first = next(iter(experiments.items()))
        return [(name, first.baseline.name, list(first.baseline.seeds))]
    found = []
    for chosen in config.submission.runs:
        arm = experiments[chosen.experiment].arms[chosen.arm]
        found.append((chosen.experiment, arm.name, chosen.seeds or list(arm.seeds)))
    return found


def mirrors(submission: Submission) -> bool:
    """Return whether the submission itself uses mirrored images, whatever its arms do."""
    return bool(needing("inference", submission.inference, "flipped"))


def mirroring_specs(config: "Config", experiments: dict[str, "Experiment"]) -> list[RunSpec]:
    """Return specs, with the seed 0, of the runs behind the submission that embed mirror images."""
    arms = [experiments[name].arms[arm] for name, arm, _ in chosen_arms(config, experiments)]
    inferring = [arm for arm in arms if any(needing("inference", spec.inference, "flipped") for _, spec in arm.points)]
    return [spec for arm in (arms if mirrors(config.submission) else inferring) for spec in arm.specs]


def check_submission(config: "Config", experiments: dict[str, "Experiment"], problems: Problems) -> None:
    """Report what is wrong with the section `submission`: arms that are not there, and what cannot be combined."""
    before = len(problems.found)
    try:
        candidate_networks(config.protocol, [], config.submission.candidates)
    except ReidflowError as error:
        problems.add_key("submission.candidates", f"{error}", "")
    for number, chosen in enumerate(config.submission.runs):
        _check_chosen(chosen, experiments, f"submission.runs.{number}", problems)
    if len(problems.found) > before or not experiments:
        return
    arms = chosen_arms(config, experiments)
    runs = [(name, arm, seed) for name, arm, seeds in arms for seed in seeds]
    for run in sorted({run for run in runs if runs.count(run) > 1}):
        problems.add_key("submission.runs", f"{'/'.join(map(str, run))} is listed twice.", "Name each run once.")
    _check_together([experiments[name].arms[arm] for name, arm, _ in arms], len(runs), config.submission, problems)
    if len(runs) > 1 and config.submission.combine == "concatenate":
        for why in unjoined(arms, experiments):
            problems.add_key("submission.combine", why, "Write combine: average.")
    fusions = {arm: _fusions(experiments[name].arms[arm]) for name, arm, _ in arms}
    if len({fusion for found in fusions.values() for fusion in found}) > 1:
        known = ", ".join(f"'{arm}': {' or '.join(map(str, sorted(found)))}" for arm, found in fusions.items())
        problems.add_key(
            "submission.runs",
            f"the values by which the arms rank differ in scale, as their 'ranking' differs in 'fusion' ({known}).",
            "Choose arms with one fusion; an arm ranked by its embedding alone has one with ranking: {scores: [embedding]}.",
        )
    if config.submission.new is not None:
        _check_new(config.submission, arms, experiments, problems)


def _check_new(
    submission: Submission,
    arms: list[tuple[str, str, list[int]]],
    experiments: dict[str, "Experiment"],
    problems: Problems,
) -> None:
    """Report what keeps validation from saying when a query is of a new individual."""
    splits = {(name, runs_of(experiments[name], arm)[seed]) for name, arm, seeds in arms for seed in seeds}
    divisions = [experiments[name].divisions[number] for name, number in sorted(splits)]
    if any(one != divisions[0] for one in divisions):
        problems.add_key(
            "submission.new",
            "its threshold is chosen on validation images, and the runs' splits have none in common.",
            "Choose runs of one split, or write new: null.",
        )
    if any(one["split"].get("val") == 0 for one in divisions):
        problems.add_key(
            "submission.new",
            "its threshold is chosen on validation images, and the split has none.",
            "Give the split a share for val, or write new: null.",
        )
    specs = [spec for name, arm, _ in arms for _, spec in experiments[name].arms[arm].points]
    steps = {name for spec in specs for name in transductive([*spec.inference, *submission.inference])}
    if steps and not all(declared("split", one["split"]["name"], "NEW") for one in divisions):
        problems.add_key(
            "submission.new",
            f"inference '{min(steps)}' looks at all queries at once, so that what a known individual's query would find without its "
            "own images is not known, and the split has no new individuals.",
            "Write new: null, leave this inference out, or keep individuals out of the gallery: split: {name: open_set}.",
        )


def unjoined(arms: list[tuple[str, str, list[int]]], experiments: dict[str, "Experiment"]) -> list[str]:
    """Return why the embeddings of runs cannot be joined to one score of a ranking by several; nothing where they can.

    arms: `chosen_arms`. The seeds of one arm can: their joined embeddings are calibrated like those of one run, on the
    validation images of the split that all of them have.
    """
    chosen = list(dict.fromkeys((name, arm) for name, arm, _ in arms))
    ranked = [(name, arm) for name, arm in chosen if _ranked(experiments[name].arms[arm])]
    if len(chosen) > 1:
        return [f"the arm '{arm}' is ranked by scores that are calibrated for it alone." for _, arm in ranked]
    splits = {runs_of(experiments[name], arm)[seed] for name, arm, seeds in arms for seed in seeds}
    if ranked and len(splits) > 1:
        return [
            f"the seeds of '{chosen[0][1]}' have splits of their own, so their ranking is calibrated for each alone."
        ]
    return []


def runs_of(experiment: "Experiment", arm: str) -> dict[int, int]:
    """Return seed -> the split of its run, the first of several folds."""
    return dict(reversed(experiment.runs(experiment.arms[arm].seeds)))


def _ranked(arm: "Arm") -> bool:
    return any(spec.ranking for _, spec in arm.points)


def _fusions(arm: "Arm") -> set[str]:
    return {spec.ranking.fusion if spec.ranking else "none" for _, spec in arm.points}


def _check_chosen(chosen: Chosen, experiments: dict[str, Any], place: str, problems: Problems) -> None:
    if chosen.experiment not in experiments:
        known = ", ".join(experiments)
        problems.add_key(
            f"{place}.experiment", f"no experiment '{chosen.experiment}' in the config.", f"Known: {known}."
        )
        return
    arms = experiments[chosen.experiment].arms
    if chosen.arm not in arms:
        problems.add_key(
            f"{place}.arm", f"'{chosen.experiment}' has no arm '{chosen.arm}'.", f"Its arms: {', '.join(arms)}."
        )
        return
    seeds = arms[chosen.arm].seeds
    unknown = [seed for seed in chosen.seeds if seed not in seeds]
    if unknown:
        problems.add_key(
            f"{place}.seeds",
            f"the arm '{chosen.arm}' is not run with the seed {unknown[0]}.",
            f"Choose among {', '.join(map(str, seeds))}, or add it to the config's 'seeds'.",
        )


def _check_together(arms: list["Arm"], runs: int, submission: Submission, problems: Problems) -> None:
    """Report what keeps the runs from being combined as configured."""
    joined = runs > 1 and submission.combine == "concatenate"
    for arm in arms:
        for spec in {spec.model.geometry["name"]: spec for _, spec in arm.points}.values():
            geometry, steps = spec.model.geometry["name"], [*spec.inference, *submission.inference]
            if joined and geometry != HYPERSPHERE["name"]:
                problems.add_key(
                    "submission.combine",
                    f"the embeddings of '{arm.name}' have the geometry '{geometry}' and cannot be concatenated with others.",
                    "Write combine: average.",
                )
            if joined and any(declared("inference", step["name"], "LAST") for step in spec.inference):
                problems.add_key(
                    "submission.combine",
                    f"the arm '{arm.name}' leaves similarities, not embeddings that can be joined to others.",
                    "Write combine: average.",
                )
            if spec.ensemble and spec.ensemble.combine == "average" and (joined or submission.inference):
                problems.add_key(
                    "submission",
                    f"the arm '{arm.name}' averages similarities: there are no embeddings to join or to infer with.",
                    "Choose another arm, or combine: average without 'inference'.",
                )
            wrong = problem(steps, geometry)
            if wrong:
                problems.add_key("submission.inference", f"{wrong}.", f"The arm '{arm.name}' is ranked so.")


NETWORK_KEYS = ("backbone", "size", "pooling")


def candidate_networks(protocol: RunSpec, arms: Iterable[RunSpec], changes: list[dict[str, Any]]) -> list[RunSpec]:
    """Return the protocol's run with each network that takes part, frozen as it is, each network once.

    changes: the config's `submission.candidates`, as changes to the protocol's model. Without any: the protocol's
    network and those of `arms` with another backbone, whose weights see normalised images.
    Raises ReidflowError for a change that makes no network.
    """
    if changes:
        models = [_changed(protocol, change, number) for number, change in enumerate(changes)]
    else:
        others = [spec.model for spec in arms if spec.model.backbone != protocol.model.backbone]
        models = [protocol.model, *(model for model in others if model.backbone.get("normalise", True))]
    found: dict[str, Model] = {}
    for model in models:
        plain = model.model_dump(mode="json")
        found.setdefault(canonical([plain[key] for key in NETWORK_KEYS]), model)
    return [_frozen(protocol, model) for model in found.values()]


def _changed(protocol: RunSpec, change: Mapping[str, Any], number: int) -> Model:
    where = f"submission.candidates[{number}]"
    unknown = [key for key in change if key not in NETWORK_KEYS]
    if unknown or not change:
        raise ReidflowError(f"{where}: a candidate is a mapping with {', '.join(NETWORK_KEYS)}, not {dict(change)!r}.")
    try:
        model = Model.model_validate(merge(protocol.model.model_dump(mode="json"), dict(change)))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ReidflowError(f"{where}.{place}: {first_message(error, Model)}") from error
    wrong = unknown_network(model.backbone)
    if wrong:
        raise ReidflowError(f"{where}: {wrong}")
    return model


def _frozen(protocol: RunSpec, model: Model) -> RunSpec:
    taken = {key: getattr(model, key) for key in NETWORK_KEYS} | {"trainable": Trainable(name="none")}
    model = protocol.model.model_copy(update=taken)
    return protocol.model_copy(update={"model": model, "augmentation": [], "views": 0, "resizing": None})
