"""Small multiples: where the panel of each arm stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from reidflow.figures.style import MARGIN, WIDTH, Sheet
from reidflow.figures.text import fit

MANY = 20
"""From so many panels on they stand in five columns, and may be drawn lower."""
GUTTER, RIGHT, BELOW, TITLE = 0.42, 0.12, 0.34, 8.5


@dataclass(frozen=True)
class Panel:
    """Place of one panel: the upper left corner of its drawing and its width, inches on the sheet's body."""

    title: str
    left: float
    top: float
    width: float
    first: bool
    last: bool
    """First of its row; none below it."""

    def head(self, page: Sheet, **settings: object) -> None:
        """Write the panel's title above it."""
        lines = self.title.split("\n")
        for row, line in enumerate(lines, start=1 - len(lines)):
            page.text(self.left, self.top - 0.08 + 0.145 * row, line, size=TITLE, va="baseline", **settings)


def columns_for(count: int) -> int:
    """Return the number of columns that leaves the fewest places empty, with panels that stay legible."""
    if count <= 3:
        return count
    choices = (2,) if count == 4 else (3, 4) if count < 10 else (4, 5) if count < MANY else (5,)
    return min(choices, key=lambda columns: (-count % columns, columns))


def place(titles: Sequence[str], height: float, above: float, bold: str | None = None) -> tuple[list[Panel], float]:
    """Return a panel per title, `height` inches tall each, below `above` inches; and where the last row ends."""
    columns = columns_for(len(titles))
    cell = (WIDTH - 2 * MARGIN) / columns
    width = cell - GUTTER - RIGHT
    fitted = [fit(title, width + RIGHT - 0.04, TITLE, lines=2, bold=title == bold) for title in titles]
    panels = []
    top = above
    for row in range(ceil(len(titles) / columns)):
        indices = range(row * columns, min(len(titles), (row + 1) * columns))
        top += 0.07 + 0.155 * (1 + max(fitted[i].count("\n") for i in indices))
        for i in indices:
            left = MARGIN + GUTTER + (i % columns) * cell
            panels.append(Panel(fitted[i], left, top, width, i % columns == 0, i + columns >= len(titles)))
        top += height + BELOW
    return panels, top
