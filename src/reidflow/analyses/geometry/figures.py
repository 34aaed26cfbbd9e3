"""Figures of an experiment on geometries: two ways to rank, distances from the origin, and projections of the spaces."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.analyses.geometry.tables import Projection
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, FAINT, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILLION, Heading, need
from reidflow.figures.text import magnitude, number
from reidflow.tables.text import number as printed

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
MARKERS = ("o", "^", "s", "D")
DISKS = ("hypersphere", "poincare", "lorentz")
RANKED = {
    "id_map": ("by the distance of the space", {"colour": BLUE}),
    "id_map_cosine": ("by the cosine", {"colour": ORANGE, "filled": False}),
}
GEODESIC_NOTE = (
    "The same embeddings, ranked in two ways. Large: mean over seeds; small: seeds. On the hypersphere both are one. Only "
    "the distance of the space counts in the tables."
)
RADII_NOTE = (
    "Across: distance from the origin, mean over seeds, for curvature -1 (on the hypersphere: the length of the head's output). "
    "Above: test images by their sharpness (logarithmic). Below: identities by their training images. rho: Spearman's correlation."
)
PROJECTIONS_NOTE = (
    "Test images of the identities with most of them, first finite seed. Each projection stays within its space: classical "
    "scaling of flat space; of the sphere, an area-preserving disk; of hyperbolic space, the Poincare disk, whose edge is "
    "infinitely far, with the true distance from the centre of the points. rho: rank correlation of projected and true "
    "distances; where it is low, the projection misleads."
)


@drawing
def geodesic(arms: pl.DataFrame, runs: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the ARMS and RUNS tables: the test mAP of each arm's embeddings by their own distance and by the cosine."""
    need(arms, ["arm", *RANKED], "geodesic")
    rows = [_ranked(row, column, runs) for row in arms.to_dicts() if row["id_map"] is not None for column in RANKED]
    if not rows:
        return parts.placeholder("No arm has a score.", heading)
    figure, grid = parts.new_figure(heading, parts.forest_height(rows, least=0.2) + parts.AXIS, GEODESIC_NOTE)
    parts.forest(grid[0, 0], rows, point="id_map", xlabel="identity-balanced mAP on test", reference=None)
    looks = {BLUE: {}, ORANGE: {"markerfacecolor": "white"}}
    handles = {words: parts.dot(look["colour"], **looks[look["colour"]]) for words, look in RANKED.values()}
    parts.legend(figure, handles)
    return figure


def _ranked(row: dict, column: str, runs: pl.DataFrame) -> Estimate:
    own = column == "id_map"
    value, seeds = number(row[column]), runs.filter(pl.col("arm") == row["arm"])[column].to_list()
    label = row["arm"] if own else "by the cosine"
    text = "no score" if value is None else f"{value:.3f}"
    key = f"{row['arm']} {'distance' if own else 'cosine'}"
    return Estimate(key, value, seeds=seeds, text=text, label=label, **RANKED[column][1])


@drawing
def radii(arms: pl.DataFrame, lengths: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the ARMS and RADII tables: a panel per arm, images by sharpness above, identities by training images below."""
    need(lengths, ["arm", "identity", "radius", "sharpness", "train_images"], "radii")
    known = lengths.filter(pl.col("radius").is_not_null())
    shown = {row["arm"]: row for row in arms.to_dicts() if row["arm"] in set(known["arm"])}
    if not shown:
        return parts.placeholder("No arm has finite embeddings.", heading)
    across = parts.columns_for(len(shown))
    figure, panels = parts.small_multiples(
        heading, list(shown), (0.85, 0.85), RADII_NOTE, xlabel="distance from the origin"
    )
    for i, (arm, (upper, lower)) in enumerate(panels.items()):
        own = known.filter(pl.col("arm") == arm)
        by_identity = own.group_by("identity", maintain_order=True).agg(
            pl.col("radius").mean(), pl.col("train_images").first()
        )
        upper.set_yscale("log")
        _scatter(upper, "images", own["radius"], own["sharpness"], shown[arm]["sharpness"], BLUE)
        upper.yaxis.set_major_formatter(FuncFormatter(magnitude))
        _scatter(lower, "identities", by_identity["radius"], by_identity["train_images"], shown[arm]["rarity"], PURPLE)
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        for axes, label in ((upper, "sharpness"), (lower, "training images")):
            axes.set_xlim(0, 1.06 * max(own["radius"].max(), 1e-9))
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.tick_params(which="minor", left=False, labelleft=False)
            if i % across == 0:
                axes.set_ylabel(label, size=8, labelpad=2)
    return figure


def _scatter(axes: Axes, part: str, x: pl.Series, y: pl.Series, rho: float | None, colour: str) -> None:
    parts.points(axes, "all", x.to_list(), y.to_list(), part=part, s=7, color=colour, alpha=0.7)
    if rho is not None:
        place = {"transform": axes.transAxes, "ha": "right", "va": "top", "size": 7.5, "color": MUTED}
        parts.mark(axes.text(0.99, 0.98, f"rho {printed(rho, 2)}", **place), "rho", part)


@drawing
def projections(found: Mapping[str, Projection], heading: Heading) -> Figure:
    """Draw the embeddings of a few identities in every arm's space, a panel per arm; curved spaces in a disk."""
    if not found:
        return parts.placeholder("No arm has finite embeddings.", heading)
    names = list(dict.fromkeys(name for projection in found.values() for name in projection.identities))
    looks = {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS) % len(MARKERS)]) for i, name in enumerate(names)
    }
    side = min(2.3, parts.BODY / parts.columns_for(len(found)) - 0.2)
    figure, panels = parts.small_multiples(heading, list(found), side, PROJECTIONS_NOTE)
    for arm, (axes,) in panels.items():
        _space(axes, found[arm], looks)
    parts.legend(figure, {name: parts.dot(colour, marker) for name, (colour, marker) in looks.items()})
    return figure


def _space(axes: Axes, projection: Projection, looks: Mapping[str, tuple[str, str]]) -> None:
    names = np.array(projection.identities)
    for name in dict.fromkeys(projection.identities):
        colour, marker = looks[name]
        x, y = projection.points[names == name].T
        parts.points(axes, name, x, y, part="identity", s=13, color=colour, marker=marker, alpha=0.8)
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if projection.geometry in DISKS:
        axes.add_patch(Circle((0, 0), 1, fill=False, color=FAINT, linewidth=0.8))
        axes.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03))
    label = axes.set_xlabel(f"rho {printed(projection.rho, 2)}", size=7.5, labelpad=1)
    label.set_gid(parts.gid("rho", "all", axes.get_label()))
