"""What an arm costs against what it gives: id_map over parameters, operations and speed."""

from math import ceil

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from reidflow.figures.labels import place_labels
from reidflow.figures.style import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, magnitude, number, text_width

COSTS = {
    "parameters": "parameters",
    "trainable_parameters": "trainable parameters",
    "flops": "operations per image (forward FLOPs)",
    "latency_ms": "latency of one image, ms",
    "throughput": "images per second, forward",
    "images_per_second": "images per second, training",
}
"""Column -> what its axis says. More images per second are better, less of everything else."""
MORE_IS_BETTER = ("throughput", "images_per_second")
DIRECT = 10
"""Up to this many arms carry their names beside their points; more carry numbers and a key below."""
RADIUS = 0.045


def costs(results: pl.DataFrame) -> list[str]:
    """Return the columns of cost in which arms with an id_map differ: without any, there is nothing to draw."""
    valued = results.filter(pl.col("id_map").is_finite())
    return [c for c in COSTS if c in results.columns and valued[c].drop_nulls().n_unique() > 1]


def draw(results: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw a panel for each of `costs(results)`; a results table may be joined with its efficiency table before.

    Without any difference in cost, the figure says so in words.
    """
    need(results, ["arm", "baseline", "id_map"], "pareto")
    found = costs(results)
    if not found:
        arms = ", ".join(fit(arm, 3, 9) for arm in results["arm"])
        placeholder(f"The arms do not differ in parameters, operations or speed: {arms}.", heading, out)
        return
    ranked = sorted(results.to_dicts(), key=lambda r: (number(r["id_map"]) is None, -(number(r["id_map"]) or 0)))
    across = 2 if len(found) in (2, 4) else min(3, len(found))
    direct = len(ranked) <= DIRECT and across < 3
    names = {
        r["arm"]: fit(r["arm"], 1.6, 8, lines=2, bold=r["baseline"]) if direct else str(i + 1)
        for i, r in enumerate(ranked)
    }
    without = [r["arm"] for r in ranked if number(r["id_map"]) is None]
    handles, labels = front_legend(any(r["baseline"] for r in ranked))
    above = legend_height(labels)
    cell, height = (WIDTH - 2 * MARGIN) / across, 2.9 if across < 3 else 2.3
    rows = ceil(len(found) / across)
    end = above + 0.1 + rows * (height + 0.55)
    key = _key(ranked, names, direct)
    lines = ceil(len(key) / 3)
    note = (
        "Higher is better, and so is further to the left; for images per second, to the right. "
        "The line joins the arms that no other one beats in both."
    )
    if without and direct:
        note += f" Without a value: {', '.join(fit(arm, 3, 8) for arm in without)}."
    with sheet(heading, end + (0.155 * lines + 0.12 if key else 0), out, note) as page:
        page.legend(handles, labels)
        for i, column in enumerate(found):
            left, top = MARGIN + 0.45 + (i % across) * cell, above + 0.1 + (i // across) * (height + 0.55)
            axes = page.axes(left, top, cell - 0.57, height)
            axes.set_xlabel(COSTS[column], labelpad=2)
            if i % across == 0:
                axes.set_ylabel("identity-balanced mAP", labelpad=3)
            points = [r for r in ranked if number(r["id_map"]) is not None and number(r[column]) is not None]
            draw_panel(axes, points, column, names, (cell - 0.57, height))
        for i, words in enumerate(key):
            page.text(MARGIN + (i // lines) * (WIDTH - 2 * MARGIN) / 3, end + 0.155 * (i % lines), words, size=8)


def draw_panel(axes: Axes, rows: list[dict], column: str, names: dict[str, str], size: tuple[float, float]) -> None:
    """Draw id_map over a column of cost, with the front; names: arm -> words beside its point; size: inches."""
    x = [float(r[column]) for r in rows]
    y = [float(r["id_map"]) for r in rows]
    _scales(axes, x, y)
    front = _front(x, y, more_is_better=column in MORE_IS_BETTER)
    axes.plot([x[i] for i in front], [y[i] for i in front], color=BLUE, linewidth=1.1, alpha=0.6, zorder=2)
    for i, row in enumerate(rows):
        colour = VERMILLION if row["baseline"] else BLUE if i in front else FAINT
        edge = BLUE if i in front else "none"
        axes.scatter(
            [x[i]], [y[i]], s=30, marker="s" if row["baseline"] else "o", color=colour, edgecolor=edge, zorder=3
        )
    wide, tall = size
    inches = [
        (px * wide, py * tall)
        for px, py in axes.transAxes.inverted().transform(axes.transData.transform([*zip(x, y, strict=True)]))
    ]
    words = [names[r["arm"]] for r in rows]
    boxes = [
        (max(text_width(t, 8, r["baseline"]) for t in w.split("\n")) + 0.04, 0.125 * (1 + w.count("\n")) + 0.02)
        for w, r in zip(words, rows, strict=True)
    ]
    for (px, py), (cx, cy), row, word, box in zip(
        inches, place_labels(inches, boxes, wide, tall, RADIUS), rows, words, boxes, strict=True
    ):
        gap = max(abs(cx - px) - box[0] / 2, abs(cy - py) - box[1] / 2)
        if gap > 0.12:
            axes.plot(
                [px / wide, cx / wide],
                [py / tall, cy / tall],
                transform=axes.transAxes,
                color=FAINT,
                linewidth=0.7,
                zorder=1,
            )
        axes.text(
            cx / wide,
            cy / tall,
            word,
            transform=axes.transAxes,
            ha="center",
            va="center",
            size=8,
            linespacing=1.0,
            zorder=5,
            color=INK,
            weight="bold" if row["baseline"] else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75} if gap > 0.12 else None,
        )


def _scales(axes: Axes, x: list[float], y: list[float]) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    room = max(0.08 * (max(y) - min(y)), 0.005)
    axes.set_ylim(min(y) - room, max(y) + 1.4 * room)
    if min(x) > 0 and max(x) / min(x) > 5:
        axes.set_xscale("log")
        ratio = (max(x) / min(x)) ** 0.1
        axes.set_xlim(min(x) / ratio, max(x) * ratio)
        wide = max(x) / min(x) > 300
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if wide else (1.0, 3.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.1 * (max(x) - min(x))
        axes.set_xlim(min(x) - room, max(x) + room)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(magnitude))


def _front(x: list[float], y: list[float], more_is_better: bool) -> list[int]:
    """Return the points that no other one beats: from the cheapest to the dearest, each with a higher value."""
    sign = -1 if more_is_better else 1
    order = sorted(range(len(x)), key=lambda i: (sign * x[i], -y[i]))
    front: list[int] = []
    for i in order:
        if not front or y[i] > y[front[-1]]:
            front.append(i)
    return front


def _key(ranked: list[dict], names: dict[str, str], direct: bool) -> list[str]:
    if direct:
        return []
    third = (WIDTH - 2 * MARGIN) / 3
    found = []
    for row in ranked:
        value = number(row["id_map"])
        shown = "no value" if value is None else f"{value:.3f}"
        found.append(f"{names[row['arm']]}  {fit(row['arm'], third - 0.95, 8)}  {shown}")
    return found


def front_legend(baseline: bool) -> tuple[list, list[str]]:
    """Return handles and labels of the marks of `draw_panel`."""
    pairs = [
        (Line2D([], [], marker="o", color=BLUE, linewidth=1.1, markersize=5.5), "Pareto front"),
        (Line2D([], [], marker="o", linestyle="none", color=FAINT, markersize=5.5), "behind the front"),
    ]
    if baseline:
        pairs.append((Line2D([], [], marker="s", linestyle="none", color=VERMILLION, markersize=5.5), "baseline"))
    return [handle for handle, _ in pairs], [label for _, label in pairs]
