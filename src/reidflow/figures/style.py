"""What every figure shares: size, fonts, colours, headings, and files whose bytes depend on the content alone."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from reidflow.figures.text import LINE, fit, text_width
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import replacing

# Pages take colours from here and draw nothing.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.0
"""Width of every figure, inches: at the width of a README, 8 points are 10 pixels."""
MARGIN = 0.15
INK, MUTED, SEED, FAINT, PALE = "#1a1a1a", "#595959", "#8c8c8c", "#b8b8b8", "#efefef"
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9"
"""Okabe and Ito's colours (one replaced by Tol's purple): distinguishable with any colour vision."""
VERDICTS = {"better": BLUE, "worse": VERMILLION, "inconclusive": MUTED}
MARKERS = {"better": ">", "worse": "<", "inconclusive": "o"}
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

Out = Path | Mapping[str, str | Path]


@dataclass(frozen=True)
class Heading:
    """The words above a figure: the question (or name), then data set and scale, as in "demo (demo scale), 3 seeds"."""

    title: str
    subtitle: str = ""


class Sheet:
    """A figure whose body is measured in inches from its upper left corner."""

    def __init__(self, figure: "Figure", top: float) -> None:
        self.figure = figure
        self.top = top

    def axes(self, left: float, top: float, width: float, height: float, **settings: object) -> "Axes":
        """Return new axes with their upper left corner at (left, top) of the body."""
        x, y = self._position(left, top + height)
        _, tall = self.figure.get_size_inches()
        return self.figure.add_axes((x, y, width / WIDTH, height / tall), **settings)

    def text(self, left: float, top: float, words: str, **settings: object) -> None:
        """Write words at (left, top) of the body, aligned at their top left by default."""
        x, y = self._position(left, top)
        self.figure.text(x, y, words, **{"va": "top", "ha": "left", **settings})

    def legend(self, handles: list, labels: list[str], top: float = 0.0, left: float = MARGIN) -> None:
        """Draw a legend in rows from (left, top); `legend_height` returns the height it takes."""
        from matplotlib.legend_handler import HandlerTuple

        self.figure.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=self._position(left, top),
            ncols=_legend_columns(labels),
            borderaxespad=0,
            borderpad=0,
            handletextpad=0.5,
            columnspacing=1.4,
            handlelength=1.6,
            labelcolor=MUTED,
            handler_map={tuple: HandlerTuple(ndivide=None)},
        )

    def _position(self, left: float, top: float) -> tuple[float, float]:
        _, tall = self.figure.get_size_inches()
        return left / WIDTH, (self.top - top) / tall


def _legend_columns(labels: list[str]) -> int:
    room = WIDTH - 2 * MARGIN
    widest = max(text_width(label, 8.5) for label in labels) + 0.55
    if sum(text_width(label, 8.5) + 0.5 for label in labels) <= room:
        return len(labels)
    return max(1, min(len(labels), int(room / widest)))


def legend_height(labels: list[str]) -> float:
    """Return the height in inches that a legend with these labels takes, with the gap below it."""
    rows = -(-len(labels) // _legend_columns(labels)) if labels else 0
    return 0.21 * rows + 0.1 if rows else 0.0


@contextmanager
def sheet(heading: Heading, height: float, out: Out, note: str = "") -> Iterator[Sheet]:
    """Give a sheet with a body `height` inches tall between heading and note; save it when the block ends.

    `out` is a path without suffix (`x/arms` becomes `x/arms.png` and `x/arms.svg`) or a mapping of format to file.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    room = WIDTH - 2 * MARGIN
    title = fit(heading.title, room, 12, lines=3, bold=True)
    subtitle = fit(heading.subtitle, room, 9, lines=2) if heading.subtitle.strip() else ""
    note = fit(note, room, 8, lines=4) if note.strip() else ""
    above = 0.12 + _block(title, 12) + (0.05 + _block(subtitle, 9) if subtitle else 0) + 0.14
    below = (0.1 + _block(note, 8) if note else 0) + 0.1
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figure = Figure(figsize=(WIDTH, above + height + below), facecolor="white")
        FigureCanvasAgg(figure)
        made = Sheet(figure, height + below)
        spacing = {"linespacing": LINE, "left": MARGIN}
        made.text(top=-above + 0.12, words=title, size=12, weight="bold", **spacing)
        if subtitle:
            made.text(top=-above + 0.17 + _block(title, 12), words=subtitle, size=9, color=MUTED, **spacing)
        if note:
            made.text(top=height + 0.1, words=note, size=8, color=MUTED, **spacing)
        yield made
        _save(figure, out)


def placeholder(words: str, heading: Heading, out: Out) -> None:
    """Write a figure that says in words why there is nothing to draw."""
    words = fit(words, WIDTH - 2 * MARGIN, 9, lines=4)
    with sheet(heading, _block(words, 9) + 0.15, out) as page:
        page.text(MARGIN, 0.05, words, size=9, color=MUTED, linespacing=LINE)


def _block(words: str, size: float) -> float:
    return (words.count("\n") + 1) * size * LINE / 72 if words else 0.0


def files(out: Out) -> dict[str, Path]:
    """Return format -> file for an `out` as `sheet` takes it."""
    if isinstance(out, Mapping):
        return {kind: Path(path) for kind, path in out.items()}
    return {kind: out.with_name(f"{out.name}.{kind}") for kind in ("png", "svg")}


def _save(figure: "Figure", out: Out) -> None:
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    for kind, path in files(out).items():
        if kind not in metadata:
            raise ReidflowError(f"{path}: figures are written as png or svg, not as '{kind}'. Correct the output.")
        with replacing(path) as temporary, warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes in the PNG, and whole in the SVG.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(temporary, format=kind, metadata=metadata[kind])


def need(frame: pl.DataFrame, columns: list[str], figure: str) -> None:
    """Raise ReidflowError if the table of a figure lacks one of the columns or has no rows."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise ReidflowError(f"figure '{figure}': its table has no column {missing}. Rebuild the table.")
    if frame.is_empty():
        raise ReidflowError(f"figure '{figure}': its table has no rows. Check that its arms have runs.")
