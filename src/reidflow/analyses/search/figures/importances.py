"""How much each axis of a search decides, by PED-ANOVA and by fANOVA: a panel a study, and one of those pooled."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.figures.style import (
    BLUE,
    MARGIN,
    MUTED,
    ORANGE,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import clean, fit, number, text_width

COLUMNS = ["study", "pooled", "method", "axis", "share", "chance", "trials"]
METHODS = {
    "ped_anova": ("PED-ANOVA: of what sets the best fifth apart", BLUE, -0.19),
    "fanova": ("fANOVA: of the variance of all values", ORANGE, 0.19),
}
ROW, NAMES, GAP, LEVEL = 0.36, 2.0, 0.25, 0.05
NOTE = (
    "Share of each axis by itself. Pale: shuffled trials give as much in more than 5 % of cases (tried for PED-ANOVA "
    "alone). A study that learns from its trials (such as TPE) looks where values are good, so its shares are of that "
    "region."
)
ABSENT = "–"


def draw(importances: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the IMPORTANCES of `tables.search_effects`, the axes that decide most on top."""
    if importances.is_empty():
        placeholder("No study has trials enough, on two axes or more, to weigh its axes.", heading, out)
        return
    need(importances, COLUMNS, "importances")
    axes, studies = _ranked(importances), importances["study"].unique(maintain_order=True).to_list()
    names = {axis: fit(axis, NAMES, 8.5, lines=2) for axis in axes}
    gutter = max(text_width(line, 8.5) for name in names.values() for line in name.split("\n"))
    left = MARGIN + gutter + 0.1
    width = (WIDTH - left - MARGIN - GAP * (len(studies) - 1)) / len(studies)
    titles = [fit(_title(importances, study), width + 0.15, 8.5, lines=3, bold=True) for study in studies]
    lines = max(title.count("\n") + 1 for title in titles)
    words = [METHODS[method][0] for method in METHODS]
    above, height = legend_height(words) + 0.15 * (lines + 1) + 0.1, ROW * len(axes)
    most = max(value for value in importances["share"] if number(value) is not None)
    with sheet(heading, above + height + 0.45, out, NOTE) as page:
        page.legend([Patch(color=METHODS[method][1]) for method in METHODS], words)
        for row, axis in enumerate(axes):
            page.text(left - 0.08, above + ROW * (row + 0.5), names[axis], size=8.5, ha="right", va="center")
        for i, (study, title) in enumerate(zip(studies, titles, strict=True)):
            own, at = importances.filter(pl.col("study") == study), left + i * (width + GAP)
            page.text(at, above - 0.24, title, size=8.5, va="baseline", weight="bold", linespacing=1.2)
            page.text(at, above - 0.08, fit(_trials(own), width + 0.1, 8), size=8, va="baseline", color=MUTED)
            panel = page.axes(at, above, width, height)
            _prepare(panel, len(axes), most, width)
            _bars(panel, own, axes)


def _title(importances: pl.DataFrame, study: str) -> str:
    pooled = importances.filter(pl.col("study") == study)["pooled"][0]
    return f"{clean(study)} (pooled)" if pooled else clean(study)


def _trials(own: pl.DataFrame) -> str:
    """Return on how many trials each method stands: fANOVA takes finished ones alone."""
    most, fewer = own["trials"].max(), own.filter(pl.col("method") == "fanova")["trials"].max()
    return f"{most} trials" if fewer in (None, most) else f"{most} trials (fANOVA {fewer})"


def _ranked(importances: pl.DataFrame) -> list[str]:
    """Return the axes by their mean share, in the pooled trials where there are any, else over studies and methods."""
    pooled = importances.filter("pooled")
    order = (importances if pooled.is_empty() else pooled).group_by("axis", maintain_order=True).agg(pl.mean("share"))
    share = dict(order.iter_rows())
    return sorted(importances["axis"].unique(maintain_order=True), key=lambda axis: -(share.get(axis) or 0.0))


def _prepare(panel: Axes, rows: int, most: float, width: float) -> None:
    panel.set(xlim=(0, max(most * 1.04, 0.01)), ylim=(rows - 0.5, -0.5), yticks=[])
    panel.grid(axis="y", visible=False)
    panel.xaxis.set_major_locator(MaxNLocator(5 if width > 2 else 3 if width > 1 else 2, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    panel.set_xlabel("share", labelpad=2)


def _bars(panel: Axes, own: pl.DataFrame, axes: list[str]) -> None:
    found = {(row["axis"], row["method"]): row for row in own.to_dicts()}
    for place, axis in enumerate(axes):
        for method, (_, colour, offset) in METHODS.items():
            row = found.get((axis, method))
            if row is None or number(row["share"]) is None:
                panel.text(0.0, place + offset, f" {ABSENT}", size=8, color=MUTED, va="center_baseline")
                continue
            alpha = 0.3 if row["chance"] is not None and row["chance"] > LEVEL else 1.0
            panel.barh(place + offset, row["share"], height=0.34, color=colour, alpha=alpha, linewidth=0, zorder=2)
