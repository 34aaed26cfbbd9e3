"""Figures of an experiment on backgrounds: trained-on x tested-on, altered queries, and reliance on the background."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, INK, MUTED, ORANGE, PURPLE, VERMILLION, Heading, need
from reidflow.figures.text import fit, number, signed, text_width

CELL, NARROWEST = 0.42, 0.6
"""Inches: height of a cell, least width."""
MATRIX = ["arm", "tested_on", "mode", "own", "id_map", "chance", "delta", "verdict"]
RELIANCE = [
    "arm", "baseline", "background", "control", "foreground", "silhouette", "chance", "reliance", "low", "high", "verdict",
]  # fmt: skip
TESTED_NOTE = (
    "Rows: the version whose training images an arm saw. Columns: the version of queries and gallery. Upper number and colour: "
    "identity-balanced mAP; lower: difference from the same arm on the unchanged images, * where it is significant (corrected "
    "over all cells). Framed: tested on what it was trained on."
)
QUERY_NOTE = (
    "Upper number: identity-balanced mAP of altered queries in the unchanged gallery; lower, and the colour: difference from "
    "unaltered queries, * where it is significant (corrected over all cells). Framed: queries as the arm was trained."
)
RELIANCE_NOTE = (
    "Reliance = (background only \u2212 chance) / (foreground only \u2212 chance), with its interval for each arm by itself; the verdict "
    "is that of the paired difference from the baseline, corrected for the number of arms. The control has the same holes "
    "in unrelated backgrounds: it should be at chance."
)
PROBES = {
    "foreground": ("D", BLUE, "foreground only"),
    "background": ("s", VERMILLION, "background only"),
    "silhouette": ("^", PURPLE, "silhouette only"),
    "control": ("o", ORANGE, "control: unrelated background"),
}
VERDICTS = {"lower": (BLUE, "<"), "higher": (VERMILLION, ">"), "baseline": (INK, "D")}


def _shade(colour: str, depth: float) -> tuple[float, ...]:
    return tuple(1 - depth * (1 - part) for part in to_rgb(colour))


# The deepest shade on which dark letters are legible is 0.7.
SEQUENTIAL = LinearSegmentedColormap.from_list("mAP", ["white", _shade(BLUE, 0.7)])
DIVERGING = LinearSegmentedColormap.from_list("difference", [_shade(VERMILLION, 0.7), "white", _shade(BLUE, 0.7)])


@drawing
def tested_on(matrix: pl.DataFrame, heading: Heading) -> Figure:
    """Draw trained-on x tested-on: the rows of TESTED_MATRIX with queries and gallery in one version."""
    need(matrix, MATRIX, "tested_on")
    rows = matrix.filter(pl.col("mode") == "both")
    chance = number(rows["chance"].mean()) or 0.0
    highest = max((v for v in map(number, rows["id_map"]) if v is not None), default=1.0)
    return _bands(rows, "id_map", SEQUENTIAL, Normalize(chance, max(highest, chance + 1e-9)), heading, TESTED_NOTE)


@drawing
def query_only(matrix: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the loss of altered queries in an unchanged gallery: the rows of the mode `query`."""
    need(matrix, MATRIX, "query_only")
    rows = matrix.filter(pl.col("mode") == "query")
    if rows.is_empty():
        return parts.placeholder("No version but the original was tested.", heading)
    largest = max([0.05, *(abs(delta) for delta in map(number, rows["delta"]) if delta is not None)])
    return _bands(rows, "delta", DIVERGING, Normalize(-largest, largest), heading, QUERY_NOTE)


def _bands(
    rows: pl.DataFrame, coloured: str, colours: Colormap, scale: Normalize, heading: Heading, note: str
) -> Figure:
    """Draw a cell for each arm (row) and version (column), the versions in bands where they are too many for one."""
    arms, versions = (list(dict.fromkeys(rows[column])) for column in ("arm", "tested_on"))
    cells = {(row["arm"], row["tested_on"]): row for row in rows.to_dicts()}
    names = [fit(arm, 1.6, 8.5, lines=2) for arm in arms]
    room = parts.BODY - max(text_width(line, 8.5) for name in names for line in name.split("\n")) - 0.2
    most = int(room / NARROWEST)
    bands = [versions[start : start + most] for start in range(0, len(versions), most)]
    across = max(map(len, bands))
    width = room / across
    height = len(bands) * (CELL * len(arms) + 0.7)
    figure, axes_of = parts.new_figure(heading, height, note, rows=len(bands), columns=1)
    for i, (band, axes) in enumerate(zip(bands, axes_of[:, 0], strict=True)):
        axes.set_label(f"band {i + 1}" if len(bands) > 1 else "")
        values = [[_of(cells.get((arm, version)), coloured) for version in band] for arm in arms]
        labels = (names, [fit(version, width - 0.05, 8, lines=4) for version in band])
        parts.matrix(
            axes,
            arms,
            band,
            values,
            colours=colours,
            scale=scale,
            labels=labels,
            text=lambda arm, version, _: _words(cells[arm, version]),
        )
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", labelrotation=0)
        axes.set_xlim(-0.5, across - 0.5)
        _frames(axes, arms, band, cells)
    return figure


def _of(row: dict | None, column: str) -> float | None:
    return None if row is None or number(row["id_map"]) is None else row[column]


def _words(row: dict) -> str:
    delta = number(row["delta"])
    star = "*" if row["verdict"] in ("better", "worse") else ""
    return f"{row['id_map']:.3f}" + ("" if delta is None else f"\n{signed(delta)}{star}")


def _frames(axes: Axes, arms: list[str], versions: list[str], cells: dict[tuple[str, str], dict]) -> None:
    for y, arm in enumerate(arms):
        for x, version in enumerate(versions):
            row = cells.get((arm, version))
            if row is not None and row["own"]:
                frame = Rectangle((x - 0.47, y - 0.44), 0.94, 0.88, fill=False, edgecolor=INK, linewidth=1.2, zorder=3)
                parts.mark(axes.add_patch(frame), "own", f"{arm}|{version}")


@drawing
def reliance(table: pl.DataFrame, heading: Heading) -> Figure:
    """Draw a RELIANCE table: mAP on each part of the image, and the reliance with its interval."""
    need(table, RELIANCE, "reliance")
    rows = table.to_dicts()
    ratios = [_ratio(row) for row in rows]
    height = parts.forest_height(ratios, least=0.36) + parts.AXIS
    figure, axes = parts.new_figure(heading, height, RELIANCE_NOTE, rows=1, columns=2, width_ratios=[0.55, 0.45])
    left, right = axes[0]
    names = [Estimate(row["arm"], None, bold=row["baseline"]) for row in rows]
    parts.forest(left, names, xlabel="identity-balanced mAP on test", reference=None, texts=False)
    parts.ticks(left, "chance", {row["arm"]: row["chance"] for row in rows})
    for y, row in enumerate(rows):
        for i, (role, (marker, colour, _)) in enumerate(PROBES.items()):
            if number(row[role]) is not None:
                look = {"marker": marker, "color": colour, "s": 24}
                parts.points(left, row["arm"], [row[role]], [y - 0.24 + 0.16 * i], part=role, **look)
    left.margins(x=0.06)
    settings = {"labels": False, "missing": "not defined"}
    parts.forest(right, ratios, point="reliance", xlabel="reliance on the background", **settings)
    base = next((number(row["reliance"]) for row in rows if row["baseline"]), None)
    if base is not None:
        parts.reference(right, "baseline", x=base)
    handles = {words: parts.dot(colour, marker, 5.5) for marker, colour, words in PROBES.values()}
    parts.legend(figure, {**handles, "chance": parts.stroke(MUTED, 1.2, linestyle=parts.DOTTED)})
    return figure


def _ratio(row: dict) -> Estimate:
    value = number(row["reliance"])
    colour, marker = VERDICTS.get(row["verdict"], (MUTED, "o"))
    text = None if value is None else f"{value:.3f}".replace("-", "\u2212") + f"  {row['verdict']}"
    looks = {"colour": colour, "marker": marker, "bold": row["baseline"], "text": text}
    return Estimate(row["arm"], value, row["low"], row["high"], **looks)
