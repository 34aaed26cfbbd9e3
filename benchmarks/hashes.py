"""Time of all four perceptual hashes at both sizes, beside calling imagehash for each; the same bits.

One thread on either side; processor seconds, so that a busy machine does not matter.

    OMP_NUM_THREADS=1 python benchmarks/hashes.py --images 500 --side 160
"""

import argparse
import os
import resource
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import imagehash
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from reidflow.dedup.hashes import KINDS, SIDES, image_hashes

LIBRARY = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "phash": imagehash.phash,
    "whash": imagehash.whash,
}


def pictures(count: int, side: int) -> np.ndarray:
    """Return (count, side, side, 3) uint8 pictures with large and small structures."""
    rng = np.random.Generator(np.random.PCG64(0))
    noise = rng.uniform(-128, 128, (count, side, side, 3)).astype(np.float32)
    mixed = 128 + sum(width * gaussian_filter(noise, (0, width, width, 0)) for width in (1, 4, 16))
    return np.clip(mixed, 0, 255).astype(np.uint8)


def with_imagehash(images: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """Return the same hashes by a call for each image, hash and size."""
    found = {}
    for name, bits in KINDS:
        matrices = [LIBRARY[name](Image.fromarray(image), SIDES[bits]).hash.ravel() for image in images]
        found[name, bits] = np.packbits(np.stack(matrices), axis=1).view(">u8").astype(np.uint64)
    return found


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--store", help="an image store (.npy) to hash instead of made-up pictures")
    given = parser.parse_args()
    images = np.load(given.store)[: given.images] if given.store else pictures(given.images, given.side)
    seconds, results = {}, {}
    sides = {"reidflow": lambda some: image_hashes(some, np.arange(len(some))), "imagehash": with_imagehash}
    for name, side in sides.items():
        side(images[:20])
        start = time.process_time()
        results[name] = side(images)
        seconds[name] = time.process_time() - start
    equal = all(np.array_equal(results["reidflow"][kind], results["imagehash"][kind]) for kind in KINDS)
    print(f"{len(images)} images of {images.shape[1]} px, ahash, dhash, phash, whash at 64 and 256 bits")
    for name in sides:
        print(f"{name:10} {seconds[name]:8.3f} s cpu {seconds[name] / len(images) * 1e3:8.3f} ms an image")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ratio = seconds["imagehash"] / seconds["reidflow"]
    print(f"ratio      {ratio:8.2f} x (bar: 2)   bits equal: {equal}   peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
