"""The difference from the baseline for every identity, against its number of images: who gains, the rare or the common?"""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reidflow.figures.panels import place
from reidflow.figures.style import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import clean, fit, magnitude, signed, text_width

COLUMNS = ["arm", "identity", "delta", "train_images"]
PANELS = 9
"""More arms than this are drawn as a heat map."""
NAMED = 60
"""With more identities than this the columns of the heat map carry no names."""
DIVERGING = LinearSegmentedColormap.from_list("delta", [VERMILLION, "#f0b08a", "#f7f7f7", "#8fc1e0", BLUE])


def draw(comparisons: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the comparisons per identity (arms in their order): a panel per arm, or a heat map of arms x identities.

    Rows for one flank alone, where the table has them, and rows without a difference (the baseline's) are left out.
    """
    need(comparisons, COLUMNS, "identities")
    if "flank" in comparisons.columns:
        comparisons = comparisons.filter(pl.col("flank").is_null())
    deltas = comparisons.filter(pl.col("delta").is_finite()).select(COLUMNS)
    if deltas.is_empty():
        placeholder("No arm shares an identity with the baseline, so there is no difference to draw.", heading, out)
        return
    arms = deltas["arm"].unique(maintain_order=True).to_list()
    (_panels if len(arms) <= PANELS else _heat_map)(deltas, arms, heading, out)


def _panels(deltas: pl.DataFrame, arms: list[str], heading: Heading, out: Out) -> None:
    people = deltas.unique("identity").sort("train_images", "identity")
    counts = people["train_images"]
    alike = counts.n_unique() == 1
    if alike:
        # Identities never trained on (or all equally often) are told apart by their place alone.
        deltas = deltas.with_columns(
            pl.col("identity").replace_strict(people["identity"], range(1, len(counts) + 1)).alias("train_images")
        )
    middle = float(len(counts) if alike else counts.median())
    across = f"identities, all with {counts[0]} training images" if alike else "training images"
    means = (
        "mean over identities" if alike else f"mean of those with at most {middle:g} training images, and of the others"
    )
    handles = [
        Line2D([], [], marker="o", linestyle="none", markersize=4.5, color=BLUE),
        Line2D([], [], marker="o", linestyle="none", markersize=4.5, color=VERMILLION),
        Line2D([], [], color=INK, linewidth=1.8),
    ]
    labels = ["an identity that gains", "one that loses", means]
    height = 1.7 if len(arms) < 5 else 1.45
    places, end = place(arms, height, legend_height(labels))
    reach = 1.12 * max(float(deltas["delta"].abs().max()), 0.01)
    most = int(deltas["train_images"].max())
    note = "Difference in average precision from the baseline, mean over queries and seeds."
    with sheet(heading, end + 0.1, out, note) as page:
        page.legend(handles, labels)
        for arm, panel in zip(arms, places, strict=True):
            panel.head(page)
            axes = page.axes(panel.left, panel.top, panel.width, height)
            axes.set_ylim(-1.2 * reach, reach)
            axes.set_xlim(-0.03 * most - 0.3, 1.03 * most + 0.3)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axes.tick_params(pad=2)
            if alike:
                axes.set_xticks([])
            if panel.last:
                axes.set_xlabel(across, labelpad=1, size=8)
            _scatter(axes, deltas.filter(pl.col("arm") == arm), middle)


def _scatter(axes: Axes, rows: pl.DataFrame, middle: float) -> None:
    images, delta = rows["train_images"].to_numpy(), rows["delta"].to_numpy()
    axes.axhline(0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    colours = [BLUE if d > 0 else VERMILLION if d < 0 else MUTED for d in delta]
    crowd = 18 if len(delta) <= 100 else 8
    axes.scatter(images, delta, s=crowd, c=colours, alpha=0.75, linewidth=0, zorder=3)
    low, high = axes.get_xlim()
    middle = high if (images <= middle).all() else middle
    for inside, ends, side in ((images <= middle, (low, middle), "left"), (images > middle, (middle, high), "right")):
        if not inside.any():
            continue
        mean = float(delta[inside].mean())
        axes.plot(ends, [mean, mean], color=INK, linewidth=1.8, solid_capstyle="butt", zorder=4)
        x = 0.015 if side == "left" else 0.985
        axes.text(
            x,
            0.03,
            signed(mean),
            transform=axes.transAxes,
            ha=side,
            va="bottom",
            size=8,
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )


def _heat_map(deltas: pl.DataFrame, arms: list[str], heading: Heading, out: Out) -> None:
    people = deltas.unique("identity").sort("train_images", "identity")
    identities, images = people["identity"].to_list(), people["train_images"].to_numpy()
    values = np.full((len(arms), len(identities)), np.nan)
    column = {identity: i for i, identity in enumerate(identities)}
    for arm, identity, delta in deltas.select("arm", "identity", "delta").iter_rows():
        values[arms.index(arm), column[identity]] = np.nan if delta is None else delta
    labels = [fit(arm, 2.0, 8.5, lines=2) for arm in arms]
    gutter = max(text_width(line, 8.5) for label in labels for line in label.split("\n"))
    names = [fit(identity, 0.9, 8) for identity in identities] if len(identities) <= NAMED else []
    foot = max(map(text_width, names, [8.0] * len(names))) + 0.12 if names else 0.12
    left, cell, strip = MARGIN + gutter + 0.1, 0.245 if not any("\n" in x for x in labels) else 0.29, 0.55
    width = WIDTH - left - 0.62 - MARGIN
    body = cell * len(arms)
    scale = Normalize(*(np.array([-1, 1]) * max(float(np.nanquantile(np.abs(values), 0.98)), 1e-3)))
    note = (
        "Difference in average precision from the baseline, mean over queries and seeds. Identities from few to many "
        "training images (bars); right: mean over identities."
        + (" Cells with a dot: not scored in the arm or in the baseline." if np.isnan(values).any() else "")
    )
    with sheet(heading, 0.05 + strip + 0.08 + body + foot + 0.6, out, note) as page:
        bars = page.axes(left, 0.05, width, strip)
        bars.bar(np.arange(len(images)), images, width=0.8 if names else 1.0, color=FAINT, linewidth=0)
        bars.set_xlim(-0.5, len(images) - 0.5)
        bars.set_xticks([])
        bars.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        bars.yaxis.set_major_formatter(magnitude)
        page.text(left - 0.42, 0.05 + strip / 2, "training images", size=8, color=MUTED, ha="right", va="center")
        axes = page.axes(left, 0.05 + strip + 0.08, width, body)
        _cells(axes, values, scale)
        axes.set_yticks(np.arange(len(arms)), labels, size=8.5, color=INK, linespacing=1.0)
        axes.set_xticks(np.arange(len(names)), names, rotation=90, size=8)
        for row, mean in enumerate(np.nanmean(values, axis=1)):
            axes.annotate(
                signed(float(mean)),
                (1.0, row),
                xycoords=axes.get_yaxis_transform(),
                xytext=(5, 0),
                textcoords="offset points",
                va="center_baseline",
                size=8.5,
                color=BLUE if mean > 0 else VERMILLION,
                annotation_clip=False,
            )
        bar = page.axes(left, 0.05 + strip + 0.08 + body + foot + 0.12, min(width, 3.0), 0.12)
        _key(page.figure, bar, scale)


def _cells(axes: Axes, values: np.ndarray, scale: Normalize) -> None:
    edges = [np.arange(n + 1) - 0.5 for n in reversed(values.shape)]
    many = values.size > 4000
    axes.pcolormesh(
        *edges, values, cmap=DIVERGING, norm=scale, linewidth=0 if many else 0.6, edgecolor="white", rasterized=many
    )
    rows, columns = np.nonzero(~np.isfinite(values))
    axes.scatter(columns, rows, s=3, color=FAINT, linewidth=0)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _key(figure: object, axes: Axes, scale: Normalize) -> None:
    bar = figure.colorbar(ScalarMappable(scale, DIVERGING), cax=axes, orientation="horizontal", extend="both")
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    bar.ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    bar.ax.set_xlabel(clean("difference from the baseline"), labelpad=1, size=8)
