"""How often a wrong first candidate looks more like the query than the best true match, beside chance."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from reidflow.analyses.errors.tables import INCONCLUSIVE, LESS, MORE
from reidflow.figures.style import (
    BLUE,
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
from reidflow.figures.text import fit, number, text_width

ROW, HEAD, FOOT, GUTTER = 0.34, 0.36, 0.45, 0.4
"""Inches: a cue's row, what stands above and below the panels, and between them."""
MARKS = {MORE: (">", VERMILLION), LESS: ("<", BLUE), INCONCLUSIVE: ("o", MUTED)}
NOTE = (
    "Of the queries whose first candidate is wrong: how often that candidate is closer to the query in the cue than the true "
    "match that ranks highest. Bars: 95 % intervals over identities and seeds. Verdicts: against a random wrong candidate of "
    "the same query, corrected for the number of arms and cues."
)


def draw_errors(errors: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the shares: a panel an arm, a row a cue; `errors` is the table ERRORS of `tables.errors`."""
    need(errors, ["arm", "cue", "share", "share_low", "share_high", "chance", "verdict", "wrong"], "errors")
    rows = [row for row in errors.to_dicts() if number(row["share"]) is not None]
    if not rows:
        placeholder("No query has a wrong first candidate.", heading, out)
        return
    arms, cues = (list(dict.fromkeys(row[key] for row in rows)) for key in ("arm", "cue"))
    left = MARGIN + max(text_width(cue, 8.5) for cue in cues) + 0.12
    cell = (WIDTH - left - MARGIN) / len(arms)
    verdicts = [verdict for verdict in MARKS if any(row["verdict"] == verdict for row in rows)]
    handles = [
        *(Line2D([], [], color=MARKS[v][1], marker=MARKS[v][0], markersize=5.5, linewidth=1.8) for v in verdicts),
        Line2D([], [], color=INK, marker="|", markersize=10, linestyle="none"),
    ]
    words = [*(v if v == INCONCLUSIVE else f"{v} than by chance" for v in verdicts), "a random wrong candidate"]
    above = legend_height(words)
    with sheet(heading, above + HEAD + ROW * len(cues) + FOOT, out, NOTE) as page:
        page.legend(handles, words)
        top = above + HEAD
        for y, cue in enumerate(cues):
            page.text(left - 0.1, top + (y + 0.5) * ROW, cue, size=8.5, ha="right", va="center_baseline")
        for place, arm in enumerate(arms):
            own = {row["cue"]: row for row in rows if row["arm"] == arm}
            wrong = max(row["wrong"] for row in own.values())
            head = fit(f"{arm}: {wrong:.3g} wrong of {next(iter(own.values()))['queries']}", cell - GUTTER, 8.5)
            page.text(left + place * cell, top - 0.08, head, size=8.5, va="bottom")
            axes = page.axes(left + place * cell, top, cell - GUTTER, ROW * len(cues))
            _panel(axes, [own.get(cue) for cue in cues])


def _panel(axes: Axes, rows: list[dict | None]) -> None:
    axes.set(xlim=(0, 1), ylim=(len(rows), 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("closer than the best true match", labelpad=2)
    for y, row in enumerate(rows):
        if row is None:
            continue
        marker, colour = MARKS.get(row["verdict"], MARKS[INCONCLUSIVE])
        low, high = number(row["share_low"]), number(row["share_high"])
        if low is not None and high is not None:
            axes.plot([low, high], [y + 0.5] * 2, color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        axes.plot([row["chance"]] * 2, [y + 0.2, y + 0.8], color=INK, linewidth=1.4, zorder=4)
        axes.scatter([row["share"]], [y + 0.5], s=32, marker=marker, color=colour, linewidth=0, zorder=5)
