"""Any network in an ONNX file that marks or classifies the pixels of an image."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from reidflow.ingest.masks._session import IMAGENET, Session, resized, sigmoid, standardised
from reidflow.spec.errors import ReidflowError

_NEAR = 0.01
"""What rounding may add to a probability."""


def build(
    *,
    file: str,
    size: int | list[int] | None = None,
    mean: list[float] | None = None,
    std: list[float] | None = None,
    divide: float = 255.0,
    colours: Literal["rgb", "bgr"] = "rgb",
    output: str | None = None,
    activation: Literal["none", "sigmoid", "softmax"] = "none",
    classes: list[int] | None = None,
    threshold: float = 0.5,
) -> Callable[[Image.Image], np.ndarray]:
    """Return the function from an RGB image to its foreground, bool (H, W).

    file: the ONNX file, or `hf-hub:owner/name/path.onnx` of the Hugging Face hub. size: side, or height and width, to which
    images are stretched; by default what the file says. Colours of 0 to 255 are divided by `divide`, `mean` is subtracted
    and the rest divided by `std` (by default those of ImageNet), unless the network takes bytes; `colours` is the order of the channels. Whether channels
    come first or last is read from the file. output: the name of the output, by default the first. activation: what turns
    it into probabilities, `none` where it holds them. classes: the channels, or in a map of labels the labels, that are
    the animal; needed where there are more than one. threshold: the probability from which a pixel is foreground.
    """
    session = Session(file)
    shape = _shape(session, size)
    if output is not None and output not in session.outputs:
        raise ReidflowError(f"{file}: has no output '{output}'. Choose one of: {', '.join(session.outputs)}.")
    centre, spread = mean or IMAGENET[0], std or IMAGENET[1]
    if len(centre) != 3 or len(spread) != 3 or not all(spread):
        raise ReidflowError(
            "masks 'onnx': 'mean' and 'std' are three numbers each, and none of `std` is 0. Correct them."
        )

    def foreground(image: Image.Image) -> np.ndarray:
        values = resized(image, shape)[..., :: 1 if colours == "rgb" else -1]
        found = session(values if session.bytes else standardised(values / divide, centre, spread), output)
        if found.ndim == 3 and not (session.channels_last and found.shape[-1] < found.shape[0]):
            found = np.moveaxis(found, 0, -1)
        if found.dtype.kind in "iub":
            return _labelled(found, classes)
        return _probable(found, activation, classes, file) >= threshold

    return foreground


def _shape(session: Session, size: int | list[int] | None) -> tuple[int, int]:
    """Return height and width of the images that the network is given."""
    wanted = (size, size) if isinstance(size, int) else tuple(size or ())
    if (not wanted and session.size is None) or len(wanted) not in (0, 2) or min(wanted, default=1) < 1:
        raise ReidflowError(
            f"{session.file}: takes images of any size. Set 'size' to the side of those that it was trained on, or to "
            "[height, width]."
        )
    if wanted and session.size not in (None, wanted):
        raise ReidflowError(
            f"{session.file}: takes images of {session.size}, height and width, alone. Leave out 'size'."
        )
    return wanted or session.size


def _labelled(labels: np.ndarray, classes: list[int] | None) -> np.ndarray:
    """Return where a map of labels, (H, W) or (H, W, 1), has one of the classes; by default any but 0."""
    labels = labels.reshape(labels.shape[:2])
    return labels != 0 if classes is None else np.isin(labels, classes)


def _probable(found: np.ndarray, activation: str, classes: list[int] | None, file: str) -> np.ndarray:
    """Return the probability of foreground, (H, W), by an output (H, W) or (H, W, C)."""
    values = found[..., None] if found.ndim == 2 else found
    if values.ndim != 3 or min(values.shape[:2]) < 2:
        raise ReidflowError(f"{file}: an output of the shape {found.shape} is no mask. Name another as 'output'.")
    count = values.shape[-1]
    chosen = [0] if count == 1 and classes is None else classes
    if not chosen or max(chosen) >= count or min(chosen) < 0:
        raise ReidflowError(
            f"{file}: its output has {count} channels. Set 'classes' to those of the animal, from 0 to {count - 1}."
        )
    if activation == "sigmoid":
        return sigmoid(values[..., chosen]).max(axis=-1)
    values = values.astype(np.float64)
    low, high = values[..., chosen].min(), values[..., chosen].max()
    if activation == "none" and not (low >= -_NEAR and high <= 1 + _NEAR):
        raise ReidflowError(
            f"{file}: its output goes from {low:.3g} to {high:.3g}, so it holds no probabilities. Set 'activation' to "
            "sigmoid, or to softmax for channels that exclude each other; or name another 'output'."
        )
    if activation == "softmax":
        values = np.exp(values - values.max(axis=-1, keepdims=True))
        values /= values.sum(axis=-1, keepdims=True)
    return values[..., chosen].sum(axis=-1)
