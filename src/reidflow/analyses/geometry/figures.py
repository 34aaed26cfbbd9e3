"""Figures of an experiment on geometries: two ways to rank, distances from the origin, and pictures of the spaces."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.figures.panels import place
from reidflow.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import clean, fit, magnitude, text_width
from reidflow.tables.text import number

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
MARKERS = ("o", "^", "s", "D")
DISKS = ("hypersphere", "poincare", "lorentz")
ROW = 0.3


@dataclass(frozen=True)
class Picture:
    """An arm's embeddings of some identities, drawn in two dimensions.

    points: (N, 2); identities: (N,) names; near: rank correlation of drawn and true distances.
    """

    geometry: str
    points: np.ndarray
    identities: list[str]
    near: float


def draw_geodesic(arms: pl.DataFrame, runs: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the test mAP of each arm's embeddings by their own distance and by the cosine: a row an arm, dots are seeds.

    arms, runs: the ARMS and RUNS tables of `tables.geometry`.
    """
    need(arms, ["arm", "id_map", "id_map_cosine"], "geodesic")
    rows = [row for row in arms.to_dicts() if row["id_map"] is not None]
    if not rows:
        placeholder("No arm has a score.", heading, out)
        return
    names = min(2.4, max(text_width(clean(row["arm"]), 8.5) for row in rows) + 0.15)
    words = ["by the distance of the space", "by the cosine"]
    handles = [
        Line2D([], [], linestyle="none", marker="o", color=BLUE, markersize=6),
        Line2D([], [], linestyle="none", marker="o", color=ORANGE, markerfacecolor="white", markersize=6),
    ]
    above, height = legend_height(words), ROW * len(rows) + 0.1
    note = (
        "The same embeddings, ranked in two ways. Large: mean over seeds; small: seeds. On the hypersphere both are one. Only "
        "the distance of the space counts in the tables."
    )
    with sheet(heading, above + height + 0.45, out, note) as page:
        page.legend(handles, words)
        axes = page.axes(MARGIN + names, above, WIDTH - 2 * MARGIN - names, height)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [""] * len(rows))
        axes.set_xlabel("identity-balanced mAP, test", labelpad=2)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        for i, row in enumerate(rows):
            page.text(MARGIN, above + height * (i + 0.5) / len(rows), fit(row["arm"], names - 0.1, 8.5), va="center")
            _two_ways(axes, i, row, runs.filter(pl.col("arm") == row["arm"]))


def _two_ways(axes: Axes, i: int, row: dict, own: pl.DataFrame) -> None:
    looks = (("id_map", -0.13, BLUE, BLUE), ("id_map_cosine", 0.13, ORANGE, "white"))
    if row["id_map_cosine"] is not None:
        axes.plot([row["id_map"], row["id_map_cosine"]], [i - 0.13, i + 0.13], color=FAINT, linewidth=1, zorder=1)
    for column, shift, colour, fill in looks:
        seeds = own[column].drop_nulls()
        axes.plot(seeds, [i + shift] * len(seeds), "o", color=colour, markersize=2.5, alpha=0.6, zorder=2)
        if row[column] is not None:
            axes.plot(row[column], i + shift, "o", color=colour, markerfacecolor=fill, markersize=6, zorder=3)


def draw_radii(arms: pl.DataFrame, lengths: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw how far out test images lie, by their sharpness and by the training images of their identity.

    A panel an arm, images above and identities below. arms, lengths: the ARMS and RADII tables of `tables.geometry`.
    """
    need(lengths, ["arm", "identity", "radius", "sharpness", "train_images"], "radii")
    known = lengths.filter(pl.col("radius").is_not_null())
    shown = {row["arm"]: row for row in arms.to_dicts() if known.filter(pl.col("arm") == row["arm"]).height}
    if not shown:
        placeholder("No arm has finite embeddings.", heading, out)
        return
    half, between = 0.85, 0.42
    panels, end = place(list(shown), 2 * half + between, 0.0)
    note = (
        "Across: distance from the origin, mean over seeds, for curvature -1 (on the hypersphere: the length of the head's output). "
        "Above: test images by their sharpness (logarithmic). Below: identities by their training images. rho: Spearman's correlation."
    )
    with sheet(heading, end + 0.1, out, note) as page:
        for (arm, row), panel in zip(shown.items(), panels, strict=True):
            panel.head(page)
            own = known.filter(pl.col("arm") == arm)
            by_identity = own.group_by("identity", maintain_order=True).agg(
                pl.col("radius").mean(), pl.col("train_images").first()
            )
            limit = max(own["radius"].max(), 1e-9)
            upper = page.axes(panel.left, panel.top, panel.width, half)
            upper.set_yscale("log")
            _scatter(
                upper,
                own["radius"],
                own["sharpness"],
                limit,
                row["sharpness"],
                BLUE,
                "sharpness" if panel.first else "",
            )
            lower = page.axes(panel.left, panel.top + half + between, panel.width, half)
            label = "training images" if panel.first else ""
            _scatter(lower, by_identity["radius"], by_identity["train_images"], limit, row["rarity"], PURPLE, label)
            if panel.last:
                lower.set_xlabel("distance from the origin", labelpad=1, size=8)


def _scatter(axes: Axes, x: pl.Series, y: pl.Series, limit: float, rho: float | None, colour: str, label: str) -> None:
    axes.plot(x, y, "o", color=colour, markersize=2.6, alpha=0.7, markeredgewidth=0)
    axes.set_xlim(0, 1.06 * limit)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(magnitude))
    axes.tick_params(labelsize=7.5, pad=2)
    axes.tick_params(which="minor", left=False, labelleft=False)
    axes.set_ylabel(label, size=8, labelpad=2)
    if rho is not None:
        axes.text(
            0.98,
            1.02,
            f"rho {number(rho, 2)}",
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            size=7.5,
            color=MUTED,
        )


def draw_projections(pictures: Mapping[str, Picture], heading: Heading, out: Out) -> None:
    """Draw the embeddings of a few identities in every arm's space: a panel an arm, a colour and mark an identity.

    Spheres and hyperbolic spaces are drawn in a disk, the latter in Poincare's.
    """
    if not pictures:
        placeholder("No arm has finite embeddings.", heading, out)
        return
    names = list(dict.fromkeys(name for picture in pictures.values() for name in picture.identities))
    looks = {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS) % len(MARKERS)]) for i, name in enumerate(names)
    }
    words = [fit(name, 1.3, 8.5) for name in names]
    handles = [Line2D([], [], linestyle="none", marker=m, color=c, markersize=5) for c, m in looks.values()]
    above = legend_height(words)
    side = min(2.3, place(list(pictures), 1.0, 0.0)[0][0].width)
    panels, end = place(list(pictures), side, above)
    note = (
        "Test images of the identities with most of them, first finite seed. Each projection stays within its space: classical "
        "scaling of flat space; of the sphere, an area-keeping disk; of hyperbolic space, the Poincare disk, whose edge is "
        "infinitely far, with the true distance from the centre of the points. rho: rank correlation of drawn and true distances; a low one warns of the picture."
    )
    with sheet(heading, end + 0.1, out, note) as page:
        page.legend(handles, words)
        for (_, picture), panel in zip(pictures.items(), panels, strict=True):
            panel.head(page)
            axes = page.axes(panel.left + (panel.width - side) / 2, panel.top, side, side)
            _space(axes, picture, looks)


def _space(axes: Axes, picture: Picture, looks: Mapping[str, tuple[str, str]]) -> None:
    names = np.array(picture.identities)
    for name in dict.fromkeys(picture.identities):
        colour, marker = looks[name]
        own = picture.points[names == name]
        axes.plot(own[:, 0], own[:, 1], marker, color=colour, markersize=3.6, alpha=0.8, markeredgewidth=0)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if picture.geometry in DISKS:
        axes.add_patch(Circle((0, 0), 1, fill=False, color=FAINT, linewidth=0.8))
        axes.set_xlim(-1.03, 1.03)
        axes.set_ylim(-1.03, 1.03)
    axes.text(
        1, -0.02, f"rho {number(picture.near, 2)}", transform=axes.transAxes, ha="right", va="top", size=7.5, color=INK
    )
