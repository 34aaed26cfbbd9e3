"""The tables in the findings of an experiment on seeds, as they are printed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.seeds.tables import SPLIT, TRAINING, by_seed
from reidflow.evaluation.runs import JobResults
from reidflow.evaluation.selection import specs_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.winners import CANDIDATES
from reidflow.spec.yaml import dumps
from reidflow.tables.layout import Block, block_of, yes
from reidflow.tables.text import NOTHING, interval, number, probability, setting, signed

SHOWN = 10
"""Candidates in the table of the findings; the file holds all."""


@dataclass(frozen=True)
class Best:
    """What an experiment on seeds stands on.

    Attributes:
        arm: that which is the winner. baseline: the arm that it is compared with.
        specs: arm -> its plain spec. missing: why nothing was trained on other splits; empty where it was.
        leaking: seeds of those splits whose audit found a leak.
    """

    arm: str
    baseline: str
    specs: Mapping[str, Mapping[str, Any]]
    missing: str = ""
    leaking: tuple[int, ...] = ()


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


def configuration_block(best: Best) -> Block:
    """Return every setting of the best arm beside the baseline's."""
    ours, theirs = (settings(best.specs[arm]) for arm in (best.arm, best.baseline))
    paths = list(dict.fromkeys([*ours, *theirs]))
    cells = [
        [path, setting(ours[path]) if path in ours else NOTHING, setting(theirs[path]) if path in theirs else NOTHING]
        for path in paths
    ]
    differing = [f"{row[0]} *" if row[1] != row[2] else row[0] for row in cells]
    return Block(
        "Configuration (* differs from the baseline)",
        ["setting", best.arm, best.baseline],
        [[name, *row[1:]] for name, row in zip(differing, cells, strict=True)],
    )


_RANKED: dict[str, Callable[[dict], str]] = {
    "place": lambda row: str(row["place"]),
    "arm": lambda row: row["arm"],
    "experiment": lambda row: row["experiment"],
    "validation id_map": lambda row: number(row["val_id_map"]),
    "seeds": lambda row: str(row["seeds"]),
    "p_holm against the first": lambda row: probability(row["p_holm"]),
    "told apart from it": lambda row: yes(row["told_apart"]) if row["place"] > 1 else NOTHING,
}
_SPREADS: dict[str, Callable[[dict], str]] = {
    "over": lambda row: {TRAINING: "training seeds", SPLIT: "splits"}[row["kind"]],
    "arm": lambda row: row["arm"],
    "count": lambda row: str(row["count"]),
    "mean": lambda row: number(row["mean"]),
    "std": lambda row: number(row["std"]),
    "standard error": lambda row: number(row["standard_error"]),
    "lowest": lambda row: number(row["lowest"]),
    "highest": lambda row: number(row["highest"]),
}
_READINGS: dict[str, Callable[[dict], str]] = {
    "experiment": lambda row: row["experiment"],
    "arm with the largest delta": lambda row: row["arm"],
    "of arms": lambda row: str(row["arms"]),
    "seeds": lambda row: str(row["seeds"]),
    "delta": lambda row: signed(row["delta"]),
    "interval": lambda row: interval(row["delta_low"], row["delta_high"]),
    "verdict": lambda row: row["verdict"],
    "noise of seeds": lambda row: number(row["noise"]),
    "delta over noise": lambda row: number(row["ratio"], 1),
    "limit": lambda row: number(row["limit"]),
    "carried": lambda row: yes(row["carried"]),
    "noise with the split": lambda row: number(row["split_noise"]),
    "limit with the split": lambda row: number(row["split_limit"]),
    "carried with the split": lambda row: yes(row["split_carried"]),
}


def ranking_block(ranking: pl.DataFrame) -> Block:
    """Return the first candidates of RANKING."""
    return block_of(f"The first {SHOWN} candidates on validation", _RANKED, ranking.head(SHOWN).to_dicts())


def spreads_block(spreads: pl.DataFrame) -> Block:
    """Return SPREADS."""
    return block_of("Spread of the test id_map", _SPREADS, spreads.to_dicts())


def readings_block(readings: pl.DataFrame) -> Block:
    """Return READINGS."""
    return block_of("Largest differences against the noise", _READINGS, readings.to_dicts())


def runs_block(best: Best, seeds: pl.DataFrame, kind: str) -> Block:
    """Return the scores of each training seed, or of each split."""
    first = "seed" if kind == TRAINING else "split seed"
    arms = list(dict.fromkeys((best.arm, best.baseline)))
    test, val = ([by_seed(seeds, kind, arm, column) for arm in arms] for column in ("id_map", "val_id_map"))
    keys = list(dict.fromkeys(key for own in [*test, *val] for key in own))
    cells = []
    for key in keys:
        scores = [own.get(key) for own in test]
        told = signed(scores[0] - scores[1]) if len(scores) == 2 and None not in scores else NOTHING
        cells.append([str(key), *map(number, scores), told, *(number(own.get(key)) for own in val)])
    headings = [first, *(f"{arm}, test" for arm in arms), "difference", *(f"{arm}, validation" for arm in arms)]
    return Block(f"Each {first}", headings, cells)


def as_yaml(first: Mapping[str, Any], spec: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Return the winner's exact configuration as YAML: where it comes from, its seeds, and every setting of its run.

    first: of the ranking. spec: its plain spec, as it was trained with `seeds`.
    """
    told = {
        "experiment": first["experiment"],
        "arm": first["arm"],
        "val_id_map": first["val_id_map"],
        "seeds_that_chose_it": list(first["seeds"]),
        "seeds": list(seeds),
        "run": {key: value for key, value in spec.items() if key != "seed"},
    }
    return dumps(told)


def best_of(
    experiment: Experiment, jobs: JobResults, split: Mapping[str, Any], audits: Sequence[str | Path] = ()
) -> Best:
    """Return what an experiment on seeds stands on. jobs: what its training left behind. split: the config's.

    audits: files of the leak audit of each other split, in the order of their seeds.

    Raises ReidflowError where no arm is the winner of candidates.
    """
    arms = [arm.name for arm in experiment.arms.values() if arm.winner_of == CANDIDATES]
    if not arms or experiment.file.candidates is None:
        raise ReidflowError(f"{experiment.path}: no arm is the winner of 'candidates'. Add one.")
    missing = ""
    if "seed" not in split:
        missing = f"the split '{split['name']}' has no seed that could be changed."
    elif not experiment.file.candidates.split_seeds:
        missing = "the experiment names no seeds of other splits (candidates.split_seeds)."
    seeds = zip(experiment.file.candidates.split_seeds, audits, strict=True)
    leaking = tuple(seed for seed, file in seeds if json.loads(Path(file).read_text())["leaks"])
    return Best(arms[0], experiment.file.baseline, specs_of(jobs), missing, leaking)
