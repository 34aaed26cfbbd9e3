"""Processor time and memory of deduplication: hashes, pairs of hashes, SSIM in place and aligned, nearest neighbours.

Each part runs in a process of its own at each size, so that its peak memory is its own. Hashes and SSIM are measured on
a sample and extrapolated, since their time is proportional to the images and the pairs.

    python benchmarks/dedup.py --sizes 640 20000 200000
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

SAMPLE = 640  # images, and candidate pairs, that are measured
SIDE = 160
DIMENSION = 512


def stored(count: int) -> np.ndarray:
    """Return (count, SIDE, SIDE, 3) uint8 images with large and small structures."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).uniform(-128, 128, (count, SIDE, SIDE, 3)).astype(np.float32)
    mixed = 128 + sum(width * gaussian_filter(noise, (0, width, width, 0)) for width in (1, 4, 16))
    return np.clip(mixed, 0, 255).astype(np.uint8)


def hashes(count: int) -> np.ndarray:
    """Return (count, 8) uint8 random hashes, one in eight a few bits from another."""
    random = np.random.default_rng(0)
    found = random.integers(0, 256, (count, 8), dtype=np.uint8)
    for row in range(0, count // 8 * 8, 8):
        found[row] = found[row + 1]
        for bit in random.integers(0, 64, random.integers(0, 12)):
            found[row, bit // 8] ^= np.uint8(1 << bit % 8)
    return found


def time_hash(name: str) -> Callable[[int], dict]:
    """Return the measurement of one hash, 64 bits."""

    def measure(size: int) -> dict:
        from reidflow.dedup.hashes import image_hashes

        images = stored(SAMPLE)
        image_hashes(images[:8], np.arange(8), name)
        start = time.process_time()
        image_hashes(images, np.arange(SAMPLE), name)
        return {"seconds": (time.process_time() - start) * size / SAMPLE, "extrapolated": size != SAMPLE}

    return measure


def time_pairs(size: int) -> dict:
    """Measure the pairs of 64-bit hashes at most 8 bits apart."""
    from reidflow.dedup.hashes import close_pairs

    found = hashes(size)
    start = time.process_time()
    pairs = close_pairs(found, 8)
    return {"seconds": time.process_time() - start, "found": len(pairs)}


def time_ssim(aligned: bool) -> Callable[[int], dict]:
    """Return the measurement of SSIM for ten candidate pairs per image."""

    def measure(size: int) -> dict:
        from reidflow.dedup.ssim import aligned_ssim, pair_ssim

        images = stored(SAMPLE)
        pairs = np.stack([np.arange(SAMPLE), (np.arange(SAMPLE) + 1) % SAMPLE], axis=1)
        start = time.process_time()
        (aligned_ssim if aligned else pair_ssim)(images, np.arange(SAMPLE), pairs)
        return {"seconds": (time.process_time() - start) * 10 * size / SAMPLE, "extrapolated": True}

    return measure


def time_neighbours(size: int) -> dict:
    """Measure the ten nearest neighbours of each of `size` unit vectors around a thousand centres."""
    from reidflow.dedup.neighbours import nearest, unit

    random = np.random.default_rng(0)
    centres = random.standard_normal((1000, DIMENSION)).astype(np.float32)
    vectors = unit(centres[np.arange(size) % 1000] + random.standard_normal((size, DIMENSION), np.float32))
    start = time.process_time()
    nearest(vectors, 10)
    return {"seconds": time.process_time() - start}


PARTS = {
    **{name: time_hash(name) for name in ("ahash", "dhash", "phash", "whash")},
    "close_pairs": time_pairs,
    "ssim": time_ssim(aligned=False),
    "aligned_ssim": time_ssim(aligned=True),
    "nearest": time_neighbours,
}


def main() -> None:
    """Measure the parts at each size and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, 20_000])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measured = PARTS[options.measure](options.sizes[0])
        measured["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(measured))
        return
    print(f"{'part':14} {'images':>8} {'cpu s':>10} {'GB':>6}")
    for part in options.parts:
        for size in options.sizes:
            command = [sys.executable, __file__, "--measure", part, "--sizes", str(size)]
            made = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            note = " (extrapolated)" if made.get("extrapolated") else ""
            print(f"{part:14} {size:8} {made['seconds']:10.2f} {made['peak']:6.2f}{note}", flush=True)


if __name__ == "__main__":
    main()
