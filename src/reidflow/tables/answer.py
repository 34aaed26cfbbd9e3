"""The answer of an experiment: one or two sentences with their interval, which findings, page and index begin with."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.tables.comparisons import UNAVAILABLE
from reidflow.tables.data import DataDescription
from reidflow.tables.interpretation import Reading, reading
from reidflow.tables.sections import render

TEMPLATE = Path(__file__).with_name("answer.md.j2")
_STATES = {"fits": "ok", "stale": "stale", "missing": "missing", "of another data set": "missing"}


def answer(results: pl.DataFrame, data: DataDescription) -> str:
    """Return the answer as one line of Markdown. results: RESULTS."""
    rows = results.to_dicts()
    base = next(row for row in rows if row["baseline"])
    compared = [row for row in rows if row is not base and row["verdict"] != UNAVAILABLE]
    best = best_arm(results)
    text = render(
        TEMPLATE,
        base=base,
        compared=len(compared),
        better=sorted((row for row in compared if row["verdict"] == "better"), key=lambda row: -row["delta"]),
        worse=sorted((row for row in compared if row["verdict"] == "worse"), key=lambda row: -row["delta"]),
        top=next((row for row in rows if best and row["arm"] == best["arm"]), None),
        ties=best["ties"] if best else [],
        scored=results["id_map"].count(),
        missing=len(rows) - 1 - len(compared),
        leaks=data.leaks,
    )
    return re.sub(r"\s+(?=[,;.)])", "", " ".join(text.split()))


def best_arm(results: pl.DataFrame) -> dict[str, Any] | None:
    """Return the arm with the highest mean: `arm`, `id_map` and `ties`, the other arms that are not significantly different
    from the best; None where no arm has a score."""
    scored = results.filter(pl.col("id_map").is_not_null())
    if scored.is_empty():
        return None
    first = scored.sort("id_map", descending=True, maintain_order=True).row(0, named=True)
    ties = scored.filter("ties_with_best", pl.col("arm") != first["arm"])["arm"].to_list()
    return {"arm": first["arm"], "id_map": first["id_map"], "ties": ties}


def answer_json(experiment: Experiment, data: DataDescription, results: pl.DataFrame) -> str:
    """Return `answer.json`: the author's question, hypothesis and motivation beside what was found.

    held: whether the hypothesis held in the author's judgement, null without an interpretation of these data.
    interpretation: `ok`, `stale` or `missing`. answer: Markdown. best: see `best_arm`.
    """
    read: Reading = reading(experiment.file.interpretation, data.title, results)
    found = {
        "experiment": experiment.name,
        "question": " ".join(experiment.file.question.split()),
        "hypothesis": " ".join(experiment.file.hypothesis.split()),
        "motivation": " ".join(experiment.file.motivation.split()),
        "held": read.held,
        "answer": answer(results, data),
        "best": best_arm(results),
        "interpretation": _STATES[read.state],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
