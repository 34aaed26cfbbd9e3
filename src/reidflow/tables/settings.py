"""What each arm sets: the resolved values of the declared factor, every default filled in."""

from typing import Any

from reidflow.spec.canonical import canonical
from reidflow.spec.experiment import SEED, Arm, Experiment
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, listed, setting

TITLE = "Settings"


def settings_section(experiment: Experiment) -> Section:
    """Return what each arm sets, as a table with a column for each part of the factor in which arms differ.

    Tuned settings are left out of it: which value each arm chose stands in the results.
    """
    factor = listed([f"`{path}`" for path in experiment.file.varies])
    tuned = [f"`{path}` from {setting(grid)}" for path, grid in experiment.file.tuned.items()]
    chosen = f" Every arm, the baseline included, chooses {listed(tuned)} on validation." if tuned else ""
    statement = f"The arms differ in {factor}; the table lists what each sets, defaults filled in.{chosen}"
    return Section(TITLE, [statement], [settings_block(experiment)])


def settings_block(experiment: Experiment) -> Block:
    """Return arm -> the values of the factor's parts in which arms differ; a part that an arm lacks is a dash."""
    values = {name: _values(arm, experiment) for name, arm in experiment.arms.items()}
    parts = dict.fromkeys(part for found in values.values() for part in found)
    parts = [part for path in experiment.file.varies for part in parts if f"{part}.".startswith(f"{path}.")]
    differing = [part for part in parts if len({canonical(found.get(part)) for found in values.values()}) > 1]
    rows = [
        [name, *(_shown(found[part]) if part in found else NOTHING for part in differing)]
        for name, found in values.items()
    ]
    return Block("", ["arm", *differing], rows)


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
