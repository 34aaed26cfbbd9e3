"""Findings of a curation experiment."""

from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.curation import FIGURES, SHEETS
from reidflow.analyses.curation.tables import ARMS, Curation
from reidflow.store.tables import Column
from reidflow.tables.arms import same_training
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import EQUIVALENT, INCONCLUSIVE
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of

LENGTHS = {"epochs": "equal epochs", "steps": "equal steps"}
DOUBT = Column(
    "label_doubt", pl.Float64, "label doubt", "number", "Share of the nearest neighbours with another label."
)
_DOUBTFUL, _STRIKING = 10, 3

Row = dict[str, Any]


def sections(found: Curation, arms: pl.DataFrame, contrasts: pl.DataFrame, efficiency: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables ARMS and CONTRASTS.

    efficiency: arm, seconds_train. Measured seconds are in a table and in no statement, so that the text is reproducible.
    """
    rows = arms.to_dicts()
    subsets = [row for row in rows if row["method"] is not None]
    selected = [row for row in subsets if not row["control"]]
    full = next(row for row in rows if row["baseline"])
    share, doubtful = typical_share(contrasts), doubtful_labels(found)
    typical = contrasts.filter(pl.col("share") == share)
    lengths = [
        {
            "name": name,
            "random": by_verdict([row for row in selected if row["matched"] == matched], "against_"),
            "full": by_verdict([row for row in subsets if row["matched"] == matched], ""),
            "detectable": detectable([row for row in subsets if row["matched"] == matched]),
        }
        for matched, name in LENGTHS.items()
    ]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        lengths=lengths,
        timed=any(row["steps_saved"] is not None for row in subsets),
        saved=most_saved(subsets),
        share=share,
        striking=striking_scores(typical),
        noise=typical.filter("random")["difference"].abs().max(),
        lost=lost_identities(subsets),
        fewer=[row["arm"] for row in subsets if row["identities"] < full["identities"]],
        same=same_training(rows),
        doubtful=None if doubtful is None else doubtful.to_dicts(),
        shown=_STRIKING,
    )
    return sections_of(
        text,
        tables={
            "Against random images of the same number": [_arms_block(arms)],
            "Training time": [_time_block(arms, efficiency)],
            "What valuable images look like": _contrast_blocks(typical, share),
            "Doubtful labels": [
                block("Images with doubtful labels", doubtful, ["image", column("identity"), DOUBT])
            ] if doubtful is not None and doubtful.height else [],
        },
        figures={
            "Against random images of the same number": {"shares": FIGURES["shares"]},
            "What valuable images look like": {
                "distributions": FIGURES["distributions"],
                "valuable": SHEETS["valuable"],
            },
            "Doubtful labels": {"scores": SHEETS["scores"]},
        },
    )  # fmt: skip


def by_verdict(rows: list[Row], prefix: str) -> dict[str, dict[str, list[Row]]]:
    """Return verdict -> method -> its arms, for the comparison with the baseline (prefix "") or the control ("against_")."""
    found: dict[str, dict[str, list[Row]]] = {"better": {}, "worse": {}, EQUIVALENT: {}, INCONCLUSIVE: {}}
    for row in rows:
        if row[f"{prefix}delta"] is not None:
            own = found.get(row[f"{prefix}verdict"], found[INCONCLUSIVE])
            own.setdefault(row["label"], []).append({**row, "shown": row[f"{prefix}delta"]})
    return found


def detectable(rows: list[Row]) -> float | None:
    """Return the largest of the smallest detectable differences of the arms that are inconclusive against all images."""
    level = [row["smallest_detectable"] for row in rows if row["verdict"] not in ("better", "worse", EQUIVALENT)]
    return max((value for value in level if value is not None), default=None)


def most_saved(subsets: list[Row]) -> Row | None:
    """Return the arm that saves most optimizer steps among those not significantly worse than all images."""
    safe = [
        row
        for row in subsets
        if row["steps_saved"] is not None and row["delta"] is not None and row["verdict"] != "worse"
    ]
    best = max(safe, key=lambda row: (row["steps_saved"], row["delta"]), default=None)
    return best if best and best["steps_saved"] > 0 else None


def typical_share(contrasts: pl.DataFrame) -> float | None:
    """Return the share of the methods' arms that lies closest to one half; None without any."""
    shares = contrasts["share"].unique().sort().to_list()
    return min(shares, key=lambda share: (abs(share - 0.5), share), default=None)


def striking_scores(contrasts: pl.DataFrame) -> dict[str, list[Row]]:
    """Return method -> the scores in which its kept and dropped images differ most, its own score aside."""
    found: dict[str, list[Row]] = {}
    for row in contrasts.filter(~pl.col("random") & pl.col("difference").is_not_null()).to_dicts():
        if row["score"] not in row["label"]:
            found.setdefault(row["label"], []).append({**row, "score": row["score"].replace("_", " ")})
    return {label: sorted(rows, key=lambda row: -abs(row["difference"]))[:_STRIKING] for label, rows in found.items()}


def lost_identities(subsets: list[Row]) -> list[Row]:
    """Return for each method and share, once, the arm whose subset lacks identities."""
    found = {(row["label"], row["share"]): row for row in reversed(subsets) if row["lost_identities"]}
    return list(reversed(found.values()))


def doubtful_labels(found: Curation) -> pl.DataFrame | None:
    """Return image, identity and doubt of the images with the highest doubt above zero; None where it is unknown."""
    if DOUBT.name not in found.names:
        return None
    doubt = pl.col(DOUBT.name)
    known = found.scores.filter(doubt.is_finite() & (doubt > 0)).select("image", "identity", doubt)
    return known.sort(-doubt, "image").head(_DOUBTFUL)


def _arms_block(arms: pl.DataFrame) -> Block:
    matched = pl.when(pl.col("method").is_not_null()).then(pl.col("matched").replace(LENGTHS))
    delta, interval, verdict = columns("against_delta", "against_interval", "against_verdict")
    shown = [
        "arm", "label", "share", "matched", "kept", "identities", "id_map", "delta", "interval", "verdict",
        delta.but(heading="against random"), interval.but(heading="its interval"), verdict.but(heading="its verdict"),
    ]  # fmt: skip
    return block("Arms and what they keep", arms.with_columns(matched), shown, ARMS)


def _time_block(arms: pl.DataFrame, efficiency: pl.DataFrame) -> Block:
    joined = arms.join(efficiency.select("arm", "seconds_train"), on="arm", how="left", maintain_order="left")
    full = joined.filter("baseline")["seconds_train"].first()
    saved = 1 - pl.col("seconds_train") / full if full else pl.lit(None, pl.Float64)
    column = Column(
        "seconds_saved", pl.Float64, "seconds saved", "share", "Share of the baseline's time that is saved."
    )
    shown = ["arm", "steps", "steps_saved", "seconds_train", column]
    return block("Measured on this machine", joined.with_columns(saved.alias("seconds_saved")), shown, ARMS)


def _contrast_blocks(contrasts: pl.DataFrame, share: float | None) -> list[Block]:
    if contrasts.is_empty():
        return []
    labels = contrasts["label"].unique(maintain_order=True).to_list()
    wide = contrasts.pivot("label", index="score", values="difference", maintain_order=True)
    meaning = "Mean of the kept minus mean of the dropped images, in standard deviations of the score."
    shown = [Column("score", pl.String, "score", "text", "Score of a training image.")]
    shown += [Column(label, pl.Float64, label, "signed2", meaning) for label in labels]
    return [block(f"Kept minus dropped, in standard deviations, at {share:.0%}", wide, shown)]
