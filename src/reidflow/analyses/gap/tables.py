"""The tables of an experiment on several splits: each arm's mAP in each condition, and the share of it that is kept."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtrit

from reidflow.evaluation.statistics import Comparison, MeanDifference, interval, mean_difference
from reidflow.spec.config import Config
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.inference import transductive
from reidflow.spec.quantities import Quantity
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.arms import EvaluatedArm, evaluated_arms, known, mean
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import AGAINST, LEVEL, Paired, against_controls, judge, judged, pair
from reidflow.tables.experiment import BASELINE, INCONCLUSIVE
from reidflow.tables.quantities import described

VALIDATION = "validation"
IDENTITIES = {"closed_set": "known identities", "identity_disjoint": "unseen identities"}
_TESTED = ("val_id_map", "chance", "top1", "top5", "top10")
_COUNTED = ("queries", "identities")
_DIFFERENCE = ("delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable", "verdict")
_CONDITION = Column(
    "condition",
    pl.String,
    "condition",
    "text",
    "Split on which the arm was trained and tested; validation: the validation images of the experiment's own split.",
)
GAP = Contract(
    "arms in each condition",
    [
        *columns("experiment", "arm", "baseline"),
        _CONDITION,
        Column("own", pl.Boolean, "own split", "yes_no", "Whether the condition is the experiment's own split."),
        Column("split", pl.String, "split", "text", "How the images are split, and which of them are queries."),
        *columns("seeds", "id_map", "id_map_std", "id_map_by_seed", *_TESTED, *_COUNTED, *_DIFFERENCE[:-1]),
        *columns("interval", "against_interval"),
        column("verdict").but(nullable=True),
        *(column(name).but(nullable=True) for name in AGAINST),
    ],
)
LOST = Contract(
    "share of the score above chance that is kept",
    [
        *columns("experiment", "arm", "baseline"),
        _CONDITION,
        Column("reference", pl.String, "reference", "text", "Condition whose score above chance is the whole."),
        Column("above", pl.Float64, "mAP above chance", "number", "mAP minus chance.", nullable=True),
        Column("above_low", pl.Float64, "lower end", "number", "Lower end of its 95 % interval.", nullable=True),
        Column("above_high", pl.Float64, "upper end", "number", "Upper end of its 95 % interval.", nullable=True),
        Span("above_interval", ("above_low", "above_high"), "interval", "interval",
             "95 % interval of mAP minus chance, over identities and seeds."),
        Column("kept", pl.Float64, "share kept", "share", "Share of the reference's mAP above chance.", nullable=True),
        Column("kept_low", pl.Float64, "lower end", "share", "Lower end of its 95 % interval.", nullable=True),
        Column("kept_high", pl.Float64, "upper end", "share", "Upper end of its 95 % interval.", nullable=True),
        Span("kept_interval", ("kept_low", "kept_high"), "interval of the share", "interval_share",
             "95 % interval of the share kept."),
        column("note").but(meaning="Why there is no share."),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """A split on which every arm was trained and tested."""

    name: str
    split: str
    own: bool
    arms: dict[str, EvaluatedArm]


def conditions(
    experiment: Experiment,
    config: Config,
    own: tuple[pl.DataFrame, pl.DataFrame],
    also: tuple[pl.DataFrame, pl.DataFrame],
    sided: bool,
) -> list[Condition]:
    """Return the conditions of an experiment: those of `also_on` in the order of its file, then its own split.

    own: METRICS and PER_QUERY of its runs. also: ALSO_ON and ALSO_ON_QUERIES. sided: whether the data have images of the
    side `gallery`. Raises ReidflowError where the baseline was not run in one of them.
    """
    divisions = {**experiment.also_on, own_name(config, sided, experiment.also_on): experiment.division}
    tables = {label: [table.filter(pl.col("label") == label) for table in also] for label in experiment.also_on}
    found = []
    for name, division in divisions.items():
        arms = evaluated_arms(experiment, *tables.get(name, own))
        if experiment.file.baseline not in arms:
            raise ReidflowError(
                f"{experiment.path}: the baseline {experiment.file.baseline} has no runs in '{name}'. Delete the "
                "experiment's also_on.parquet and run again."
            )
        found.append(Condition(name, describe_split(division, sided), name not in tables, arms))
    return found


def own_name(config: Config, sided: bool, taken: Iterable[str]) -> str:
    """Return the name of the experiment's own condition: `unseen identities, across domains`."""
    identities = IDENTITIES.get(config.split["name"], config.split["name"])
    name = f"{identities}, across domains" if sided and config.sides == "across" else identities
    return f"{name} (own)" if name in (*taken, VALIDATION) else name


def describe_split(division: dict[str, Any], sided: bool) -> str:
    """Return what defines a split: `identity_disjoint, query side only, 20% of the test images as queries`."""
    sides = {"across": "query side against gallery side", "within": "query side only"}
    parts = [division["split"]["name"], sides[division["sides"]] if sided else ""]
    parts.append(f"{division['queries']:.0%} of the test images as queries" if division["queries"] else "")
    return ", ".join(filter(None, parts))


def gap_table(
    experiment: Experiment, found: list[Condition], results: pl.DataFrame, level: float = LEVEL
) -> pl.DataFrame:
    """Return GAP: arms in the order of the experiment; conditions: validation, then as `conditions` has them.

    found: of `conditions`. results: the experiment's RESULTS, whose differences are those of its own split.
    """
    own = next(condition for condition in found if condition.own)
    compared = {c.name: _of_results(results) if c.own else _compared(c, experiment, level) for c in found}
    rows = []
    for name in experiment.arms:
        rows += [_validation(own, name, experiment)] if name in own.arms else []
        rows += [
            _row(condition, name, experiment) | compared[condition.name].get(name, {})
            for condition in found
            if name in condition.arms
        ]
    return pl.DataFrame([{column: row.get(column) for column in GAP.columns} for row in rows], schema=GAP.columns)


def _row(condition: Condition, name: str, experiment: Experiment) -> dict[str, Any]:
    arm, baseline = condition.arms[name], experiment.file.baseline == name
    return {
        "experiment": experiment.name,
        "arm": name,
        "baseline": baseline,
        "condition": condition.name,
        "own": condition.own,
        "split": condition.split,
        **_over_seeds(arm.metrics["id_map"]),
        **{column: _mean(arm.metrics[column]) for column in _TESTED},
        **{column: arm.metrics[column].max() for column in _COUNTED},
        "verdict": BASELINE if baseline else INCONCLUSIVE,
    }


def _validation(own: Condition, name: str, experiment: Experiment) -> dict[str, Any]:
    """Return the row of the validation images, which chose the weights: differences on them have no verdict."""
    runs, base = own.arms[name].metrics["val_id_map"], own.arms[experiment.file.baseline].metrics["val_id_map"]
    baseline, scores = name == experiment.file.baseline, _over_seeds(runs)
    pairs = [(known(ours), known(theirs)) for ours, theirs in zip(runs, base, strict=False)]
    complete = not baseline and pairs and all(None not in both for both in pairs)
    return {
        "experiment": experiment.name,
        "arm": name,
        "baseline": baseline,
        "condition": VALIDATION,
        "own": False,
        "split": own.split,
        **scores,
        "val_id_map": scores["id_map"],
        "delta": mean(ours - theirs for ours, theirs in pairs) if complete else None,
        "verdict": BASELINE if baseline else None,
    }


def _over_seeds(values: pl.Series) -> dict[str, Any]:
    by_seed = [known(value) for value in values]
    complete = None not in by_seed
    return {
        "seeds": len(by_seed),
        "id_map": mean(by_seed) if complete and by_seed else None,
        "id_map_std": statistics.stdev(by_seed) if complete and len(by_seed) > 1 else None,
        "id_map_by_seed": by_seed,
    }


def _mean(values: pl.Series) -> float | None:
    return _over_seeds(values)["id_map"]


def _of_results(results: pl.DataFrame) -> dict[str, dict[str, Any]]:
    rows = results.select("arm", *_DIFFERENCE, *AGAINST).to_dicts()
    return {row.pop("arm"): row for row in rows}


def _compared(condition: Condition, experiment: Experiment, level: float) -> dict[str, dict[str, Any]]:
    arms, baseline = condition.arms, experiment.file.baseline
    pairs = {name: pair(arm, arms[baseline]) for name, arm in arms.items() if name != baseline}
    verdicts = judge(pairs, level, margin=experiment.equivalence, looks=experiment.looks)
    controls = against_controls(experiment, arms, pairs, level)
    return {name: _difference(paired, verdicts.get(name)) | controls.get(name, {}) for name, paired in pairs.items()}


def _difference(paired: Paired, found: Comparison | None) -> dict[str, Any]:
    return {"delta": paired.delta} if found is None else {"delta": found.delta, **judged(found)}


def quantity_rows(experiment: Experiment, gap: pl.DataFrame, quantities: Sequence[Quantity]) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES: the mAP in each condition, against the baseline. gap: of `gap_table`."""
    rows = []
    for quantity in quantities:
        own = gap.filter(pl.col("condition") == quantity.name).to_dicts()
        numbers = {"value": "id_map", "std": "id_map_std", **{key: key for key in (*_DIFFERENCE[:4], "verdict")}}
        rows += described(
            quantity,
            (
                {
                    "arm": row["arm"],
                    "reference": None if row["baseline"] else experiment.file.baseline,
                    **{key: row[source] for key, source in numbers.items()},
                }
                for row in own
            ),
        )
    return rows


def effects(gap: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what each arm changes in each condition: its difference from its control, from the baseline without one.

    gap: of `gap_table`. A row: arm, condition, own, reference (the arm that it is compared with), delta, low, high,
    verdict, smallest_detectable. Validation and arms that could not be compared are left out.
    """
    found, baseline = [], gap.filter("baseline")["arm"][0]
    for row in gap.filter((pl.col("condition") != VALIDATION) & ~pl.col("baseline")).to_dicts():
        if row["against"]:
            names = [f"against_{name}" for name in ("delta", "low", "high", "verdict", "smallest_detectable")]
        else:
            names = ["delta", "delta_low", "delta_high", "verdict", "smallest_detectable"]
        delta, low, high, verdict, detectable = (row[name] for name in names)
        if delta is not None:
            about = {name: row[name] for name in ("arm", "condition", "own")}
            compared = {"reference": row["against"] or baseline, "delta": delta, "low": low, "high": high}
            found.append(about | compared | {"verdict": verdict, "smallest_detectable": detectable})
    return found


def lost_table(experiment: Experiment, found: list[Condition], level: float = LEVEL) -> pl.DataFrame:
    """Return LOST: for each arm the share of its score above chance that it keeps from the first condition to the others.

    The interval of the share is that of a ratio of two means, linearised (Cochran, Sampling Techniques, 1977, section
    6.4), each over identities and seeds crossed, the two taken as independent: different splits test different images.
    Undefined where the interval of the first condition's score reaches chance.
    """
    rows = []
    for name in experiment.arms:
        above = {c.name: _above(c.arms[name]) for c in found if name in c.arms}
        first = above.get(found[0].name)
        for condition, own in above.items():
            row = {
                "experiment": experiment.name,
                "arm": name,
                "baseline": name == experiment.file.baseline,
                "condition": condition,
                "reference": found[0].name,
                "note": "",
            }
            rows.append(row | _bounds(own, level) | _kept(own, first, own is first, level))
    return pl.DataFrame([{column: row.get(column) for column in LOST.columns} for row in rows], schema=LOST.columns)


def _above(arm: EvaluatedArm) -> MeanDifference | None:
    """Return the mean of mAP minus chance over identities and seeds; None where its uncertainty is unknown."""
    _, scores = arm.scores()
    chance = _mean(arm.metrics["chance"])
    return None if chance is None or min(scores.shape) < 2 else mean_difference(scores - chance)


def _bounds(own: MeanDifference | None, level: float) -> dict[str, float]:
    if own is None:
        return {}
    low, high = interval(own, level)
    return {"above": float(own.delta), "above_low": float(low), "above_high": float(high)}


def _kept(own: MeanDifference | None, first: MeanDifference | None, same: bool, level: float) -> dict[str, Any]:
    if own is None or first is None:
        return {"note": "only one seed or one identity: the uncertainty of the scores is unknown"}
    if not interval(first, level)[0] > 0:
        return {"note": "not above chance in the first condition"}
    kept = float(own.delta / first.delta)
    if same:
        return {"kept": 1.0}
    parts = np.array([own.standard_error, kept * first.standard_error]) / float(first.delta)
    error = float(np.hypot(*parts))
    freedom = _freedom(parts**2, np.array([own.degrees_of_freedom, first.degrees_of_freedom]))
    half = float(stdtrit(freedom, 1 - level / 2)) * error
    return {"kept": kept, "kept_low": kept - half, "kept_high": kept + half}


def _freedom(variances: np.ndarray, freedoms: np.ndarray) -> float:
    """Return the degrees of freedom of a sum of independent variances (Welch and Satterthwaite)."""
    parts = (variances**2 / freedoms).sum()
    return float(variances.sum() ** 2 / parts) if parts > 0 else float(freedoms.min())


def transductive_arms(experiment: Experiment) -> dict[str, list[str]]:
    """Return arm -> those of its inference components that use the other queries; arms without any are left out."""
    found = {name: transductive(arm.spec.inference) for name, arm in experiment.arms.items()}
    return {name: used for name, used in found.items() if used}
