"""Networks of inverted residual blocks as timm's block strings, checked and described; nothing here imports torch."""

from collections.abc import Sequence
from math import prod
from typing import Any

STAGES = ("widths", "depths", "kernels", "expansions", "squeeze", "strides")
"""Parameters of the backbone `mbconv` that have an entry for every stage."""
REDUCED = 32
"""Up to so many pixels of the image become one position of the last map: beyond, timm would widen kernels instead."""


def block_strings(
    *,
    widths: Sequence[int],
    depths: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[int],
    squeeze: Sequence[float],
    strides: Sequence[int],
) -> list[list[str]]:
    """Return the stages in timm's notation, e.g. [["ir_r2_k3_s2_e4_c24_se0.25"], ...].

    Entry i of each sequence is of stage i, as in `models.backbones.mbconv`. A stage without expansion (1) has
    depthwise separable blocks, `ds`, as in the first stage of MobileNetV2 and EfficientNet; every other one inverted
    residual blocks, `ir`. A stage without blocks is none.
    """
    stages = zip(widths, depths, kernels, expansions, squeeze, strides, strict=True)
    return [
        [
            f"{'ds' if expansion == 1 else 'ir'}_r{depth}_k{kernel}_s{stride}_e{expansion}_c{width}"
            + (f"_se{ratio:g}" if ratio else "")
        ]
        for width, depth, kernel, expansion, ratio, stride in stages
        if depth
    ]


def reduction(strides: Sequence[int], depths: Sequence[int]) -> int:
    """Return how many pixels of the image, in one direction, become one position of the last map; the stem halves too."""
    return 2 * prod(stride for stride, depth in zip(strides, depths, strict=True) if depth)


def wrong_blocks(backbone: dict[str, Any], size: int | None = None) -> str | None:
    """Return what is wrong with the settings of a resolved backbone `mbconv`, and the remedy; None where all is well.

    size: side of the images that it is built for, pixels, where known.
    """
    lengths = {name: len(backbone[name]) for name in STAGES}
    if len(set(lengths.values())) != 1 or not lengths["widths"]:
        found = ", ".join(f"{name} {count}" for name, count in lengths.items())
        return (
            f"backbone 'mbconv' needs an entry for every stage in every list, and has {found}. Make them equally long."
        )
    for name, entries in {**{name: backbone[name] for name in STAGES}, "stem": [backbone["stem"]]}.items():
        fits, rule = _RULES[name]
        for entry in entries:
            if not fits(entry):
                return f"backbone 'mbconv', {name}: {entry} is not {rule}. Correct it."
    if not any(backbone["depths"]):
        return "backbone 'mbconv' has no block in any stage. Give one of the depths at least 1."
    if backbone["features"] < 0:
        return "backbone 'mbconv', features: the width of the last layer cannot be negative. Set 0 to leave it out."
    small = reduction(backbone["strides"], backbone["depths"])
    if small > REDUCED:
        return (
            f"backbone 'mbconv' makes maps {small} times smaller than the image, more than {REDUCED}. Set strides to 1."
        )
    if size is not None and small > size:
        return (
            f"backbone 'mbconv': nothing is left of an image of {size} pixels in maps {small} times smaller. "
            "Set strides to 1, or choose a larger size."
        )
    return None


_CHANNELS = (lambda value: value >= 8 and value % 8 == 0, "a multiple of 8 (timm would round it)")
_RULES = {
    "stem": _CHANNELS,
    "widths": _CHANNELS,
    "depths": (lambda value: value >= 0, "a number of blocks"),
    "kernels": (lambda value: value % 2 == 1 and value >= 3, "an odd number from 3 on"),
    "expansions": (lambda value: value >= 1, "at least 1"),
    "squeeze": (lambda value: value == 0 or 0.125 <= value <= 1, "0 (none) or a share from 0.125 to 1"),
    "strides": (lambda value: value in (1, 2), "1 or 2"),
}


def describe_blocks(backbone: dict[str, Any]) -> str:
    """Return the architecture of a resolved backbone `mbconv` in a line: stem, block strings, last layer."""
    strings = [block for stage in block_strings(**{name: backbone[name] for name in STAGES}) for block in stage]
    last = [f"features {backbone['features']}"] if backbone["features"] else []
    return " ".join([f"stem {backbone['stem']}", *strings, *last])


def describe_head(model: dict[str, Any]) -> str:
    """Return the layers between a backbone and the embedding of a plain `model` in a line: "avg, 256 batch relu, 128"."""
    return ", ".join([describe_pooling(model["pooling"]), *head_layers(model["head"])])


def describe_pooling(pooling: dict[str, Any]) -> str:
    """Return the name of a resolved pooling with its parameters, e.g. "gem p=3"."""
    more = [f"p={pooling['p']:g}"] if "p" in pooling else []
    return " ".join([pooling["name"], *more, *(["learned"] if pooling.get("learned") else [])])


def head_layers(head: dict[str, Any]) -> list[str]:
    """Return the layers of a plain head in order, e.g. ["256 batch relu", "dropout 0.2", "128"]."""
    shown = [str(head["hidden"]), *([head["norm"]] if head["norm"] != "none" else []), head["activation"]]
    hidden = [" ".join(shown)] * (head["depth"] if head["hidden"] else 0)
    return [*hidden, *([f"dropout {head['dropout']:g}"] if head["dropout"] else []), str(head["dim"])]
