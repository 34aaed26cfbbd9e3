import imagehash
import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from reidflow.dedup.groups import group_images
from reidflow.dedup.phash import close_pairs, phash


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    noise = random.uniform(0, 255, (40, 48, 48, 3))
    smooth = gaussian_filter(noise, (0, 4, 4, 0)) * 6
    return np.clip(smooth - smooth.mean() + 128, 0, 255).astype(np.uint8)


def test_phash_is_that_of_imagehash_bit_for_bit(images):
    flat = np.zeros((1, 48, 48, 3), np.uint8)
    for stack in (images, flat, images[:, ::2]):
        ours = phash(stack, np.arange(len(stack)))
        theirs = [int(str(imagehash.phash(Image.fromarray(image))), 16) for image in stack]
        assert ours.tolist() == theirs


def test_close_pairs_are_those_of_a_double_loop(images):
    hashes = phash(images, np.arange(len(images)))
    hashes = np.concatenate([hashes, hashes[:5] ^ np.uint64(0b1011)])
    expected = [
        (i, j, d)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (d := int(hashes[i] ^ hashes[j]).bit_count()) <= 3
    ]
    assert expected and sorted(map(tuple, close_pairs(hashes, 3, block=7).tolist())) == expected


def manifest(identities, groups):
    images = [f"{i}.png" for i in range(len(identities))]
    return pl.DataFrame(
        {"image": images, "identity": identities, "group": groups}, schema_overrides={"group": pl.String}
    )


def test_near_duplicates_join_the_data_sets_own_groups_transitively():
    table = manifest(["a"] * 5, ["s1", "s1", "s2", "s2", None])
    hashes = np.array([0, 2**40 - 1, 0b11, 2**50, 2**64 - 1], np.uint64)
    grouping = group_images(table, hashes, 4)
    assert grouping.groups["group"].to_list() == ["0.png", "0.png", "0.png", "0.png", "4.png"]
    assert any("identity a" in warning for warning in grouping.warnings)
    assert group_images(table, hashes, None).groups["group"].n_unique() == 3


def test_a_suspected_duplicate_across_identities_ties_blocks_but_not_groups():
    grouping = group_images(manifest(["a", "b", "b"], ["s", "s", "t"]), np.array([0, 1, 2**60 - 1], np.uint64), 4)
    assert grouping.groups["group"].n_unique() == 3
    assert grouping.groups["block"].to_list() == ["0.png", "0.png", "2.png"]
    assert ("0.png", "1.png", 1, False, True) in grouping.pairs.rows()
