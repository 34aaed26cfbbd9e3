"""The tables of an experiment on several splits: each arm's mAP in each setting, and how much of it survives."""

import statistics
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
from reidflow.store.tables import Contract
from reidflow.tables.arms import EvaluatedArm, by_arm, known, mean
from reidflow.tables.comparisons import AGAINST, LEVEL, Paired, against_controls, judge, pair
from reidflow.tables.experiment import BASELINE, INCONCLUSIVE

VALIDATION = "validation"
WORDS = {"closed_set": "known identities", "identity_disjoint": "unseen identities"}
_DIFFERENCE = dict.fromkeys(("delta", "delta_low", "delta_high", "p_holm", "smallest_detectable"), pl.Float64)
_TESTED = dict.fromkeys(("val_id_map", "chance", "top1", "top5", "top10"), pl.Float64)
_COUNTED = dict.fromkeys(("queries", "identities"), pl.Int64)
GAP = Contract(
    "arms in each setting",
    {
        "experiment": pl.String,
        "arm": pl.String,
        "baseline": pl.Boolean,
        "setting": pl.String,
        "own": pl.Boolean,  # of the experiment's own split
        "split": pl.String,  # its split in words
        "seeds": pl.Int64,
        "id_map": pl.Float64,  # of validation images in the setting VALIDATION, else of test images
        "id_map_std": pl.Float64,
        "id_map_by_seed": pl.List(pl.Float64),
        **_TESTED,  # val_id_map: of the validation images of the same split
        **_COUNTED,
        **_DIFFERENCE,  # to the baseline in this setting, corrected over the arms
        "verdict": pl.String,
        **AGAINST,  # the same to the arm that is its control, where it names one
    },
    nullable=frozenset({"id_map", "id_map_std", *_TESTED, *_COUNTED, *_DIFFERENCE, "verdict", *AGAINST}),
)
_SHARES = dict.fromkeys(("above", "above_low", "above_high", "kept", "kept_low", "kept_high"), pl.Float64)
LOST = Contract(
    "what arms keep of the score above chance",
    {
        "experiment": pl.String,
        "arm": pl.String,
        "baseline": pl.Boolean,
        "setting": pl.String,
        "reference": pl.String,  # the setting whose score above chance is the whole
        **_SHARES,  # above: mAP minus chance; kept: its share of the reference's
        "note": pl.String,
    },
    nullable=frozenset(_SHARES),
)


@dataclass(frozen=True)
class Condition:
    """A setting that every arm was trained and tested in."""

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
    """Return the settings of an experiment: those of `also_on` in the order of its file, then its own split.

    own: METRICS and PER_QUERY of its runs. also: ALSO_ON and ALSO_ON_QUERIES. sided: whether the data have images of the
    side `gallery`. Raises ReidflowError where the baseline was not run in one of them.
    """
    divisions = {**experiment.also_on, own_name(config, sided, list(experiment.also_on)): experiment.division}
    tables = {label: [table.filter(pl.col("label") == label) for table in also] for label in experiment.also_on}
    found = []
    for name, division in divisions.items():
        arms = _evaluated(experiment, *tables.get(name, own))
        if experiment.file.baseline not in arms:
            raise ReidflowError(
                f"{experiment.path}: the baseline {experiment.file.baseline} has no runs in '{name}'. Delete the "
                "experiment's also_on.parquet and run again."
            )
        found.append(Condition(name, in_words(division, sided), name not in tables, arms))
    return found


def own_name(config: Config, sided: bool, taken: list[str]) -> str:
    """Return what the experiment's own split is called: `unseen identities, across domains`."""
    split = WORDS.get(config.split["name"], config.split["name"])
    name = f"{split}, across domains" if sided and config.sides == "across" else split
    return f"{name} (own)" if name in (*taken, VALIDATION) else name


def in_words(division: dict[str, Any], sided: bool) -> str:
    """Return what decides a split in words: `identity_disjoint, photographs alone, 20% of them ask`."""
    sides = {"across": "photographs among images of the side gallery", "within": "photographs alone"}
    parts = [division["split"]["name"], sides[division["sides"]] if sided else ""]
    parts.append(f"{division['queries']:.0%} of them ask" if division["queries"] else "")
    return ", ".join(filter(None, parts))


def _evaluated(experiment: Experiment, metrics: pl.DataFrame, per_query: pl.DataFrame) -> dict[str, EvaluatedArm]:
    runs, asked = by_arm(metrics), by_arm(per_query)
    nothing = pl.DataFrame()
    return {
        name: EvaluatedArm(name, tuple(runs[name]["seed"]), runs[name], asked[name], nothing, nothing, None)
        for name in experiment.arms
        if name in runs
    }


def gap_table(
    experiment: Experiment, found: list[Condition], results: pl.DataFrame, level: float = LEVEL
) -> pl.DataFrame:
    """Return GAP: arms in the order of the experiment; settings: validation, then as `conditions` has them.

    found: of `conditions`. results: the experiment's RESULTS, whose differences are those of its own split.
    """
    own = next(condition for condition in found if condition.own)
    judged = {c.name: _told(results) if c.own else _judged(c, experiment, level) for c in found}
    rows = []
    for name in experiment.arms:
        rows += [_validation(own, name, experiment)] if name in own.arms else []
        rows += [
            _row(condition, name, experiment) | judged[condition.name].get(name, {})
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
        "setting": condition.name,
        "own": condition.own,
        "split": condition.split,
        **_spread(arm.metrics["id_map"]),
        **{column: _mean(arm.metrics[column]) for column in _TESTED},
        **{column: arm.metrics[column].max() for column in _COUNTED},
        "verdict": BASELINE if baseline else INCONCLUSIVE,
    }


def _validation(own: Condition, name: str, experiment: Experiment) -> dict[str, Any]:
    """Return the row of the images that chose the weights: nothing is concluded from their scores."""
    runs, base = own.arms[name].metrics["val_id_map"], own.arms[experiment.file.baseline].metrics["val_id_map"]
    told = {"baseline": name == experiment.file.baseline, "setting": VALIDATION, "own": False, "split": own.split}
    pairs = [(known(ours), known(theirs)) for ours, theirs in zip(runs, base, strict=False)]
    whole = not told["baseline"] and pairs and all(None not in both for both in pairs)
    delta = mean(ours - theirs for ours, theirs in pairs) if whole else None
    spread = _spread(runs)
    return {
        "experiment": experiment.name,
        "arm": name,
        **told,
        **spread,
        "val_id_map": spread["id_map"],
        "delta": delta,
        "verdict": BASELINE if told["baseline"] else None,
    }


def _spread(values: pl.Series) -> dict[str, Any]:
    by_seed = [known(value) for value in values]
    whole = None not in by_seed
    return {
        "seeds": len(by_seed),
        "id_map": mean(by_seed) if whole and by_seed else None,
        "id_map_std": statistics.stdev(by_seed) if whole and len(by_seed) > 1 else None,
        "id_map_by_seed": by_seed,
    }


def _mean(values: pl.Series) -> float | None:
    return _spread(values)["id_map"]


def _told(results: pl.DataFrame) -> dict[str, dict[str, Any]]:
    rows = results.select("arm", *_DIFFERENCE, "verdict", *AGAINST).to_dicts()
    return {row.pop("arm"): row for row in rows}


def _judged(condition: Condition, experiment: Experiment, level: float) -> dict[str, dict[str, Any]]:
    arms, baseline = condition.arms, experiment.file.baseline
    pairs = {name: pair(arm, arms[baseline]) for name, arm in arms.items() if name != baseline}
    verdicts, controls = judge(pairs, level), against_controls(experiment, arms, pairs, level)
    return {n: _difference(paired, verdicts.get(n)) | controls.get(n, {}) for n, paired in pairs.items()}


def _difference(paired: Paired, found: Comparison | None) -> dict[str, Any]:
    if found is None:
        return {"delta": paired.delta}
    return {
        "delta": found.delta,
        "delta_low": found.low,
        "delta_high": found.high,
        "p_holm": found.p_holm,
        "smallest_detectable": found.smallest_detectable,
        "verdict": found.verdict,
    }


def effects(gap: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what each arm changes in each setting: its difference to its control, to the baseline where it has none.

    gap: of `gap_table`. An entry: arm, setting, beside (what it is compared with), delta, low, high, verdict,
    smallest_detectable. Left out: validation, and what could not be compared.
    """
    found = []
    for row in gap.filter((pl.col("setting") != VALIDATION) & ~pl.col("baseline")).to_dicts():
        columns = {"delta": "delta", "low": "delta_low", "high": "delta_high", "verdict": "verdict"}
        columns["smallest_detectable"] = "smallest_detectable"
        beside = row["against"] or gap.filter("baseline")["arm"][0]
        if row["against"]:
            columns = {name: f"against_{name}" for name in columns}
        if row[columns["delta"]] is not None:
            told = {name: row[column] for name, column in columns.items()}
            found.append({"arm": row["arm"], "setting": row["setting"], "beside": beside, **told})
    return found


def lost_table(experiment: Experiment, found: list[Condition], level: float = LEVEL) -> pl.DataFrame:
    """Return LOST: for each arm the share of its score above chance that it keeps from the first setting to the others.

    The interval of the share is that of a ratio of two means, linearised (Cochran, Sampling Techniques, 1977, section
    6.4), each over identities and seeds crossed, the two as if they were independent: different splits test different
    images. Not defined where the interval of the first setting's score does not lie above chance.
    """
    rows = []
    for name in experiment.arms:
        above = {c.name: _above(c.arms[name]) for c in found if name in c.arms}
        first = above.get(found[0].name)
        for setting, own in above.items():
            row = {
                "experiment": experiment.name,
                "arm": name,
                "baseline": name == experiment.file.baseline,
                "setting": setting,
                "reference": found[0].name,
                "note": "",
            }
            rows.append(row | _bounds(own, level) | _kept(own, first, own is first, level))
    return pl.DataFrame([{column: row.get(column) for column in LOST.columns} for row in rows], schema=LOST.columns)


def _above(arm: EvaluatedArm) -> MeanDifference | None:
    """Return the mean of mAP minus chance over identities and seeds; None where it cannot be told how sure it is."""
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
        return {"note": "one seed or one identity alone: how sure the scores are is unknown"}
    if not interval(first, level)[0] > 0:
        return {"note": "not above chance in the first setting"}
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
