"""What the trials of a search cost against what they give, and the trials that no other one beats in both."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from reidflow.analyses.search.figures.parts import (
    METRIC,
    Look,
    draw_reference,
    draw_winner,
    handles,
    limits,
    looks,
    star,
)
from reidflow.figures.style import (
    INK,
    MARGIN,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import magnitude, number

COSTS = {"flops": "operations per image (forward FLOPs)", "parameters": "parameters"}
HEIGHT, LEFT, GAP = 3.1, 0.72, 0.45
ALIKE = 1.05
"""Where the dearest trial costs less than so many times the cheapest, a front says nothing."""
NOTE = (
    "One point a trial, by its single run; higher is better, and so is further to the left. The line joins the trials that "
    "no other one beats in both."
)


def costs(front: pl.DataFrame) -> list[str]:
    """Return the costs in which trials differ enough for a front: FLOPs or parameters, both or none."""
    return [cost for cost in COSTS if _ratio(front[cost].drop_nulls()) > ALIKE]


def _ratio(values: pl.Series) -> float:
    return values.max() / values.min() if len(values) and values.min() > 0 else 0.0


def draw(front: pl.DataFrame, heading: Heading, out: Out, baseline: dict[str, float | None] | None = None) -> None:
    """Draw what `tables.search.front` returned, a panel for each of `costs(front)`.

    baseline: its `value` (validation mAP), `flops` and `parameters`, as far as they are known.
    """
    if not front.is_empty():
        need(front, ["study", "winner", "value", *COSTS], "front")
    found = costs(front)
    if not found:
        placeholder("The trials of this search do not differ in operations or parameters.", heading, out)
        return
    known, shown = baseline or {}, looks(front["study"])
    marks, words = _legend(shown, front, any(_placed(known, cost) for cost in found), number(known.get("value")))
    above, width = legend_height(words), (WIDTH - LEFT - MARGIN - 0.1 - GAP * (len(found) - 1)) / len(found)
    reach = limits([*front["value"], *([known["value"]] if number(known.get("value")) is not None else [])], 0.05)
    with sheet(heading, above + 0.05 + HEIGHT + 0.45, out, NOTE) as page:
        page.legend(marks, words)
        for i, cost in enumerate(found):
            axes = page.axes(LEFT + i * (width + GAP), above + 0.05, width, HEIGHT)
            axes.set_ylim(reach)
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axes.set_xlabel(COSTS[cost], labelpad=2)
            if i == 0:
                axes.set_ylabel(METRIC, labelpad=4)
            draw_reference(axes, known.get("value"))
            _panel(axes, front.filter(pl.col(cost).is_not_null()), cost, shown, known)


def _placed(baseline: dict[str, float | None], cost: str) -> bool:
    return number(baseline.get("value")) is not None and number(baseline.get(cost)) is not None


def _panel(axes: Axes, own: pl.DataFrame, cost: str, shown: dict[str, Look], baseline: dict) -> None:
    _scale(axes, [*own[cost], *([baseline[cost]] if _placed(baseline, cost) else [])])
    best = own.filter(pl.col(f"front_{cost}")).sort(cost, "value")
    axes.plot(best[cost], best["value"], color=INK, linewidth=1.1, drawstyle="steps-post", alpha=0.75, zorder=2)
    for study, look in shown.items():
        for front, size, alpha, edge in ((False, 15, 0.5, "none"), (True, 38, 1.0, INK)):
            part = own.filter((pl.col("study") == study) & (pl.col(f"front_{cost}") == front))
            mark = {"s": size, "marker": look.mark, "color": look.colour, "alpha": alpha, "zorder": 3 + front}
            axes.scatter(part[cost], part["value"], edgecolor=edge, linewidth=0.9, **mark)
    for row in own.filter("winner").to_dicts():
        draw_winner(axes, row[cost], row["value"], shown[row["study"]].colour)
    if _placed(baseline, cost):
        axes.scatter([baseline[cost]], [baseline["value"]], s=60, marker="s", color=INK, edgecolor="white", zorder=7)


def _scale(axes: Axes, values: list[float]) -> None:
    if max(values) / min(values) > 4:
        axes.set_xscale("log")
        room = (max(values) / min(values)) ** 0.05
        axes.set_xlim(min(values) / room, max(values) * room)
        wide = max(values) / min(values) > 100
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0) if wide else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(limits(values, 0.05, 0.0))
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(magnitude))


def _legend(shown: dict[str, Look], front: pl.DataFrame, placed: bool, value: float | None) -> tuple[list, list[str]]:
    marks, words = handles(shown)
    marks.append(Line2D([], [], color=INK, marker="o", markerfacecolor="white", linewidth=1.1, markersize=6))
    words.append("beaten by none in both")
    if front["winner"].any():
        marks, words = [*marks, star()], [*words, "winner of its study"]
    if value is not None:
        line = Line2D(
            [], [], color=INK, linewidth=0.9, linestyle=(0, (5, 3)), marker="s" if placed else "", markersize=6
        )
        marks, words = [*marks, line], [*words, "baseline"]
    return marks, words
