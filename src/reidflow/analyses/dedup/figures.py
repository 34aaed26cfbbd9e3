"""Figures of a deduplication experiment: what each method finds, by threshold, and how the arms trained."""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from reidflow.figures.panels import place
from reidflow.figures.style import (
    BLUE,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    ORANGE,
    VERDICTS,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import magnitude, signed

OTHER = "#d0d0d0"
SHADES = LinearSegmentedColormap.from_list("left out", ["#b7d4ea", "#56a0d3", "#0072b2", "#00314d"])
QUANTITIES = {
    "loss": "training loss",
    "gradient_norm": "norm of the gradient",
    "active": "share of the loss's terms above 0",
    "hardness": "hardness: mean of the terms above 0",
}
"""Column of a history -> the title of its panel."""


def draw_detection(methods: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw precision against recall, a panel per method; without known truth, pairs by threshold.

    methods: the METHODS table of `tables.dedup`.
    """
    need(
        methods,
        ["method", "label", "threshold", "arm", "pairs", "cross_pairs", "precision", "recall", "f1"],
        "detection",
    )
    if methods["recall"].count():
        _precision_recall(methods, heading, out)
    else:
        _pairs(methods, heading, out)


def _of_each(methods: pl.DataFrame) -> dict[str, pl.DataFrame]:
    names = methods["method"].unique(maintain_order=True)
    return {name: methods.filter(pl.col("method") == name).sort("threshold") for name in names}


def _precision_recall(methods: pl.DataFrame, heading: Heading, out: Out) -> None:
    tables = {name: own.filter(pl.col("precision").is_not_null()) for name, own in _of_each(methods).items()}
    labels = {name: own["label"][0] for name, own in _of_each(methods).items()}
    handles = [
        Line2D([], [], color=BLUE, linewidth=1.4),
        Line2D([], [], color=BLUE, marker="o", markersize=4.5, linestyle="none"),
        Line2D([], [], color=VERMILLION, marker="*", markersize=9, linestyle="none"),
        Line2D([], [], color=OTHER, linewidth=0.9),
    ]
    words = [
        "the method, threshold by threshold",
        "threshold of an arm",
        "highest F1, and its threshold",
        "the other methods",
    ]
    height = 1.25
    places, end = place(list(labels.values()), height, legend_height(words))
    note = (
        "Among all labelled images. A pair is right where both images go back to the same planted original. "
        "Thresholds with the highest F1 are read off the truth; no arm is chosen by them."
    )
    with sheet(heading, end + 0.1, out, note) as page:
        page.legend(handles, words)
        for name, panel in zip(labels, places, strict=True):
            panel.head(page)
            axes = page.axes(panel.left, panel.top, panel.width, height)
            _unit_axes(axes, panel.first, panel.last)
            for other, own in tables.items():
                if other != name:
                    axes.plot(own["recall"], own["precision"], color=OTHER, linewidth=0.9, zorder=1)
            _operating(axes, tables[name])


def _unit_axes(axes: Axes, first: bool, last: bool) -> None:
    axes.set_xlim(-0.03, 1.05)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(labelsize=8, pad=2)
    if first:
        axes.set_ylabel("precision", labelpad=2, size=8)
    if last:
        axes.set_xlabel("recall", labelpad=1, size=8)


def _operating(axes: Axes, own: pl.DataFrame) -> None:
    if own.is_empty():
        axes.text(0.5, 0.5, "finds no pair", transform=axes.transAxes, ha="center", va="center", size=8, color=MUTED)
        return
    axes.plot(own["recall"], own["precision"], color=BLUE, linewidth=1.4, zorder=3)
    tried = own.filter("arm")
    axes.plot(tried["recall"], tried["precision"], "o", color=BLUE, markersize=4.5, zorder=4, clip_on=False)
    best = own.sort("f1", "threshold", descending=[True, False]).row(0, named=True)
    axes.plot(best["recall"], best["precision"], "*", color=VERMILLION, markersize=9, zorder=5, clip_on=False)
    axes.text(
        0.06,
        0.08,
        f"F1 {best['f1']:.2f} at {best['threshold']:.3g}",
        transform=axes.transAxes,
        size=8,
        color=INK,
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )


def _pairs(methods: pl.DataFrame, heading: Heading, out: Out) -> None:
    tables = _of_each(methods)
    handles = [
        Line2D([], [], color=BLUE, linewidth=1.4),
        Line2D([], [], color=VERMILLION, linewidth=1.4),
        Line2D([], [], color=MUTED, marker="|", markersize=7, linestyle="none"),
    ]
    words = ["pairs of one identity", "pairs of two identities", "thresholds of the arms"]
    height = 1.1
    places, end = place([own["label"][0] for own in tables.values()], height, legend_height(words))
    with sheet(
        heading, end + 0.1, out, "Among all labelled images. Which pairs are copies in truth is not known."
    ) as page:
        page.legend(handles, words)
        for own, panel in zip(tables.values(), places, strict=True):
            panel.head(page)
            axes = page.axes(panel.left, panel.top, panel.width, height)
            x = own["threshold"].to_numpy()
            axes.step(x, (own["pairs"] - own["cross_pairs"]).to_numpy(), where="post", color=BLUE, linewidth=1.4)
            axes.step(x, own["cross_pairs"].to_numpy(), where="post", color=VERMILLION, linewidth=1.4)
            _from_zero(axes, FuncFormatter(magnitude))
            _threshold_axis(axes, own, panel.last)


def _from_zero(axes: Axes, formatter: FuncFormatter) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(formatter)
    axes.set_ylim(0, max(1.08 * axes.get_ylim()[1], 1.0))


def _threshold_axis(axes: Axes, own: pl.DataFrame, named: bool) -> None:
    """Scale the axis to the method's thresholds and mark those of the arms."""
    loosest = max(own["threshold"].max(), 1e-9)
    axes.set_xlim(-0.06 * loosest, 1.08 * loosest)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=loosest >= 3, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=8, pad=2)
    if own["threshold"].n_unique() == 1:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0])
    tried = own.filter("arm")["threshold"].to_list()
    axes.plot(
        tried, [0.0] * len(tried), "|", color=MUTED, markersize=7, transform=axes.get_xaxis_transform(), clip_on=False
    )
    if named:
        axes.set_xlabel("threshold", labelpad=1, size=8)


def draw_thresholds(methods: pl.DataFrame, arms: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw by threshold, a panel per method: share left out and groups; below, the arms' test mAP against all images.

    methods, arms: the tables METHODS and ARMS of `tables.dedup`.
    """
    need(methods, ["method", "label", "threshold", "arm", "share", "groups", "dropped"], "thresholds")
    need(
        arms,
        ["kept", "dropped", "method", "threshold", "delta", "delta_low", "delta_high", "verdict", "recommended"],
        "thresholds",
    )
    tables = _of_each(methods)
    handles, words = _threshold_legend()
    upper, lower = 0.62, 0.7
    height = upper + lower + 0.13
    places, end = place([own["label"][0] for own in tables.values()], height, legend_height(words))
    total = max(1, (arms["kept"] + arms["dropped"]).max() or 0)
    note = (
        f"Shares and groups are of the {magnitude(total)} training images, duplicates counted within an identity. "
        "Bars: the intervals of the main table, corrected over all arms. Where one threshold has several arms (scope, image "
        "kept, equal epochs or steps), they stand side by side."
    )
    limits = _delta_limits(arms)
    with sheet(heading, end + 0.1, out, note) as page:
        page.legend(handles, words)
        for (name, own), panel in zip(tables.items(), places, strict=True):
            panel.head(page)
            axes = page.axes(panel.left, panel.top, panel.width, upper)
            x = own["threshold"].to_numpy()
            axes.step(x, 100 * own["share"].to_numpy(), where="post", color=BLUE, linewidth=1.4)
            axes.step(x, 100 * own["groups"].to_numpy() / total, where="post", color=ORANGE, linewidth=1.2)
            if len(x) == 1:
                axes.plot(x, 100 * own["share"].to_numpy(), "s", color=BLUE, markersize=5)
                axes.plot(x, 100 * own["groups"].to_numpy() / total, "s", color=ORANGE, markersize=3)
            _from_zero(axes, FuncFormatter(lambda value, _: f"{value:g}%"))
            _threshold_axis(axes, own, named=False)
            axes.xaxis.set_major_formatter(NullFormatter())
            below = page.axes(panel.left, panel.top + height - lower, panel.width, lower)
            _deltas(below, arms.filter(pl.col("method") == name), float(x.max()), limits)
            _threshold_axis(below, own, panel.last)


def _delta_limits(arms: pl.DataFrame) -> tuple[float, float]:
    ends = [value for column in ("delta", "delta_low", "delta_high") for value in arms[column].drop_nulls().drop_nans()]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = max(0.08 * (high - low), 0.005)
    return low - room, high + room


def _deltas(axes: Axes, own: pl.DataFrame, loosest: float, limits: tuple[float, float]) -> None:
    axes.axhline(0, color=MUTED, linewidth=0.9, zorder=1)
    axes.set_ylim(limits)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: signed(value, 2))
    rows = [row for row in own.sort("threshold", maintain_order=True).to_dicts() if row["delta"] is not None]
    if not rows:
        axes.text(0.5, 0.8, "no arm", transform=axes.transAxes, ha="center", va="center", size=8, color=MUTED)
    for place_, row in enumerate(rows):
        beside = [other for other in rows[:place_] if other["threshold"] == row["threshold"]]
        same = sum(other["threshold"] == row["threshold"] for other in rows)
        x = row["threshold"] + (len(beside) - (same - 1) / 2) * 0.035 * (loosest or 20)
        colour = VERDICTS.get(row["verdict"], MUTED)
        if row["delta_low"] is not None:
            axes.plot([x, x], [row["delta_low"], row["delta_high"]], color=colour, linewidth=1.2, zorder=2)
        mark = MARKERS.get(row["verdict"], "o")
        chosen = row["recommended"] is not None
        axes.plot(x, row["delta"], mark, color=colour, markersize=4, zorder=4)
        if chosen:
            axes.plot(x, row["delta"], "o", markersize=9, markerfacecolor="none", markeredgecolor=INK, zorder=5)


def _threshold_legend() -> tuple[list, list[str]]:
    pairs = [
        (Line2D([], [], color=BLUE, linewidth=1.4), "training images left out"),
        (Line2D([], [], color=ORANGE, linewidth=1.2), "groups per 100 training images"),
        (Line2D([], [], color=MUTED, marker="o", markersize=4, linewidth=1.2), "test mAP minus all images"),
        (Line2D([], [], color=VERDICTS["better"], marker=">", markersize=4, linewidth=1.2), "better"),
        (Line2D([], [], color=VERDICTS["worse"], marker="<", markersize=4, linewidth=1.2), "worse"),
        (
            Line2D([], [], marker="o", markersize=8, markerfacecolor="none", markeredgecolor=INK, linestyle="none"),
            "recommended on validation",
        ),
    ]
    return [handle for handle, _ in pairs], [label for _, label in pairs]


def draw_dynamics(histories: Mapping[str, pl.DataFrame], arms: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw loss, norm of the gradient, active share and hardness per epoch: means over seeds, one line an arm.

    histories: arm -> its history; quantities that no history holds have no panel. arms: the ARMS table. The darker an
    arm's line, the more images it leaves out; the baseline stands out.
    """
    need(arms, ["arm", "baseline", "share", "recommended"], "dynamics")
    curves = {
        column: {arm: _mean_curve(history, column) for arm, history in histories.items()} for column in QUANTITIES
    }
    shown = {column: {a: c for a, c in own.items() if len(c[0])} for column, own in curves.items()}
    shown = {column: own for column, own in shown.items() if own}
    if not shown:
        placeholder("No history of training was recorded.", heading, out)
        return
    rows = {row["arm"]: row for row in arms.to_dicts()}
    most = max([row["share"] for row in rows.values()] + [1e-9])
    handles = [Line2D([], [], color=VERMILLION, linewidth=2), Line2D([], [], color=SHADES(0.6), linewidth=1)]
    words = ["all images (the baseline)", "an arm without its duplicates"]
    if any(row["recommended"] == "overall" and not row["baseline"] for row in rows.values()):
        handles.append(Line2D([], [], color=INK, linewidth=1.6, linestyle=(0, (4, 1.5))))
        words.append("the arm that validation recommends")
    above, across, height = legend_height(words) + 0.45, min(2, len(shown)), 1.75
    lines = -(-len(shown) // across)
    cell = (WIDTH - 2 * MARGIN) / across
    note = "Means over seeds, up to the last epoch that every seed reached. Heights of losses compare, since all arms share one loss."
    with sheet(heading, above + lines * (height + 0.62), out, note) as page:
        page.legend(handles, words)
        _shade_bar(page, above - 0.4, most)
        for i, (column, own) in enumerate(shown.items()):
            left, top = MARGIN + 0.45 + (i % across) * cell, above + 0.18 + (i // across) * (height + 0.62)
            page.text(left, top - 0.08, QUANTITIES[column], size=8.5, va="baseline")
            axes = page.axes(left, top, cell - 0.57, height)
            _dynamics(axes, own, rows, lambda share: SHADES(share / most))
            if i + across >= len(shown):
                axes.set_xlabel("epoch", labelpad=1, size=8)


def _shade_bar(page: object, top: float, most: float) -> None:
    axes = page.axes(MARGIN + 1.5, top + 0.02, 1.6, 0.1)
    page.text(MARGIN, top, "training images left out", size=8.5, color=MUTED)
    bar = page.figure.colorbar(ScalarMappable(Normalize(0, 100 * most), SHADES), cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, pad=1, length=2)
    bar.ax.xaxis.set_major_locator(MaxNLocator(3))
    bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}%")


def _mean_curve(history: pl.DataFrame, column: str) -> tuple[list[int], list[float]]:
    """Return the epochs that every seed with a value reached, and the means over those seeds."""
    if column not in history.columns:
        return [], []
    values = history.filter((pl.col("epoch") > 0) & pl.col(column).cast(pl.Float64).is_finite())
    seeds = values["seed"].n_unique()
    means = values.group_by("epoch").agg(pl.col(column).mean(), pl.len().alias("seeds")).sort("epoch")
    means = means.filter(pl.col("seeds") == seeds)
    return means["epoch"].to_list(), means[column].to_list()


def _dynamics(
    axes: Axes, own: dict[str, tuple[list[int], list[float]]], rows: dict[str, dict], shade: Callable[[float], tuple]
) -> None:
    for arm, (epochs, values) in own.items():
        row = rows[arm]
        style = {"color": shade(row["share"]), "linewidth": 0.9, "alpha": 0.9, "zorder": 2}
        if row["baseline"]:
            style = {"color": VERMILLION, "linewidth": 2.0, "zorder": 4}
        elif row["recommended"] == "overall":
            style = {"color": INK, "linewidth": 1.6, "linestyle": (0, (4, 1.5)), "zorder": 5}
        axes.plot(epochs, values, marker="o" if len(epochs) == 1 else "", markersize=3, **style)
    finite = np.array([value for _, values in own.values() for value in values])
    if finite.min() > 0 and finite.max() / finite.min() > 100:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: magnitude(value).replace("-", "\u2212"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
