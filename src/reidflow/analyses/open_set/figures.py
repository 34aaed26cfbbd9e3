"""Figures of new individuals: ROC, risk against coverage, promised against measured rates."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import BLUE, INK, MUTED, Heading, need

ROC_NOTE = (
    "Share of the queries of known individuals that are answered, by the share of the queries of new individuals that are answered as well, for "
    "all thresholds; first seed. Vertical line: the promised rate. Diagonal: scores that do not tell the two apart."
)
RISK_NOTE = (
    "Of the queries with the best scores, as many as the share on the axis are answered: the share of the answers that are wrong, another "
    "individual or a query of a new one. First seed."
)
RATES_NOTE = (
    "Thresholds are chosen on validation for each promised rate, and the rate is measured on the new individuals of test. A point per "
    "seed, a line through their mean. Diagonal: the promise is kept exactly; below it fewer false matches than promised."
)


@drawing
def roc(curves: pl.DataFrame, arms: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the ROC curves of CURVES, a panel per arm. arms: OPEN_SET, for the promised rate."""
    own = curves.filter(pl.col("curve") == "roc")
    return _panels(own, heading, ROC_NOTE, ("false match", "true match"), arms["promised"].max() if len(arms) else None)


@drawing
def risk(curves: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the risk by coverage of CURVES, a panel per arm."""
    own = curves.filter(pl.col("curve") == "risk")
    return _panels(own, heading, RISK_NOTE, ("share answered", "wrong"), None, diagonal=False)


@drawing
def promises(table: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the measured by the promised rates of RATES, a panel per arm."""
    known = table.filter(pl.col("false_match").is_not_null())
    if known.is_empty():
        return parts.placeholder("No new individual was tested.", heading)
    need(known, ["arm", "seed", "promised", "false_match"], "promises")
    arms = known["arm"].unique(maintain_order=True).to_list()
    figure, panels = parts.small_multiples(heading, arms, 1.4, RATES_NOTE, xlabel="promised", sharex=True)
    top = max(known["promised"].max(), known["false_match"].max()) * 1.05
    for arm, (axes,) in panels.items():
        own = known.filter(pl.col("arm") == arm)
        _axes(axes, known["promised"].max() * 1.05, top, diagonal=True)
        line = own.group_by("promised").agg(pl.col("false_match").mean()).sort("promised")
        parts.curve(axes, arm, line["promised"].to_list(), line["false_match"].to_list(), part="mean", linewidth=1.4)
        look = {"color": BLUE, "s": 12, "zorder": 4}
        parts.points(axes, arm, own["promised"].to_list(), own["false_match"].to_list(), part="seeds", **look)
    handles = {"mean over seeds": parts.stroke(BLUE), "seed": parts.dot(BLUE, size=4), "promise": _promise()}
    parts.legend(figure, handles)
    return figure


def _panels(
    own: pl.DataFrame, heading: Heading, note: str, names: tuple[str, str], at: float | None, diagonal: bool = True
) -> Figure:
    if own.is_empty():
        return parts.placeholder("No query of a known and of a new individual was tested.", heading)
    need(own, ["arm", "x", "y"], "curves")
    arms = own["arm"].unique(maintain_order=True).to_list()
    figure, panels = parts.small_multiples(heading, arms, 1.4, note, xlabel=names[0], sharex=True)
    for arm, (axes,) in panels.items():
        line = own.filter(pl.col("arm") == arm)
        _axes(axes, 1.0, 1.0, diagonal)
        parts.curve(axes, arm, line["x"].to_list(), line["y"].to_list(), part=names[1].replace(" ", "-"), linewidth=1.4)
        if at is not None:
            parts.mark(axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=parts.DOTTED, zorder=1), "promised", arm)
    handles = {names[1]: parts.stroke(BLUE)}
    if at is not None:
        handles |= {"promised rate": parts.stroke(MUTED, 0.8, linestyle=parts.DOTTED), "no difference": _promise()}
    parts.legend(figure, handles)
    return figure


def _promise() -> object:
    return parts.stroke(INK, 0.8, linestyle=parts.DASHED)


def _axes(axes: Axes, right: float, top: float, diagonal: bool) -> None:
    axes.set_xlim(-0.02 * right, right)
    axes.set_ylim(-0.03 * top, 1.03 * top)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    if diagonal:
        axes.plot(
            [0, min(right, top)], [0, min(right, top)], color=INK, linewidth=0.8, linestyle=parts.DASHED, zorder=1
        )
