"""The interface of an augmentation, and the random numbers that decide what happens to one image.

An augmentation is what its file's `build(size, *, parameters)` returns: a function of
`images` (B, 3, S, S) float in 0..1, `masks` (B, 1, S, S) float in 0..1 or None, and `draws`, that returns images and
masks. What is done to image i is decided by row i of `draws` alone, and the arithmetic treats rows one by one, so an
image's result does not depend on the batch it is in.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch

from reidflow.spec.errors import ReidflowError
from reidflow.spec.seeds import seed_for

GOLDEN = 0x9E3779B97F4A7C15
Masks = torch.Tensor | None


class Draws:
    """Uniform random numbers, one stream per image.

    A stream is SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014), so all
    images of a batch draw at once; a generator object per image would cost more than the augmentation.
    """

    def __init__(self, streams: np.ndarray) -> None:
        self._state = streams.astype(np.uint64)

    def __len__(self) -> int:
        return len(self._state)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Return the next number of each stream in [low, high), float64 (B,)."""
        with np.errstate(over="ignore"):
            self._state = self._state + np.uint64(GOLDEN)
        bits = _mix(self._state) >> np.uint64(11)
        return low + (high - low) * (bits.astype(np.float64) * 2.0**-53)

    def log_uniform(self, low: float, high: float) -> np.ndarray:
        """Return numbers in [low, high) whose logarithm is uniform, float64 (B,)."""
        return np.exp(self.uniform(np.log(low), np.log(high)))

    def chance(self, probability: float) -> np.ndarray:
        """Return for each stream whether an event of this probability happens, bool (B,)."""
        return self.uniform() < probability

    def of_batch(self) -> np.random.Generator:
        """Return a generator of the whole batch, of all streams in their order together; they do not move."""
        digest = hashlib.sha256(self._state.astype("<u8").tobytes()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))

    def named(self, *names: str | int) -> "Draws":
        """Return streams of their own for the consumer called `names`; these ones do not move."""
        return Draws(_mix(self._state ^ np.uint64(seed_for(0, *names))))


Augmentation = Callable[[torch.Tensor, Masks, Draws], tuple[torch.Tensor, Masks]]


def draws_for(seed: int, keys: Sequence[str], epoch: int) -> Draws:
    """Return the streams of the images called `keys` in an epoch (or view)."""
    return Draws(np.array([seed_for(seed, "augmentation", key, epoch) for key in keys], dtype=np.uint64))


def on_rows(
    images: torch.Tensor, chosen: np.ndarray, change: Callable[[torch.Tensor, np.ndarray], torch.Tensor]
) -> torch.Tensor:
    """Return `images` with the rows of the bool mask `chosen` replaced by change(those rows, their indices)."""
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return images
    if len(rows) == len(images):
        return change(images, rows)
    index = torch.from_numpy(rows).to(images.device)
    return images.index_copy(0, index, change(images.index_select(0, index), rows))


def column(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return numbers (n,) as a tensor of the type and on the device of `like`."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device=like.device, dtype=like.dtype)


def check_range(name: str, low: float, high: float, least: float, most: float) -> None:
    """Raise ReidflowError unless least <= low <= high <= most."""
    if not least <= low <= high <= most:
        raise ReidflowError(
            f"augmentation '{name}': the range from {low} to {high} must be increasing and within {least} to {most}."
        )


def _mix(state: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
