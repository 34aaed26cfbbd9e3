"""The answer of an experiment: one or two sentences with their interval, which findings, page and index begin with."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.spec.experiment_splits import takes_folds
from reidflow.tables.comparisons import EQUIVALENT, INCONCLUSIVE, UNAVAILABLE
from reidflow.tables.data import DataDescription
from reidflow.tables.interpretation import Reading, reading
from reidflow.tables.sections import render
from reidflow.tables.text import FORMATS, bold, extent, interval, number, signed

TEMPLATE = Path(__file__).with_name("answer.md.j2")
JUDGED = ("better", "worse", EQUIVALENT, INCONCLUSIVE)
COSTS = {"train_flops": "training FLOPs", "flops": "FLOPs per image", "parameters": "parameters"}
"""Columns of RESULTS by which the cheapest of equivalent arms is chosen, the first in which they differ."""
NARROWER = 0.95
"""An interval of more than this share of its width is hardly narrower."""
Row = dict[str, Any]
_STATES = {"fits": "ok", "stale": "stale", "missing": "missing", "of another data set": "missing"}


def answer(results: pl.DataFrame, data: DataDescription, quantities: pl.DataFrame) -> str:
    """Return the answer as one line of Markdown: headline quantities with a verdict first, then the balanced mAP.

    results: RESULTS. quantities: QUANTITIES of the headline.
    """
    rows = results.to_dicts()
    base = next(row for row in rows if row["baseline"])
    compared = [row for row in rows if row is not base and row["verdict"] != UNAVAILABLE]
    best = best_arm(results)
    named = quantities.partition_by("quantity", maintain_order=True)
    stated = [_quantity(own.to_dicts(), best["arm"] if best else None) for own in named]
    text = render(
        TEMPLATE,
        judged=[quantity for quantity in stated if quantity["judged"]],
        plain=[quantity for quantity in stated if not quantity["judged"] and quantity["count"]],
        base=base,
        compared=len(compared),
        better=sorted((row for row in compared if row["verdict"] == "better"), key=lambda row: -row["delta"]),
        worse=sorted((row for row in compared if row["verdict"] == "worse"), key=lambda row: -row["delta"]),
        equivalent=equivalent(rows),
        top=next((row for row in rows if best and row["arm"] == best["arm"]), None),
        ties=best["ties"] if best else [],
        scored=results["id_map"].count(),
        missing=len(rows) - 1 - len(compared),
        leaks=data.leaks,
    )
    return re.sub(r"\s+(?=[,;.)])", "", " ".join(text.split()))


def _quantity(rows: list[Row], top: str | None) -> Row:
    """Return what the template says of a quantity. rows: its QUANTITIES. top: the arm with the highest balanced mAP."""
    about, sign = rows[0], -1 if rows[0]["better"] == "lower" else 1
    values = {row["arm"]: row["value"] for row in rows if row["value"] is not None}
    show = FORMATS[about["format"]]
    judged = [{**row, "shown": _shown(row)} for row in rows if row["verdict"] in JUDGED and row["delta"] is not None]
    judged.sort(key=lambda row: -sign * row["delta"])
    found = {"heading": _begin(about["heading"]), "better": about["better"]}
    if not judged:
        ends = {"low": show(min(values.values())), "high": show(max(values.values()))} if values else {}
        return {
            **found,
            "judged": False,
            "count": len(values),
            "of_top": show(values[top]) if top in values else "",
            **ends,
        }
    references = list(dict.fromkeys(row["reference"] for row in judged))
    one = references[0] if len(references) == 1 else None
    return {
        **found,
        "judged": True,
        "count": len(judged),
        "improved": [row for row in judged if row["verdict"] == "better"],
        "worsened": [row for row in judged if row["verdict"] == "worse"],
        "equivalent": [row for row in judged if row["verdict"] == EQUIVALENT],
        "best": next((row for row in judged if row["verdict"] in (EQUIVALENT, INCONCLUSIVE)), None),
        "against": bold(one) if one else "its control",
        "base": show(values[one]) if one in values and about["format"] != "signed" else "",
    }


def _begin(heading: str) -> str:
    """Return a heading as the beginning of a sentence; names such as `mAP` stay as they are."""
    return heading if heading[1:2].isupper() else heading[:1].upper() + heading[1:]


def _shown(row: Row) -> dict[str, str]:
    """Return the numbers of a difference as text: of a share in percentage points, of a gain without its value."""
    scale, digits = {"share": (100, 1), "number1": (1, 1)}.get(row["format"], (1, 3))
    delta, *ends = (None if row[key] is None else scale * row[key] for key in ("delta", "delta_low", "delta_high"))
    unit = " percentage points" if row["format"] == "share" else ""
    return {
        "value": "" if row["format"] == "signed" else FORMATS[row["format"]](row["value"]),
        "delta": signed(delta, digits) + unit,
        "interval": interval(*ends, digits),
        "extent": "" if None in ends else extent(delta, *ends, digits) + unit,
    }


def equivalent(rows: list[Row]) -> Row | None:
    """Return which arms are equivalent to the baseline (`arms`), the `margin`, and what chooses among them and the baseline.

    rows: RESULTS. cheapest: the arm with the least of the first of COSTS in which they differ; cost: its name; value,
    dearest: the least and the largest of it; all None where they are not known to differ. same: whether they are known to
    cost the same. None where no arm is equivalent.
    """
    found = [row for row in rows if row["verdict"] == EQUIVALENT]
    if not found:
        return None
    alike = [row for row in rows if row["baseline"]] + found
    costs = {column: [row[column] for row in alike] for column in COSTS}
    known = {column: values for column, values in costs.items() if None not in values}
    differing = next((column for column, values in known.items() if min(values) < max(values)), None)
    choice: Row = dict.fromkeys(("cheapest", "cost", "value", "dearest"))
    if differing is not None:
        first = min(alike, key=lambda row: row[differing])
        values = {"cost": COSTS[differing], "value": first[differing], "dearest": max(known[differing])}
        choice = {"cheapest": first["arm"], **values}
    same = differing is None and len(known) == len(COSTS)
    return {"arms": [row["arm"] for row in found], "margin": found[0]["margin"], **choice, "same": same}


def more_certainty(results: pl.DataFrame, foldable: bool = False) -> str:
    """Return in a sentence of Markdown what would narrow the interval of the best arm that is inconclusive; '' without one.

    results: RESULTS. Twice the seeds or twice the test identities, whichever narrows it more, then what the other would do.
    foldable: whether the experiment could run on folds, which test every image.
    """
    known = pl.col("half_width_seeds").is_not_null() & pl.col("half_width_identities").is_not_null()
    open_ = results.filter(pl.col("verdict") == INCONCLUSIVE, known).sort(
        "id_map", descending=True, maintain_order=True
    )
    if open_.is_empty():
        return ""
    row = open_.row(0, named=True)
    now, of_seeds = (row["delta_high"] - row["delta_low"]) / 2, row["half_width_seeds"]
    ways = [
        ("more seeds", f"{2 * row['seeds']} seeds instead of {row['seeds']}", of_seeds),
        ("more test identities", "twice the test identities", row["half_width_identities"]),
    ]
    (_, first, half), (other, words, rest) = sorted(ways, key=lambda way: way[2])
    also = f"{words} would make it ±{number(rest)}" if rest <= NARROWER * now else f"{other} would hardly narrow it"
    folds = " Folds test every image: `split: {folds: 5}`." if foldable and other == "more seeds" else ""
    return (
        f"With {first} the interval of {bold(row['arm'])} would be about ±{number(half)} instead of ±{number(now)}; {also}."
        f"{folds}"
    )


def best_arm(results: pl.DataFrame) -> dict[str, Any] | None:
    """Return the arm with the highest mean: `arm`, `id_map` and `ties`, the other arms that are not significantly different
    from the best; None where no arm has a score."""
    scored = results.filter(pl.col("id_map").is_not_null())
    if scored.is_empty():
        return None
    first = scored.sort("id_map", descending=True, maintain_order=True).row(0, named=True)
    ties = scored.filter("ties_with_best", pl.col("arm") != first["arm"])["arm"].to_list()
    return {"arm": first["arm"], "id_map": first["id_map"], "ties": ties}


def answer_of(
    experiment: Experiment, data: DataDescription, results: pl.DataFrame, quantities: pl.DataFrame
) -> dict[str, Any]:
    """Return the content of `answer.json`: the author's question, hypothesis and motivation beside what was found.

    held: whether the hypothesis held in the author's judgement, null without an interpretation of these data.
    interpretation: `ok`, `stale` or `missing`. answer: Markdown. best: see `best_arm`; equivalent: see `equivalent`; plan:
    see `more_certainty`, '' where nothing is inconclusive.
    """
    read: Reading = reading(experiment.file.interpretation, data.title, results, quantities)
    return {
        "experiment": experiment.name,
        "question": " ".join(experiment.file.question.split()),
        "hypothesis": " ".join(experiment.file.hypothesis.split()),
        "motivation": " ".join(experiment.file.motivation.split()),
        "held": read.held,
        "answer": answer(results, data, quantities),
        "best": best_arm(results),
        "equivalent": equivalent(results.to_dicts()),
        "plan": more_certainty(results, takes_folds(experiment)),
        "interpretation": _STATES[read.state],
    }


def as_json(answer: dict[str, Any]) -> str:
    """Return the text of `answer.json`."""
    return json.dumps(answer, indent=1, ensure_ascii=False) + "\n"
