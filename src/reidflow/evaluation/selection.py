"""The best arm of several experiments: chosen on validation alone; test scores are not looked at."""

import json
import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import polars as pl

from reidflow.spec.canonical import canonical, short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RANKED_BY
from reidflow.spec.winners import CANDIDATES
from reidflow.store.runs import RunStore, verified


class CandidateExperiment(NamedTuple):
    """An experiment whose arms compete: METRICS of its runs, and arm -> its plain spec, in the order of its file."""

    metrics: pl.DataFrame
    specs: Mapping[str, dict[str, Any]]


def rank(candidates: Mapping[str, CandidateExperiment]) -> list[dict[str, Any]]:
    """Return every arm of the candidates, the best first: by the mean validation mAP over its seeds.

    A diverged run counts as 0, as does one without a finite score. Ties go to the first arm. Each entry:
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


def choose_best(candidates: Mapping[str, CandidateExperiment]) -> dict[str, Any]:
    """Return the winner under `CANDIDATES` (experiment, arm, spec with the seed 0, val_id_map, seeds),
    and the ranking.
    """
    ranking = rank(candidates)
    first = ranking[0]
    spec = {**candidates[first["experiment"]].specs[first["arm"]], "seed": 0}
    facts = {key: first[key] for key in ("experiment", "arm", "val_id_map", "seeds")}
    return {CANDIDATES: {**facts, "spec": spec}, "ranking": ranking}


BEST = 2


def best_parts(metrics: pl.DataFrame, arms: Mapping[str, str], count: int = BEST) -> list[str]:
    """Return the parts whose own arms have the highest mean validation mAP, best first.

    metrics: a row per run: arm, val_id_map. arms: part -> the arm that has this part alone. A run without a score, or
    whose score is not finite, counts as 0; ties go to the first part.
    """
    means = {part: _mean(metrics.filter(pl.col("arm") == arm)["val_id_map"].to_list()) for part, arm in arms.items()}
    return sorted(arms, key=lambda part: -means[part])[:count]


def _mean(scores: list[float | None]) -> float:
    known = [score if score is not None and math.isfinite(score) else 0.0 for score in scores]
    return statistics.fmean(known) if known else 0.0


class PointRanking(Protocol):
    """What ranks the validation queries of a run as a point of a grid says (`ranked_points.ValidationRanking`).

    What trains runs imports this module, and no code that ranks: an edit of that trains nothing again.
    """

    @property
    def restricted(self) -> bool:
        """Whether candidates must share something with the query, which validation during training does not know."""

    def score(self, facts: dict[str, Any], spec: dict[str, Any], store: RunStore) -> float:
        """Return the validation mAP of a run, as a job describes it, ranked as a plain spec says; 0 without one."""


def choose_tuned(
    grid: dict[str, list],
    arms: dict[str, list[list]],
    job_files: list[str],
    results: Path,
    ranked: PointRanking | None = None,
) -> dict[str, dict[str, Any]]:
    """Return for each arm the chosen values with the mean validation mAP at every point of the grid.

    Each split of the experiment is a choice of its own, on its validation images alone: see `_joined`.

    grid: dotted path -> values; arms: arm -> [values, spec with seed 0] at every point; job_files: what the sweep's
    jobs wrote; ranked: validates points that differ in the ranking, by the run that they share, or all where candidates
    have the query's flank. Arms without a run (their weights are unavailable) are left out. A diverged run counts as 0.
    Ties go to the first point of the grid. `on_edge`: for each setting, whether the chosen value is the first or last
    of a grid of several, of which not all give the same.
    """
    store = RunStore(results / ".store")
    seen: dict[int, dict[str, dict[int, dict[str, Any]]]] = {}
    for file in job_files:
        for run in json.loads(Path(file).read_text())["runs"]:
            of_spec = seen.setdefault(run["split"], {}).setdefault(_tried(run["spec"]), {})
            of_spec[run["seed"]] = run
    tried = {arm: points for arm, points in arms.items() if _tried(points[0][1]) in seen.get(0, {})}

    def score(run: dict[str, Any], spec: dict[str, Any]) -> float:
        folder = store.folder(run["key"])
        trained = ranked is None or not (ranked.restricted or spec["inference"] or spec["ranking"])
        if trained or _provenance(folder)["diverged"]:
            return _validation(folder)
        return ranked.score(run, spec, store)

    return {
        arm: _joined([_choice(grid, points, seen[number], score) for number in sorted(seen)])
        for arm, points in tried.items()
    }


def _tried(spec: dict[str, Any]) -> str:
    """Return what names the run by which a setting is tried: one, however it is ranked."""
    return canonical({**spec, **RANKED_BY, "seed": 0})


def _joined(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the choices of an arm on each split as one; of a single split, its own.

    values: of each setting, that of all splits, or the list of theirs where they differ. points: means over splits.
    on_edge: whether any is. by_split: the values of each.
    """
    if len(choices) == 1:
        return choices[0]
    chosen = {path: [choice["values"][path] for choice in choices] for path in choices[0]["values"]}
    return {
        "values": {path: own[0] if all(one == own[0] for one in own) else own for path, own in chosen.items()},
        "points": [_mean_point(same) for same in zip(*(choice["points"] for choice in choices), strict=True)],
        "on_edge": {path: any(choice["on_edge"][path] for choice in choices) for path in chosen},
        "by_split": [choice["values"] for choice in choices],
    }


def _mean_point(same: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Return a point of the grid with the means over splits of its validation mAP, and of that of each sweep seed."""
    seeds = {seed: statistics.fmean(point["seeds"][seed] for point in same) for seed in same[0]["seeds"]}
    return {**same[0], "val_id_map": statistics.fmean(point["val_id_map"] for point in same), "seeds": seeds}


def chosen_values(choice: dict[str, Any], split: int) -> dict[str, Any]:
    """Return the values that an arm chose on one of its experiment's splits; choice: its entry of `choose_tuned`."""
    return choice["by_split"][split] if "by_split" in choice else choice["values"]


def _choice(
    grid: dict[str, list],
    points: list[list],
    seen: dict[str, dict[int, dict[str, Any]]],
    score: Callable[[dict[str, Any], dict[str, Any]], float],
) -> dict[str, Any]:
    known: dict[tuple[str, str], float] = {}
    rows = []
    for values, spec in points:
        seeds = {}
        for seed, run in seen[_tried(spec)].items():
            same = run["key"], canonical(spec)
            if same not in known:
                known[same] = score(run, spec)
            seeds[seed] = known[same]
        mean = math.fsum(seeds.values()) / len(seeds)
        rows.append({"values": values, "val_id_map": mean, "seeds": {str(s): seeds[s] for s in sorted(seeds)}})
    best = max(rows, key=lambda row: row["val_id_map"])
    matters = len({row["val_id_map"] for row in rows}) > 1
    on_edge = {
        path: matters and len(values) > 1 and best["values"][path] in (values[0], values[-1])
        for path, values in grid.items()
    }
    return {"values": best["values"], "points": rows, "on_edge": on_edge}


def _validation(folder: Path) -> float:
    """Return the validation mAP of the checkpoint that a run kept."""
    provenance = _provenance(folder)
    if provenance["diverged"]:
        return 0.0
    history = pl.read_parquet(verified(folder, "history.parquet"))
    return float(history.filter(pl.col("epoch") == provenance["best_epoch"])["val_id_map"][0])


def _provenance(folder: Path) -> dict[str, Any]:
    return json.loads(verified(folder, "provenance.json").read_text())
