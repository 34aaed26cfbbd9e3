"""Figures of an experiment on inference: what each method gives, and which queries it helps and harms."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from reidflow.analyses.inference.tables import preferred
from reidflow.figures.style import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    PALE,
    VERDICTS,
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
from reidflow.tables.text import NOISE

ROW, NAMES = 0.36, 2.1
HATCH = "////"


def draw_methods(table: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the difference of each arm from the baseline with its interval: a row an arm, the best on top.

    Bars of methods that use the other queries are hatched. table: the INFERENCE table of `tables.inference`.
    """
    need(table, ["arm", "baseline", "delta", "verdict", "transductive", "forward_passes"], "methods")
    rows = _by_delta(table)
    if not rows:
        placeholder("No arm can be compared with the baseline.", heading, out)
        return
    handles, words = _legend(rows)
    labels, gutter = _labels(rows)
    above, left, told = legend_height(words) + 0.12, MARGIN + gutter + 0.12, 2.35
    width, body = WIDTH - left - told - MARGIN, ROW * len(rows)
    note = (
        "Bars: difference of the identity-balanced mAP on test from the baseline, with its interval, corrected for the number "
        "of arms (Holm). Hatched: the method uses the other queries, so a query that comes alone cannot be answered so. "
        "Passes: how often an image goes through a network."
    )
    with sheet(heading, above + body + 0.45, out, note) as page:
        page.legend(handles, words)
        axes = _axes(page, (left, above, width, body), len(rows))
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
        axes.set_xlabel("difference from the baseline", labelpad=2)
        at = left + width + 0.15
        page.text(at + 1.75, above - 0.08, "passes", size=8, color=MUTED, va="baseline")
        for y, row in enumerate(rows):
            _name(page, left, above, y, labels[row["arm"]])
            colour = _bar(axes, y, row)
            middle = above + (y + 0.5) * ROW
            words = f"{signed(row['delta'])}  {row['verdict'] or ''}".rstrip()
            page.text(at, middle, words, size=8.5, color=colour, va="center_baseline")
            page.text(at + 1.75, middle, f"{row['forward_passes']}", size=8.5, color=MUTED, va="center_baseline")
        axes.margins(x=0.06)


def draw_queries(table: pl.DataFrame, per_query: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw each query's average precision before and after the method that validation prefers, and shares of all arms.

    table: INFERENCE. per_query: PER_QUERY of the experiment; a point is a query, its mean over seeds.
    """
    rows = [row for row in _by_delta(table) if row["asked"]]
    best = preferred(rows)
    if best is None:
        placeholder("No arm can be compared with the baseline query by query.", heading, out)
        return
    baseline = table.filter("baseline")["arm"][0]
    points = _before_after(per_query, baseline, best["arm"])
    labels, gutter = _labels(rows)
    side, top = 3.1, 0.2
    left = MARGIN + 0.5 + side + 0.35 + gutter
    row_height = max(0.2, min(ROW, side / len(rows)))
    body = row_height * len(rows)
    note = (
        "Left: a point is a query, its average precision in the mean over seeds; an upward triangle rises, a downward one falls. Right: "
        "share of the queries of all seeds that rank better (to the right) and worse (to the left) than with the baseline; the "
        "rest is as before. Hatched: the method uses the other queries."
    )
    with sheet(heading, top + max(side, body) + 0.45, out, note) as page:
        told = f"{best['arm']}{' (transductive)' if best['transductive'] else ''}"
        page.text(MARGIN + 0.5, top - 0.1, fit(f"queries with {told}", side + 0.2, 8.5), size=8.5, va="baseline")
        axes = page.axes(MARGIN + 0.5, top, side, side)
        _scatter(axes, points, baseline)
        room = WIDTH - left - MARGIN - 0.1
        bars = _axes(page, (left, top, room, body), len(rows))
        _shares(bars, rows)
        for y, row in enumerate(rows):
            _name(page, left, top, y, labels[row["arm"]], row_height)


def _by_delta(table: pl.DataFrame) -> list[dict]:
    rows = [row for row in table.to_dicts() if not row["baseline"] and number(row["delta"]) is not None]
    return sorted(rows, key=lambda row: (-row["delta"], row["arm"]))


def _bar(axes: Axes, y: int, row: dict) -> str:
    """Draw a difference with its interval, and return its colour."""
    colour = VERDICTS.get(row["verdict"], MUTED)
    reach = number(row["smallest_detectable"])
    if reach is not None:
        axes.barh(y + 0.5, 2 * reach, left=-reach, height=0.86, color=PALE, linewidth=0, zorder=0.5)
    looks = {"facecolor": "white", "hatch": HATCH} if row["transductive"] else {"facecolor": colour}
    axes.barh(y + 0.5, row["delta"], height=0.5, edgecolor=colour, linewidth=1, zorder=2, **looks)
    low, high = number(row["delta_low"]), number(row["delta_high"])
    if low is not None and high is not None:
        axes.plot([low, high], [y + 0.5, y + 0.5], color=INK, linewidth=1.4, solid_capstyle="butt", zorder=3)
    return colour


def _scatter(axes: Axes, points: pl.DataFrame, baseline: str) -> None:
    change = points["after"] - points["before"]
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    for marker, colour, inside in (
        ("o", FAINT, change.abs() <= NOISE),
        ("^", BLUE, change > NOISE),
        ("v", VERMILLION, change < -NOISE),
    ):
        own = points.filter(inside)
        axes.scatter(own["before"], own["after"], s=16, marker=marker, color=colour, alpha=0.6, linewidth=0, zorder=2)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set_xlabel(fit(f"average precision with {baseline}", 3, 8.5), labelpad=2)
    axes.set_ylabel("average precision after", labelpad=3)


def _shares(axes: Axes, rows: list[dict]) -> None:
    longest = max(max(row["better"], row["worse"]) / row["asked"] for row in rows) or 0.01
    for y, row in enumerate(rows):
        for part, colour, side in (("better", BLUE, 1), ("worse", VERMILLION, -1)):
            share = row[part] / row["asked"]
            looks = {"facecolor": "white", "hatch": HATCH} if row["transductive"] else {"facecolor": colour}
            axes.barh(y + 0.5, side * share, height=0.56, edgecolor=colour, linewidth=1, zorder=2, **looks)
            axes.annotate(
                f"{share:.0%}",
                (side * share, y + 0.5),
                xytext=(4 * side, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center_baseline",
                size=8,
                color=colour,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=3,
            )
    axes.axvline(0, color=INK, linewidth=0.8, zorder=3)
    axes.set_xlim(-1.35 * longest, 1.35 * longest)
    axes.set_xlabel("worse  ←  share of queries  →  better", labelpad=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")


def _before_after(per_query: pl.DataFrame, baseline: str, arm: str) -> pl.DataFrame:
    """Return before, after of each query that both arms score: means over the seeds of both."""
    keys = ["seed", "image"]
    scored = per_query.filter(pl.col("ap").is_finite())
    before = scored.filter(pl.col("arm") == baseline).select(*keys, before="ap")
    after = scored.filter(pl.col("arm") == arm).select(*keys, after="ap")
    paired = before.join(after, on=keys, how="inner", maintain_order="left")
    return paired.group_by("image", maintain_order=True).agg(pl.col("before", "after").mean()).sort("image")


def _axes(page: Sheet, box: tuple[float, float, float, float], rows: int) -> Axes:
    axes = page.axes(*box)
    axes.set(ylim=(rows, 0), yticks=[])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return axes


def _labels(rows: list[dict]) -> tuple[dict[str, str], float]:
    """Return the arms' names as they fit beside their rows, and the width they take."""
    found = {row["arm"]: fit(row["arm"], NAMES, 8.5) for row in rows}
    return found, max(text_width(words, 8.5) for words in found.values())


def _name(page: Sheet, left: float, top: float, y: int, words: str, height: float = ROW) -> None:
    page.text(left - 0.1, top + (y + 0.5) * height, words, size=8.5, ha="right", va="center_baseline")


def _legend(rows: list[dict]) -> tuple[list, list[str]]:
    pairs = [(Patch(color=VERDICTS[v]), v) for v in VERDICTS if any(row["verdict"] == v for row in rows)]
    if any(row["transductive"] for row in rows):
        pairs.append((Patch(facecolor="white", edgecolor=MUTED, hatch=HATCH), "uses the other queries (transductive)"))
    pairs.append((Line2D([], [], color=INK, linewidth=1.4), "interval"))
    if any(number(row["smallest_detectable"]) is not None for row in rows):
        pairs.append((Patch(color=PALE), "too small to detect"))
    return [handle for handle, _ in pairs], [words for _, words in pairs]
