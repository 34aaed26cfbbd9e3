"""Tiny ONNX networks for tests: what they find is known."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def save(
    path: Path,
    nodes: list,
    constants: dict,
    shape_in: list,
    shape_out: list,
    out=TensorProto.FLOAT,
    given=TensorProto.FLOAT,
) -> Path:
    """Write a network from `image` to `mask`."""
    made = [
        helper.make_tensor(name, TensorProto.INT64 if name == "axes" else TensorProto.FLOAT, shape, values)
        for name, (shape, values) in constants.items()
    ]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("image", given, shape_in)],
        [helper.make_tensor_value_info("mask", out, shape_out)],
        made,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def bright(path: Path, side: int | str = 64, threshold: float = 0.5, last: bool = False) -> Path:
    """Write a network that returns 1 where the mean of the channels is above `threshold`, else 0."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("Greater", ["mean", "threshold"], ["above"]),
        helper.make_node("Cast", ["above"], ["mask"], to=TensorProto.FLOAT),
    ]
    constants = {"axes": ([1], [3 if last else 1]), "threshold": ([], [threshold])}
    sides = [1, side, side, 3] if last else [1, 3, side, side]
    return save(path, nodes, constants, sides, [1, side, side, 1] if last else [1, 1, side, side])


def byte_network(path: Path, side: int) -> Path:
    """Write a network that takes bytes, channels last, and returns 1 where the first channel is above 200, else 0."""
    nodes = [
        helper.make_node("Cast", ["image"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Split", ["number"], ["mask_", "b", "c"], axis=3, num_outputs=3),
        helper.make_node("Greater", ["mask_", "threshold"], ["above"]),
        helper.make_node("Cast", ["above"], ["mask"], to=TensorProto.UINT8),
    ]
    shapes = [1, side, side, 3], [1, side, side, 1]
    return save(path, nodes, {"threshold": ([], [200.0])}, *shapes, TensorProto.UINT8, TensorProto.UINT8)


def mean(path: Path, side: int, scale: float = 1.0, shift: float = 0.0) -> Path:
    """Write a network that returns `scale` times the mean of the channels, plus `shift`."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["mask"]),
    ]
    constants = {"axes": ([1], [1]), "scale": ([], [scale]), "shift": ([], [shift])}
    return save(path, nodes, constants, [1, 3, side, side], [1, 1, side, side])


def channels(path: Path, side: int, labels: bool = False) -> Path:
    """Write a network that returns its input as three classes, or the label of the largest."""
    if labels:
        nodes = [helper.make_node("ArgMax", ["image"], ["mask"], axis=1, keepdims=0)]
        return save(path, nodes, {}, [1, 3, side, side], [1, side, side], TensorProto.INT64)
    return save(path, [helper.make_node("Identity", ["image"], ["mask"])], {}, [1, 3, side, side], [1, 3, side, side])


def shaped(path: Path, shape: list) -> Path:
    """Write a network that returns its input, of any shape."""
    return save(path, [helper.make_node("Identity", ["image"], ["mask"])], {}, shape, shape)


def classifier(path: Path, side: int) -> Path:
    """Write a network that returns one number per channel."""
    nodes = [helper.make_node("ReduceMean", ["image", "axes"], ["mask"], keepdims=0)]
    return save(path, nodes, {"axes": ([2], [2, 3])}, [1, 3, side, side], [1, 3])
