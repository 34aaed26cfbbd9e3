"""What every figure shares: size, fonts, colours, headings. Pages take colours from here, so it imports no matplotlib."""

from dataclasses import dataclass

import polars as pl

from reidflow.spec.config import Config, subtitle
from reidflow.spec.errors import ReidflowError

WIDTH = 9.0
"""Width of every figure, inches: at the width of a README, 8 points are 10 pixels."""
MARGIN = 0.15
INK, MUTED, SEED, FAINT, PALE = "#1a1a1a", "#595959", "#8c8c8c", "#b8b8b8", "#efefef"
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9"
"""Okabe and Ito's colours (one replaced by Tol's purple): distinguishable with any colour vision."""
VERDICTS = {"better": BLUE, "worse": VERMILLION, "equivalent": GREEN, "inconclusive": MUTED}
MARKERS = {"better": ">", "worse": "<", "equivalent": "D", "inconclusive": "o"}
ROLES = {"train": BLUE, "val": ORANGE, "test": PURPLE, "unused": FAINT, "query": SKY, "gallery": GREEN}
SETTINGS = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    "svg.hashsalt": "reidflow",
}


@dataclass(frozen=True)
class Heading:
    """The words above a figure: its title, then what it is of, as in "losses · demo · demo scale"."""

    title: str
    subtitle: str = ""


def heading(title: str, experiment: str, config: Config) -> Heading:
    """Return the words above a figure of an experiment."""
    return Heading(title, " · ".join([experiment, subtitle(config)]))


def need(frame: pl.DataFrame, columns: list[str], figure: str) -> None:
    """Raise ReidflowError if the table of a figure lacks one of the columns or has no rows."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise ReidflowError(f"figure '{figure}': its table has no column {missing}. Rebuild the table.")
    if frame.is_empty():
        raise ReidflowError(f"figure '{figure}': its table has no rows. Check that its arms have runs.")
