"""Learning-rate curves: the rate before every optimizer step, a panel per arm."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import BLUE, VERMILLION, Heading, need
from reidflow.figures.text import magnitude

NOTE = (
    "Each panel spans 0 to the highest rate of its arm: rates are tuned for each arm, so that shapes can be compared between "
    "panels, heights cannot. Several lines: a scheduler that follows the validation mAP, one line a seed."
)
START = (0, (4, 2))
"""Dashes of a curve that is known at the start of epochs alone."""


@drawing
def rates(table: pl.DataFrame, kept: pl.DataFrame, baseline: str, heading: Heading) -> Figure:
    """Draw the RATES table, and from KEPT the epoch and rate at which each run's weights were kept."""
    if table.is_empty():
        return parts.placeholder("No arm of this experiment was trained.", heading)
    need(table, ["arm", "seed", "step", "epoch", "rate", "exact"], "rates")
    arms = table["arm"].unique(maintain_order=True).to_list()
    figure, panels = parts.small_multiples(heading, arms, 0.95, NOTE, bold=baseline, xlabel="epoch", sharex=True)
    for arm, (axes,) in panels.items():
        own, at = table.filter(pl.col("arm") == arm), kept.filter(pl.col("arm") == arm)
        _scale(axes, table["epoch"].max(), own["rate"].max())
        seeds = own["seed"].unique(maintain_order=True).to_list()
        for seed in seeds:
            line = own.filter(pl.col("seed").eq_missing(seed)).sort("step")
            look = {"linestyle": "-" if line["exact"].all() else START, "linewidth": 1.6 if len(seeds) == 1 else 1.0}
            key = "every seed" if seed is None else f"seed {seed}"
            x, y = line["epoch"].to_list(), line["rate"].to_list()
            parts.curve(axes, key, x, y, drawstyle="steps-post", zorder=3, **look)
        if at.height:
            look = {"color": VERMILLION, "s": 16, "zorder": 4, "clip_on": False}
            parts.points(axes, "weights", at["epoch"].to_list(), at["rate"].to_list(), part="kept", **look)
    handles = {"learning rate": parts.stroke(BLUE, 1.6), "weights that a seed kept": parts.dot(VERMILLION, size=4)}
    if not table["exact"].all():
        handles["known at the start of epochs alone"] = parts.stroke(BLUE, 1.2, linestyle=START)
    parts.legend(figure, handles)
    return figure


def _scale(axes: Axes, last: float, peak: float) -> None:
    axes.set_xlim(-0.02 * last - 0.1, last * 1.02 + 0.1)
    axes.set_ylim(-0.03 * peak, 1.06 * peak or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.set_yticks([0, peak / 2, peak] if peak else [0])
    axes.yaxis.set_major_formatter(lambda value, _: magnitude(value))
