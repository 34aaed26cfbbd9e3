"""Tables of an experiment with new individuals: decisions by arm and promised rate, curves, and suspected individuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.average_precision import identity_balanced
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.open_set import (
    PROMISED,
    Decision,
    Trials,
    among,
    balanced_threshold,
    calibration,
    fit,
    measures,
    risk_coverage,
    roc,
    surpassing,
    trials,
)
from reidflow.evaluation.retrieval_queries import scores
from reidflow.evaluation.runs import TrainedRun, arm_retrieval, left_out_retrieval
from reidflow.evaluation.unknowns import Linking, agreement, fit_linking, of_groups
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract
from reidflow.tables.arms import known, mean
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import Scores

PROMISES = (0.01, 0.02, PROMISED, 0.1, 0.2, 0.3)
"""Rates of false matches that are promised and measured."""
_S, _I, _F, _B = pl.String, pl.Int64, pl.Float64, pl.Boolean
_PROMISED = Column("promised", _F, "promised", "share", "Rate of false matches that is promised.")
_TRIALS = Column("trials", _F, "trials", "number1", "Effective number of independent validation queries that the threshold was chosen by.")  # fmt: skip
_MEASURED = [
    Column("false_match", _F, "false match", "share1", "Share of the queries of new individuals that are answered with a known one.", nullable=True),
    Column("true_match", _F, "true match", "share1", "Share of the queries of known individuals that are answered, rightly or not.", nullable=True),
    Column("baks", _F, "BAKS", "number", "Share of the queries of known individuals that are answered with the right one.", nullable=True),
    Column("baus", _F, "BAUS", "number", "Share of the queries of new individuals that are called new.", nullable=True),
    Column("geometric", _F, "geometric mean", "number", "Geometric mean of BAKS and BAUS, the score of AnimalCLEF 2025.", nullable=True),
]  # fmt: skip
OPEN_SET = Contract(
    "arms with new individuals",
    [
        *columns("experiment", "arm", "baseline"),
        column("seeds").but(meaning="Training seeds, over which the other columns are means."),
        Column("new_val", _I, "new, validation", "count", "New individuals of validation."),
        Column("new_test", _I, "new, test", "count", "New individuals of test."),
        Column("auroc", _F, "AUROC", "number", "Probability that a query of a known individual has a better best candidate than one of a new individual, each individual weighing the same.", nullable=True),
        _PROMISED,
        *_MEASURED,
        _TRIALS.but(nullable=True),
        Column("attainable", _F, "attainable", "share1", "Smallest rate of false matches that so many trials can promise.", nullable=True),
        Column("left_out_seeds", _I, "seeds with known", "count", "Seeds in which known individuals, left out of the gallery, count as trials: what they find there is known, and they do not score significantly lower than new ones."),
        Column("best_false_match", _F, "false match, balanced", "share1", "Share of false matches at the threshold with the largest geometric mean on validation.", nullable=True),
        Column("best_geometric", _F, "geometric mean, balanced", "number", "Geometric mean of BAKS and BAUS at that threshold.", nullable=True),
        Column("calibration_error", _F, "calibration error", "number", "Expected calibration error of the probability that a query is new, for the true share of new queries.", nullable=True),
    ],
)  # fmt: skip
RATES = Contract(
    "promised rates of false matches",
    [
        *columns("experiment", "arm", "seed"),
        _PROMISED,
        Column("threshold", _F, "threshold", "number", "Score of the best candidate up to which a test query is called new; empty where no score is a number, and all are.", nullable=True),
        *_MEASURED,
        _TRIALS,
        Column("kept", _B, "enough", "yes_no", "Whether there are enough trials for the promise."),
        Column("alike", _F, "p of known", "probability", "p value of the test whether known individuals, left out of the gallery, score as new ones do.", nullable=True),
        Column("left_out", _I, "known left out", "count", "Known individuals, left out of the gallery, whose queries count as trials."),
    ],
)  # fmt: skip
CURVES = Contract(
    "curves with new individuals",
    [
        *columns("experiment", "arm"),
        Column("curve", _S, "curve", "text", "roc: true match (y) by false match (x); risk: share of wrong answers (y) by the share of queries answered (x)."),
        Column("x", _F, "x", "number", "Horizontal coordinate."),
        Column("y", _F, "y", "number", "Vertical coordinate."),
    ],
)  # fmt: skip
LINKING = Contract(
    "suspected individuals by arm",
    [
        *columns("experiment", "arm"),
        Column("method", _S, "method", "text", "How groups of queries that were called new are put together."),
        Column("parameter", _F, "parameter", "number2", "Chosen on validation: the probability from which groups are linked; of HDBSCAN, min_samples."),
        Column("val_ari", _F, "ARI, validation", "number", "Adjusted Rand index on the new individuals of validation.", nullable=True),
        Column("ari", _F, "ARI", "number", "Adjusted Rand index on test, over groups that were called new.", nullable=True),
        column("nmi").but(meaning="Normalised mutual information on test."),
        Column("groups", _I, "groups", "count", "Groups of test queries that were called new."),
        Column("found", _I, "individuals found", "count", "Suspected individuals among them."),
        Column("true", _I, "true individuals", "count", "Individuals among them by their labels."),
    ],
)  # fmt: skip
UNKNOWNS = Contract(
    "queries called new",
    [
        *columns("experiment", "arm"),
        column("image").but(meaning="Query of test that was called new, first seed."),
        column("identity").but(meaning="The individual by its label."),
        Column("new", _B, "new", "yes_no", "Whether it is a new individual."),
        Column("probability", _F, "probability", "number2", "Probability that it is new."),
        Column("suspected", _S, "suspected individual", "text", "Name of the individual that it is suspected to show; empty where none could be chosen on validation.", nullable=True),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Decided:
    """A run with its trials on validation and test, and its decisions by the rate that they promise."""

    run: TrainedRun
    val: Trials
    test: Trials
    decisions: Mapping[float, Decision]

    @property
    def decision(self) -> Decision:
        """The decision that keeps the headline's promise."""
        return self.decisions[PROMISED]

    def new(self, promised: float = PROMISED) -> np.ndarray:
        """Return which test queries, (Q,), are called new."""
        return self.decisions[promised].is_new(self.test.best, self.test.gallery)


def decided(layout: Layout, runs: Sequence[TrainedRun], mirrored: pl.DataFrame | None) -> list[Decided]:
    """Return the runs with their decisions. layout: of test."""
    found: dict[tuple, tuple[Trials, Trials, dict[float, Decision]]] = {}
    for run in runs:
        if run.scored_as not in found:
            val, test = (arm_retrieval(each, run, mirrored) for each in (layout.validation, layout))
            left_out = left_out_retrieval(layout.validation, run, mirrored)
            val, test = trials(layout.validation, val, left_out), trials(layout, test)
            found[run.scored_as] = val, test, {promised: fit(val, promised) for promised in PROMISES}
    return [Decided(run, *found[run.scored_as]) for run in runs]


def rates_table(experiment: Experiment, made: Sequence[Decided]) -> pl.DataFrame:
    """Return RATES: a row for each run and promised rate."""
    rows = []
    for own in made:
        for promised, decision in own.decisions.items():
            values = measures(own.test, own.new(promised))
            rows.append(
                {
                    "experiment": experiment.name,
                    "arm": own.run.arm,
                    "seed": own.run.seed,
                    "promised": promised,
                    "threshold": decision.threshold_for(own.test.gallery),
                    **{each.name: known(values[each.name]) for each in _MEASURED},
                    "trials": decision.trials,
                    "kept": decision.kept,
                    "alike": decision.alike,
                    "left_out": decision.left_out,
                }
            )
    return pl.DataFrame(rows, schema=RATES.columns)


def arms_table(experiment: Experiment, made: Sequence[Decided], rates: pl.DataFrame) -> pl.DataFrame:
    """Return OPEN_SET: a row per arm that was run, in the order of the experiment."""
    rows = []
    for arm, own in by_arm(experiment, made).items():
        at = rates.filter((pl.col("arm") == arm) & (pl.col("promised") == PROMISED))
        balanced = [_balanced(each) for each in own]
        chosen = [each.decision for each in own if each.decision.threshold is not None]
        rows.append(
            {
                "experiment": experiment.name,
                "arm": arm,
                "baseline": arm == experiment.file.baseline,
                "seeds": len(own),
                "new_val": len(np.unique(own[0].val.identity[own[0].val.new])),
                "new_test": len(np.unique(own[0].test.identity[own[0].test.new])),
                "auroc": _over([measures(each.test, each.new())["auroc"] for each in own]),
                "promised": PROMISED,
                **{each.name: _over(at[each.name].to_list()) for each in _MEASURED},
                "trials": _over([each.trials for each in chosen]),
                "attainable": _over([each.attainable for each in chosen]),
                "left_out_seeds": int((at["left_out"] > 0).sum()),
                "best_false_match": _over([each["false_match"] for each in balanced]),
                "best_geometric": _over([each["geometric"] for each in balanced]),
                "calibration_error": _over([_calibration_error(each) for each in own]),
            }
        )
    return pl.DataFrame(rows, schema=OPEN_SET.columns)


def by_arm(experiment: Experiment, made: Sequence[Decided]) -> dict[str, list[Decided]]:
    """Return arm -> its runs, in the order of the experiment."""
    found = {arm: [own for own in made if own.run.arm == arm] for arm in experiment.arms}
    return {arm: own for arm, own in found.items() if own}


def _over(values: Sequence[float | None]) -> float | None:
    """Return the mean over seeds; None where one has no value, or there is none."""
    found = [known(value) for value in values]
    return None if None in found or not found else mean(found)


def _balanced(own: Decided) -> dict[str, float]:
    """Return the measures on test at the threshold that is best on validation, moved to the size of test's gallery."""
    threshold = balanced_threshold(own.val)
    if np.isnan(threshold):
        return {"false_match": threshold, "geometric": threshold}
    return measures(own.test, own.test.best <= threshold + own.decision.grown(own.test.gallery))


def _calibration_error(own: Decided) -> float:
    test = own.test
    either = test.known | test.new
    if own.decision.threshold is None:
        return float("nan")
    share = float(np.clip(test.new[either].mean(), 0.01, 0.99)) if either.any() else 0.5
    probability = own.decision.probability_new(test.best[either], test.gallery, prior=share)
    return calibration(probability, test.new[either])[0]


def values_of(made: Mapping[str, Sequence[Decided]], names: Mapping[int, str]) -> dict[str, dict[str, Scores]]:
    """Return quantity -> arm -> identities and the value of each with each seed. names: identity's code -> its name."""
    kinds = {
        "auroc": (lambda own: surpassing(own.test), "known"),
        "baks": (lambda own: np.where(own.test.known, (own.test.right & ~own.new()).astype(float), np.nan), "known"),
        "baus": (lambda own: np.where(own.test.new, own.new().astype(float), np.nan), "new"),
    }
    found: dict[str, dict[str, Scores]] = {}
    for quantity, (of, whose) in kinds.items():
        found[quantity] = {}
        for arm, own in made.items():
            codes = np.unique(own[0].test.identity[getattr(own[0].test, whose)])
            columns_ = [_by_identity(of(each), each.test.identity, codes) for each in own]
            found[quantity][arm] = [names[code] for code in codes], np.stack(columns_, axis=1)
    return found


def _by_identity(values: np.ndarray, identity: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.array([identity_balanced(values[identity == code], identity[identity == code]) for code in codes])


def curves_table(experiment: Experiment, made: Sequence[Decided]) -> pl.DataFrame:
    """Return CURVES: of the first run of each arm."""
    parts = [CURVES.empty()]
    for arm, own in by_arm(experiment, made).items():
        for curve, of in (("roc", roc), ("risk", risk_coverage)):
            x, y = of(own[0].test)
            named = {"experiment": experiment.name, "arm": arm, "curve": curve}
            parts.append(
                pl.DataFrame({"x": x, "y": y}).select(*(pl.lit(v).alias(k) for k, v in named.items()), "x", "y")
            )
    return pl.concat(parts)


def linked(
    experiment: Experiment, layout: Layout, made: Sequence[Decided], mirrored: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return LINKING and UNKNOWNS: of the first run of each arm; suspected individuals by the method that is best on validation."""
    rows, parts = [], [UNKNOWNS.empty()]
    for arm, (own, *_) in by_arm(experiment, made).items():
        val, new = layout.validation, own.new()
        similarity, identity, _ = _groups(val, val.query[own.val.new], own.run, mirrored)
        choice = fit_linking(similarity, identity)
        called = layout.query[new]
        similarity, identity, place = _groups(layout, called, own.run, mirrored)
        for linking in choice:
            found = agreement(linking.clusters(similarity), identity)
            rows.append(
                {
                    "experiment": experiment.name,
                    "arm": arm,
                    "method": linking.method,
                    "parameter": linking.parameter,
                    "val_ari": known(linking.ari),
                    "ari": known(found.ari),
                    "nmi": known(found.nmi),
                    "groups": len(identity),
                    "found": found.found,
                    "true": found.true,
                }
            )
        parts.append(_unknowns(experiment.name, layout, own, choice, similarity, place))
    return pl.DataFrame(rows, schema=LINKING.columns), pl.concat(parts)


def _groups(
    layout: Layout, rows: np.ndarray, run: TrainedRun, mirrored: pl.DataFrame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the similarities (n, n) of the groups of some images of the split, the identity of each, and each image's group."""
    if not len(rows):
        return np.empty((0, 0)), np.empty(0, int), np.empty(0, int)
    own = among(layout, rows)
    values = scores(arm_retrieval(own, run, mirrored), slice(0, len(rows)))
    similarity, place = of_groups(values, layout.group[rows])
    identity = np.empty(len(similarity), int)
    identity[place] = layout.identity[rows]
    return similarity, identity, place


def _unknowns(
    experiment: str, layout: Layout, own: Decided, choice: Sequence[Linking], similarity: np.ndarray, place: np.ndarray
) -> pl.DataFrame:
    called = own.new()
    suspected: list[str | None] = [None] * int(called.sum())
    if choice and len(place):
        best = max(choice, key=lambda linking: round(linking.ari, 12))
        suspected = [f"unknown {number + 1}" for number in best.clusters(similarity)[place].tolist()]
    about: dict[str, Any] = {
        "experiment": [experiment] * len(suspected),
        "arm": [own.run.arm] * len(suspected),
        "image": layout.table[layout.query[called]]["image"],
        "identity": layout.table[layout.query[called]]["identity"],
        "new": own.test.new[called],
        "probability": own.decision.probability_new(own.test.best[called], own.test.gallery),
        "suspected": suspected,
    }
    return pl.DataFrame(about, schema=UNKNOWNS.columns)
