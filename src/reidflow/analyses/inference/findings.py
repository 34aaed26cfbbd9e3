"""The findings on inference methods: what they add, what they need, and which queries they help and harm."""

from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.inference import FIGURES
from reidflow.analyses.inference.tables import COMBINATION, ENSEMBLE, INFERENCE, PLAIN, preferred
from reidflow.store.tables import Column
from reidflow.tables.comparisons import EQUIVALENT
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import bold

METHODS, QUERIES = "What inference methods add", "Which queries gain"
_METHODS = (
    "arm", "methods", "transductive", "runs", "forward_passes", "id_map", "delta", "interval", "verdict", "top1", "top5",
    "top10",
)  # fmt: skip
_OVER = ("arm", "over", "over_delta", "over_interval", "over_p_adjusted", "over_verdict")
_SHARES = {
    f"{part}{ending}": Column(f"{part}{ending}", pl.Float64, f"{part}{of}", "share", f"Share of them that rank {part}.")
    for ending, of in (("", ""), ("_few", ", few images"))
    for part in ("better", "worse")
}


def sections(table: pl.DataFrame, queries_in_gallery: bool = False) -> list[Section]:
    """Return the sections of the findings, from the table INFERENCE.

    queries_in_gallery: whether the queries are images of the gallery themselves.
    """
    rows = [row | {"marked": marked(row)} for row in table.to_dicts()]
    changed = [row for row in rows if not row["baseline"] and row["delta"] is not None]
    if not changed:
        return []
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        better=[row for row in changed if row["verdict"] == "better"],
        worse=[row for row in changed if row["verdict"] == "worse"],
        equivalent=[row for row in changed if row["verdict"] == EQUIVALENT],
        other=[row for row in changed if row["verdict"] not in ("better", "worse", EQUIVALENT)],
        ties=[row for row in rows if row["ties_with_best"]],
        cheapest=cheapest(rows),
        transductive=[row for row in rows if row["transductive"]],
        gallery=queries_in_gallery and any(row["kind"] != PLAIN for row in rows),
        combined=combined(rows),
        ensembles=[row for row in changed if row["kind"] == ENSEMBLE],
        best=preferred([row for row in changed if row["compared"]]),
        few=[row for row in changed if row["few_delta"] is not None],
        trends=[row for row in changed if row["rho"] is not None and (row["rho_low"] > 0 or row["rho_high"] < 0)],
    )
    blocks = [block("Inference", table, _METHODS, INFERENCE)]
    combinations = table.filter(pl.col("over").is_not_null())
    if len(combinations):
        blocks.append(block("Combinations against the best single method", combinations, _OVER, INFERENCE))
    tables = {METHODS: blocks, QUERIES: [_gains(table)]}
    figures = {METHODS: {"methods": FIGURES["methods"]}, QUERIES: {"queries": FIGURES["queries"]}}
    return sections_of(text, tables, figures)


def marked(row: dict[str, Any]) -> str:
    """Return an arm's name in bold Markdown, marked where it is transductive."""
    return bold(row["arm"]) + (" (transductive)" if row["transductive"] else "")


def cheapest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, of the arms that tie with the best, those with one forward pass that are not transductive; plain ones first.

    None where all that tie are such arms.
    """
    ties = [row for row in rows if row["ties_with_best"]]
    free = [row for row in ties if not row["transductive"] and row["forward_passes"] == 1]
    found = [row for row in free if row["kind"] == PLAIN] or free
    return found if len(found) < len(ties) else []


def combined(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the best single method (`single`) and the combination that is best on validation (`best`), if any."""
    own = [row for row in rows if row["kind"] == COMBINATION and row["over_delta"] is not None]
    if not own:
        return None
    single = next(row for row in rows if row["arm"] == own[0]["over"])
    return {"single": single, "best": preferred(own) or own[0]}


def _gains(table: pl.DataFrame) -> Block:
    shares = [
        (pl.col(f"{part}{ending}") / pl.when(pl.col(f"compared{ending}") > 0).then(f"compared{ending}")).alias(
            f"{part}{ending}"
        )
        for ending in ("", "_few")
        for part in ("better", "worse")
    ]
    names = ["arm", "compared", *_SHARES.values(), "few_delta", "few_interval", "many_delta", "rho", "rho_interval"]
    changed = table.filter(~pl.col("baseline") & pl.col("delta").is_not_null())
    return block("Queries that gain and lose", changed.with_columns(shares), names, INFERENCE)
