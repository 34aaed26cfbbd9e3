import imagehash
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from reidflow.dedup.hashes import KINDS, SIDES, image_hashes

LIBRARY = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "phash": imagehash.phash,
    "whash": imagehash.whash,
}


def pictures(side):
    """Smooth, noisy, flat, framed and few-valued pictures: the last three are full of ties."""
    random = np.random.default_rng(side)
    noise = random.integers(0, 256, (8, side, side, 3)).astype(np.uint8)
    smooth = gaussian_filter(noise.astype(float), (0, 3, 3, 0)) * 5
    smooth = np.clip(smooth - smooth.mean() + 128, 0, 255).astype(np.uint8)
    flat = np.stack([np.full((side, side, 3), value, np.uint8) for value in (0, 7, 124, 255)])
    framed = smooth.copy()
    framed[:, side // 2 :] = (124, 116, 104)
    few = (random.integers(0, 3, (16, side, side, 1)) * 100).astype(np.uint8).repeat(3, axis=3)
    cell = side // 8
    blocks = (random.integers(0, 2, (16, 8, 8, 1)) * 200).astype(np.uint8).repeat(3, 3).repeat(cell, 1).repeat(cell, 2)
    return [np.concatenate([noise, smooth, flat, framed, few]), blocks]


@pytest.mark.parametrize("side", [16, 48, 160])
def test_every_hash_is_that_of_imagehash_bit_for_bit(side):
    for stack in pictures(side):
        ours = image_hashes(stack, np.arange(len(stack)))
        for name, bits in KINDS:
            theirs = [int(str(LIBRARY[name](Image.fromarray(image), SIDES[bits])), 16) for image in stack]
            assert [
                sum(int(w) << 64 * (bits // 64 - 1 - i) for i, w in enumerate(h)) for h in ours[name, bits]
            ] == theirs


def test_a_hash_depends_neither_on_its_row_nor_on_what_stands_beside_it(monkeypatch):
    stack = pictures(48)[0]
    together = image_hashes(stack, np.arange(len(stack)))
    monkeypatch.setattr("reidflow.dedup.hashes.BLOCK", 1)
    alone = image_hashes(stack[::-1], np.arange(len(stack))[::-1])
    assert all(np.array_equal(together[kind], alone[kind]) for kind in KINDS)
