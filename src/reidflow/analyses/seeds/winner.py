"""The winner of an experiment on seeds and its baseline: their run specs, and the file with the winner's configuration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidflow.evaluation.runs import JobResults, specs_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.winners import CANDIDATES
from reidflow.spec.yaml import dumps


@dataclass(frozen=True)
class Best:
    """The winner of the candidates and its baseline.

    arm, baseline: names of their arms. specs: arm -> its plain spec. missing: why nothing was trained on other splits;
    empty where it was. leaking: seeds of those splits whose audit found a leak.
    """

    arm: str
    baseline: str
    specs: Mapping[str, Mapping[str, Any]]
    missing: str = ""
    leaking: tuple[int, ...] = ()

    @property
    def arms(self) -> list[str]:
        """The winner's arm and the baseline, once where they are one."""
        return list(dict.fromkeys((self.arm, self.baseline)))


def settings(spec: Mapping[str, Any], below: str = "") -> dict[str, Any]:
    """Return the settings of a plain spec by dotted path, without its seed; a component is one value."""
    found: dict[str, Any] = {}
    for key, value in spec.items():
        path = f"{below}{key}"
        if isinstance(value, Mapping) and "name" not in value:
            found |= settings(value, f"{path}.")
        elif path != "seed":
            found[path] = value
    return found


def best_of(
    experiment: Experiment, jobs: JobResults, split: Mapping[str, Any], audits: Sequence[str | Path] = ()
) -> Best:
    """Return the winner and its baseline from the results of training and the config's split.

    audits: files of the leak audit of each other split, in the order of their seeds. Raises ReidflowError where no arm is
    the winner of candidates.
    """
    arms = [arm.name for arm in experiment.arms.values() if arm.winner_of == CANDIDATES]
    if not arms or experiment.file.candidates is None:
        raise ReidflowError(f"{experiment.path}: no arm is the winner of 'candidates'. Add one.")
    missing = ""
    if "seed" not in split:
        missing = f"the split '{split['name']}' has no seed"
    elif not experiment.file.candidates.split_seeds:
        missing = "the experiment names no seeds of other splits (candidates.split_seeds)"
    seeds = zip(experiment.file.candidates.split_seeds, audits, strict=True)
    leaking = tuple(seed for seed, file in seeds if json.loads(Path(file).read_text())["leaks"])
    return Best(arms[0], experiment.file.baseline, specs_of(jobs), missing, leaking)


def as_yaml(first: Mapping[str, Any], spec: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Return the winner's exact configuration as YAML: its origin, its seeds, and every setting of its run.

    first: its row of the ranking. spec: its plain spec, as it was trained with `seeds`.
    """
    return dumps(
        {
            **{key: first[key] for key in ("experiment", "arm", "val_id_map")},
            "selection_seeds": list(first["seeds"]),
            "seeds": list(seeds),
            "run": {key: value for key, value in spec.items() if key != "seed"},
        }
    )
