"""Time of the mean SSIM of candidate pairs, beside a loop over scikit-image's.

One thread on either side; processor seconds. Our side also resizes the images from their store; scikit-image gets
them resized.

    OMP_NUM_THREADS=1 python benchmarks/ssim.py --pairs 2000 --side 128
"""

import argparse
import os
import resource
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from hashes import pictures
from skimage.metrics import structural_similarity

from reidflow.dedup.ssim import pair_ssim, resized


def candidates(count: int, images: int) -> np.ndarray:
    """Return (count, 2) sorted pairs i < j among `images`."""
    rng = np.random.Generator(np.random.PCG64(1))
    first, second = np.divmod(rng.choice(images * images, 3 * count, replace=False), images)
    pairs = np.stack([first, second], axis=1)[first < second][:count]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def main() -> None:
    """Measure both sides in grey and in colour and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--store-side", type=int, default=160)
    parser.add_argument("--side", type=int, default=128)
    given = parser.parse_args()
    store = pictures(given.images, given.store_side)
    pairs = candidates(given.pairs, given.images)
    for grey in (True, False):
        pair_ssim(store, np.arange(len(store)), pairs[:20], given.side, grey)
        start = time.process_time()
        ours = pair_ssim(store, np.arange(len(store)), pairs, given.side, grey)
        fast = time.process_time() - start
        small = [resized(image, given.side, grey) for image in store]
        small = [image[0] for image in small] if grey else small
        axis = None if grey else 0
        start = time.process_time()
        theirs = [structural_similarity(small[i], small[j], data_range=255, channel_axis=axis) for i, j in pairs]
        slow = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{len(pairs)} pairs of {given.images} images at {given.side} px, {'grey' if grey else 'colour'}")
        print(f"reidflow     {fast:8.3f} s cpu\nscikit-image {slow:8.3f} s cpu")
        error = np.abs(ours - theirs).max()
        print(f"ratio        {slow / fast:8.2f} x (bar: 2)   peak {peak:.0f} MB")
        print(f"largest difference {error:.1e} (bar: 1e-4)")


if __name__ == "__main__":
    main()
