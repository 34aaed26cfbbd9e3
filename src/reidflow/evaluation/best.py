"""The best arm of several experiments: chosen on validation alone; test scores are not looked at."""

import math
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from reidflow.evaluation.arm import Jobs
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.winners import CANDIDATES


class Candidate(NamedTuple):
    """An experiment whose arms compete: METRICS of its runs, and arm -> its plain spec, in the order of its file."""

    metrics: pl.DataFrame
    specs: Mapping[str, dict[str, Any]]


def specs_of(jobs: Jobs) -> dict[str, dict[str, Any]]:
    """Return arm -> the plain spec of one of its runs, for every arm that was trained; they differ in the seed alone."""
    return {made.arm: spec for made, spec in zip(jobs.runs, jobs.specs, strict=True)}


def rank(candidates: Mapping[str, Candidate]) -> list[dict[str, Any]]:
    """Return every arm of the candidates, the best first: by the mean validation mAP over its seeds.

    A diverged run counts as 0, as does one without a finite score. Ties go to the arm that stands first. Each entry:
    experiment, arm, configuration (digest of the spec without its seed), val_id_map, seeds, values (by seed), diverged
    (number of runs). Raises ReidflowError where no run has a validation score.
    """
    if all(found.metrics["val_id_map"].is_null().all() for found in candidates.values()):
        raise ReidflowError(
            f"none of the experiments {', '.join(candidates)} has a validation mAP to choose the best arm by. Give the "
            "split a share for 'val', and the experiments arms."
        )
    found = [
        _entry(experiment, arm, spec, candidate.metrics.filter(pl.col("arm") == arm).sort("seed"))
        for experiment, candidate in candidates.items()
        for arm, spec in candidate.specs.items()
    ]
    return sorted(found, key=lambda entry: -entry["val_id_map"])


def _entry(experiment: str, arm: str, spec: dict[str, Any], runs: pl.DataFrame) -> dict[str, Any]:
    if runs.is_empty():
        raise ReidflowError(f"experiment '{experiment}': no evaluated runs of the arm '{arm}'. Run it again.")
    values = [_value(*run) for run in runs.select("val_id_map", "diverged").iter_rows()]
    return {
        "experiment": experiment,
        "arm": arm,
        "configuration": short({**spec, "seed": 0}),
        "val_id_map": float(statistics.mean(values)),
        "seeds": runs["seed"].to_list(),
        "values": values,
        "diverged": int(runs["diverged"].sum()),
    }


def _value(score: float | None, diverged: bool) -> float:
    return 0.0 if diverged or score is None or not math.isfinite(score) else score


def choose_best(candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    """Return the winner under `CANDIDATES` (experiment, arm, spec with the seed 0, val_id_map, seeds), and the ranking."""
    ranking = rank(candidates)
    first = ranking[0]
    spec = {**candidates[first["experiment"]].specs[first["arm"]], "seed": 0}
    told = {key: first[key] for key in ("experiment", "arm", "val_id_map", "seeds")}
    return {CANDIDATES: {**told, "spec": spec}, "ranking": ranking}
