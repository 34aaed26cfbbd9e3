"""The headline quantities of an experiment: values, differences and verdicts beside those of identity-balanced mAP."""

import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.spec.quantities import Quantity
from reidflow.store.tables import Column, Contract, Span, read_table
from reidflow.tables.arms import EvaluatedArm, known, mean
from reidflow.tables.columns import COLUMNS, column, columns
from reidflow.tables.comparisons import BASELINE, INCONCLUSIVE, LEVEL, Paired, Scores, controlled, judge, pair_scores

_S, _F = pl.String, pl.Float64
QUANTITIES = Contract(
    "quantities of arms",
    [
        *columns("arm"),
        Column("quantity", _S, "quantity", "text", "Name of the quantity, as in `headline`."),
        Column("heading", _S, "heading", "text", "Its name on pages."),
        Column("meaning", _S, "meaning", "text", "What it says."),
        Column("better", _S, "better", "text", "higher, lower: which of two values is to be preferred."),
        Column("format", _S, "format", "text", "How its values are printed."),
        Column("unit", _S, "unit", "text", "Unit of its values."),
        Column("value", _F, "value", "number", "Mean over identities and seeds.", nullable=True),
        Column("std", _F, "std over seeds", "number", "Standard deviation over training seeds.", nullable=True),
        Column("reference", _S, "compared with", "text", "Arm that the difference is from.", nullable=True),
        column("delta").but(meaning="Value minus the reference's, paired by identity and seed."),
        *columns("delta_low", "delta_high", "interval", "p_adjusted"),
        column("verdict").but(meaning="better, worse: significantly different, in the direction of `better`; equivalent: within the margin, for mAP.", nullable=True),
    ],
)  # fmt: skip
CONTROL = Quantity(
    "control",
    "gain over the control",
    "Balanced mAP of the arm minus that of its control, the arm that its `against` names.",
    "higher",
    "signed",
)
PLAIN = {
    "top1": "higher", "top5": "higher", "top10": "higher", "map": "higher", "map_at_r": "higher", "nmi": "higher",
    "steps": "lower", "train_flops": "lower", "flops": "lower", "parameters": "lower", "train_images": "lower",
}  # fmt: skip
"""Columns of RESULTS that may stand in the first table as they are, without a verdict: name -> the better direction."""
_DIFFERENCES = {
    "number": ("signed", "interval"),
    "number1": ("signed1", "interval1"),
    "share": ("points", "interval_points"),
}
"""Formats of a difference, of its interval and of both, by the format of the values."""
Row = dict[str, Any]


def core_quantities(experiment: Experiment) -> list[Quantity]:
    """Return the quantities that every experiment has, and that of controls where arms name one."""
    shared = [COLUMNS[name] for name in PLAIN]
    found = [Quantity(c.name, c.heading, c.meaning, PLAIN[c.name], c.format) for c in shared]
    return [CONTROL, *found] if any(arm.against for arm in experiment.arms.values()) else found


def compared(
    quantity: Quantity,
    scores: Mapping[str, Scores],
    baseline: str,
    level: float = LEVEL,
    largest: float = math.inf,
    margin: float | None = None,
) -> list[Row]:
    """Return rows of QUANTITIES: each arm against the baseline, paired by identity and seed, corrected over the arms.

    scores: arm -> its identities and the value of each with each seed. largest: no difference can be larger in size.
    margin: of equivalence, for values in units of mAP. No rows where the baseline has no values, or an arm no identity.
    """
    if baseline not in scores or not all(len(names) for names, _ in scores.values()):
        return []
    pairs = {arm: pair_scores(own, scores[baseline]) for arm, own in scores.items() if arm != baseline}
    found = judge(pairs, level, largest, margin)
    rows = []
    for arm, (_, values) in scores.items():
        by_seed = [known(mean(seed)) for seed in values.T.tolist()] if values.size else [None]
        whole = None not in by_seed
        row: Row = {"arm": arm, "value": mean(by_seed) if whole else None}
        row["std"] = statistics.stdev(by_seed) if whole and len(by_seed) > 1 else None
        row |= {"verdict": BASELINE} if arm == baseline else difference(quantity, baseline, pairs[arm], found.get(arm))
        rows.append(row)
    return described(quantity, rows)


def difference(quantity: Quantity, reference: str, paired: Paired, found: Any) -> Row:
    """Return the columns of a difference. found: its Comparison, None where the spread is unknown."""
    row: Row = {"reference": reference, "delta": paired.delta, "verdict": INCONCLUSIVE}
    if found is not None:
        row |= {"delta_low": found.low, "delta_high": found.high, "p_adjusted": found.p_adjusted}
        row["verdict"] = directed(quantity, found.verdict)
    return row


def directed(quantity: Quantity, verdict: str) -> str:
    """Return the verdict on a difference, which is `better` for a higher value, in the direction of the quantity."""
    turned = {"better": "worse", "worse": "better"} if quantity.better == "lower" else {}
    return turned.get(verdict, verdict)


def described(quantity: Quantity, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return rows of QUANTITIES from rows with the arm and its numbers."""
    about = {
        "quantity": quantity.name,
        **{key: getattr(quantity, key) for key in ("heading", "meaning", "better", "format", "unit")},
    }
    return [{**dict.fromkeys(QUANTITIES.columns), **about, **row} for row in rows]


def plain(quantity: Quantity, values: Mapping[str, float | None]) -> list[Row]:
    """Return rows of QUANTITIES of numbers that have no spread: arm -> value."""
    return described(quantity, ({"arm": arm, "value": value} for arm, value in values.items()))


def by_cost(
    quantity: Quantity, experiment: Experiment, arms: Mapping[str, EvaluatedArm], cost: str, unit: float
) -> list[Row]:
    """Return rows of QUANTITIES of the balanced mAP divided by what each seed's training cost.

    cost: a column of METRICS. unit: how much of it counts as one. An arm that cost nothing has no value.
    """
    found, baseline = {}, experiment.file.baseline
    for name, arm in arms.items():
        costs = arm.metrics[cost].to_list()
        if all(costs):
            identities, scores = arm.scores()
            spent = np.array(costs, dtype=float) / unit
            found[name] = identities, scores / (spent.mean() if arm.folds else spent)
    return compared(quantity, found, baseline) if baseline in found else []


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    """Return the table QUANTITIES."""
    return pl.DataFrame(list(rows), schema=QUANTITIES.columns)


def headline_quantities(
    experiment: Experiment, results: pl.DataFrame, files: Iterable[str | Path] = ()
) -> pl.DataFrame:
    """Return QUANTITIES of an experiment's headline, in its order and in that of its arms.

    results: RESULTS. files: the quantities that its analyses measured.
    """
    headline, arms = experiment.file.headline, list(experiment.arms)
    measured = [row for path in files for row in read_table(path, QUANTITIES).to_dicts()]
    core = {quantity.name: quantity for quantity in core_quantities(experiment)}
    for name in headline:
        if name in core:
            measured += _of_results(core[name], results)
    wanted = [row for row in measured if row["quantity"] in headline]
    return frame(sorted(wanted, key=lambda row: (headline.index(row["quantity"]), arms.index(row["arm"]))))


def _of_results(quantity: Quantity, results: pl.DataFrame) -> list[Row]:
    if quantity.name != CONTROL.name:
        return plain(
            quantity,
            {
                arm: None if value is None else float(value)
                for arm, value in results.select("arm", quantity.name).iter_rows()
            },
        )
    rows = [
        {
            "arm": row["arm"],
            "value": row["against_delta"],
            "reference": row["against"],
            "delta": row["against_delta"],
            "delta_low": row["against_low"],
            "delta_high": row["against_high"],
            "p_adjusted": row["against_p_adjusted"],
            "verdict": row["against_verdict"],
        }
        for row in controlled(results).to_dicts()
    ]
    return described(quantity, rows)


def beside(results: pl.DataFrame, quantities: pl.DataFrame) -> tuple[pl.DataFrame, list[Column | Span]]:
    """Return a results table with the columns of its headline quantities, and how they are shown: value, difference,
    interval and verdict of each, as far as it has them."""
    shown: list[Column | Span] = []
    for rows in quantities.partition_by("quantity", maintain_order=True):
        about = rows.row(0, named=True)
        own = {key: f"{about['quantity']}: {key}" for key in ("value", "delta", "delta_low", "delta_high", "verdict")}
        added = rows.select("arm", **{name: pl.col(key) for key, name in own.items()})
        results = results.join(added, on="arm", how="left", maintain_order="left")
        shown += _shown(about, own, rows["verdict"].null_count() < rows.height)
    return results, shown


def _shown(about: Row, own: Mapping[str, str], judged: bool) -> list[Column | Span]:
    heading, direction = about["heading"], f"{about['better']} is better"
    value = Column(
        own["value"], _F, heading, about["format"], f"{about['meaning']} {direction.capitalize()}.", about["unit"]
    )
    if not judged:
        return [value]
    signed, interval = _DIFFERENCES.get(about["format"], _DIFFERENCES["number"])
    of = f"Difference of {heading} from the baseline"
    difference = COLUMNS["delta"].but(name=own["delta"], format=signed, meaning=f"{of}.")
    ends = COLUMNS["interval"].but(
        name=f"{about['quantity']}: interval", fields=(own["delta_low"], own["delta_high"]), format=interval
    )
    verdict = COLUMNS["verdict"].but(
        name=own["verdict"], meaning=f"Verdict on {heading}: better, worse, equivalent or inconclusive; {direction}."
    )
    gain = about["format"] == "signed"
    return [value, *([] if gain else [difference]), ends, verdict]
