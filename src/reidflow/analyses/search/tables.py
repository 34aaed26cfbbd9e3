"""The tables of a search: what each study spent and found, its best value trial by trial, and the trials on the front."""

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import polars as pl

from reidflow.search.trial import COMPLETE, DIVERGED, PRUNED
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Contract
from reidflow.tables.text import setting

SPACE_FILLING = ("random", "quasi_random")
"""Algorithms whose trials do not depend on earlier results: only these show what an axis does over the whole space."""
_RESULT = dict.fromkeys(
    ("id_map", "id_map_std", "delta", "delta_low", "delta_high", "p_holm", "smallest_detectable"), pl.Float64
)
_FOUND = dict.fromkeys(("best_value", "chosen_value", "sweep_value", "val_id_map", "luck"), pl.Float64)
SEARCH = Contract(
    "what searches spent and found",
    {
        "experiment": pl.String,
        "study": pl.String,
        "algorithm": pl.String,
        "axes": pl.Int64,
        "matched_to": pl.String,  # the study whose optimizer steps are its budget
        "trials": pl.Int64,
        COMPLETE: pl.Int64,
        PRUNED: pl.Int64,
        DIVERGED: pl.Int64,
        "steps": pl.Int64,  # of the optimizer, over all trials; the runs of the finalists come on top
        "train_flops": pl.Float64,
        "finalists": pl.Int64,  # trials that were trained again with every sweep seed
        "sweep_seeds": pl.Int64,
        "winner": pl.Int64,  # number of its trial
        "winner_settings": pl.String,
        **_FOUND,  # on validation: best trial, winner's trial, its mean over sweep seeds and over fresh seeds; luck:
        # value of the winner's trial minus its mean over fresh seeds
        "arm": pl.String,  # the arm that is the winner, trained with fresh seeds
        "seeds": pl.Int64,
        **_RESULT,  # of that arm, on test
        "verdict": pl.String,
    },
    nullable=frozenset({"matched_to", "winner", "winner_settings", *_FOUND, "arm", "seeds", *_RESULT, "verdict"}),
)
PROGRESS = Contract(
    "searches trial by trial",
    {
        "study": pl.String,
        "trial": pl.Int64,
        "state": pl.String,
        "value": pl.Float64,
        "best": pl.Float64,  # best value up to this trial; null before the first
        "trials": pl.Int64,  # spent up to and with this trial, as all that follows
        "steps": pl.Int64,
        "train_flops": pl.Float64,
    },
    nullable=frozenset({"value", "best", "train_flops"}),
)
SEARCH_EFFICIENCY = Contract(
    "measured cost of searches",
    {
        "experiment": pl.String,
        "study": pl.String,
        "trials": pl.Int64,
        "seconds": pl.Float64,  # of training, summed over trials: workers side by side finish earlier
        "device": pl.String,
    },
    nullable=frozenset({"seconds"}),
)


def score(value: float | None, values: list[float | None] | None) -> float | None:
    """Return a trial's value; of a pruned one, the best validation mAP it had reached: it ends no lower than that."""
    if value is not None:
        return value
    return max((v for v in values or [] if v is not None and not math.isnan(v)), default=None)


def with_scores(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials with the column `score`, see `score`."""
    scores = [score(*pair) for pair in trials.select("value", "values").iter_rows()]
    return trials.with_columns(pl.Series("score", scores, dtype=pl.Float64))


def best_so_far(trials: pl.DataFrame, efficiency: pl.DataFrame) -> pl.DataFrame:
    """Return PROGRESS with a column `seconds`, trials of each study in the order of their numbers.

    trials: TRIALS. efficiency: TRIALS_EFFICIENCY. seconds: of training, summed over the trials so far (worker-seconds:
    workers side by side finish earlier); null from the first trial that was not timed.
    """
    timed = {tuple(key): seconds for *key, seconds in efficiency.select("study", "trial", "seconds").iter_rows()}
    rows = []
    for name in trials["study"].unique(maintain_order=True):
        own = trials.filter(pl.col("study") == name).sort("trial").to_dicts()
        best = accumulate((row["value"] for row in own), _better)
        steps = accumulate(row["steps"] for row in own)
        flops = accumulate((row["train_flops"] for row in own), _sum)
        seconds = accumulate((timed.get((name, row["trial"])) for row in own), _sum)
        spent = zip(own, best, steps, flops, seconds, strict=True)
        for number, (row, highest, step, flop, second) in enumerate(spent, start=1):
            told = {"best": highest, "trials": number, "steps": step, "train_flops": flop, "seconds": second}
            rows.append({key: row[key] for key in ("study", "trial", "state", "value")} | told)
    return pl.DataFrame(rows, schema={**PROGRESS.columns, "seconds": pl.Float64})


def _better(best: float | None, value: float | None) -> float | None:
    known = [each for each in (best, value) if each is not None]
    return max(known, default=None)


def _sum(so_far: float | None, value: float | None) -> float | None:
    return None if so_far is None or value is None else so_far + value


def winner_arms(experiment: Experiment) -> dict[str, str]:
    """Return study -> the arm that is its winner with nothing laid over it; a study without such an arm is left out."""
    found: dict[str, str] = {}
    for arm in experiment.arms.values():
        if arm.winner_of in experiment.studies and not arm.over:
            found.setdefault(arm.winner_of, arm.name)
    return found


def budget_table(
    experiment: Experiment, trials: pl.DataFrame, winners: Mapping[str, Any], results: pl.DataFrame
) -> pl.DataFrame:
    """Return SEARCH, a row a study, in the order of the experiment's file.

    trials: TRIALS. winners: study -> its winner, as in winners.json. results: RESULTS of the experiment.
    """
    arms, told = winner_arms(experiment), {row["arm"]: row for row in results.to_dicts()}
    rows = []
    for name, study in experiment.studies.items():
        own = trials.filter(pl.col("study") == name)
        arm = told.get(arms.get(name, ""), {})
        won = winners.get(name, {})
        rows.append(
            {
                "experiment": experiment.name,
                "study": name,
                "algorithm": study.algorithm["name"],
                "axes": len(study.axes),
                "matched_to": study.matched_to,
                "trials": own.height,
                **{state: own.filter(pl.col("state") == state).height for state in (COMPLETE, PRUNED, DIVERGED)},
                "steps": own["steps"].sum(),
                "train_flops": float(own["train_flops"].sum()),
                "finalists": own["finalist_value"].count(),
                "sweep_seeds": len(study.sweep_seeds),
                "winner": won.get("trial"),
                "winner_settings": settings_text(won["settings"]) if "settings" in won else None,
                "best_value": own["value"].max(),
                "chosen_value": won.get("value"),
                "sweep_value": won.get("finalist_value"),
                "luck": _minus(won.get("value"), arm.get("val_id_map")),
                **{key: arm.get(key) for key in ("arm", "seeds", "val_id_map", *_RESULT, "verdict")},
            }
        )
    return pl.DataFrame([{c: row.get(c) for c in SEARCH.columns} for row in rows], schema=SEARCH.columns)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return the settings of a trial on one line, numbers in three significant digits."""
    return ", ".join(f"{axis}={value_text(value)}" for axis, value in settings.items() if value is not None)


def value_text(value: Any) -> str:
    """Return a value of an axis as it is printed."""
    return f"{value:.3g}" if isinstance(value, float) else setting(value)


def efficiency_table(experiment: Experiment, efficiency: pl.DataFrame) -> pl.DataFrame:
    """Return SEARCH_EFFICIENCY, a row a study. efficiency: TRIALS_EFFICIENCY."""
    rows = []
    for name in experiment.studies:
        own = efficiency.filter(pl.col("study") == name)
        timed = own["seconds"].null_count() == 0
        devices = "; ".join(sorted(set(own["device"].drop_nulls())))
        rows.append([experiment.name, name, own.height, own["seconds"].sum() if timed else None, devices])
    return pl.DataFrame(rows, schema=SEARCH_EFFICIENCY.columns, orient="row")


def front(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the complete trials with what they cost: study, trial, winner, value, flops, parameters, front_<cost>.

    front_flops, front_parameters: no other complete trial has a value as high for less, or a higher one for as little.
    A trial whose cost is not known is not on that front.
    """
    known = trials.filter(pl.col("state") == COMPLETE).select(
        "study", "trial", "winner", "value", *(pl.col(cost).cast(pl.Float64) for cost in ("flops", "parameters"))
    )
    fronts = [pl.Series(f"front_{cost}", _front(known["value"], known[cost])) for cost in ("flops", "parameters")]
    return known.with_columns(*fronts)


def _front(values: pl.Series, costs: pl.Series) -> pl.Series:
    points = list(zip(values, costs, strict=True))
    return pl.Series([_undominated(point, points) for point in points], dtype=pl.Boolean)


def _undominated(point: tuple, points: list[tuple]) -> bool:
    value, cost = point
    if cost is None:
        return False
    rivals = [other for other in points if other[1] is not None]
    return not any(v >= value and c <= cost and (v > value or c < cost) for v, c in rivals)
