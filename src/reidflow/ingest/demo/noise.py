"""Seeded noise, steps and blends of which the demo's images are made."""

import numpy as np
from PIL import Image

from reidflow.spec.seeds import seed_for


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random generator of the consumer called `names`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed_for(seed, *names))))


def smooth(random: np.random.Generator, height: int, width: int, cell: float, stretch: float = 1.0) -> np.ndarray:
    """Return noise (height, width) float32 of about -1..1 with hills of `cell` pixels, `stretch` times as wide."""
    rows, columns = max(2, round(height / cell) + 2), max(2, round(width / (cell * stretch)) + 2)
    grid = Image.fromarray(random.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def fractal(
    random: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4, stretch: float = 1.0
) -> np.ndarray:
    """Return the sum (height, width) float32, about -1..1, of `octaves` layers of noise, each finer and weaker."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        total += smooth(random, height, width, max(cell / 2**octave, 1.0), stretch) * np.float32(0.55**octave)
    return total


def step(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """Return the smooth rise (0 to 1) of `values` from `low` to `high`; falls where `low` > `high`."""
    x = np.clip((values - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def blend(under: np.ndarray, over: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) `under` covered by `over` (a colour or an array of colours) with `weight` (...)."""
    return under + (over - under) * weight[..., None]
