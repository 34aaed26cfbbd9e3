"""Figures of a deduplication experiment: what each method finds, by threshold, and how the arms trained."""

from collections.abc import Mapping

import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import BLUE, INK, MARKERS, MUTED, ORANGE, VERDICTS, VERMILLION, Heading, need
from reidflow.figures.text import magnitude, signed

OTHER = "#d0d0d0"
SHADES = LinearSegmentedColormap.from_list("dropped", ["#b7d4ea", "#56a0d3", "#0072b2", "#00314d"])
QUANTITIES = {
    "loss": "training loss",
    "gradient_norm": "gradient norm",
    "active": "share of the loss's terms above 0",
    "hardness": "hardness: mean of the terms above 0",
}
"""Column of a history -> the title of its panel."""
TRUTH_NOTE = (
    "Among all labelled images. A pair is correct where both images are copies of the same planted original. "
    "Thresholds with the highest F1 are known in hindsight; no arm is selected by them."
)
PAIRS_NOTE = "Among all labelled images. Which pairs are copies is unknown."
DYNAMICS_NOTE = "Means over seeds, up to the last epoch that every seed reached. Losses are comparable, since all arms share one loss."


@drawing
def detection(methods: pl.DataFrame, heading: Heading) -> Figure:
    """Draw precision against recall, a panel per method; without known copies, pairs by threshold.

    methods: the METHODS table.
    """
    need(
        methods,
        ["method", "label", "threshold", "arm", "pairs", "cross_pairs", "precision", "recall", "f1"],
        "detection",
    )
    return _precision_recall(methods, heading) if methods["recall"].count() else _pairs(methods, heading)


def _by_method(methods: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {name: of.sort("threshold") for (name,), of in methods.group_by(["method"], maintain_order=True)}


def _titles(tables: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    return {name: own["label"][0] for name, own in tables.items()}


def _precision_recall(methods: pl.DataFrame, heading: Heading) -> Figure:
    tables = _by_method(methods)
    found = {name: own.filter(pl.col("precision").is_not_null()) for name, own in tables.items()}
    settings = {"xlabel": "recall", "sharex": True, "sharey": True}
    figure, panels = parts.small_multiples(heading, list(tables), 1.25, TRUTH_NOTE, titles=_titles(tables), **settings)
    for i, (name, (axes,)) in enumerate(panels.items()):
        axes.set(xlim=(-0.03, 1.05), ylim=(-0.03, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        if i % parts.columns_for(len(panels)) == 0:
            axes.set_ylabel("precision", labelpad=2, size=8)
        for other, own in found.items():
            if other != name:
                axes.plot(own["recall"], own["precision"], color=OTHER, linewidth=0.9, zorder=1)
        _operating_points(axes, found[name])
    handles = {
        "the method, threshold by threshold": parts.stroke(BLUE),
        "threshold of an arm": parts.dot(BLUE, size=4.5),
        "highest F1, and its threshold": parts.dot(VERMILLION, "*", 9),
        "the other methods": parts.stroke(OTHER, 0.9),
    }
    parts.legend(figure, handles)
    return figure


def _operating_points(axes: Axes, own: pl.DataFrame) -> None:
    if own.is_empty():
        axes.text(0.5, 0.5, "finds no pair", transform=axes.transAxes, ha="center", va="center", size=8, color=MUTED)
        return
    parts.curve(axes, "method", own["recall"].to_list(), own["precision"].to_list(), linewidth=1.4)
    tried = own.filter("arm")
    settings = {"s": 20, "zorder": 4, "clip_on": False}
    parts.points(axes, "arms", tried["recall"].to_list(), tried["precision"].to_list(), **settings)
    best = own.sort("f1", "threshold", descending=[True, False]).row(0, named=True)
    settings = {"marker": "*", "color": VERMILLION, "s": 80, "zorder": 5, "clip_on": False}
    parts.points(axes, "best", [best["recall"]], [best["precision"]], **settings)
    words = axes.text(
        0.06,
        0.08,
        f"F1 {best['f1']:.2f} at {best['threshold']:.3g}",
        transform=axes.transAxes,
        size=8,
        color=INK,
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )
    parts.mark(words, "f1", "best")


def _pairs(methods: pl.DataFrame, heading: Heading) -> Figure:
    tables = _by_method(methods)
    figure, panels = parts.small_multiples(
        heading, list(tables), 1.1, PAIRS_NOTE, titles=_titles(tables), xlabel="threshold"
    )
    for name, (axes,) in panels.items():
        own = tables[name]
        _steps(axes, "one identity", own, own["pairs"] - own["cross_pairs"], BLUE)
        _steps(axes, "two identities", own, own["cross_pairs"], VERMILLION)
        _from_zero(axes, FuncFormatter(magnitude))
        _threshold_axis(axes, own)
    handles = {
        "pairs of one identity": parts.stroke(BLUE),
        "pairs of two identities": parts.stroke(VERMILLION),
        "thresholds of the arms": parts.dot(MUTED, "|", 7),
    }
    parts.legend(figure, handles)
    return figure


def _steps(axes: Axes, key: str, own: pl.DataFrame, values: pl.Series, colour: str) -> None:
    """Draw what a method finds at and above each threshold; a single threshold is a square."""
    look = {"marker": "s", "markersize": 4} if own.height == 1 else {"drawstyle": "steps-post"}
    parts.curve(axes, key, own["threshold"].to_list(), values.to_list(), colour=colour, linewidth=1.4, **look)


def _from_zero(axes: Axes, formatter: FuncFormatter) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(formatter)
    axes.set_ylim(0, max(1.08 * axes.get_ylim()[1], 1.0))


def _threshold_axis(axes: Axes, own: pl.DataFrame) -> None:
    """Scale the axis to the method's thresholds and mark those of the arms."""
    loosest = max(own["threshold"].max(), 1e-9)
    axes.set_xlim(-0.06 * loosest, 1.08 * loosest)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=loosest >= 3, steps=[1, 2, 2.5, 5, 10]))
    if own["threshold"].n_unique() == 1:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0])
    tried = own.filter("arm")["threshold"].to_list()
    line = axes.plot(tried, [0.0] * len(tried), "|", color=MUTED, markersize=7, clip_on=False)[0]
    line.set_transform(axes.get_xaxis_transform())
    parts.mark(line, "thresholds", "arms")


@drawing
def thresholds(methods: pl.DataFrame, arms: pl.DataFrame, heading: Heading) -> Figure:
    """Draw by threshold, a panel per method: share dropped and groups; below, the arms' test mAP against all images.

    methods, arms: the tables METHODS and ARMS.
    """
    need(methods, ["method", "label", "threshold", "arm", "share", "groups", "dropped"], "thresholds")
    need(
        arms,
        ["kept", "dropped", "method", "threshold", "delta", "delta_low", "delta_high", "verdict", "recommended"],
        "thresholds",
    )
    tables = _by_method(methods)
    total = max(1, (arms["kept"] + arms["dropped"]).max() or 0)
    note = (
        f"Shares and groups are of the {magnitude(total)} training images, duplicates counted within an identity. "
        "Intervals: those of the main table, corrected over all arms. Where several arms have one threshold (scope, image "
        "kept, equal epochs or steps), they stand side by side."
    )
    figure, panels = parts.small_multiples(
        heading, list(tables), [0.62, 0.7], note, titles=_titles(tables), xlabel="threshold"
    )
    ends = [v for column in ("delta", "delta_low", "delta_high") for v in arms[column].drop_nulls().drop_nans()]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = max(0.08 * (high - low), 0.005)
    for name, (upper, lower) in panels.items():
        own = tables[name]
        _steps(upper, "dropped", own, 100 * own["share"], BLUE)
        _steps(upper, "groups", own, 100 * own["groups"] / total, ORANGE)
        _from_zero(upper, FuncFormatter(lambda value, _: f"{value:g}%"))
        _threshold_axis(upper, own)
        upper.xaxis.set_major_formatter(NullFormatter())
        lower.set_label(f"{name} difference")
        lower.set_ylim(low - room, high + room)
        _deltas(lower, arms.filter(pl.col("method") == name), float(own["threshold"].max()))
        _threshold_axis(lower, own)
    ring = {"markerfacecolor": "none", "markeredgecolor": INK}
    handles = {
        "training images dropped": parts.stroke(BLUE),
        "groups per 100 training images": parts.stroke(ORANGE),
        **parts.verdict_handles(list(VERDICTS)),
        "recommended on validation": parts.dot(INK, size=8, **ring),
    }
    parts.legend(figure, handles)
    return figure


def _deltas(axes: Axes, own: pl.DataFrame, loosest: float) -> None:
    parts.reference(axes, "zero", y=0, color=MUTED, linestyle="-", linewidth=0.9)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: signed(value, 2))
    rows = [row for row in own.sort("threshold", maintain_order=True).to_dicts() if row["delta"] is not None]
    if not rows:
        axes.text(0.5, 0.8, "no arm", transform=axes.transAxes, ha="center", va="center", size=8, color=MUTED)
    for i, row in enumerate(rows):
        before = sum(other["threshold"] == row["threshold"] for other in rows[:i])
        same = sum(other["threshold"] == row["threshold"] for other in rows)
        x = row["threshold"] + (before - (same - 1) / 2) * 0.035 * (loosest or 20)
        colour = VERDICTS.get(row["verdict"], MUTED)
        if row["delta_low"] is not None:
            line = axes.plot([x, x], [row["delta_low"], row["delta_high"]], color=colour, linewidth=1.2, zorder=2)
            parts.mark(line[0], "interval", row["arm"])
        look = {"marker": MARKERS.get(row["verdict"], "o"), "color": colour, "s": 16, "zorder": 4}
        parts.points(axes, row["arm"], [x], [row["delta"]], part="delta", **look)
        if row["recommended"] is not None:
            ring = {"color": None, "facecolor": "none", "edgecolor": INK, "linewidth": 1, "s": 80, "zorder": 5}
            parts.points(axes, row["arm"], [x], [row["delta"]], part="recommended", **ring)


@drawing
def dynamics(histories: Mapping[str, pl.DataFrame], arms: pl.DataFrame, heading: Heading) -> Figure:
    """Draw loss, gradient norm, active share and hardness per epoch: means over seeds, one line an arm.

    histories: arm -> its history; quantities that no history holds have no panel. arms: the ARMS table. The darker an
    arm's line, the more images it drops; the baseline stands out.
    """
    need(arms, ["arm", "baseline", "share", "recommended"], "dynamics")
    curves = {column: {arm: mean_curve(history, column) for arm, history in histories.items()} for column in QUANTITIES}
    curves = {column: {arm: own for arm, own in of.items() if own[0]} for column, of in curves.items()}
    curves = {column: of for column, of in curves.items() if of}
    if not curves:
        return parts.placeholder("No history of training was recorded.", heading)
    rows = {row["arm"]: row for row in arms.to_dicts()}
    most = max([row["share"] for row in rows.values()] + [1e-9])
    columns = min(2, len(curves))
    figure, panels = parts.small_multiples(
        heading, list(curves), 1.75, DYNAMICS_NOTE, titles=QUANTITIES, xlabel="epoch", columns=columns
    )
    for column, (axes,) in panels.items():
        for arm, (epochs, values) in curves[column].items():
            look = {"colour": SHADES(rows[arm]["share"] / most), "linewidth": 0.9, "alpha": 0.9, "zorder": 2}
            if rows[arm]["baseline"]:
                look = {"colour": VERMILLION, "linewidth": 2.0, "zorder": 4}
            elif rows[arm]["recommended"] == "overall":
                look = {"colour": INK, "linewidth": 1.6, "linestyle": (0, (4, 1.5)), "zorder": 5}
            parts.curve(axes, arm, epochs, values, marker="o" if len(epochs) == 1 else "", markersize=3, **look)
        _scale(axes, [value for _, values in curves[column].values() for value in values])
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 100 * most), SHADES),
        ax=[axes for own in panels.values() for axes in own],
        shrink=0.5,
        aspect=30,
        format=lambda value, _: f"{value:g}%",
    )
    bar.outline.set_visible(False)
    bar.set_label("training images dropped", size=8, color=MUTED)
    handles = {
        "all images (baseline)": parts.stroke(VERMILLION, 2),
        "an arm without duplicates": parts.stroke(SHADES(0.6), 1),
    }
    if any(row["recommended"] == "overall" and not row["baseline"] for row in rows.values()):
        handles["the arm recommended on validation"] = parts.stroke(INK, 1.6, linestyle=(0, (4, 1.5)))
    parts.legend(figure, handles)
    return figure


def mean_curve(history: pl.DataFrame, column: str) -> tuple[list[int], list[float]]:
    """Return the epochs that every seed with a value reached, and the means over those seeds."""
    if column not in history.columns:
        return [], []
    values = history.filter((pl.col("epoch") > 0) & pl.col(column).cast(pl.Float64).is_finite())
    seeds = values["seed"].n_unique()
    means = values.group_by("epoch").agg(pl.col(column).mean(), pl.len().alias("seeds")).sort("epoch")
    means = means.filter(pl.col("seeds") == seeds)
    return means["epoch"].to_list(), means[column].to_list()


def _scale(axes: Axes, values: list[float]) -> None:
    if min(values) > 0 and max(values) / min(values) > 100:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: magnitude(value).replace("-", "\u2212"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
