"""The networks of rembg (Gatis, https://github.com/danielgatis/rembg), which find the salient object, in its conventions."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from reidflow.ingest.masks._session import IMAGENET, Session, resized, sigmoid, standardised
from reidflow.ingest.network_file import kept_by_rembg

_DIS = ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))


def build(
    *,
    model: Literal[
        "u2net",
        "u2netp",
        "silueta",
        "isnet-general-use",
        "birefnet-general",
        "birefnet-general-lite",
        "birefnet-massive",
        "birefnet-cod",
    ] = "u2net",
    file: str | None = None,
    threshold: float = 0.5,
) -> Callable[[Image.Image], np.ndarray]:
    """Return the function from an RGB image to its foreground, bool (H, W).

    model: its name in rembg. u2net (Qin et al. 2020) and its small versions u2netp and silueta see 320 x 320 pixels,
    isnet (Qin et al. 2022) and birefnet (Zheng et al. 2024; `birefnet-cod` is trained on camouflaged animals) 1024 x 1024.
    file: its ONNX file, or `hf-hub:owner/name/path.onnx` of the Hugging Face hub; by default the one that rembg has
    downloaded into `~/.u2net`. threshold: what counts as foreground, after the output is stretched from 0 to 1, as in
    rembg. An image of which no pixel is foreground with a probability of 0.5 before that has none.
    """
    session = Session(file or str(kept_by_rembg(model)))
    mean, std = _DIS if model.startswith("isnet") else IMAGENET
    side = 320 if model in ("u2net", "u2netp", "silueta") else 1024
    size = session.size or (side, side)

    def foreground(image: Image.Image) -> np.ndarray:
        colours = resized(image, size)
        found = session(standardised(colours / max(colours.max(), 1e-6), mean, std))
        found = found.reshape(found.shape[-2:]) if found.size == np.prod(found.shape[-2:]) else found[0]
        share = sigmoid(found) if model.startswith("birefnet") else found.astype(np.float64)
        low, high = share.min(), share.max()
        if high < 0.5:
            return np.zeros(share.shape, bool)
        return (share - low) / max(high - low, 1e-12) >= threshold if high > low else np.ones(share.shape, bool)

    return foreground
