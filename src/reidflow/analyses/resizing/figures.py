"""Figures of an experiment on the size of images: the stages, mAP at each tested size, mAP by training operations."""

from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from reidflow.analyses.resizing.findings import stages, times
from reidflow.analyses.resizing.tables import BASELINE
from reidflow.figures.pareto import draw_panel, front_legend
from reidflow.figures.style import (
    BLUE,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    SEED,
    VERDICTS,
    WIDTH,
    Heading,
    Out,
    Sheet,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, number, text_width

ROW = 0.32
"""Inches that an arm's row is tall."""
NAMES = 2.0


def draw_stages(training: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the size of the images in each epoch of each arm: a row an arm, a block a stage.

    training: the RESIZING table of `tables.resizing`.
    """
    need(training, ["arm", "baseline", "sizes"], "stages")
    rows = [row for row in training.to_dicts() if row["sizes"]]
    if not rows:
        placeholder("No arm was trained on images, so none has a size.", heading, out)
        return
    labels, gutter = _labels(rows)
    left, longest = MARGIN + gutter + 0.12, max(len(row["sizes"]) for row in rows)
    known = sorted({size for row in rows for size in row["sizes"]})
    note = "Each block is a stage, with the side of its images in pixels where it is long enough; darker is larger."
    width = WIDTH - left - MARGIN
    with sheet(heading, ROW * len(rows) + 0.45, out, note) as page:
        axes = page.axes(left, 0, width, ROW * len(rows))
        axes.set(xlim=(0, longest), ylim=(len(rows), 0), yticks=[])
        axes.set_xlabel("epochs", labelpad=2)
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        axes.spines["left"].set_visible(False)
        for y, row in enumerate(rows):
            _name(page, left, y, labels[row["arm"]], row["baseline"])
            start = 0
            for size, length in stages(row["sizes"]):
                words = str(size) if text_width(str(size), 8) + 0.04 < length / longest * width else ""
                _block(axes, (start, y), length, words, (known.index(size) + 1) / len(known))
                start += length


def _block(axes: Axes, place: tuple[float, float], length: int, words: str, depth: float) -> None:
    (x, y), colour = place, _shade(depth)
    axes.add_patch(Rectangle((x, y + 0.12), length, 0.76, facecolor=colour, edgecolor="white", linewidth=1, zorder=2))
    ink = "white" if depth > 0.6 else INK
    axes.text(x + length / 2, y + 0.5, words, size=8, color=ink, ha="center", va="center_baseline", zorder=3)


def _shade(depth: float) -> tuple[float, float, float]:
    """Return white mixed with blue."""
    share = 0.15 + 0.75 * depth
    return tuple(1 - share * (1 - part) for part in to_rgb(BLUE))


def draw_sizes(sizes: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw mAP at each tested size: a panel a size, a row an arm, with its seeds and its verdict at that size.

    sizes: the SIZES table of `tables.resizing`.
    """
    rows = sizes.filter(pl.col("id_map").is_finite()).to_dicts()
    if not rows:
        placeholder("No arm was tested at another size.", heading, out)
        return
    arms = {row["arm"]: row for row in rows}
    labels, gutter = _labels(list(arms.values()))
    left = MARGIN + gutter + 0.12
    scales = sorted({row["scale"] for row in rows})
    cell = (WIDTH - left - MARGIN) / len(scales)
    values = [v for row in rows for v in [row["id_map"], *row["id_map_by_seed"]] if number(v) is not None]
    room = max(0.06 * (max(values) - min(values)), 0.005)
    handles, words = _legend(rows)
    above = legend_height(words) + 0.25
    note = (
        "Small points: seeds. Queries and gallery have the size above the panel. Verdicts: against the baseline at this size, "
        "paired by identity and seed, corrected over the arms."
    )
    with sheet(heading, above + ROW * len(arms) + 0.45, out, note) as page:
        page.legend(handles, words)
        for y, arm in enumerate(arms):
            _name(page, left, y, labels[arm], arms[arm]["baseline"], above)
        for i, scale in enumerate(scales):
            own = {row["arm"]: row for row in rows if row["scale"] == scale}
            pixels = sorted({row["size"] for row in own.values()})
            head = f"{times(scale)} ({', '.join(map(str, pixels))} px)"
            page.text(left + i * cell, above - 0.08, fit(head, cell - 0.15, 8.5), va="baseline")
            axes = page.axes(left + i * cell, above, cell - 0.15, ROW * len(arms))
            axes.set(xlim=(min(values) - room, max(values) + room), ylim=(len(arms), 0), yticks=[])
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
            axes.set_xlabel("identity-balanced mAP, test", labelpad=2)
            _points(axes, list(arms), own)


def _points(axes: Axes, arms: Sequence[str], rows: dict[str, dict]) -> None:
    for y, arm in enumerate(arms):
        row = rows.get(arm)
        if row is None:
            continue
        if row["verdict"] == BASELINE:
            axes.axvline(row["id_map"], color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        seeds = [value for value in row["id_map_by_seed"] if number(value) is not None]
        axes.scatter(seeds, [y + 0.5] * len(seeds), s=9, color=SEED, linewidth=0, zorder=2)
        marker, colour = _mark(row["verdict"])
        axes.scatter([row["id_map"]], [y + 0.5], s=34, marker=marker, color=colour, zorder=3)


def _mark(verdict: str) -> tuple[str, str]:
    return ("s", INK) if verdict == BASELINE else (MARKERS.get(verdict, "o"), VERDICTS.get(verdict, MUTED))


def _legend(rows: list[dict]) -> tuple[list, list[str]]:
    words = [verdict for verdict in (BASELINE, *VERDICTS) if any(row["verdict"] == verdict for row in rows)]
    marks = [_mark(verdict) for verdict in words]
    handles = [Line2D([], [], marker=m, linestyle="none", color=colour, markersize=5.5) for m, colour in marks]
    return [*handles, Line2D([], [], marker="o", linestyle="none", color=SEED, markersize=3)], [*words, "seed"]


def draw_training_flops(training: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw mAP at full size over the operations of the whole training, with the arms that no other one beats in both."""
    need(training, ["arm", "baseline", "id_map", "train_flops"], "training_flops")
    rows = [row for row in training.to_dicts() if number(row["id_map"]) is not None and row["train_flops"]]
    if not rows:
        placeholder("No arm has both a score and a count of its training operations.", heading, out)
        return
    rows.sort(key=lambda row: -row["id_map"])
    handles, words = front_legend(any(row["baseline"] for row in rows))
    above, height = legend_height(words) + 0.1, 3.4
    names = {row["arm"]: fit(row["arm"], 1.8, 8, lines=2, bold=row["baseline"]) for row in rows}
    note = (
        "Higher is better, and so is further to the left. Operations: three times those of a forward pass of every image "
        "trained on, at its size."
    )
    with sheet(heading, above + height + 0.45, out, note) as page:
        page.legend(handles, words)
        width = WIDTH - 2 * MARGIN - 0.6
        axes = page.axes(MARGIN + 0.5, above, width, height)
        axes.set_xlabel("operations of the training (FLOPs)", labelpad=2)
        axes.set_ylabel("identity-balanced mAP at full size, test", labelpad=3)
        draw_panel(axes, rows, "train_flops", names, (width, height))


def _labels(rows: list[dict]) -> tuple[dict[str, str], float]:
    """Return the arms' names as they fit beside their rows, and the width they take."""
    found = {row["arm"]: fit(row["arm"], NAMES, 8.5, bold=row["baseline"]) for row in rows}
    return found, max(text_width(found[row["arm"]], 8.5, row["baseline"]) for row in rows)


def _name(page: Sheet, left: float, y: int, words: str, baseline: bool, top: float = 0.0) -> None:
    weight = "bold" if baseline else "normal"
    page.text(left - 0.1, top + (y + 0.5) * ROW, words, size=8.5, ha="right", va="center_baseline", weight=weight)
