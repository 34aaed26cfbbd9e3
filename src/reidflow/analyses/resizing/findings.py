"""What an experiment on the size of images found, in computed sentences."""

from itertools import groupby

import polars as pl

from reidflow.analyses.resizing.tables import BASELINE
from reidflow.tables.layout import Block, count, magnitude, share
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, interval, listed, markdown, number, signed

STAGES, SIZES, TRAINING_FLOPS = "stages", "sizes", "training_flops"
FIGURES = (STAGES, SIZES, TRAINING_FLOPS)
MATCHED = {"epochs": "as many epochs", "flops": "as many operations (FLOPs)"}
AWAY = 0.1
"""A run whose training FLOPs lie further from the baseline's than this share is named where they were to be matched."""


def sections(training: pl.DataFrame, sizes: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables RESIZING and SIZES of `tables.resizing`."""
    rows = training.to_dicts()
    found = [
        Section(
            "What the training cost",
            [*_saved(rows), *_matched(rows)],
            [_training_block(rows)],
            {
                STAGES: "Size of the images in each epoch",
                TRAINING_FLOPS: "mAP at full size by operations of the training",
            },
        )
    ]
    if not sizes.is_empty():
        found.append(
            Section(
                "Tested at other sizes",
                [*_against_baseline(sizes), *_robust(sizes)],
                [_sizes_block(sizes)],
                {SIZES: "mAP at each size of queries and gallery"},
            )
        )
    return found


def stages(sizes: list[int]) -> list[tuple[int, int]]:
    """Return the stages of a list of sizes: (size, epochs)."""
    return [(size, len(list(run))) for size, run in groupby(sizes)]


def schedule(sizes: list[int]) -> str:
    """Return the stages in words: `16 px for 3 epochs, then 32 px for 3`."""
    told = stages(sizes)
    if not told:
        return NOTHING
    first, *rest = told
    text = f"{first[0]} px for {first[1]} epoch" + ("" if first[1] == 1 else "s")
    return ", then ".join([text, *(f"{size} px for {length}" for size, length in rest)])


def _bold(names: list[str]) -> str:
    return listed([f"**{markdown(name)}**" for name in names])


def _saved(rows: list[dict]) -> list[str]:
    """Say what training can be saved without a detectable loss at full size."""
    others = [row for row in rows if not row["baseline"] and row["share"] is not None and row["delta"] is not None]
    cheaper = [row for row in others if row["share"] < 1 - 1e-9]
    safe = [row for row in cheaper if row["verdict"] not in ("worse", None)]
    if not cheaper:
        return ["No arm trains with fewer operations than the baseline."]
    if not safe:
        return ["Every arm that trains with fewer operations than the baseline loses detectably at full size."]
    best = min(safe, key=lambda row: (row["share"], row["arm"]))
    seen = best["smallest_detectable"]
    small = f" (a loss of {number(seen)} would most likely have been found)" if seen is not None else ""
    return [
        f"The fewest operations without a detectable loss at full size are those of {_bold([best['arm']])}: "
        f"{best['share']:.0%} of the baseline's, {_difference(best)}{small}."
    ]


def _matched(rows: list[dict]) -> list[str]:
    """Say for arms that share epochs and for those that share operations how they stand to the baseline."""
    lines = []
    for key, words in MATCHED.items():
        own = [row for row in rows if row["matched"] == key and not row["baseline"] and row["delta"] is not None]
        for verdict in ("better", "worse"):
            told = [f"**{markdown(row['arm'])}** {_difference(row)}" for row in own if row["verdict"] == verdict]
            if told:
                lines.append(f"With {words}, {verdict} than the baseline at full size: {listed(told)}.")
        level = [row["arm"] for row in own if row["verdict"] not in ("better", "worse")]
        if level:
            lines.append(f"With {words}, not told apart from the baseline at full size: {_bold(level)}.")
    away = [row for row in rows if row["matched"] == "flops" and row["share"] and abs(row["share"] - 1) > AWAY]
    if away:
        told = [f"**{markdown(row['arm'])}** ({row['share']:.0%})" for row in away]
        lines.append(f"Whole epochs match the baseline's operations no nearer than this: {listed(told)}.")
    return lines


def _against_baseline(sizes: pl.DataFrame) -> list[str]:
    lines = []
    for (scale,), own in sizes.partition_by("scale", as_dict=True, maintain_order=True).items():
        rows = [row for row in own.to_dicts() if not row["baseline"] and row["delta"] is not None]
        at = "At full size" if scale == 1 else f"At {times(scale)} the full size"
        told = [
            f"{verdict}: "
            + listed([f"**{markdown(r['arm'])}** {_difference(r)}" for r in rows if r["verdict"] == verdict])
            for verdict in ("better", "worse")
            if any(r["verdict"] == verdict for r in rows)
        ]
        if told:
            lines.append(f"{at}, against the baseline, {'; '.join(told)}.")
        elif rows:
            lines.append(f"{at} no arm can be told from the baseline.")
    return lines


def _robust(sizes: pl.DataFrame) -> list[str]:
    """Say which arms lose least and most when tested at another size; means, nothing is concluded from them."""
    lines = []
    other = sizes.filter(pl.col("scale") != 1.0)
    for (scale,), own in other.partition_by("scale", as_dict=True, maintain_order=True).items():
        rows = sorted(own.to_dicts(), key=lambda row: (-row["from_full"], row["arm"]))
        if len(rows) > 1:
            best, last = rows[0], rows[-1]
            lines.append(
                f"From full size to {times(scale)} of it, the mean changes least for the worse with "
                f"{_bold([best['arm']])} ({signed(best['from_full'])}) and most with {_bold([last['arm']])} "
                f"({signed(last['from_full'])})."
            )
    return lines


def times(scale: float) -> str:
    """Return a scale as a factor: `0.5×`."""
    return f"{scale:g}×"


def _difference(row: dict) -> str:
    return f"{signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}"


def _training_block(rows: list[dict]) -> Block:
    headings = ["arm", "images", "matched by", "epochs", "training FLOPs", "of the baseline's", "id_map", "delta"]
    cells = [
        [
            row["arm"],
            schedule(row["sizes"]),
            row["matched"] or NOTHING,
            count(row["epochs"]),
            magnitude(row["train_flops"]),
            share(row["share"]),
            number(row["id_map"]),
            NOTHING if row["baseline"] else _difference(row),
        ]
        for row in rows
    ]
    return Block("Training", headings, cells)


def _sizes_block(sizes: pl.DataFrame) -> Block:
    scales = sizes["scale"].unique(maintain_order=True).to_list()
    by_arm: dict[str, dict[float, dict]] = {}
    for row in sizes.to_dicts():
        by_arm.setdefault(row["arm"], {})[row["scale"]] = row
    headings = ["arm"]
    for scale in scales:
        headings += [f"id_map at {times(scale)}", f"delta at {times(scale)}"]
    cells = []
    for arm, found in by_arm.items():
        cells.append([arm])
        for scale in scales:
            row = found[scale]
            told = BASELINE if row["baseline"] else _difference(row)
            cells[-1] += [number(row["id_map"]), told]
    return Block("mAP at each size", headings, cells)
