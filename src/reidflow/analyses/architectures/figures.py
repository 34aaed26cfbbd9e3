"""Figure of networks: a row per network, its blocks or the layers of its head as boxes, its costs beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reidflow.analyses.architectures.tables import Network
from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PURPLE, SEED, SKY, VERMILLION, Heading
from reidflow.figures.text import fit, magnitude, number
from reidflow.spec.mbconv import STAGES, describe_pooling

ROW, SMALL, ROOM = 0.86, 7.0, 5.2
"""Inches of a row; size of the words below boxes, points; inches of all columns."""
TALL, LIFT = 0.44, 0.12
"""Height of the tallest box, and how far above the middle of its row it stands; rows."""
GROWTH = 0.5
"""Share of the columns' width, beside an equal one for each, that goes by the channels in them."""
GAP, LEAST, FIXED = 0.12, 0.05, 0.5
"""In units of the narrowest column: between columns, of the narrowest box, and of a box without channels."""
KERNELS = {3: SKY, 5: BLUE, 7: PURPLE}
NORMS = {"batch": BLUE, "layer": GREEN, "none": SEED}
KINDS = ("stem", "stage", "features", "pooling", "hidden", "dropout", "embedding")
BLOCKS_NOTE = (
    "A box is a block: its width the channels, its height the expansion (e); below: blocks x channels, kernel (k) and the "
    "share of squeeze-excite (se). Of stem and features the number alone."
)
HEADS_NOTE = "A box is a layer: its width the units; the boxes of pooling and dropout have no scale."


@dataclass(frozen=True)
class Cell:
    """A stage or layer: the words below it, and the channels of each of its boxes (none: one box of fixed width).

    height: share of the tallest box. squeezed: with squeeze-excite. halved: its first box halves the feature map.
    """

    words: str
    colour: str
    boxes: tuple[int, ...] = ()
    height: float = 1.0
    squeezed: bool = False
    halved: bool = False


@drawing
def architectures(networks: Sequence[Network], heading: Heading) -> Figure:
    """Draw networks in the order given, a row each: the blocks of an `mbconv`, the head of any other network.

    Channels have one scale throughout and stages stand below one another, so that rows can be compared.
    """
    if not networks:
        return parts.placeholder("No network has been trained.", heading)
    specs = [network.spec for network in networks]
    blocks = [_backbone(spec) for spec in specs if _is_blocks(spec)]
    largest = max((expansion for backbone in blocks for expansion in backbone["expansions"]), default=1)
    rows = [cells(spec, largest) for spec in specs]
    columns, scale = layout(rows)
    notes = [BLOCKS_NOTE] * bool(blocks) + [HEADS_NOTE] * (len(blocks) < len(specs))
    figure, grid = parts.new_figure(heading, ROW * len(rows) + 0.3, " ".join(notes))
    axes = grid[0, 0]
    end = max(left + width for left, width in columns.values())
    axes.set(xlim=(0, end), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    inch = ROOM / end
    names = [fit(name, inch * (columns[name][1] + GAP) - 0.04, 8, lines=2) for name in columns]
    axes.set_xticks([left for left, _ in columns.values()], names, size=8, ha="left")
    axes.set_yticks(
        [y - LIFT for y in range(len(rows))], [fit(n.label, 1.4, 8.5, lines=2) for n in networks], size=8.5, color=INK
    )
    axes.tick_params(length=0)
    for y, (network, row) in enumerate(zip(networks, rows, strict=True)):
        for name, cell in row.items():
            _draw(axes, y, f"{network.label}|{name}", cell, columns[name], scale, inch)
        value = number(network.value)
        shown = ["–" if value is None else f"{value:.3f}", *map(_count, (network.parameters, network.flops))]
        parts.beside(axes, y - LIFT, "  ".join(shown), network.label, "numbers")
    axes.annotate(
        "mAP  parameters  FLOPs", (1.0, 1.0), xycoords="axes fraction", xytext=(7, 5), textcoords="offset points",
        size=8, color=MUTED, annotation_clip=False,
    )  # fmt: skip
    parts.legend(figure, _handles(specs))
    return figure


def _count(value: float | None) -> str:
    return "–" if number(value) is None else magnitude(value)


def _is_blocks(spec: Mapping[str, Any]) -> bool:
    return _backbone(spec)["name"] == "mbconv"


def _backbone(spec: Mapping[str, Any]) -> dict[str, Any]:
    return spec["model"]["backbone"]


def cells(spec: Mapping[str, Any], largest: int) -> dict[str, Cell]:
    """Return column -> cell of a plain run spec. largest: the expansion of the tallest box."""
    return _blocks(_backbone(spec), largest) if _is_blocks(spec) else _head(spec["model"])


def _blocks(backbone: Mapping[str, Any], largest: int) -> dict[str, Cell]:
    found = {"stem": Cell(f"{backbone['stem']}", FAINT, height=0.5)}
    stages = zip(*(backbone[name] for name in STAGES), strict=True)
    for i, (width, depth, kernel, expansion, squeeze, stride) in enumerate(stages, start=1):
        if not depth:
            continue
        words = f"{depth} x {width}\ne{expansion} k{kernel}" + (
            f"\nse{squeeze:g}".replace("0.", ".") if squeeze else ""
        )
        height = 1 - 0.7 * (1 - expansion / largest)
        colour = KERNELS.get(kernel, INK)
        found[f"stage {i}"] = Cell(words, colour, (width,) * depth, height, bool(squeeze), stride == 2)
    if backbone["features"]:
        found["features"] = Cell(f"{backbone['features']}", FAINT, height=0.5)
    return found


def _head(model: Mapping[str, Any]) -> dict[str, Cell]:
    head = model["head"]
    found = {"pooling": Cell(describe_pooling(model["pooling"]).replace(" ", "\n", 1), FAINT)}
    for i in range(head["depth"] if head["hidden"] else 0):
        words = f"{head['hidden']}\n" + (f"{head['norm']}\n" if head["norm"] != "none" else "") + head["activation"]
        found[f"hidden {i + 1}"] = Cell(words, NORMS[head["norm"]], (head["hidden"],))
    if head["dropout"]:
        found["dropout"] = Cell(f"{head['dropout']:g}", ORANGE)
    return {**found, "embedding": Cell(f"{head['dim']}", PURPLE, (head["dim"],))}


def layout(rows: Sequence[Mapping[str, Cell]]) -> tuple[dict[str, tuple[float, float]], float]:
    """Return column -> (left, width) and the width of a channel, the same throughout, in units of a column without boxes."""
    names = sorted({name for row in rows for name in row}, key=_order)
    most = {name: max(sum(row[name].boxes) for row in rows if name in row) for name in names}
    total = max(sum(most.values()), 1)
    widths = {name: 1 + GROWTH * len(names) * most[name] / total for name in names}
    scale = min((widths[name] / channels for name, channels in most.items() if channels), default=1.0)
    lefts = [sum(widths[name] + GAP for name in names[:i]) for i in range(len(names))]
    return {name: (left, widths[name]) for name, left in zip(names, lefts, strict=True)}, scale


def _order(name: str) -> tuple[int, int]:
    kind, _, count = name.partition(" ")
    return KINDS.index(kind), int(count or 0)


def _draw(axes: Axes, y: float, key: str, cell: Cell, column: tuple[float, float], scale: float, inch: float) -> None:
    """Draw the boxes of a cell, side by side from the left of its column, and the words below them."""
    left, width = column
    tall = TALL * cell.height
    low = y - LIFT + tall / 2
    sides = [max(LEAST, scale * channels) for channels in cell.boxes] or [FIXED]
    shrink = min(1.0, width / sum(sides))
    x = left
    for i, side in enumerate(side * shrink for side in sides):
        box = Rectangle((x, low), side, -tall, facecolor=cell.colour, edgecolor="white", linewidth=0.8)
        parts.mark(axes.add_patch(box), "box", f"{key}|{i}")
        x += side
    if cell.squeezed:
        stripe = Rectangle((left, low - tall), x - left, 0.07, facecolor=ORANGE, edgecolor="none")
        parts.mark(axes.add_patch(stripe), "squeeze", key)
    if cell.halved:
        bar = Rectangle((left - 0.06, y - LIFT + TALL / 2), 0.04, -TALL, facecolor=VERMILLION, edgecolor="none")
        parts.mark(axes.add_patch(bar), "stride", key)
    room = inch * (width + GAP) - 0.03
    words = "\n".join(fit(line, room, SMALL) for line in cell.words.split("\n"))
    text = axes.text(left, y - LIFT + TALL / 2 + 0.04, words, size=SMALL, va="top", color=MUTED, linespacing=1.0)
    parts.mark(text, "words", key)


def _handles(specs: Sequence[Mapping[str, Any]]) -> dict[str, Artist]:
    """Return the legend of what these networks have."""
    blocks = [_backbone(spec) for spec in specs if _is_blocks(spec)]
    heads = [spec["model"]["head"] for spec in specs if not _is_blocks(spec)]
    kernels = sorted({kernel for backbone in blocks for kernel in backbone["kernels"]})
    found = {f"kernel {kernel} x {kernel}": KERNELS.get(kernel, INK) for kernel in kernels}
    if any(any(backbone["squeeze"]) for backbone in blocks):
        found["squeeze-excite"] = ORANGE
    if any(2 in backbone["strides"] for backbone in blocks):
        found["halves the feature map"] = VERMILLION
    used = {head["norm"] for head in heads if head["hidden"]}
    found |= {f"hidden layer, {'no' if norm == 'none' else norm} norm": NORMS[norm] for norm in NORMS if norm in used}
    if any(head["dropout"] for head in heads):
        found["dropout"] = ORANGE
    return {words: parts.patch(colour) for words, colour in (found | ({"embedding": PURPLE} if heads else {})).items()}
