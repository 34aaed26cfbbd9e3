"""Parameters of the arms as readers see them: the resolved values of the declared factor, and labels of components."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.canonical import canonical
from reidflow.spec.experiment import SEED, Arm, Experiment
from reidflow.spec.winners import winner_spec
from reidflow.store.tables import Column
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section
from reidflow.tables.text import listed, setting

TITLE = "Parameters"


def parameters_section(experiment: Experiment) -> Section:
    """Return the parameters of each arm, as a table with a column for each part of the factor in which arms differ.

    Tuned settings are left out of it: the results give the value that each arm chose.
    """
    factor = listed([f"`{path}`" for path in experiment.file.varies])
    tuned = [f"`{path}` from {setting(grid)}" for path, grid in experiment.file.tuned.items()]
    chosen = f" Every arm, the baseline included, chooses {listed(tuned)} on validation." if tuned else ""
    statement = f"The arms differ in {factor}; the table lists the parameters of each, defaults filled in.{chosen}"
    return Section(TITLE, [statement], [parameters_block(experiment)])


def parameters_block(experiment: Experiment) -> Block:
    """Return arm -> the values of the factor's parts in which arms differ; a part that an arm lacks is a dash."""
    values = {name: _values(arm, experiment) for name, arm in experiment.arms.items()}
    parts = dict.fromkeys(part for found in values.values() for part in found)
    parts = [part for path in experiment.file.varies for part in parts if f"{part}.".startswith(f"{path}.")]
    differing = [part for part in parts if len({canonical(found.get(part)) for found in values.values()}) > 1]
    rows = [
        {"arm": name, **{part: _shown(found[part]) if part in found else None for part in differing}}
        for name, found in values.items()
    ]
    columns = [Column(part, pl.String, part, "text", f"`{part}` of the arm, defaults filled in.") for part in differing]
    return block("", rows, ["arm", *columns])


def _values(arm: Arm, experiment: Experiment) -> dict[str, Any]:
    """Return the parts of the factor: dotted path -> value; a component is one part."""
    plain, found = arm.spec.plain(), {}
    for path in experiment.file.varies:
        if path == SEED:
            found[SEED] = list(arm.seeds)
            continue
        found |= _parts(path, _at(plain, path), set(experiment.file.tuned))
    return found


def _parts(path: str, value: Any, tuned: set[str]) -> dict[str, Any]:
    if path in tuned:
        return {}
    if not isinstance(value, dict):
        return {path: value}
    if "name" in value:
        return {path: {key: v for key, v in value.items() if f"{path}.{key}" not in tuned}}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _parts(f"{path}.{key}", inner, tuned)
    return found


def _at(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _shown(value: Any) -> str:
    """Return a list of components without its brackets, anything else as settings are printed."""
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        return ", ".join(setting(v) for v in value)
    return setting(value)


def with_winners(experiment: Experiment, winners: str | Path | None) -> Experiment:
    """Return the experiment whose arms that are winners have the winner's spec, in place of the one they started from.

    winners: the file of what its search or ranking found; none where it has neither.
    """
    if not winners:
        return experiment
    found = json.loads(Path(winners).read_text())
    return replace(experiment, arms={name: _with_winner(arm, found) for name, arm in experiment.arms.items()})


def _with_winner(arm: Arm, found: dict) -> Arm:
    if arm.winner_of is None:
        return arm
    return replace(arm, points=(({}, winner_spec(found, arm.winner_of, arm.over)),))


def component_labels(components: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Return key -> the component's name, with those of its parameters in which others of that name differ.

    components: key -> resolved component `{name, parameters}`.
    """
    labels = {}
    for key, component in components.items():
        alike = [other for other in components.values() if other["name"] == component["name"]]
        differing = [
            f"{parameter} {setting(value)}"
            for parameter, value in component.items()
            if parameter != "name" and any(other.get(parameter) != value for other in alike)
        ]
        labels[key] = f"{component['name']} ({', '.join(differing)})" if differing else component["name"]
    return labels
