"""Masks that a network computes, one for each image whose data have none."""

import io
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from reidflow.ingest.boxes import Box
from reidflow.ingest.decode import decode
from reidflow.ingest.depth import levels_of
from reidflow.ingest.network_file import local, sha256, with_file
from reidflow.spec import code, components
from reidflow.spec.canonical import canonical, short
from reidflow.spec.errors import ReidflowError

SIDE = 2048
"""Pixels: a JPEG is decoded no larger than needed for its longer side to be this long."""


class Segmenter:
    """A network that finds the animal in an image; several threads may use it at once."""

    def __init__(self, spec: dict[str, Any], network: str, max_pixels: int) -> None:
        """spec: a resolved segmenter. network: the SHA-256 of its file, '' where it has none. max_pixels: as for ingest.

        Raises ReidflowError where the file is another, or cannot be read.
        """
        file = local(spec)
        if (sha256(file) if file else "") != network:
            raise ReidflowError(
                f"{file}: not the network that masks were computed with before. Put the same file there, or run the pipeline again."
            )
        self.name = spec["name"]
        self._foreground = components.call("segmenter", with_file(spec))
        self._max_pixels = max_pixels

    def __call__(self, data: bytes, box: Box | None = None, relative: bool = False) -> bytes | None:
        """Return the mask of an image as PNG, of the size in which the network returns it; None where the image has its own.

        data: the bytes of the photograph, of which the image is the part in `box`. Raises UnusableError.
        """
        read = partial(decode, data, None, max_pixels=self._max_pixels, wanted=_scale, box=box, relative=relative)
        photo = read()
        if photo.mask:
            return None
        if photo.spread:
            # The range of the data set is not known yet, and a mask must not depend on other images.
            photo = read(levels=levels_of([photo.spread]))
        left, top, right, bottom = photo.view
        size = max(1, round(right - left)), max(1, round(bottom - top))
        found = np.asarray(self._foreground(photo.colours.resize(size, Image.Resampling.LANCZOS, box=photo.view)))
        if found.ndim != 2 or found.dtype != bool or not found.size:
            raise ReidflowError(
                f"dataset.masks: '{self.name}' returns {found.dtype} of the shape {found.shape}. Let it return a mask, bool "
                "(H, W) (docs/extending.md)."
            )
        written = io.BytesIO()
        Image.fromarray(found).save(written, "PNG")
        return written.getvalue()


def store_key(spec: dict[str, Any], network: str) -> str:
    """Return the name of the masks that a network computes: of all that decides them, beside the image itself."""
    own = {key: value for key, value in spec.items() if key != "file"}
    module = components.module_name("segmenter", spec["name"])
    decided = {"segmenter": own, "network": network, "version": _version()}
    return short(canonical({**decided, "code": code.run_digest("reidflow.ingest.segmenter", module)}), length=32)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("onnxruntime")
    except metadata.PackageNotFoundError:
        return ""


def _scale(width: int, height: int, bounds: Any) -> float:
    return min(1.0, SIDE / max(width, height))
