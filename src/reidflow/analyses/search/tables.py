"""The tables of a search: what each study spent and found, its best value trial by trial, its winners on test."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.statistics import compare, ties_with_best
from reidflow.search.trial import COMPLETE, DIVERGED, PRUNED
from reidflow.spec.experiment import Experiment
from reidflow.spec.quantities import Quantity
from reidflow.store.tables import Column, Contract
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.quantities import described
from reidflow.tables.text import setting

SPACE_FILLING = ("random", "quasi_random")
"""Algorithms whose trials do not depend on earlier results: only these show the effect of an axis over the whole space."""
ON_TEST = ("id_map", "id_map_std", "delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable")
AGAINST = ("delta", "low", "high", "p_adjusted", "verdict", "smallest_detectable")

STUDY = Column("study", pl.String, "study", "text", "Name of the study: one run of a search algorithm.")
TRIALS = Column("trials", pl.Int64, "trials", "count", "Number of trials.")
ENDED = Column(PRUNED, pl.Int64, "pruned", "count", "Number of those trials that were ended early.")
FLOPS = Column(
    "train_flops", pl.Float64, "training FLOPs", "magnitude", "Floating-point operations of training, over all trials."
)
STEPS = Column(
    "steps", pl.Int64, "steps", "count", "Optimizer steps over all trials, without the runs of the finalists."
)
SEARCH = Contract(
    "what searches spent and found",
    [
        *columns("experiment"),
        STUDY,
        Column("algorithm", pl.String, "algorithm", "text", "The search algorithm."),
        Column("axes", pl.Int64, "axes", "count", "Number of axes that the study searches."),
        Column("matched_to", pl.String, "budget matched to", "text",
               "The study whose optimizer steps are the budget; none: the number of trials is.", nullable=True),
        TRIALS,
        Column(COMPLETE, pl.Int64, "complete", "count", "Number of trials that were trained to their end."),
        ENDED,
        Column(DIVERGED, pl.Int64, "diverged", "count", "Number of trials whose loss diverged."),
        STEPS,
        FLOPS,
        Column("finalists", pl.Int64, "finalists", "count", "Number of trials that were trained again with every sweep seed."),
        Column("sweep_seeds", pl.Int64, "sweep seeds", "count", "Number of sweep seeds."),
        Column("winner", pl.Int64, "trial", "text", "Number of the winning trial.", nullable=True),
        Column("winner_settings", pl.String, "settings", "text", "Settings of the winning trial.", nullable=True),
        Column("best_value", pl.Float64, "best value", "number", "Highest validation mAP of all trials.", nullable=True),
        Column("chosen_value", pl.Float64, "value when chosen", "number", "Validation mAP of the winning trial.",
               nullable=True),
        Column("sweep_value", pl.Float64, "mean over sweep seeds", "number",
               "Validation mAP of the winner, mean over the sweep seeds.", nullable=True),
        column("val_id_map").but(heading="validation, fresh seeds"),
        Column("luck", pl.Float64, "luck", "signed",
               "Validation mAP of the winning trial minus the winner's mean over fresh seeds.", nullable=True),
        column("arm").but(nullable=True, meaning="The arm that trains the winner with fresh seeds."),
        column("seeds").but(nullable=True),
        *columns(*ON_TEST, "interval"),
        column("verdict").but(nullable=True),
    ],
)  # fmt: skip
PROGRESS = Contract(
    "searches trial by trial",
    [
        STUDY,
        Column("trial", pl.Int64, "trial", "text", "Number of the trial."),
        Column("state", pl.String, "state", "text", "complete, pruned or diverged."),
        Column("value", pl.Float64, "value", "number", "Validation mAP of the trial.", nullable=True),
        Column("best", pl.Float64, "best value so far", "number", "Highest value up to this trial.", nullable=True),
        TRIALS.but(meaning="Number of trials up to and including this one."),
        STEPS.but(meaning="Optimizer steps up to and including this trial."),
        FLOPS.but(meaning="Floating-point operations of training up to and including this trial.", nullable=True),
    ],
)
_BEST = Column(
    "value",
    pl.Float64,
    "best value",
    "number",
    "Highest validation mAP of its trials within the budget.",
    nullable=True,
)
BUDGETS = Contract(
    "searches at equal budgets",
    [
        *columns("experiment"),
        STUDY,
        Column("other", pl.String, "against", "text", "The study whose optimizer steps are matched to those of a search."),
        Column("budget", pl.String, "budget", "text", "What is equal: optimizer steps, or training FLOPs."),
        Column("amount", pl.Float64, "amount", "magnitude", "As much of it as both studies spent on their trials."),
        TRIALS.but(meaning="Number of trials of the study within the budget."),
        TRIALS.but(name="other_trials", heading="its trials", meaning="Number of trials of the other study within it."),
        _BEST,
        _BEST.but(name="other_value", heading="its best value", meaning="That of the other study."),
        Column("gain", pl.Float64, "gain on validation", "signed", "Difference of the two; it includes luck.", nullable=True),
        Column("winners_within", pl.Boolean, "winners within", "yes_no",
               "Whether the winners of both, which test compares, were found within the budget."),
    ],
)  # fmt: skip
BUDGET = {"steps": "optimizer steps", "train_flops": "training FLOPs"}
SEARCH_EFFICIENCY = Contract(
    "measured cost of searches",
    [
        *columns("experiment"),
        STUDY,
        TRIALS,
        Column("seconds", pl.Float64, "seconds of training, summed over trials", "number1",
               "Time of training, summed over trials: workers side by side finish earlier.", "s", nullable=True),
        column("device").but(nullable=False),
    ],
)  # fmt: skip


def with_scores(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials with the column `score`: the value, or of a pruned trial the best validation mAP that it reached."""
    reached = pl.col("values").list.eval(pl.element().fill_nan(None)).list.max()
    return trials.with_columns(score=pl.coalesce("value", reached))


def best_so_far(trials: pl.DataFrame, efficiency: pl.DataFrame) -> pl.DataFrame:
    """Return PROGRESS with a column `seconds`, trials of each study in the order of their numbers.

    trials: TRIALS. efficiency: TRIALS_EFFICIENCY. seconds: of training, summed over the trials so far (worker-seconds:
    workers side by side finish earlier); null from the first trial that was not timed.
    """
    own = pl.concat([each.sort("trial") for each in trials.partition_by("study", maintain_order=True)])
    own = own.join(efficiency.select("study", "trial", "seconds"), ["study", "trial"], "left", maintain_order="left")
    timed = pl.col("seconds").is_null().cum_sum().over("study") == 0
    return own.select(
        "study",
        "trial",
        "state",
        "value",
        best=pl.col("value").cum_max().forward_fill().over("study"),
        trials=pl.int_range(1, pl.len() + 1).over("study"),
        steps=pl.col("steps").cum_sum().over("study"),
        train_flops=pl.col("train_flops").cum_sum().over("study").cast(pl.Float64),
        seconds=pl.when(timed).then(pl.col("seconds").cum_sum().over("study")),
    )


def front(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the complete trials with their costs: study, trial, winner, value, flops, parameters, front_<cost>.

    front_flops, front_parameters: no other complete trial has a value as high for less, or a higher one for as little.
    A trial whose cost is unknown is not on that front.
    """
    costs = ("flops", "parameters")
    own = trials.filter(pl.col("state") == COMPLETE)
    own = own.select("study", "trial", "winner", "value", *(pl.col(cost).cast(pl.Float64) for cost in costs))
    fronts = {f"front_{cost}": pl.Series(_undominated(own["value"], own[cost]), dtype=pl.Boolean) for cost in costs}
    return own.with_columns(**fronts)


def _undominated(values: pl.Series, costs: pl.Series) -> list[bool]:
    points = list(zip(values, costs, strict=True))
    known = [(value, cost) for value, cost in points if cost is not None]
    return [
        cost is not None and not any(v >= value and c <= cost and (v, c) != (value, cost) for v, c in known)
        for value, cost in points
    ]


def winner_arms(experiment: Experiment) -> dict[str, str]:
    """Return study -> the arm that is its winner without other changes; a study without such an arm is left out."""
    found: dict[str, str] = {}
    for arm in experiment.arms.values():
        if arm.winner_of in experiment.studies and not arm.over:
            found.setdefault(arm.winner_of, arm.name)
    return found


def budget_table(
    experiment: Experiment, trials: pl.DataFrame, winners: Mapping[str, Any], results: pl.DataFrame
) -> pl.DataFrame:
    """Return SEARCH, a row per study, in the order of the experiment's file.

    trials: TRIALS. winners: study -> its winner, as in winners.json. results: RESULTS of the experiment.
    """
    arms, by_arm = winner_arms(experiment), {row["arm"]: row for row in results.to_dicts()}
    rows = []
    for name, study in experiment.studies.items():
        own = trials.filter(pl.col("study") == name)
        arm = by_arm.get(arms.get(name, ""), {})
        won = winners.get(name, {})
        chosen, fresh = won.get("value"), arm.get("val_id_map")
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
                "chosen_value": chosen,
                "sweep_value": won.get("finalist_value"),
                "luck": None if chosen is None or fresh is None else chosen - fresh,
                **{key: arm.get(key) for key in ("arm", "seeds", "val_id_map", *ON_TEST, "verdict")},
            }
        )
    return pl.DataFrame(rows, schema=SEARCH.columns)


def budgets_table(experiment: Experiment, progress: pl.DataFrame, winners: Mapping[str, Any]) -> pl.DataFrame:
    """Return BUDGETS: each search against each study with matched steps, both cut at the smaller of what they spent.

    Trials count in the order in which they were proposed. progress: PROGRESS. winners: as of `budget_table`.
    """
    own = {name: progress.filter(pl.col("study") == name) for name in experiment.studies}
    matched = [name for name, study in experiment.studies.items() if study.matched_to]
    rows = []
    for name, other, cost in product(own, matched, BUDGET):
        pair = (name, other)
        if name in matched or any(own[study][cost].null_count() == own[study].height for study in pair):
            continue
        amount = min(float(own[study][cost].max()) for study in pair)
        cut = [own[study].filter(pl.col(cost) <= amount) for study in pair]
        best = [within["best"].max() for within in cut]
        found = [
            winners.get(study, {}).get("trial") in within["trial"] for study, within in zip(pair, cut, strict=True)
        ]
        rows.append(
            {
                "experiment": experiment.name,
                "study": name,
                "other": other,
                "budget": BUDGET[cost],
                "amount": amount,
                "trials": cut[0].height,
                "other_trials": cut[1].height,
                "value": best[0],
                "other_value": best[1],
                "gain": None if None in best else best[0] - best[1],
                "winners_within": all(found),
            }
        )
    return pl.DataFrame(rows, schema=BUDGETS.columns)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return the settings of a trial on one line, numbers in three significant digits."""
    return ", ".join(f"{axis}={value_text(value)}" for axis, value in settings.items() if value is not None)


def value_text(value: Any) -> str:
    """Return a value of an axis as it is printed."""
    return f"{value:.3g}" if isinstance(value, float) else setting(value)


def efficiency_table(experiment: Experiment, efficiency: pl.DataFrame) -> pl.DataFrame:
    """Return SEARCH_EFFICIENCY, a row per study. efficiency: TRIALS_EFFICIENCY."""
    rows = []
    for name in experiment.studies:
        own = efficiency.filter(pl.col("study") == name)
        timed = own["seconds"].null_count() == 0
        devices = "; ".join(sorted(set(own["device"].drop_nulls())))
        rows.append([experiment.name, name, own.height, own["seconds"].sum() if timed else None, devices])
    return pl.DataFrame(rows, schema=SEARCH_EFFICIENCY.columns, orient="row")


def arms_of_studies(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Return the arms of the winners of searches, and those of studies whose budget is matched to another study's."""
    arms = winner_arms(experiment)
    matched = [arm for study, arm in arms.items() if experiment.studies[study].matched_to]
    return [arm for arm in arms.values() if arm not in matched], matched


def winners_that_tie(experiment: Experiment, comparisons: pl.DataFrame, level: float = LEVEL) -> list[str]:
    """Return the winners of searches that are not significantly different from the best of them on test.

    comparisons: COMPARISONS of the experiment; paired by identity and seed, corrected.
    """
    found = _differences(comparisons, arms_of_studies(experiment)[0])
    return ties_with_best(found, level) if found and all(values.size for values in found.values()) else []


def against_matched(
    experiment: Experiment, comparisons: pl.DataFrame, results: pl.DataFrame, level: float = LEVEL
) -> list[dict[str, Any]]:
    """Return rows of arm, other and AGAINST: winner minus the winner of a study with a matched budget, on test.

    Where the experiment names the one as the other's control, what its results say; else corrected over these pairs.
    """
    searched, matched = arms_of_studies(experiment)
    differences = _differences(comparisons, [*searched, *matched])
    by_arm = {row["arm"]: row for row in results.to_dicts()}
    controlled, pairs = {}, {}
    for arm in searched:
        for other in matched:
            row = by_arm.get(arm, {})
            if row.get("against") == other and row["against_delta"] is not None:
                controlled[arm, other] = {key: row[f"against_{key}"] for key in AGAINST}
            elif arm in differences and other in differences and min(differences[arm].shape) >= 2:
                pairs[arm, other] = differences[arm] - differences[other]
    named = {f"{arm}\0{other}": values for (arm, other), values in pairs.items()}
    compared = compare(named, level, margin=experiment.equivalence) if named else {}
    paired = {pair: {key: getattr(compared["\0".join(pair)], key) for key in AGAINST} for pair in pairs}
    return [{"arm": arm, "other": other} | values for (arm, other), values in (controlled | paired).items()]


def validated_rows(quantity: Quantity, experiment: Experiment, budgets: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES: the gain on validation of each winner's search at equal training FLOPs. budgets: BUDGETS."""
    arms = winner_arms(experiment)
    own = budgets.filter(pl.col("budget") == BUDGET["train_flops"], pl.col("study").is_in(list(arms)))
    own = own.unique("study", keep="first", maintain_order=True)
    return described(
        quantity,
        (
            {"arm": arms[row["study"]], "value": row["gain"], "reference": arms.get(row["other"])}
            for row in own.to_dicts()
        ),
    )


def quantity_rows(quantity: Quantity, gains: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES: the gain of each winner over that of the first study with matched steps.

    gains: of `against_matched`.
    """
    firsts: dict[str, dict[str, Any]] = {}
    for row in gains:
        firsts.setdefault(row["arm"], row)
    return described(
        quantity,
        (
            {
                "arm": arm,
                "value": row["delta"],
                "reference": row["other"],
                "delta": row["delta"],
                "delta_low": row["low"],
                "delta_high": row["high"],
                "p_adjusted": row["p_adjusted"],
                "verdict": row["verdict"],
            }
            for arm, row in firsts.items()
        ),
    )


def _differences(comparisons: pl.DataFrame, arms: Iterable[str]) -> dict[str, np.ndarray]:
    """Return arm -> its differences from the baseline, (identities, seeds), on the identities and seeds that all share.

    The difference of two arms is that of their differences from the baseline.
    """
    rows = comparisons.filter(pl.col("flank").is_null() & pl.col("delta_by_seed").is_not_null())
    found: dict[str, dict[str, list[float]]] = {}
    for arm, identity, values in rows.select("arm", "identity", "delta_by_seed").iter_rows():
        found.setdefault(arm, {})[identity] = values
    own = {arm: found[arm] for arm in arms if arm in found}
    if not own:
        return {}
    shared = sorted(set.intersection(*(set(values) for values in own.values())))
    seeds = min(len(values) for each in own.values() for values in each.values())
    return {
        arm: np.array([values[identity][:seeds] for identity in shared], dtype=float).reshape(len(shared), seeds)
        for arm, values in own.items()
    }
