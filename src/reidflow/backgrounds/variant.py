"""A variant of the image store: one background intervention applied to every image."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from reidflow.backgrounds.photo import Donors, Photo
from reidflow.ingest.arrays import RowFile, need_space
from reidflow.ingest.framing import inside
from reidflow.spec import components
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.spec.seeds import seed_for

_SHOWN = 3


def write_variant(
    manifest: pl.DataFrame,
    images: np.ndarray,
    masks: np.ndarray,
    intervention: dict[str, Any],
    out: Path,
    *,
    without_mask: Literal["error", "keep"],
    pools: Sequence[str | None] | None = None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Write the images under `intervention`, a resolved component of `interventions/`, to `out`, uint8 (N, S, S, 3).

    Returns the table `ingest.manifest.PIXELS`, and a summary: count, size, digest of all rows with their names,
    `without_mask`, the number of images left unchanged because they have no mask (policy "keep"; "error" refuses them),
    and `blank`, the number of images of one colour throughout (where a tight frame leaves no background around the
    animal's box).
    images: uint8 (N, S, S, 3), masks: uint8 (N, S, S), best memory-mapped, row i being row i of the manifest.
    pools: a name per row, or null for any: donors are of the same pool, so that with roles as pools no background of a
    test image is trained on.

    Randomness is seeded by the intervention, its seed and the image, so other images do not affect an image's noise.
    The choice of donors does depend on the other images: hence a digest of the pixels, not of the parameters.
    Raises ReidflowError if masks are missing, the background was removed from the files, no donor is available, or the
    disk is full.
    """
    _check(manifest, without_mask)
    size = images.shape[1]
    need_space(out.parent, manifest.height * size * size * 3)
    target = RowFile(out, (size, size, 3))
    render = _Intervention(manifest, images, masks, intervention, pools)
    try:
        digests, blank = _write_rows(render, manifest.height, target)
        target.finish(list(range(manifest.height)))
    finally:
        target.discard()
    table = manifest.select("image", pl.Series("pixels", digests, dtype=pl.String))
    summary = {
        "count": manifest.height,
        "size": size,
        "digest": hashlib.sha256(canonical(table.rows()).encode()).hexdigest(),
        "without_mask": int((manifest["mask"] == "none").sum()),
        "blank": sum(blank),
    }
    return table, summary


class _Intervention:
    """Applies an intervention to one row at a time."""

    def __init__(
        self,
        manifest: pl.DataFrame,
        images: np.ndarray,
        masks: np.ndarray,
        intervention: dict[str, Any],
        pools: Sequence[str | None] | None,
    ) -> None:
        self.names = manifest["image"].to_list()
        self.masked = (manifest["mask"] != "none").to_list()
        self.images, self.masks = images, masks
        self.donors = Donors(manifest, pools)
        self.name, self.seed = intervention["name"], intervention.get("seed", 0)
        parameters = {key: value for key, value in intervention.items() if key != "name"}
        self.apply = partial(components.load("background", self.name).apply, **parameters)

    def __call__(self, row: int) -> np.ndarray:
        """Return the pixels of the image `row` under the intervention, uint8 (S, S, 3)."""
        if not self.masked[row]:
            return np.asarray(self.images[row])
        photo = self._photo(row, self._random(row))
        changed = self.apply(photo)
        if changed.dtype != np.uint8 or changed.shape != photo.pixels.shape:
            raise ReidflowError(
                f"the background '{self.name}' returned {changed.dtype} {changed.shape} for {self.names[row]}, not uint8 "
                f"{photo.pixels.shape}. Correct its function 'apply'."
            )
        return changed

    def _photo(self, row: int, random: np.random.Generator) -> Photo:
        pixels = np.asarray(self.images[row])
        donor = partial(self._donor, row)
        return Photo(pixels, np.asarray(self.masks[row]) > 0, inside(pixels), random, donor)

    def _donor(self, row: int, random: np.random.Generator) -> Photo:
        return self.donors.pick(row, random, lambda other: self._photo(other, random))

    def _random(self, row: int) -> np.random.Generator:
        seed = seed_for(self.seed, "background", self.name, self.names[row])
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def _write_rows(render: Callable[[int], np.ndarray], count: int, target: RowFile) -> tuple[list[str], list[bool]]:
    """Write every row; return the SHA-256 of each, and whether it is of one colour throughout."""
    digests, blank = [], []
    # Threads inside a matrix product could change the order of its sums.
    with threadpool_limits(1, "blas"):
        for row in range(count):
            pixels = render(row)
            data = pixels.tobytes()
            target.write(data, row)
            digests.append(hashlib.sha256(data).hexdigest())
            blank.append(bool((pixels == pixels[0, 0]).all()))
    return digests, blank


def _check(manifest: pl.DataFrame, without_mask: str) -> None:
    """Raise ReidflowError unless masks separate backgrounds from animals, and the files hold backgrounds."""
    lacking = manifest.filter(pl.col("mask") == "none")["image"].to_list()
    masked = manifest.filter(pl.col("mask") != "none")
    if lacking and (without_mask == "error" or masked.is_empty()):
        more = ", ..." if len(lacking) > _SHOWN else ""
        keep = (
            ""
            if masked.is_empty()
            else "; or set backgrounds.without_mask: keep to leave these images unchanged (they are counted)"
        )
        raise ReidflowError(
            f"{len(lacking)} of {manifest.height} images have no mask ({', '.join(lacking[:_SHOWN])}{more}), so their "
            f"background cannot be separated from the animal. Add masks, as alpha channels or as files{keep}; "
            "or remove the experiments on backgrounds."
        )
    removed = masked.filter(~pl.col("background_present")).height
    if 2 * removed > masked.height:
        raise ReidflowError(
            f"the background was removed from {removed} of {masked.height} images with a mask: under their alpha "
            "channel lies a single colour, so there is no background to compare with. Use images that still have it, "
            "or remove the experiments on backgrounds."
        )
