"""Arms trained with one background and tested on others, and how far they rely on it."""

from collections.abc import Callable, Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from reidflow.figures.style import (
    BLUE,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PALE,
    PURPLE,
    SEED,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    Sheet,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, number, signed, text_width

CELL, NARROWEST, WIDEST = 0.42, 0.56, 1.0
MATRIX = ["arm", "tested_on", "mode", "own", "id_map", "chance", "delta", "verdict"]
RELIANCE = [
    "arm", "baseline", "background", "control", "foreground", "silhouette", "chance", "reliance", "low", "high", "verdict",
]  # fmt: skip
TESTED_NOTE = (
    "Rows: the version whose training images an arm saw. Columns: the version of queries and gallery. Upper number: "
    "identity-balanced mAP; lower: its change from the same arm on the unchanged images, bold where it is detectable "
    "(corrected over all cells). Framed: tested on what it was trained on."
)
QUERY_NOTE = (
    "Upper number: identity-balanced mAP of altered queries before the unchanged gallery; lower, and the colour: its change "
    "from unaltered queries, bold where it is detectable (corrected over all cells). Framed: queries as the arm was trained."
)
RELIANCE_NOTE = (
    "Reliance = (background only − chance) / (foreground only − chance), with its interval for each arm by itself; the verdict is "
    "that of the paired difference from the baseline, corrected for the number of arms (Holm). The control has the same holes in "
    "unrelated backgrounds: it must lie at chance."
)
MARKS = {
    "foreground": ("D", BLUE, "foreground only"),
    "background": ("s", VERMILLION, "background only"),
    "silhouette": ("^", PURPLE, "silhouette only"),
    "control": ("o", ORANGE, "control: unrelated background"),
}
_CENTRED = {"ha": "center", "va": "center_baseline"}
VERDICTS = {"lower": (BLUE, "<"), "higher": (VERMILLION, ">"), "baseline": (INK, "D")}


def draw_tested_on(matrix: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw trained-on x tested-on: the rows of a TESTED_MATRIX whose queries and gallery are in one version."""
    need(matrix, MATRIX, "tested_on")
    rows = matrix.filter(pl.col("mode") == "both")
    chance = number(rows["chance"].mean()) or 0.0
    highest = max((v for v in map(number, rows["id_map"]) if v is not None), default=1.0)

    def shade(row: dict) -> tuple[str, float]:
        return BLUE, (row["id_map"] - chance) / max(highest - chance, 1e-9)

    _grid(rows, shade, heading, out, TESTED_NOTE)


def draw_query_only(matrix: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw what altered queries lose before an unchanged gallery: the rows of the mode `query`."""
    need(matrix, MATRIX, "query_only")
    rows = matrix.filter(pl.col("mode") == "query")
    if rows.is_empty():
        placeholder("No version but the original was tested.", heading, out)
        return
    largest = max(0.05, *(abs(delta) for delta in map(number, rows["delta"]) if delta is not None))

    def shade(row: dict) -> tuple[str, float]:
        return VERMILLION if row["delta"] < 0 else BLUE, abs(row["delta"]) / largest

    _grid(rows, shade, heading, out, QUERY_NOTE)


def _grid(
    rows: pl.DataFrame, shade: Callable[[dict], tuple[str, float]], heading: Heading, out: Out, note: str
) -> None:
    """Draw a cell for each arm (row) and version (column), the versions in bands where they are too many for one."""
    arms, versions = (list(dict.fromkeys(rows[column])) for column in ("arm", "tested_on"))
    cells = {(row["arm"], row["tested_on"]): row for row in rows.to_dicts()}
    labels = {arm: fit(arm, 1.6, 9, lines=2) for arm in arms}
    gutter = max(text_width(line, 9) for label in labels.values() for line in label.split("\n"))
    left = MARGIN + gutter + 0.12
    room = WIDTH - left - MARGIN
    most = int(room / NARROWEST)
    bands = [versions[start : start + most] for start in range(0, len(versions), most)]
    width = min(WIDEST, room / max(map(len, bands)))
    heads = [[fit(version, width - 0.06, 8.5, lines=4) for version in band] for band in bands]
    above = [0.1 + 0.15 * max(1 + head.count("\n") for head in band) for band in heads]
    body = len(arms) * CELL
    with sheet(heading, sum(above) + len(bands) * (body + 0.1), out, note) as page:
        top = 0.0
        for band, head, height in zip(bands, heads, above, strict=True):
            top += height
            _band(page, (left, top, width), (arms, band), head, labels, cells, shade)
            top += body + 0.1


def _band(
    page: Sheet,
    place: tuple[float, float, float],
    names: tuple[list[str], list[str]],
    heads: Sequence[str],
    labels: dict[str, str],
    cells: dict[tuple[str, str], dict],
    shade: Callable[[dict], tuple[str, float]],
) -> None:
    (left, top, width), (arms, versions) = place, names
    axes = page.axes(left, top, width * len(versions), CELL * len(arms))
    axes.set(xlim=(0, len(versions)), ylim=(len(arms), 0), xticks=[], yticks=[])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for x, head in enumerate(heads):
        centre = left + (x + 0.5) * width
        lines = head.split("\n")
        for row, line in enumerate(lines, start=1 - len(lines)):
            page.text(centre, top - 0.07 + 0.15 * row, line, size=8.5, ha="center", va="baseline")
    for y, arm in enumerate(arms):
        page.text(
            left - 0.1, top + (y + 0.5) * CELL, labels[arm], size=9, ha="right", va="center_baseline", linespacing=1.1
        )
        for x, version in enumerate(versions):
            row = cells.get((arm, version))
            if row is None or number(row["id_map"]) is None:
                axes.text(x + 0.5, y + 0.5, "no value", size=8, color=MUTED, ha="center", va="center", style="italic")
                continue
            _cell(axes, x, y, row, shade(row))


def _cell(axes: Axes, x: int, y: int, row: dict, shade: tuple[str, float]) -> None:
    # The deepest shade on which dark letters still read.
    colour, depth = shade[0], 0.7 * min(max(shade[1], 0.0), 1.0)
    face = tuple(1 - depth * (1 - part) for part in to_rgb(colour))
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
    if row["own"]:
        axes.add_patch(Rectangle((x + 0.03, y + 0.06), 0.94, 0.88, fill=False, edgecolor=INK, linewidth=1.2, zorder=3))
    delta = number(row["delta"])
    axes.text(x + 0.5, y + (0.5 if delta is None else 0.33), f"{row['id_map']:.3f}", size=9, color=INK, **_CENTRED)
    if delta is not None:
        weight = "bold" if row["verdict"] in ("better", "worse") else "normal"
        axes.text(x + 0.5, y + 0.7, signed(delta), size=8, color=INK, weight=weight, **_CENTRED)


def draw_reliance(table: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw a RELIANCE table: what is found by each part of the image, and the reliance with its interval."""
    need(table, RELIANCE, "reliance")
    rows = table.to_dicts()
    labels = {row["arm"]: fit(row["arm"], 1.8, 9, lines=2, bold=row["baseline"]) for row in rows}
    gutter = max(text_width(line, 9, bold=True) for label in labels.values() for line in label.split("\n"))
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=5.5)
        for marker, colour, _ in MARKS.values()
    ] + [Line2D([], [], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.2)]
    names = [name for *_, name in MARKS.values()] + ["chance"]
    above, body, left = legend_height(names), 0.36 * len(rows), MARGIN + gutter + 0.12
    room = WIDTH - left - MARGIN - 0.3 - 1.5
    with sheet(heading, above + 0.04 + body + 0.45, out, RELIANCE_NOTE) as page:
        page.legend(handles, names)
        parts = page.axes(left, above + 0.04, room * 0.55, body)
        ratios = page.axes(left + room * 0.55 + 0.3, above + 0.04, room * 0.45, body)
        for axes in (parts, ratios):
            _prepare(axes, rows)
        _parts(parts, rows, labels)
        _ratios(ratios, rows)


def _prepare(axes: Axes, rows: list[dict]) -> None:
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for y, row in enumerate(rows):
        if row["baseline"]:
            axes.axhspan(y, y + 1, color=PALE, zorder=0, linewidth=0)


def _beside(axes: Axes, y: float, words: str, side: str = "right", **settings: object) -> None:
    x, align, away = (1.0, "left", 7) if side == "right" else (0.0, "right", -7)
    axes.annotate(
        words,
        (x, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(away, 0),
        textcoords="offset points",
        va="center_baseline",
        ha=align,
        annotation_clip=False,
        **settings,
    )


def _parts(axes: Axes, rows: list[dict], labels: dict[str, str]) -> None:
    for y, row in enumerate(rows):
        weight = "bold" if row["baseline"] else "normal"
        _beside(axes, y + 0.5, labels[row["arm"]], "left", size=9, weight=weight, linespacing=1.1)
        axes.plot([row["chance"]] * 2, [y, y + 1], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.2, zorder=1)
        for place, (role, (marker, colour, _)) in enumerate(MARKS.items()):
            if number(row[role]) is not None:
                axes.scatter(
                    [row[role]], [y + 0.26 + 0.16 * place], marker=marker, s=24, color=colour, linewidth=0, zorder=3
                )
    axes.margins(x=0.06)
    axes.set_xlabel("identity-balanced mAP on test")


def _ratios(axes: Axes, rows: list[dict]) -> None:
    axes.axvline(0, color=SEED, linewidth=0.8, zorder=1)
    base = next((number(row["reliance"]) for row in rows if row["baseline"]), None)
    if base is not None:
        axes.axvline(base, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    for y, row in enumerate(rows):
        value, low, high = (number(row[name]) for name in ("reliance", "low", "high"))
        if value is None:
            _beside(axes, y + 0.5, "not defined", size=8.5, color=MUTED, style="italic")
            continue
        colour, marker = VERDICTS.get(row["verdict"], (MUTED, "o"))
        if low is not None and high is not None:
            axes.plot([low, high], [y + 0.5] * 2, color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        axes.scatter([value], [y + 0.5], s=34, marker=marker, color=colour, linewidth=0, zorder=3)
        _beside(axes, y + 0.5, f"{value:.3f}".replace("-", "\u2212") + f"  {row['verdict']}", size=8.5, color=colour)
    axes.margins(x=0.06)
    axes.set_xlabel("reliance on the background")
