import numpy as np
import pytest

from reidflow.dedup import hamming
from reidflow.dedup.hamming import close_pairs


def hashes(count, words, alike):
    """Random hashes, every other one a few bits from an earlier one, some equal."""
    random = np.random.default_rng(words)
    found = random.integers(0, 2**64, (count, words), dtype=np.uint64)
    for row in range(1, count, 2):
        found[row] = found[random.integers(row)]
        for bit in random.integers(0, 64 * words, random.integers(0, alike)):
            found[row, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return found


def by_hand(found, distance):
    numbers = [int.from_bytes(row.astype(">u8").tobytes()) for row in found]
    pairs = ((i, j, (numbers[i] ^ numbers[j]).bit_count()) for j in range(len(numbers)) for i in range(j))
    return sorted(pair for pair in pairs if pair[2] <= distance)


@pytest.mark.parametrize(("words", "distance"), [(1, 0), (1, 3), (1, 8), (1, 30), (4, 0), (4, 12), (4, 100), (4, 256)])
def test_close_pairs_are_those_of_a_double_loop_by_every_way(words, distance, monkeypatch):
    found = hashes(300, words, 16)
    expected = by_hand(found, distance)
    assert expected
    assert list(map(tuple, close_pairs(found, distance).tolist())) == expected
    monkeypatch.setattr(hamming, "FEWEST", 0)
    for small, block in ((24, 2**15), (0, 64), (10**6, 64)):
        monkeypatch.setattr(hamming, "SMALL", small)
        monkeypatch.setattr(hamming, "BLOCK", block)
        assert list(map(tuple, close_pairs(found, distance).tolist())) == expected


def test_many_hashes_give_the_same_pairs_by_parts_by_all_and_by_threads(monkeypatch):
    found = hashes(6000, 1, 14)
    assert hamming._parts(found, 8) is not None
    parted = close_pairs(found, 8)
    monkeypatch.setattr(hamming, "TASK", 2**16)
    assert np.array_equal(parted, close_pairs(found, 8, threads=3))
    monkeypatch.setattr(hamming, "FEWEST", 10**6)
    assert len(parted) > 1000 and np.array_equal(parted, close_pairs(found, 8))


def test_a_complement_is_as_far_as_it_can_be():
    found = np.stack([np.zeros(4, np.uint64), np.full(4, 2**64 - 1, np.uint64)])
    assert close_pairs(found, 255).tolist() == []
    assert close_pairs(found, 256).tolist() == [[0, 1, 256]]
    assert close_pairs(found[:0], 8).shape == (0, 3)
