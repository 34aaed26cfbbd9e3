"""Networks as pictures: a row a network, its blocks or the layers of its head as boxes, its costs beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from reidflow.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PALE,
    PURPLE,
    SEED,
    SKY,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    Sheet,
    legend_height,
    placeholder,
    sheet,
)
from reidflow.figures.text import clean, fit, magnitude, number, text_width
from reidflow.spec.mbconv import STAGES, describe_pooling

ROW, BOX, HEAD = 0.72, 0.34, 0.24
"""Heights of a row, of the tallest box in it, and of the columns' names; inches."""
GAP, NARROW, FIXED, SMALL = 0.12, 0.04, 0.3, 7.5
"""Between columns, of the narrowest box, of a box whose width says nothing; size of the words below boxes, points."""
NUMBERS = (("validation mAP", 0.95), ("parameters", 0.78), ("FLOPs", 0.62))
LARGEST = 0.05
"""Inches a channel at most."""
KERNELS = {3: SKY, 5: BLUE, 7: PURPLE}
NORMS = {"batch": BLUE, "layer": GREEN, "none": SEED}


class Architecture(NamedTuple):
    """A row: its name, the plain spec of its run, validation mAP, parameters and FLOPs of an image (None: unknown)."""

    label: str
    spec: dict[str, Any]
    value: float | None
    parameters: int | None
    flops: int | None


@dataclass(frozen=True)
class Cell:
    """A stage or layer: channels of each of its boxes (none: one box whose width says nothing), and words below them.

    height: share of the tallest box. squeezed: with squeeze-excite. halved: its first box halves the map.
    """

    words: str
    colour: str
    boxes: tuple[int, ...] = ()
    height: float = 1.0
    squeezed: bool = False
    halved: bool = False

    def width(self, scale: float) -> float:
        """Return the inches that boxes and words need, `scale` inches a channel."""
        return max(sum(self.sides(scale)), *(text_width(line, SMALL) for line in self.words.split("\n")))

    def sides(self, scale: float, room: float = float("inf")) -> list[float]:
        """Return the width of each box, inches, within `room` altogether."""
        wanted = [max(NARROW, scale * channels) for channels in self.boxes] or [FIXED]
        return [side * min(1.0, room / sum(wanted)) for side in wanted]


def draw_architectures(
    rows: Iterable[Sequence[Any]], heading: Heading, out: Out, *, value: str = NUMBERS[0][0]
) -> None:
    """Draw networks in the order given, a row each: the blocks of an `mbconv`, of any other network its head.

    rows: (label, plain run spec, value, parameters, FLOPs), as `Architecture`; `value` names the third. Channels have
    one scale throughout and stages stand below one another, so that rows can be compared by eye.
    """
    drawn = [Architecture(*row) for row in rows]
    if not drawn:
        placeholder("No network has been trained.", heading, out)
        return
    tallest = max((e for row in drawn if _is_blocks(row.spec) for e in _backbone(row.spec)["expansions"]), default=1)
    cells = [_cells(row.spec, tallest) for row in drawn]
    marks = _legend(drawn)
    names = min(1.5, max(text_width(clean(row.label), 8.5) for row in drawn) + 0.1)
    numbers = [(value, max(NUMBERS[0][1], text_width(value, 8) + 0.1)), *NUMBERS[1:]]
    left = MARGIN + names + sum(width for _, width in numbers) + 0.25
    columns, scale = _columns(cells, WIDTH - MARGIN - left)
    above = legend_height([words for _, words in marks])
    with sheet(heading, above + HEAD + ROW * len(drawn), out, _note(drawn)) as page:
        if marks:
            page.legend([handle for handle, _ in marks], [words for _, words in marks])
        _write_numbers(page, drawn, above, names, numbers)
        axes = _canvas(page, left, above + HEAD, WIDTH - MARGIN - left, ROW * len(drawn))
        for name, (x, width) in columns.items():
            page.text(left + x, above + 0.02, fit(name, width + GAP - 0.04, 8), size=8, color=MUTED)
        for i, row in enumerate(cells):
            for name, cell in row.items():
                _draw_cell(axes, cell, columns[name], ROW * i, scale)


def _is_blocks(spec: dict[str, Any]) -> bool:
    return spec["model"]["backbone"]["name"] == "mbconv"


def _backbone(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["model"]["backbone"]


def _cells(spec: dict[str, Any], tallest: int) -> dict[str, Cell]:
    """Return column -> cell of a row, in order."""
    return _blocks(_backbone(spec), tallest) if _is_blocks(spec) else _head(spec["model"])


def _blocks(backbone: dict[str, Any], tallest: int) -> dict[str, Cell]:
    found = {"stem": Cell(f"{backbone['stem']}", FAINT, height=0.5)}
    stages = zip(*(backbone[name] for name in STAGES), strict=True)
    for i, (width, depth, kernel, expansion, squeeze, stride) in enumerate(stages, start=1):
        if not depth:
            continue
        words = f"{depth} x {width}\ne{expansion} k{kernel}" + (f" se{squeeze:g}".replace("0.", ".") if squeeze else "")
        height = 1 - 0.7 * (1 - expansion / tallest)
        colour = KERNELS.get(kernel, INK)
        found[f"stage {i}"] = Cell(words, colour, (width,) * depth, height, bool(squeeze), stride == 2)
    if backbone["features"]:
        found["features"] = Cell(f"{backbone['features']}", FAINT, height=0.5)
    return found


def _head(model: dict[str, Any]) -> dict[str, Cell]:
    head = model["head"]
    found = {"pooling": Cell(describe_pooling(model["pooling"]).replace(" ", "\n", 1), FAINT)}
    for i in range(head["depth"] if head["hidden"] else 0):
        words = f"{head['hidden']}\n" + (f"{head['norm']} " if head["norm"] != "none" else "") + head["activation"]
        found[f"hidden {i + 1}"] = Cell(words, NORMS[head["norm"]], (head["hidden"],))
    if head["dropout"]:
        found["dropout"] = Cell(f"{head['dropout']:g}", ORANGE)
    return {**found, "embedding": Cell(f"{head['dim']}", PURPLE, (head["dim"],))}


def _columns(rows: list[dict[str, Cell]], room: float) -> tuple[dict[str, tuple[float, float]], float]:
    """Return column -> (left, width), inches, and the inches a channel: as many as the room allows."""
    names = sorted({name for row in rows for name in row}, key=_place)
    scale = LARGEST
    while True:
        widths = {n: max(text_width(n, 8), *(row[n].width(scale) for row in rows if n in row)) for n in names}
        taken = sum(widths.values()) + GAP * (len(names) - 1)
        if taken <= room or scale < 1e-5:
            break
        scale *= 0.97
    tight = min(1.0, room / taken)
    # Where the words alone take the room, the boxes may still fill their columns.
    filled = [tight * widths[n] / sum(c.boxes) for row in rows for n, c in row.items() if c.boxes]
    scale = min([LARGEST, *filled])
    lefts = [sum(widths[n] + GAP for n in names[:i]) * tight for i in range(len(names))]
    return {name: (left, widths[name] * tight) for name, left in zip(names, lefts, strict=True)}, scale


def _place(name: str) -> tuple[int, int]:
    """Return the place of a column among all."""
    kind, _, count = name.partition(" ")
    order = ("stem", "stage", "features", "pooling", "hidden", "dropout", "embedding")
    return order.index(kind), int(count or 0)


def _canvas(page: Sheet, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes without a frame whose units are inches from the upper left corner."""
    axes = page.axes(left, top, width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes


def _draw_cell(axes: Axes, cell: Cell, column: tuple[float, float], top: float, scale: float) -> None:
    left, width = column
    middle, x = top + 0.06 + BOX / 2, left
    tall = BOX * cell.height
    for i, side in enumerate(cell.sides(scale, width)):
        inner = max(side - 0.02, NARROW / 2)
        axes.add_patch(Rectangle((x, middle - tall / 2), inner, tall, facecolor=cell.colour, edgecolor="none"))
        if cell.squeezed:
            axes.add_patch(Rectangle((x, middle - tall / 2), inner, 0.05, facecolor=ORANGE, edgecolor="none"))
        if cell.halved and i == 0:
            axes.add_patch(Rectangle((x - 0.05, middle - BOX / 2), 0.03, BOX, facecolor=VERMILLION, edgecolor="none"))
        x += side
    for i, line in enumerate(cell.words.split("\n")):
        words = fit(line, width + GAP - 0.03, SMALL)
        axes.text(left, top + 0.06 + BOX + 0.03 + 0.115 * i, words, size=SMALL, va="top", color=MUTED)


def _write_numbers(
    page: Sheet, rows: list[Architecture], top: float, names: float, numbers: list[tuple[str, float]]
) -> None:
    ends = [MARGIN + names + sum(width for _, width in numbers[: i + 1]) for i in range(len(numbers))]
    for (name, _), end in zip(numbers, ends, strict=True):
        page.text(end, top + 0.02, name, size=8, color=MUTED, ha="right")
    for i, row in enumerate(rows):
        y = top + HEAD + ROW * i
        if i:
            line = page.axes(MARGIN, y - 0.01, WIDTH - 2 * MARGIN, 0.01)
            line.set_facecolor(PALE)
            line.set_axis_off()
            line.add_patch(Rectangle((0, 0), 1, 1, facecolor=PALE, transform=line.transAxes))
        middle = y + 0.06 + BOX / 2
        page.text(MARGIN, middle, fit(row.label, names - 0.05, 8.5, lines=2), va="center")
        value = number(row.value)
        shown = ["–" if value is None else f"{value:.3f}", *map(_count, (row.parameters, row.flops))]
        for words, end in zip(shown, ends, strict=True):
            page.text(end, middle, words, ha="right", va="center")


def _count(value: float | None) -> str:
    return "–" if number(value) is None else magnitude(value)


def _legend(rows: list[Architecture]) -> list[tuple[Patch, str]]:
    """Return handle and words of what is drawn in these rows."""
    blocks = [_backbone(row.spec) for row in rows if _is_blocks(row.spec)]
    kernels = sorted({kernel for backbone in blocks for kernel in backbone["kernels"]})
    heads = [row.spec["model"]["head"] for row in rows if not _is_blocks(row.spec)]
    used = {head["norm"] for head in heads if head["hidden"]}
    norms = [norm for norm in NORMS if norm in used]
    pairs = [(KERNELS.get(kernel, INK), f"kernel {kernel} x {kernel}") for kernel in kernels]
    if any(any(backbone["squeeze"]) for backbone in blocks):
        pairs.append((ORANGE, "squeeze-excite"))
    if any(2 in backbone["strides"] for backbone in blocks):
        pairs.append((VERMILLION, "halves the map"))
    pairs += [
        (NORMS[norm], f"hidden layer, {norm} norm" if norm != "none" else "hidden layer, no norm") for norm in norms
    ]
    if any(head["dropout"] for head in heads):
        pairs.append((ORANGE, "dropout"))
    return [(Patch(color=colour), words) for colour, words in (pairs + [(PURPLE, "embedding")] * bool(heads))]


def _note(rows: list[Architecture]) -> str:
    blocks = (
        "A box is a block: its width the channels, its height the expansion (e); below: blocks x channels, kernel (k) and "
        "the share of squeeze-excite (se). Of stem and features the number alone."
    )
    heads = "A box is a layer: its width the units; of pooling and dropout it says nothing."
    kinds = [blocks] * any(_is_blocks(row.spec) for row in rows) + [heads] * any(not _is_blocks(r.spec) for r in rows)
    return " ".join(kinds)
