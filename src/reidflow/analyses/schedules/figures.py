"""Learning-rate curves: the rate before every optimizer step, a panel per arm."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reidflow.figures.panels import place
from reidflow.figures.style import BLUE, MUTED, VERMILLION, Heading, Out, legend_height, need, placeholder, sheet
from reidflow.figures.text import magnitude

NOTE = (
    "Each panel runs from 0 to the highest rate of its arm, which stands above it: rates are tuned for each arm, so heights "
    "cannot be compared between panels, shapes can. Several lines: a schedule that follows the validation mAP, one line a seed."
)
HEIGHT = 0.95


def draw(rates: pl.DataFrame, kept: pl.DataFrame, baseline: str, heading: Heading, out: Out) -> None:
    """Draw the RATES table of `tables.schedules`; kept: (arm, seed, epoch, rate) where each run's weights are from."""
    if rates.is_empty():
        placeholder("No arm of this experiment was trained.", heading, out)
        return
    need(rates, ["arm", "seed", "epoch", "rate", "exact"], "rates")
    arms = rates["arm"].unique(maintain_order=True).to_list()
    handles, labels = _legend(rates)
    places, end = place(arms, HEIGHT, legend_height(labels), baseline)
    last = rates["epoch"].max()
    with sheet(heading, end + 0.1, out, NOTE) as page:
        page.legend(handles, labels)
        for arm, panel in zip(arms, places, strict=True):
            own = rates.filter(pl.col("arm") == arm)
            panel.head(page, weight="bold" if arm == baseline else "normal")
            axes = page.axes(panel.left, panel.top, panel.width, HEIGHT)
            peak = own["rate"].max()
            page.text(
                panel.left + panel.width,
                panel.top - 0.08,
                f"{peak:.3g}",
                size=8,
                color=MUTED,
                ha="right",
                va="baseline",
            )
            _axes(axes, last, peak, panel.last)
            _curves(axes, own)
            at = kept.filter(pl.col("arm") == arm)
            axes.scatter(at["epoch"], at["rate"], s=16, color=VERMILLION, linewidth=0, zorder=4, clip_on=False)


def _axes(axes: Axes, last: float, peak: float, named: bool) -> None:
    axes.set_xlim(-0.02 * last - 0.1, last * 1.02 + 0.1)
    axes.set_ylim(-0.03 * peak, 1.06 * peak or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.set_yticks([0, peak / 2, peak] if peak else [0])
    axes.yaxis.set_major_formatter(lambda value, _: magnitude(value))
    axes.tick_params(axis="both", labelsize=8, pad=2)
    if named:
        axes.set_xlabel("epoch", labelpad=1, size=8)


def _curves(axes: Axes, own: pl.DataFrame) -> None:
    seeds = own["seed"].unique(maintain_order=True).to_list()
    for seed in seeds:
        line = own.filter(pl.col("seed").eq_missing(seed)).sort("step")
        style = "-" if line["exact"].all() else (0, (4, 2))
        width = 1.6 if len(seeds) == 1 else 1.0
        axes.plot(
            line["epoch"], line["rate"], color=BLUE, linewidth=width, linestyle=style, drawstyle="steps-post", zorder=3
        )


def _legend(rates: pl.DataFrame) -> tuple[list, list[str]]:
    pairs = [
        (Line2D([], [], color=BLUE, linewidth=1.6), "learning rate"),
        (Line2D([], [], marker="o", linestyle="none", markersize=4, color=VERMILLION), "weights that a seed kept"),
    ]
    if not rates["exact"].all():
        pairs.append(
            (Line2D([], [], color=BLUE, linewidth=1.2, linestyle=(0, (4, 2))), "known at the start of epochs alone")
        )
    return [handle for handle, _ in pairs], [label for _, label in pairs]
