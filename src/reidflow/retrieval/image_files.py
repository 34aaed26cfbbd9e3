"""Gallery and query image files: listed, identified by their bytes, decoded and framed as in ingest."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reidflow.ingest import rawdigest
from reidflow.ingest.framing import Frame, frame_of, framed
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.segmenter import Segmenter
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError


@dataclass(frozen=True)
class Framing:
    """How an image becomes a square: `frame` is a resolved component, `size` the side of the stored square.

    `levels`: the range of values of the pipeline's images of more than 8 bits a channel, by kind. `network`: what
    computes the masks of images without one (a resolved segmenter, and the SHA-256 of its file); None where nothing
    does, or where neither the frame nor local features depend on masks. `boxes`: how many images of the pipeline were
    cut out of photographs.
    """

    frame: dict[str, Any]
    size: int
    max_pixels: int
    levels: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] | None = None
    boxes: int = 0

    @classmethod
    def of_pipeline(cls, images: dict[str, Any], max_pixels: int, masks: bool = False) -> "Framing":
        """Return how the pipeline framed images. images: the content of images.json. masks: whether masks are used
        beside the frame, by local features.
        """
        more = images.get("levels", {}), images.get("network"), images.get("boxes", 0)
        made = cls(images["frame"], images["size"], max_pixels, *more)
        return made if masks or made._sees_masks() else replace(made, network=None)

    def facts(self) -> dict[str, Any]:
        """Return what a gallery says of it."""
        own = self.network and {key: value for key, value in self.network["segmenter"].items() if key != "file"}
        masks = short([own, self.network["sha256"]]) if self.network else None
        more = {key: value for key, value in (("levels", self.levels), ("boxes", self.boxes)) if value}
        return {"frame": self.frame, "size": self.size, "masks": masks, **more}

    @cached_property
    def segmenter(self) -> Segmenter | None:
        """The network that computes masks. Raises ReidflowError where its file is not there, or is another."""
        if self.network is None:
            return None
        return Segmenter(self.network["segmenter"], self.network["sha256"], self.max_pixels)

    def _sees_masks(self) -> bool:
        """Return whether the frame of an image depends on the mask, tried on one."""
        box = self.box()
        return box(400, 300, None) != box(400, 300, (60, 40, 200, 120))

    def box(self) -> Frame:
        """Return the function that chooses the square."""
        return frame_of(self.frame)


class LeftOut(NamedTuple):
    """An image that cannot be used: its key, one of `ingest.listing.REASONS`, and what was found."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True)
class ImageFiles:
    """The images under `root`: key (the path relative to it, sorted) -> SHA-256 of the file's bytes."""

    root: Path
    digests: dict[str, str]


def find_images(place: Path, cache: Path | None = None) -> ImageFiles:
    """Return the images in a folder, at any depth, or the one that a file is.

    cache: the file that keeps sizes, times and digests of the files, so that bytes are hashed once.
    Raises ReidflowError where there is none.
    """
    try:
        if place.is_file():
            return ImageFiles(place.parent, {place.name: hashlib.sha256(place.read_bytes()).hexdigest()})
    except OSError as error:
        raise ReidflowError(f"{place}: cannot be read ({error.strerror}). Correct the path.") from error
    if not place.is_dir():
        raise ReidflowError(f"{place}: no such file or folder (looked from {Path.cwd()}). Correct the path.")
    files = rawdigest.snapshot(place, cache or place / ".none", links="follow", save=cache is not None).files
    found = {key: files[key] for key in sorted(files) if counts_as_image(place / key)}
    if not found:
        raise ReidflowError(f"{place}: no image is in this folder. Name the folder that holds them, at any depth.")
    return ImageFiles(place, found)


class Squares(NamedTuple):
    """Images framed to one side S: pixels (n, S, S, 3) uint8, masks (n, S, S) uint8 of 0 and 255."""

    pixels: np.ndarray
    masks: np.ndarray


def squares(
    images: ImageFiles, keys: list[str], framing: Framing, block: int, workers: int, sides: Sequence[int] = ()
) -> Iterator[tuple[list[str], list[Squares], list[LeftOut]]]:
    """Yield, for each `block` of keys: the usable ones, their squares of the framing's size and of each of `sides`, and
    those left out.

    The next block is decoded while the caller works on one. workers: threads; they change no output.
    """
    box, _ = framing.box(), framing.segmenter  # read once, before threads share it
    every = [framing.size, *sides]
    with ThreadPoolExecutor(workers) as pool:
        parts = [keys[start : start + block] for start in range(0, len(keys), block)]
        develop = partial(_squares, images, framing, box, every)
        waiting = pool.map(develop, parts[0]) if parts else iter(())
        for number, part in enumerate(parts):
            made = list(waiting)
            if number + 1 < len(parts):
                waiting = pool.map(develop, parts[number + 1])
            usable = [(key, one) for key, one in zip(part, made, strict=True) if isinstance(one, list)]
            found = [_stacked([one[place] for _, one in usable], side) for place, side in enumerate(every)]
            yield [key for key, _ in usable], found, _left_out(part, made)


def _stacked(made: list[tuple[np.ndarray, np.ndarray]], side: int) -> Squares:
    if not made:
        return Squares(np.empty((0, side, side, 3), np.uint8), np.empty((0, side, side), np.uint8))
    return Squares(*(np.stack(arrays) for arrays in zip(*made, strict=True)))


def _left_out(keys: Iterable[str], made: list[list | UnusableError]) -> list[LeftOut]:
    bad = [(key, one) for key, one in zip(keys, made, strict=True) if isinstance(one, UnusableError)]
    return [LeftOut(key, one.reason, one.detail) for key, one in bad]


def _squares(
    images: ImageFiles, framing: Framing, box: Frame, sides: list[int], key: str
) -> list[tuple[np.ndarray, np.ndarray]] | UnusableError:
    """Return the square of an image, (S, S, 3) uint8, and its mask, (S, S) uint8, for each side;
    or why there is none.
    """
    try:
        data = (images.root / key).read_bytes()
        if images.digests[key] not in (hashlib.sha256(data).hexdigest(), rawdigest.UNREADABLE):
            raise ReidflowError(
                f"{images.root / key}: changed while it was read. Let the copying finish; run it again."
            )
        mask = framing.segmenter(data) if framing.segmenter else None
        more = {"max_pixels": framing.max_pixels, "levels": framing.levels, "network": mask}
        # A JPEG is decoded no larger than needed: once for each side.
        return [framed(data, None, box, side, **more)[1:] for side in sides]
    except UnusableError as unusable:
        return unusable
    except OSError as error:
        return UnusableError("missing" if isinstance(error, FileNotFoundError) else "unreadable", f"{error.strerror}")
