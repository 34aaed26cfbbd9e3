"""Figures of an experiment on augmentation: what each part adds alone and among all, and mAP by its strength."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reidflow.analyses.augmentation.findings import SIDES
from reidflow.figures.panels import place
from reidflow.figures.style import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    SEED,
    WIDTH,
    Heading,
    Out,
    legend_height,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit

COLOURS = {"add": BLUE, "leave": ORANGE}
LINE, NAMES = 0.34, 1.7


def draw_parts(parts: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the PARTS table of `tables.augmentation`: for each part the difference it makes alone and among all."""
    known = parts.filter(pl.col("add_delta").is_not_null() | pl.col("leave_delta").is_not_null())
    if known.is_empty():
        placeholder("No augmentation of this experiment has a difference to show.", heading, out)
        return
    rows = known.to_dicts()
    handles = [Line2D([], [], marker="o", linestyle="none", color=COLOURS[side]) for side in SIDES]
    above, height = legend_height(list(SIDES.values())), LINE * len(rows)
    note = "Points: mean difference of test mAP, to the right in favour of the augmentation. Lines: corrected intervals. Filled: a difference is shown."
    with sheet(heading, above + height + 0.5, out, note) as page:
        page.legend(handles, list(SIDES.values()))
        axes = page.axes(MARGIN + NAMES, above, WIDTH - 2 * MARGIN - NAMES - 0.1, height)
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [fit(row["part"], NAMES - 0.1, 8) for row in rows])
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("difference of identity-balanced mAP, test", labelpad=2)
        for place_, row in enumerate(rows):
            for offset, side in zip((-0.16, 0.16), SIDES, strict=True):
                _difference(axes, place_ + offset, row, side)


def _difference(axes: Axes, height: float, row: dict, side: str) -> None:
    if row[f"{side}_delta"] is None:
        return
    colour = COLOURS[side]
    if row[f"{side}_low"] is not None:
        axes.plot([row[f"{side}_low"], row[f"{side}_high"]], [height] * 2, color=colour, linewidth=1.4, zorder=2)
    shown = row[f"{side}_verdict"] in ("better", "worse")
    axes.plot(
        row[f"{side}_delta"],
        height,
        "o",
        color=colour,
        markersize=5,
        markerfacecolor=colour if shown else "white",
        zorder=3,
    )


def draw_strengths(strengths: pl.DataFrame, heading: Heading, out: Out, height: float = 2.1) -> None:
    """Draw the STRENGTHS table of `tables.augmentation`: a panel per part, mAP on validation and on test by strength."""
    if strengths.is_empty():
        placeholder("No augmentation of this experiment was tried at other strengths.", heading, out)
        return
    names = strengths["part"].unique(maintain_order=True).to_list()
    looks = {"id_map": ("test", BLUE, "-"), "val_id_map": ("validation", ORANGE, (0, (4, 2)))}
    handles = [
        Line2D([], [], color=colour, linestyle=style, marker="o", markersize=4) for _, colour, style in looks.values()
    ]
    handles += [Line2D([], [], color=SEED, marker=".", linestyle="none"), Line2D([], [], color=FAINT, linewidth=5)]
    words = [words for words, _, _ in looks.values()] + ["one seed", "strength of the arm"]
    places, end = place(names, height, legend_height(words))
    scores = [v for name in looks for own in strengths[f"{name}_by_seed"] for v in own if v is not None]
    note = "The parts were picked by the validation mAP of their own arms, the strengths were not: they are not compared, only shown."
    with sheet(heading, end + 0.25, out, note) as page:
        page.legend(handles, words)
        for name, panel in zip(names, places, strict=True):
            own = strengths.filter(pl.col("part") == name).sort("place")
            panel.head(page)
            axes = page.axes(panel.left, panel.top, panel.width, height)
            _strength_axes(axes, own, scores)
            if panel.first:
                axes.set_ylabel("identity-balanced mAP", labelpad=3)
            for column, (_, colour, style) in looks.items():
                _strength_line(axes, own, column, colour, style)


def _strength_axes(axes: Axes, own: pl.DataFrame, scores: list[float]) -> None:
    room = max(0.08 * (max(scores) - min(scores)), 0.005) if scores else 0.1
    axes.set_ylim((min(scores) - room, max(scores) + room) if scores else (0, 1))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    labels = own["label"].to_list()
    axes.set_xlim(-0.4, len(labels) - 0.6)
    axes.set_xticks(range(len(labels)), [label.replace(", ", "\n") for label in labels], fontsize=8, color=MUTED)
    for where in own.filter("declared")["place"]:
        axes.axvspan(where - 0.12, where + 0.12, color=FAINT, alpha=0.4, linewidth=0, zorder=1)


def _strength_line(axes: Axes, own: pl.DataFrame, column: str, colour: str, style: object) -> None:
    for row in own.to_dicts():
        values = [value for value in row[f"{column}_by_seed"] if value is not None]
        axes.plot([row["place"]] * len(values), values, ".", color=colour, alpha=0.45, markersize=4, zorder=2)
    known = own.filter(pl.col(column).is_not_null())
    axes.plot(known["place"], known[column], color=colour, linestyle=style, marker="o", markersize=4, zorder=3)
