import imagehash
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from reidflow.dedup import hashes
from reidflow.dedup.hashes import SIDES, bounded_pairs, close_pairs, image_hashes, load_pairs, pairs_of, save_pairs
from reidflow.spec.errors import ReidflowError


def stored(count, side=48):
    noise = np.random.default_rng(side).uniform(0, 255, (count, side, side, 3))
    return np.clip(128 + 4 * (gaussian_filter(noise, (0, 2, 2, 0)) - 128), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", hashes.FUNCTIONS)
@pytest.mark.parametrize("bits", SIDES)
def test_rows_of_the_store_get_the_bits_of_imagehash_the_first_bit_the_highest(name, bits):
    library = {"ahash": imagehash.average_hash, "whash": imagehash.whash}.get(name, getattr(imagehash, name, None))
    stack, rows = stored(9), np.array([7, 0, 3])
    expected = [int(str(library(Image.fromarray(stack[row]), SIDES[bits])), 16) for row in rows]
    found = image_hashes(stack, rows, name, bits)
    assert [int.from_bytes(row.tobytes(), "big") for row in found] == expected and len(set(expected)) == 3


def test_hashes_depend_neither_on_chunks_nor_on_processes(monkeypatch):
    stack = stored(12)
    expected = image_hashes(stack, np.arange(12), "phash")
    monkeypatch.setattr(hashes, "CHUNK", 5)
    monkeypatch.setattr(hashes, "FEWEST", 1)
    assert np.array_equal(image_hashes(stack, np.arange(12), "phash", workers=2), expected)
    assert image_hashes(stack, np.arange(0), "dhash", 256).shape == (0, 32)


def similar_hashes(count, size, most):
    """Random hashes of `size` bytes, every other one at most `most` bits from an earlier one, some equal."""
    random = np.random.default_rng(size)
    found = random.integers(0, 256, (count, size), dtype=np.uint8)
    for row in range(1, count, 2):
        found[row] = found[random.integers(row)]
        for bit in random.integers(0, 8 * size, random.integers(0, most)):
            found[row, bit // 8] ^= np.uint8(1 << bit % 8)
    return found


@pytest.mark.parametrize(("size", "distance"), [(8, 0), (8, 3), (8, 8), (8, 30), (32, 0), (32, 12), (32, 100)])
def test_close_pairs_are_those_of_a_double_loop_by_any_block_of_queries(size, distance, monkeypatch):
    found = similar_hashes(200, size, 16)
    numbers = [int.from_bytes(row.tobytes()) for row in found]
    pairs = ((i, j, (numbers[i] ^ numbers[j]).bit_count()) for i in range(200) for j in range(i + 1, 200))
    expected = [list(pair) for pair in pairs if pair[2] <= distance]
    assert expected and close_pairs(found, distance).tolist() == expected
    monkeypatch.setattr(hashes, "QUERIES", 7)
    assert close_pairs(found, distance).tolist() == expected


def test_pairs_of_shards_are_those_of_all_rows(tmp_path):
    found = similar_hashes(200, 8, 16)
    files = [tmp_path / f"{start}.npz" for start in range(0, 200, 60)]
    for start, file in zip(range(0, 200, 60), files, strict=True):
        save_pairs(file, pairs_of(found, 8, slice(start, start + 60)), 8)
    pairs, reach = load_pairs(files)
    assert reach == 8 and pairs.tolist() == close_pairs(found, 8).tolist() and len(pairs) > 20


def test_too_many_pairs_are_those_of_a_smaller_distance_however_they_are_divided(tmp_path, monkeypatch):
    found = np.concatenate([similar_hashes(200, 8, 16), np.zeros((9, 8), np.uint8)])
    every = close_pairs(found, 8)
    counts = np.bincount(every[:, 2], minlength=9).cumsum()
    monkeypatch.setattr(hashes, "MOST", int(counts[5]))
    files = [tmp_path / f"{start}.npz" for start in range(0, 209, 60)]
    for start, file in zip(range(0, 209, 60), files, strict=True):
        save_pairs(file, pairs_of(found, 8, slice(start, start + 60)), 8)
    for pairs, reach in (load_pairs(files), bounded_pairs(pairs_of(found, 8), 8)):
        largest = max(d for d in range(9) if counts[d] <= counts[5])
        assert reach == largest and pairs.tolist() == every[every[:, 2] <= largest].tolist()
    with pytest.raises(ReidflowError, match=f"to {largest} at most"):
        close_pairs(found, 8)
    assert len(close_pairs(found, largest)) == counts[5]
    monkeypatch.setattr(hashes, "MOST", 35)
    assert bounded_pairs(pairs_of(np.zeros((9, 8), np.uint8), 8), 8)[1] == -1
    with pytest.raises(ReidflowError, match="too alike"):
        close_pairs(np.zeros((9, 8), np.uint8), 8)


def test_a_hash_and_its_complement_differ_in_every_bit():
    found = np.stack([np.zeros(32, np.uint8), np.full(32, 255, np.uint8)])
    assert close_pairs(found, 255).tolist() == []
    assert close_pairs(found, 256).tolist() == [[0, 1, 256]]
    assert close_pairs(found[:0], 8).shape == (0, 3)
