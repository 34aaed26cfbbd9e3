"""Every arm's identity-balanced mAP with its seeds, and its difference from the baseline with the interval.

Below them, where arms name a control, their differences from it.
"""

from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from reidflow.figures.style import (
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    PALE,
    SEED,
    VERDICTS,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    sheet,
)
from reidflow.figures.text import fit, number, signed, text_width

COLUMNS = ["arm", "baseline", "id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high", "verdict"]
NOTE = (
    "Large marks: mean over seeds. Right: difference from the baseline with its interval, corrected for the number of "
    "arms (Holm); colour and shape give the verdict of the corrected test. Grey bars: differences smaller than this "
    "comparison could detect with 80 % power."
)
OF_CONTROLS = " Against their controls: the same, corrected for the number of these comparisons alone."
HEAD, FOOT = 0.32, 0.45
"""Inches above the second part, and below either one."""


@dataclass(frozen=True)
class _Row:
    label: str
    y: float
    height: float
    data: dict


def draw(results: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the arms of a results table, the highest id_map on top; arms without a value stay, and say so.

    `results` needs the columns COLUMNS; `ties_with_best`, `smallest_detectable` and the columns `against...` are used
    where they are.
    """
    need(results, COLUMNS, "arms")
    rows = _rows(results.to_dicts())
    controlled = _rows(_controlled(results))
    gutter = max(text_width(line, 9, bold=True) for row in rows for line in row.label.split("\n"))
    handles, labels = _legend(rows)
    above = legend_height(labels)
    left = MARGIN + gutter + 0.1
    room = WIDTH - left - 0.62 - 1.42 - MARGIN
    body, more = _height(rows), _height(controlled)
    second = above + 0.04 + body + FOOT + HEAD
    end, note = (second + more + FOOT, NOTE + OF_CONTROLS) if controlled else (second - HEAD, NOTE)
    with sheet(heading, end, out, note) as page:
        page.legend(handles, labels)
        values = page.axes(left, above + 0.04, room * 0.54, body)
        deltas = page.axes(left + room * 0.54 + 0.72, above + 0.04, room * 0.46 - 0.1, body)
        for axes in (values, deltas):
            _prepare(axes, rows, body)
        _values(values, rows)
        _deltas(deltas, rows, "difference from the baseline")
        if controlled:
            page.text(MARGIN, second - 0.24, "Against their controls", size=9, weight="bold")
            names = page.axes(left, second, room * 0.54 + 0.62, more)
            deltas = page.axes(left + room * 0.54 + 0.72, second, room * 0.46 - 0.1, more)
            for axes in (names, deltas):
                _prepare(axes, controlled, more)
            _names(names, controlled, room * 0.54 + 0.5)
            _deltas(deltas, controlled, "difference from the control")


def _height(rows: list[_Row]) -> float:
    return rows[-1].y + rows[-1].height / 2 if rows else 0.0


def _controlled(results: pl.DataFrame) -> list[dict]:
    """Return the arms that name a control as rows whose difference is the one from it."""
    if "against" not in results.columns:
        return []
    parts = ("delta", "delta_low", "delta_high", "verdict", "smallest_detectable")
    return [
        {**row, "baseline": False, **{part: row[f"against_{part.removeprefix('delta_')}"] for part in parts}}
        for row in results.filter(pl.col("against").is_not_null()).to_dicts()
    ]


def _rows(found: list[dict]) -> list[_Row]:
    ranked = sorted(
        found,
        key=lambda r: (number(r["id_map"]) is None, -(number(r["id_map"]) or 0.0), r["arm"]),
    )
    top = 0.0
    rows = []
    for data in ranked:
        label = fit(data["arm"], 2.3, 9, lines=3, bold=data["baseline"])
        height = 0.27 + 0.155 * label.count("\n")
        rows.append(_Row(label, top + height / 2, height, data))
        top += height
    return rows


def _prepare(axes: Axes, rows: list[_Row], body: float) -> None:
    axes.set_ylim(body, 0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for row in rows:
        if row.data["baseline"]:
            axes.axhspan(row.y - row.height / 2, row.y + row.height / 2, color=PALE, zorder=0, linewidth=0)


def _beside(axes: Axes, y: float, words: str, side: str = "right", **settings: object) -> None:
    x, align = (1.0, "left") if side == "right" else (0.0, "right")
    axes.annotate(
        words,
        (x, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(7 if side == "right" else -7, 0),
        textcoords="offset points",
        va="center_baseline",
        ha=align,
        annotation_clip=False,
        **settings,
    )


def _seeds(row: _Row) -> list[float]:
    return [v for v in map(number, row.data["id_map_by_seed"] or []) if v is not None]


def _tied(row: _Row) -> bool:
    return bool(row.data.get("ties_with_best"))


def _names(axes: Axes, rows: list[_Row], width: float) -> None:
    axes.set_axis_off()
    for row in rows:
        _beside(axes, row.y, row.label, "left", size=9, linespacing=1.15)
        words = fit(f"against {row.data['against']}", width, 8.5)
        axes.text(0.0, row.y, words, transform=axes.get_yaxis_transform(), size=8.5, color=MUTED, va="center_baseline")


def _values(axes: Axes, rows: list[_Row]) -> None:
    for row in rows:
        baseline = row.data["baseline"]
        _beside(axes, row.y, row.label, "left", size=9, weight="bold" if baseline else "normal", linespacing=1.15)
        chance, mean = number(row.data["chance"]), number(row.data["id_map"])
        if chance is not None:
            ends = (row.y - row.height / 2, row.y + row.height / 2)
            axes.plot([chance, chance], ends, color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.2)
        if mean is None:
            _beside(axes, row.y, "no value", size=8.5, color=MUTED, style="italic")
            continue
        seeds = _seeds(row)
        axes.scatter(seeds, [row.y + 0.085] * len(seeds), s=9, color=SEED, zorder=3, linewidth=0)
        face = INK if _tied(row) else "white"
        axes.scatter([mean], [row.y - 0.03], s=26, marker="D", facecolor=face, edgecolor=INK, linewidth=1.1, zorder=4)
        _beside(axes, row.y, f"{mean:.3f}", size=8.5, weight="bold" if baseline else "normal")
    reference = next((number(r.data["id_map"]) for r in rows if r.data["baseline"]), None)
    if reference is not None:
        axes.axvline(reference, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    axes.margins(x=0.06)
    axes.set_xlabel("identity-balanced mAP on test")


def _deltas(axes: Axes, rows: list[_Row], label: str) -> None:
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    for row in rows:
        if row.data["baseline"]:
            _beside(axes, row.y, "baseline", size=8.5, weight="bold")
            continue
        delta, verdict = number(row.data["delta"]), row.data["verdict"]
        if delta is None:
            _beside(
                axes,
                row.y,
                "unavailable" if verdict == "unavailable" else "not compared",
                size=8.5,
                color=MUTED,
                style="italic",
            )
            continue
        colour = VERDICTS.get(verdict, MUTED)
        reach = number(row.data.get("smallest_detectable"))
        if reach is not None:
            axes.plot([-reach, reach], [row.y, row.y], color=PALE, linewidth=7, solid_capstyle="butt", zorder=0.5)
        low, high = number(row.data["delta_low"]), number(row.data["delta_high"])
        if low is not None and high is not None:
            axes.plot([low, high], [row.y, row.y], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        axes.scatter([delta], [row.y], s=34, marker=MARKERS.get(verdict, "o"), color=colour, zorder=4, linewidth=0)
        _beside(axes, row.y, f"{signed(delta)}  {verdict or ''}".rstrip(), size=8.5, color=colour)
    axes.margins(x=0.06)
    low, high = axes.get_xlim()
    if high - low < 1e-3:
        axes.set_xlim(low - 0.01, high + 0.01)
    axes.set_xlabel(label)


def _legend(rows: list[_Row]) -> tuple[list, list[str]]:
    def mark(**settings: object) -> Line2D:
        return Line2D([], [], linestyle="none", **settings)

    pairs = [
        (mark(marker="D", markersize=5.5, color=INK), "cannot be told from the best"),
        (mark(marker="D", markersize=5.5, markerfacecolor="white", markeredgecolor=INK), "below the best"),
        (mark(marker="o", markersize=3, color=SEED), "one seed"),
        (Line2D([], [], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.2), "chance"),
        (Line2D([], [], color=INK, linestyle=(0, (5, 3)), linewidth=0.8), "baseline"),
    ]
    tied = [_tied(r) for r in rows if number(r.data["id_map"]) is not None]
    if all(tied) or not any(tied):
        del pairs[1 if all(tied) else 0]
    if any(number(r.data.get("smallest_detectable")) is not None for r in rows if not r.data["baseline"]):
        pairs.append((Patch(color=PALE), "too small to detect"))
    return [handle for handle, _ in pairs], [label for _, label in pairs]
