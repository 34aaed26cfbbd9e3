"""What was searched, and how, in sentences and a table of the space."""

from typing import Any

from reidflow.analyses.search.tables import SPACE_FILLING, value_text
from reidflow.search.trials_table import axes_of_studies
from reidflow.spec.experiment import Experiment
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Axis, Study
from reidflow.tables.layout import Block, count
from reidflow.tables.text import NOTHING, listed, markdown, setting


def space_block(experiment: Experiment) -> Block:
    """Return the axes of the space with their values and where the baseline stands."""
    plain = experiment.baseline.spec.plain()
    axes = axes_of_studies(experiment.studies.values())
    rows = [[axis.name, values_text(axis), _place(axis, plain), _sets(axis)] for axis in axes]
    headings = ["axis", "values", "baseline", "sets"][: 4 if any(axis.named for axis in axes) else 3]
    return Block("Space", headings, [row[: len(headings)] for row in rows])


def values_text(axis: Axis) -> str:
    """Return the values that an axis may take."""
    if axis.kind == "choice":
        return ", ".join(axis.labels)
    kind = "whole numbers" if axis.kind == "int" else "numbers"
    step = f" in steps of {axis.step}" if axis.step is not None else ", by factors" if axis.log else ""
    return f"{kind} from {setting(axis.low)} to {setting(axis.high)}{step}"


def _place(axis: Axis, plain: dict[str, Any]) -> str:
    """Return the baseline's value on an axis, as a label where it has one."""
    own = [label for label in axis.labels if RunSpec.model_validate(axis.apply(plain, label)).plain() == plain]
    if own or axis.named:
        return own[0] if own else NOTHING
    value: Any = plain
    for part in axis.name.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return NOTHING
    return value_text(value)


def _sets(axis: Axis) -> str:
    """Return what each named choice sets; nothing where the axis is a path of the run spec."""
    if not axis.named:
        return NOTHING
    return "; ".join(f"{label}: {setting(told)}" for label, told in zip(axis.labels, axis.settings, strict=True))


def searched(experiment: Experiment) -> list[str]:
    """Return statements on space, studies, budget and the seeds that chose."""
    axes = axes_of_studies(experiment.studies.values())
    lines = [
        f"{count(len(axes))} axes are searched, from the settings of the baseline **{markdown(experiment.file.baseline)}**; "
        "the table lists the values of each."
    ]
    lines += [_study(study, len(axes)) for study in experiment.studies.values()]
    first = next(iter(experiment.studies.values()))
    return [*lines, *_pruner(first), _chosen(first)]


def _study(study: Study, axes: int) -> str:
    all_axes = f"all {axes} axes" if len(study.axes) == axes else listed([f"`{axis.name}`" for axis in study.axes])
    algorithm = f"`{setting(study.algorithm)}`"
    proposed = (
        "none of which depends on what others found"
        if study.algorithm["name"] in SPACE_FILLING
        else f"proposed {study.generation} at a time from all that earlier ones found"
    )
    if study.matched_to:
        return (
            f"**{markdown(study.name)}** searches {all_axes} with {algorithm} until it has spent as many optimizer steps as "
            f"**{markdown(study.matched_to)}**: what the same budget buys without the rest of the space."
        )
    return f"**{markdown(study.name)}** searches {all_axes} with {algorithm}: {study.trials} trials, {proposed}."


def _pruner(study: Study) -> list[str]:
    if study.pruner["name"] == "none":
        return ["No trial is ended early."]
    return [f"Trials that lag behind are ended early by `{setting(study.pruner)}`."]


def _chosen(study: Study) -> str:
    seeds = ("seed " if len(study.sweep_seeds) == 1 else "seeds ") + listed([str(seed) for seed in study.sweep_seeds])
    final = (
        f"the best {study.finalists} are trained again with the {seeds}, and the best mean wins"
        if study.finalists
        else "the best trial wins"
    )
    return (
        f"Each trial trains once, with a seed of its own from {study.first_seed} on, and is judged on validation; {final}. "
        "None of these seeds is reported, and no test image takes part."
    )
