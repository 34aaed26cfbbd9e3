"""Looking at figures as they are drawn: what stands where on the canvas."""

from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from reidflow.figures import parts, style


def laid_out(figure: Figure) -> Figure:
    """Return the figure with its final layout, at the resolution of its PNG: fonts are hinted, so widths depend on it."""
    with parts.styled():
        figure.set_dpi(style.SETTINGS["savefig.dpi"])
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Return the visible texts of a figure with their places in pixels; ticks outside their axes are not drawn."""
    hidden = [id(text) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in _beyond(axis)]
    found = [each for each in figure.findobj(Text) if each.get_visible() and each.get_text().strip()]
    return [(each.get_text(), each.get_window_extent()) for each in found if id(each) not in hidden]


def _beyond(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    room = 1e-6 * (high - low)
    off = [tick for tick in axis.get_major_ticks() if not low - room <= tick.get_loc() <= high + room]
    return [label for tick in [*off, *axis.get_minor_ticks()] for label in (tick.label1, tick.label2)]


def outside(figure: Figure) -> list[str]:
    """Return the texts that leave the canvas."""
    wide, tall = figure.bbox.size
    return [w for w, b in texts(figure) if b.x0 < -1 or b.y0 < -1 or b.x1 > wide + 1 or b.y1 > tall + 1]


def overlapping(figure: Figure, least: float = 0.12) -> list[tuple[str, str]]:
    """Return the pairs of texts of which one covers a share of the other, beyond the room between lines."""
    found = []
    for (a, box), (b, other) in combinations(texts(figure), 2):
        wide, tall = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
        smaller = min(box.width * box.height, other.width * other.height)
        if wide > 0 and tall > 0 and wide * tall > least * smaller:
            found.append((a, b))
    return found
