"""What an experiment on augmentation found, in computed sentences."""

import polars as pl

from reidflow.analyses.augmentation.tables import WITHOUT
from reidflow.tables.layout import Block, yes
from reidflow.tables.sections import Section
from reidflow.tables.text import interval, listed, markdown, number, signed

SHEET, PARTS, STRENGTHS = "augmented", "parts", "strengths"
SIDES = {"add": "alone, against nothing", "leave": "in all, against all but it"}
_VERBS = {"better": "helps", "worse": "harms"}


def sections(parts: pl.DataFrame, strengths: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables PARTS and STRENGTHS of `tables.augmentation`."""
    rows = parts.to_dicts()
    return [
        Section(
            "What each augmentation buys",
            [*_verdicts(rows, "add"), *_verdicts(rows, "leave"), *_both(rows)],
            [_block(rows)],
            {PARTS: "Each augmentation alone and among all", SHEET: "Training images as the network sees them"},
        ),
        Section(
            "How strong",
            [line for (part,), own in strengths.group_by(["part"], maintain_order=True) for line in _curve(part, own)],
            [_strength_block(strengths)],
            {STRENGTHS: "mAP by strength of the two best augmentations"},
        ),
    ]


def _name(row: dict, side: str) -> str:
    low, high = row[f"{side}_low"], row[f"{side}_high"]
    return f"**{markdown(row['part'])}** {signed(row[f'{side}_delta'])} {interval(low, high)}"


def _verdicts(rows: list[dict], side: str) -> list[str]:
    known = [row for row in rows if row[f"{side}_delta"] is not None]
    words = {"add": "Alone, against no augmentation", "leave": "Among all, against all but it"}[side]
    lines = []
    for verdict, verb in _VERBS.items():
        own = [row for row in known if row[f"{side}_verdict"] == verdict]
        if own:
            ranked = sorted(own, key=lambda row: -abs(row[f"{side}_delta"]))
            lines.append(f"{words}, {verb}: {listed([_name(row, side) for row in ranked])}.")
    rest = [row for row in known if row[f"{side}_verdict"] not in _VERBS]
    if rest:
        detectable = [row[f"{side}_smallest_detectable"] for row in rest]
        detectable = [value for value in detectable if value is not None]
        within = f" (a difference of {number(max(detectable))} would most likely have been found)" if detectable else ""
        lines.append(f"{words}, no difference is shown for {listed([markdown(row['part']) for row in rest])}{within}.")
    return lines


def _both(rows: list[dict]) -> list[str]:
    """Return where adding and leaving out point in different directions, as far as the means go."""
    apart = [row for row in rows if {row["add_verdict"], row["leave_verdict"]} == {"better", "worse"}]
    if apart:
        return [f"Alone and among all point in opposite directions: {listed([markdown(r['part']) for r in apart])}."]
    return []


def _curve(part: str, own: pl.DataFrame) -> list[str]:
    rows = [row for row in own.to_dicts() if row["val_id_map"] is not None]
    tried = [row for row in rows if row["label"] != WITHOUT]
    if not tried:
        return []
    best = max(tried, key=lambda row: row["val_id_map"])
    none = next((row for row in rows if row["label"] == WITHOUT), None)
    declared = next((row for row in tried if row["declared"]), None)
    lines = [
        f"**{markdown(part)}** is best on validation at {markdown(best['label'])} ({number(best['val_id_map'])}; on test "
        f"{number(best['id_map'])}"
        + (f", without it {number(none['id_map'])}" if none else "")
        + (
            f", at the arm's {markdown(declared['label'])} {number(declared['id_map'])}"
            if declared and declared is not best
            else ""
        )
        + ")"
        + (": the end of the range that was tried." if best is tried[0] or best is tried[-1] else ".")
    ]
    return lines


def _block(rows: list[dict]) -> Block:
    headings = ["augmentation"]
    headings += [f"{heading}{words}" for words in SIDES.values() for heading in ("delta ", "interval ", "verdict ")]
    cells = [
        [
            row["part"],
            *(
                cell
                for side in SIDES
                for cell in (
                    signed(row[f"{side}_delta"]),
                    interval(row[f"{side}_low"], row[f"{side}_high"]),
                    row[f"{side}_verdict"] or "–",
                )
            ),
        ]
        for row in rows
    ]
    return Block("Each augmentation alone and among all", headings, cells)


def _strength_block(strengths: pl.DataFrame) -> Block:
    cells = [
        [row["part"], row["label"], number(row["val_id_map"]), number(row["id_map"]), yes(row["declared"])]
        for row in strengths.to_dicts()
    ]
    return Block("Strengths", ["augmentation", "strength", "val id_map", "test id_map", "that of its arm"], cells)
