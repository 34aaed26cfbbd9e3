"""The splits that an experiment is trained and tested on, and what it cannot have on other splits than the config's own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reidflow.spec.components import is_given, needing
from reidflow.spec.config import FOLDS, Config
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.evaluation import division, evaluated
from reidflow.spec.experiment_file import SEED, ExperimentFile
from reidflow.spec.run import ORIGINAL, ranking_tuned
from reidflow.spec.sequential import SequentialSeeds

if TYPE_CHECKING:
    from reidflow.spec.experiment import Arm, Experiment


def own_config(file: ExperimentFile, config: Config, where: str, problems: Problems) -> Config:
    """Return the config with the experiment's own split; errors are added to `problems`."""
    try:
        own = evaluated(config, file.evaluation)
    except ReidflowError as error:
        problems.add(f"{where}, key 'evaluation.split'", f"{error}", "")
        return config
    if file.candidates and division(own) != division(config):
        problems.add(f"{where}, key 'evaluation'", "'candidates' were compared on the config's split.", "Remove it.")
    return own


def also_on_divisions(
    file: ExperimentFile, config: Config, where: str, problems: Problems
) -> dict[str, dict[str, Any]]:
    """Return label -> what decides each other split of an experiment; config: with its own one."""
    found = {}
    for label, changes in file.also_on.items():
        place = f"{where}, key 'also_on.{label}'"
        try:
            found[label] = division(evaluated(config, changes))
        except ReidflowError as error:
            problems.add(place, f"{error}", "")
            continue
        if label == "validation":
            problems.add(
                place, "this label is used for the validation score of the experiment's own split.", "Rename it."
            )
        if found[label] == division(config):
            problems.add(place, "is the experiment's own split.", "Change or remove it.")
        twin = next((other for other in found if other != label and found[other] == found[label]), None)
        if twin is not None:
            problems.add(place, f"is the same split as '{twin}'.", "Change or remove one of them.")
    return found


def check_other_splits(arms: "dict[str, Arm]", further: bool, where: str, problems: Problems) -> None:
    """Report what arms need that is made on the config's own split alone. further: whether they run on several."""
    for arm in arms.values():
        place, specs = f"{where}, arm '{arm.name}'", [spec for _, point in arm.points for spec in point.runs()]
        for key in ("dedup", "curation", "background"):
            if any(getattr(spec, key) not in (None, ORIGINAL) for spec in specs):
                problems.add(
                    place,
                    f"'{key}' is made for the training images of the config's own split.",
                    "Leave it out, or 'evaluation' and 'also_on', or give the config this split.",
                )
        if further and any(needing("inference", point.inference, "flipped") for _, point in arm.points):
            problems.add(
                place, "mirror images are embedded on the experiment's own split alone.", "Leave out 'also_on'."
            )


ONE_SPLIT = ("also_on", "tested_on", "candidates", "search", "score")
"""Keys of an experiment's file whose results are made on one split."""


def check_divisions(
    file: ExperimentFile, arms: "dict[str, Arm]", config: Config, where: str, problems: Problems
) -> None:
    """Report what an experiment on several splits, folds or those of its seeds, cannot have."""
    folds = FOLDS in config.split
    place = f"{where}, with the split's 'folds: {config.split[FOLDS]}'" if folds else f"{where}, with split_seed: each"
    off = "evaluation: {split: {folds: 0}}" if folds else "evaluation: {split_seed: fixed}"
    switch = f"give this experiment one split: {off}."
    if folds and config.split_seed == "each":
        problems.add(place, "there is split_seed: each as well.", "Keep one of them.")
    elif not folds:
        _check_split_seeds(file, arms, config, place, switch, problems)
    if isinstance(file.seeds, SequentialSeeds):
        problems.add(place, "seeds are added to undecided arms on one split alone.", f"List the seeds, or {switch}")
    for found, remedy in _on_one_split(file, arms):
        problems.add(place, found, f"{remedy}, or {switch}")


def takes_folds(experiment: "Experiment") -> bool:
    """Return whether an experiment on one split, with all that it does, could run on folds instead."""
    split = experiment.division.get("split", {}).get("name")
    one = len(experiment.divisions) == 1 and split in ("closed_set", "identity_disjoint")
    return one and not experiment.looks and not any(_on_one_split(experiment.file, experiment.arms))


def _on_one_split(file: ExperimentFile, arms: "dict[str, Arm]") -> Iterator[tuple[str, str]]:
    """Yield what an experiment has that is made on one split alone, with what to do about it."""
    for key in ONE_SPLIT:
        if getattr(file, key):
            yield f"'{key}' is made on one split alone.", f"Leave '{key}' out"
    if any(part.strengths for parts in file.parts.values() for part in parts.values()):
        yield "'strengths' of parts are picked on one split alone.", "Leave 'strengths' out"
    runs = {name: [spec for _, point in arm.points for spec in point.runs()] for name, arm in arms.items()}
    for key in ("dedup", "curation", "background"):
        own = [name for name, specs in runs.items() if any(getattr(s, key) not in (None, ORIGINAL) for s in specs)]
        if own:
            yield f"'{key}' of {_named(own)} is made for the training images of the config's own split.", "Leave it out"
    points = {name: [point for _, point in arm.points] for name, arm in arms.items()}
    own = [name for name, specs in points.items() if any(needing("inference", s.inference, "flipped") for s in specs)]
    if own:
        yield f"mirror images of {_named(own)} are embedded on one split alone.", "Leave that inference out"


def _named(arms: list[str]) -> str:
    """Return the first of some arms with how many more there are."""
    more = f" and {len(arms) - 1} more" if len(arms) > 1 else ""
    return f"arm '{arms[0]}'{more}"


def _check_split_seeds(
    file: ExperimentFile, arms: "dict[str, Arm]", config: Config, place: str, switch: str, problems: Problems
) -> None:
    """Report why the seeds of an experiment cannot have splits of their own."""
    name = config.split["name"]
    if name == "identity_disjoint":
        problems.add(
            place,
            "every split of 'identity_disjoint' tests other identities, which no comparison could pair.",
            f"Write split: {{folds: 5}}, which tests every identity once; or {switch}",
        )
    elif "new" in config.split:
        problems.add(
            place,
            f"every split of '{name}' has other new individuals, which no comparison could pair.",
            switch.capitalize(),
        )
    elif is_given(config.split):
        problems.add(
            place, "the split comes from the data, and every seed would test the same images.", switch.capitalize()
        )
    elif "seed" not in config.split:
        problems.add(place, f"the split '{name}' has no seed.", f"Choose closed_set, or {switch}")
    if SEED in file.varies or len({arm.seeds for arm in arms.values()}) > 1:
        problems.add(place, "the arms differ in their seeds.", f"Give all arms the same, or {switch}")


def points_ranked(tuned: dict[str, list], division: dict[str, Any]) -> bool:
    """Return whether the points of a grid are scored by ranking, since validation during training does not say it.

    They differ in their ranking, or candidates must share something with the query, which training ignores.
    """
    return ranking_tuned(tuned) or (bool(tuned) and "same" in division)


def check_rankings(
    file: ExperimentFile, arms: "dict[str, Arm]", divisions: list[dict[str, Any]], where: str, problems: Problems
) -> None:
    """Report arms whose ranking by several scores has nothing to be fitted on, or images without local features."""
    without = any(split["split"].get("val") == 0 for split in divisions)
    for arm in arms.values():
        place, rankings = f"{where}, arm '{arm.name}'", [spec.ranking for _, spec in arm.points if spec.ranking]
        if without and any(ranking.fusion == "calibrated" for ranking in rankings):
            problems.add(
                f"{place}, key 'ranking.fusion'",
                "scores are calibrated on validation images, of which the split has none.",
                "Set fusion: sum, or fusion: rank, or give the split a share for 'val'.",
            )
        if file.tested_on and any(ranking.local for ranking in rankings):
            problems.add(
                f"{place}, key 'ranking'",
                "local features are those of the images as they are, not of the versions of 'tested_on'.",
                "Leave out 'tested_on', or the 'ranking' of this arm.",
            )
        mirrored = any(needing("inference", spec.inference, "flipped") for _, spec in arm.points)
        if mirrored and points_ranked(file.tuned, divisions[0]):
            same = "same" in divisions[0]
            problems.add(
                f"{place}, key 'inference'",
                "it ranks by mirror images, which are embedded for reported runs alone, not for those that tune "
                + ("settings among candidates of the same flank." if same else "a ranking."),
                "Leave that inference out, or tune no setting" + ("." if same else " of 'inference' and 'ranking'."),
            )


def check_checkpoints(
    arms: "dict[str, Arm]", divisions: list[dict[str, Any]], main: dict[str, Any], where: str, problems: Problems
) -> None:
    """Report where checkpoints are chosen on the validation images of a split of this experiment that has none."""
    without = [split for split in divisions if split["split"].get("val") == 0 and split != main]
    best = [arm.name for arm in arms.values() if any(spec.checkpoint == "best" for _, spec in arm.points)]
    if without and best:
        problems.add(
            f"{where}, arm '{best[0]}', key 'checkpoint'",
            "a split of this experiment has no validation images to choose a checkpoint on.",
            "Set checkpoint: last (a fixed number of epochs), or give the split a share for 'val'.",
        )
