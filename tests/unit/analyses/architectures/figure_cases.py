"""What the figure of networks must show of planted specs."""

from collections.abc import Callable

from figure_tables import names
from networks import HEADS, STRANGE, blocks

from reidflow.analyses.architectures.figures import architectures
from reidflow.analyses.architectures.tables import Network
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <network> is worth $5?", "demo (demo scale)")
SQUEEZED = blocks(depths=[1, 3, 2], kernels=[3, 5, 3], expansions=[1, 3, 6], squeeze=[0, 0.25, 0])


def described(spec: dict, largest: int) -> list[tuple]:
    """Return (column, words, channels of its boxes, height, squeezed, halved) of each cell of a network."""
    backbone, found = spec["model"]["backbone"], []
    if backbone["name"] != "mbconv":
        head, pooling = spec["model"]["head"], spec["model"]["pooling"]
        found.append(("pooling", pooling["name"] + (f"\np={pooling['p']:g}" if "p" in pooling else ""), [], 1, 0, 0))
        norm = "" if head["norm"] == "none" else f"{head['norm']}\n"
        for i in range(head["depth"] * bool(head["hidden"])):
            found.append(
                (f"hidden {i + 1}", f"{head['hidden']}\n{norm}{head['activation']}", [head["hidden"]], 1, 0, 0)
            )
        if head["dropout"]:
            found.append(("dropout", f"{head['dropout']:g}", [], 1, 0, 0))
        return [*found, ("embedding", f"{head['dim']}", [head["dim"]], 1, 0, 0)]
    found.append(("stem", f"{backbone['stem']}", [], 0.5, 0, 0))
    for i, depth in enumerate(backbone["depths"]):
        width, kernel, expansion, squeeze, stride = (
            backbone[key][i] for key in ("widths", "kernels", "expansions", "squeeze", "strides")
        )
        words = f"{depth} x {width}\ne{expansion} k{kernel}" + (f"\nse{str(squeeze)[1:]}" if squeeze else "")
        height = 0.3 + 0.7 * expansion / largest
        found.append((f"stage {i + 1}", words, [width] * depth, height, bool(squeeze), stride == 2))
    return [*found, *([("features", f"{backbone['features']}", [], 0.5, 0, 0)] if backbone["features"] else [])]


def drawing(count: int, specs: list[dict]) -> tuple:
    networks = [Network(name, specs[i % len(specs)], 0.4 + i / 90, 1234, None) for i, name in enumerate(names(count))]
    expansions = [network.spec["model"]["backbone"].get("expansions", [1]) for network in networks]
    rows = [described(network.spec, max(map(max, expansions))) for network in networks]
    kinds = ["stem", *(f"stage {i}" for i in range(1, 9)), "features", "pooling"]
    kinds += [*(f"hidden {i}" for i in range(1, 9)), "dropout", "embedding"]
    most = {
        kind: max((sum(cell[2]) for row in rows for cell in row if cell[0] == kind), default=None) for kind in kinds
    }
    most = {kind: channels for kind, channels in most.items() if channels is not None}
    widths = {kind: 1 + 0.5 * len(most) * channels / sum(most.values()) for kind, channels in most.items()}
    scale = min(widths[kind] / channels for kind, channels in most.items() if channels)
    lefts, left = {}, 0.0
    for kind, width in widths.items():
        lefts[kind], left = left, left + width + 0.12
    expected = {}
    for y, (network, row) in enumerate(zip(networks, rows, strict=True)):
        expected[gid("numbers", network.label)] = f"{network.value:.3f}  1.23k  –"
        for kind, words, channels, height, squeezed, halved in row:
            key, middle, tall = f"{network.label}|{kind}", y - 0.12, 0.44 * height
            sides = [max(0.05, scale * each) for each in channels] or [0.5]
            shrink, x = min(1.0, widths[kind] / sum(sides)), lefts[kind]
            for i, side in enumerate(sides):
                corners = [(x, middle + tall / 2), (x + shrink * side, middle - tall / 2)]
                expected[gid("box", f"{key}|{i}")] = corners
                x += shrink * side
            if squeezed:
                expected[gid("squeeze", key)] = [(lefts[kind], middle - tall / 2), (x, middle - tall / 2 + 0.07)]
            if halved:
                edge = lefts[kind] - 0.06
                expected[gid("stride", key)] = [(edge, middle + 0.22), (edge + 0.04, middle - 0.22)]
            expected[gid("words", key)] = words
    return architectures(networks, HEADING), expected


CASES: dict[str, Callable[[], tuple]] = {
    "one network of blocks": lambda: drawing(1, [blocks()]),
    "ten networks of blocks": lambda: drawing(10, [blocks(), SQUEEZED, STRANGE]),
    "ten heads": lambda: drawing(10, HEADS),
    "none": lambda: (architectures([], HEADING), {}),
}
