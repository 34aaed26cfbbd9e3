"""Findings of a deduplication experiment."""

from pathlib import Path
from typing import Any

import polars as pl
from scipy.stats import spearmanr

from reidflow.analyses.dedup import FIGURES, SHEETS
from reidflow.analyses.dedup.tables import ARMS, DYNAMICS, METHODS, SUSPECTS, Duplicates
from reidflow.store.tables import Column
from reidflow.tables.arms import same_training
from reidflow.tables.columns import column
from reidflow.tables.comparisons import EQUIVALENT
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import setting

_BITS = "number of bits in which the hashes differ"
_ANGLE = "1 - cosine of the embeddings"
DISTANCES = {
    "exact_bytes": "equal bytes of the two files",
    "exact_pixels": "equal decoded pixels, whatever the file format",
    **dict.fromkeys(("ahash", "dhash", "phash", "whash"), _BITS),
    **dict.fromkeys(("ssim", "hash_ssim"), "1 - structural similarity"),
    **dict.fromkeys(("embedding", "knn", "cluster", "hash_embedding"), _ANGLE),
}
"""What the distance of a method is; that of a user's own method is unknown."""
HYBRIDS = ("hash_ssim", "hash_embedding")
"""Methods that confirm the candidates of another one; how their labels begin."""
QUANTITIES = [column("epochs_to_best"), *DYNAMICS]
"""Columns of ARMS that describe the training of an arm."""
_SHOWN, _RELATED = 10, 5

Row = dict[str, Any]


def sections(found: Duplicates, methods: pl.DataFrame, suspects: pl.DataFrame, arms: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables METHODS, SUSPECTS and ARMS."""
    rows = arms.to_dicts()
    trained = [row for row in rows if row["method"] is not None]
    pairs = suspects.unique(["image", "other"], maintain_order=True)
    known, best = methods["recall"].count() > 0, best_thresholds(methods)
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        images=found.split.height,
        training=found.training.height,
        known=known,
        best=[row for row in best if row["f1"] == best[0]["f1"]],
        hybrid=next((row for row in best if row["label"].startswith(HYBRIDS)), None),
        worst=best[-1] if best and best[-1]["f1"] < best[0]["f1"] else None,
        trained=trained,
        least=min(trained, key=lambda row: row["dropped"], default=None),
        most=max(trained, key=lambda row: row["dropped"], default=None),
        same=same_training(trained),
        different={v: [row for row in trained if row["verdict"] == v] for v in ("better", "worse")},
        equivalent=[row for row in trained if row["verdict"] == EQUIVALENT],
        detectable=[row["smallest_detectable"] for row in trained if row["smallest_detectable"] is not None],
        chosen=next((row for row in rows if row["recommended"] == "overall"), None),
        quantities=training_quantities(rows),
        suspects=pairs.to_dicts(),
        methods=len(found.methods),
        agreed=pairs.filter(2 * pl.col("found_by") >= len(found.methods)).height,
        across=[row for row in trained if row["dropped_across"]],
    )
    return sections_of(
        text,
        tables={
            "What counts as a duplicate": [_definitions(found)],
            "How many duplicates each method finds": [_methods_block(found, methods, best, known)],
            "What the arms drop": [_arms_block(arms)],
            "Training and mining": [
                block("Training of the arms", arms, ["arm", "steps", *(each.name for each in QUANTITIES)], ARMS)
            ],
            "Suspected label errors": _suspects_blocks(pairs),
        },
        figures={
            "How many duplicates each method finds": {"detection": FIGURES["detection"]},
            "What the arms drop": {"thresholds": FIGURES["thresholds"]},
            "The recommended threshold": {"groups": SHEETS["groups"]},
            "Training and mining": {"dynamics": FIGURES["dynamics"]},
            "Suspected label errors": {"suspects": SHEETS["suspects"]},
        },
    )


def best_thresholds(methods: pl.DataFrame) -> list[Row]:
    """Return for each method the row with its highest F1, of equals the lowest threshold, best method first."""
    scored = methods.filter(pl.col("f1").is_not_null())
    best = scored.sort("f1", "threshold", descending=[True, False], maintain_order=True)
    best = best.group_by("method", maintain_order=True).first()
    return best.sort("f1", descending=True, maintain_order=True).to_dicts()


def training_quantities(rows: list[Row]) -> list[Row]:
    """Return for each of QUANTITIES its baseline's value, its range over the arms and its correlation with the share dropped.

    correlation: Spearman's; None for fewer than five arms or where either hardly varies.
    """
    baseline, found = next(row for row in rows if row["baseline"]), []
    for quantity in QUANTITIES:
        name = quantity.name
        pairs = [(row["share"], row[name]) for row in rows if row["method"] is not None and row[name] is not None]
        if baseline[name] is None or not pairs:
            continue
        shares, values = zip(*pairs, strict=True)
        related = len(pairs) >= _RELATED and len(set(shares)) > 2 and len(set(values)) > 1
        found.append(
            {
                "name": quantity.heading,
                "baseline": baseline[name],
                "low": min(values),
                "high": max(values),
                "correlation": float(spearmanr(shares, values).statistic) if related else None,
            }
        )
    return found


def _definitions(found: Duplicates) -> Block:
    rows = []
    for method, component in found.methods.items():
        name, exact = component["name"], found.loosest[method] == 0
        rows.append(
            {
                "label": found.labels[method],
                "kind": "exact" if exact else "near",
                "distance": DISTANCES.get(name, "distance of the method"),
                "parameters": ", ".join(f"{key} {setting(value)}" for key, value in component.items() if key != "name")
                or None,
                "thresholds": ", ".join(f"{value:g}" for value in found.thresholds.get(method, [])) or None,
            }
        )
    shown = [
        "label",
        Column("kind", pl.String, "kind", "text", "exact: a distance of 0; near: at most the threshold."),
        Column("distance", pl.String, "distance", "text", "What the distance of two images is."),
        Column("parameters", pl.String, "parameters", "text", "Parameters of the method."),
        Column("thresholds", pl.String, "thresholds of arms", "text", "Thresholds at which arms drop duplicates."),
    ]
    return block("Definitions", rows, shown)


def _methods_block(found: Duplicates, methods: pl.DataFrame, best: list[Row], known: bool) -> Block:
    """Return a row for each threshold of an arm, and for the best threshold (without known copies the loosest)."""
    top = {(row["method"], row["threshold"]) for row in best}
    rows = [
        row | {"best": "highest F1" if (row["method"], row["threshold"]) in top else None} for row in methods.to_dicts()
    ]
    loosest = [not known and row["threshold"] == found.loosest[row["method"]] for row in rows]
    shown = [
        "label", "threshold", "pairs", "cross_pairs", "groups", "largest_group", "dropped", "share", "precision", "recall",
        "f1", Column("best", pl.String, "note", "text", "Threshold with the method's highest F1, known in hindsight."),
    ]  # fmt: skip
    kept = [row for row, last in zip(rows, loosest, strict=True) if row["arm"] or row["best"] or last]
    return block("Duplicates by method and threshold", kept, shown, METHODS)


def _arms_block(arms: pl.DataFrame) -> Block:
    words = {"method": "of its method", "overall": "of all"}
    shown = [
        "arm", "label", "threshold", "scope", "keep", "kept", "dropped", "share", "val_id_map", "id_map", "delta", "interval",
        "verdict", "recommended",
    ]  # fmt: skip
    return block("Arms and what they drop", arms.with_columns(pl.col("recommended").replace(words)), shown, ARMS)


def _suspects_blocks(pairs: pl.DataFrame) -> list[Block]:
    more = f", the first {_SHOWN} of {pairs.height}" if pairs.height > _SHOWN else ""
    shown = ["image", "identity", "role", "other", "other_identity", "other_role", "label", "distance", "found_by"]
    found = block(f"Suspected label errors{more}", pairs.head(_SHOWN), shown, SUSPECTS)
    return [found] if pairs.height else []
