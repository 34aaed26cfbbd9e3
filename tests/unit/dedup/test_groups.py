import numpy as np
import polars as pl
import pytest

from reidflow.dedup import hashes as hashing
from reidflow.dedup.groups import Rules, group_images
from reidflow.spec.errors import ReidflowError


def manifest(identities, groups):
    images = [f"{i}.png" for i in range(len(identities))]
    return pl.DataFrame(
        {"image": images, "path": images, "identity": identities, "group": groups, "visible": [None] * len(images)},
        schema_overrides={"group": pl.String, "visible": pl.String},
    )


def test_near_duplicates_join_the_data_sets_own_groups_transitively():
    table = manifest(["a"] * 5, ["s1", "s1", "s2", "s2", None])
    hashes = np.array([0, 2**40 - 1, 0b11, 2**50, 2**64 - 1], np.uint64).view(np.uint8).reshape(-1, 8)
    grouping = group_images(table, hashes, Rules(4))
    assert grouping.groups["group"].to_list() == ["0.png", "0.png", "0.png", "0.png", "4.png"]
    assert any("identity a" in warning for warning in grouping.warnings)
    assert group_images(table, hashes, Rules(None)).groups["group"].n_unique() == 3


def test_a_suspected_duplicate_across_identities_ties_blocks_but_not_groups():
    grouping = group_images(
        manifest(["a", "b", "b"], ["s", "s", "t"]),
        np.array([0, 1, 2**60 - 1], np.uint64).view(np.uint8).reshape(-1, 8),
        Rules(4),
    )
    assert grouping.groups["group"].n_unique() == 3
    assert grouping.groups["block"].to_list() == ["0.png", "0.png", "2.png"]
    assert ("0.png", "1.png", 1, False, True) in grouping.pairs.rows()


def test_pairs_beyond_those_of_the_audit_join_where_the_distance_allows():
    hashes = np.array([0, 2**12 - 1], np.uint64).view(np.uint8).reshape(-1, 8)
    table = manifest(["a", "a"], [None, None])
    assert group_images(table, hashes, Rules(12)).groups["group"].to_list() == ["0.png", "0.png"]
    assert group_images(table, hashes, Rules(11)).groups["group"].to_list() == ["0.png", "1.png"]
    assert group_images(table, hashes, Rules(12)).pairs["distance"].to_list() == [12]


def test_images_that_are_equal_where_they_show_are_one_group():
    table = manifest(["b", "a", "a", "a"], [None] * 4).with_columns(visible=pl.Series(["x", "x", "x", None]))
    hashes = np.repeat(np.array([[0], [85], [170], [255]], np.uint8), 8, axis=1)
    grouping = group_images(table, hashes, Rules(4))
    assert grouping.groups["group"].to_list() == ["0.png", "1.png", "1.png", "3.png"]
    assert grouping.groups["block"].to_list() == ["0.png", "0.png", "0.png", "3.png"]
    assert group_images(table, hashes, Rules(None)).groups["group"].n_unique() == 4


def test_images_that_the_hash_does_not_tell_apart_are_an_error_whose_remedy_works(monkeypatch):
    # Three equal hashes, and one a bit apart from the next.
    hashes = np.array([0, 0, 0, 1, 3], np.uint64).view(np.uint8).reshape(-1, 8)
    table = manifest(["a", "a", "a", "b", "b"], [None] * 5)
    monkeypatch.setattr(hashing, "MOST", 4)
    with pytest.raises(ReidflowError, match=r"Write phash_distance: 0; images that are equal .* all the same"):
        group_images(table, hashes, Rules(4))
    made = group_images(table, hashes, Rules(0))
    assert made.groups["group"].to_list() == ["0.png", "0.png", "0.png", "3.png", "4.png"]
    assert "at most 1 bits: the leak audit sees those of at most 0 alone" in made.warnings[0]
    monkeypatch.setattr(hashing, "MOST", 2)
    with pytest.raises(ReidflowError, match=r"Write phash_distance: null; .* no longer joined"):
        group_images(table, hashes, Rules(0))
    assert group_images(table, hashes, Rules(None)).groups["group"].n_unique() == 5


def portraits(people, pictures, apart, spread):
    """Return hashes of framed pictures: people differ in `apart` bits from one, pictures of a person in up to `spread` bits."""
    random = np.random.default_rng(0)
    bits = np.zeros((people, pictures, 64), np.uint8)
    for person in range(people):
        bits[person, :, random.choice(64, apart, replace=False)] = 1
        for picture in range(pictures):
            bits[person, picture, random.choice(64, spread, replace=False)] ^= 1
    return np.packbits(bits.reshape(-1, 64), axis=1)


@pytest.mark.parametrize(("apart", "spread", "expected"), [(30, 1, 4), (2, 1, 1), (3, 0, 3), (0, 0, None)])
def test_the_distance_at_which_images_join_is_no_looser_than_pairs_across_identities_allow(apart, spread, expected):
    table = manifest([f"p{k // 11}" for k in range(165)], [None] * 165)
    hashes = portraits(15, 11, apart, spread)
    made = group_images(table, hashes, Rules("auto"))
    bits, person = np.unpackbits(hashes, axis=1), np.arange(165) // 11
    close = [np.argwhere((bits[:, None] != bits[None]).sum(axis=2) <= distance) for distance in range(5)]
    couples = [{(person[i], person[j]) for i, j in pairs if person[i] < person[j]} for pairs in close]
    rare = [distance for distance, found in enumerate(couples) if len(found) <= 3]
    assert made.joining.distance == max(rare, default=None) == expected
    assert made.joining.within == made.pairs.filter("joined", "same_identity").height
    assert made.groups.equals(group_images(table, hashes, Rules(expected)).groups)
    assert ("groups.phash_distance: auto; at 4 bits, " in made.joining.note()) == (expected != 4)


def test_identities_of_many_images_do_not_loosen_the_distance():
    table = manifest([f"p{k // 40}" for k in range(480)], [None] * 480)
    rare = group_images(table, portraits(12, 40, 30, 1), Rules("auto")).joining
    # 105,600 pairs of images of different identities, but 66 pairs of identities: 4 of these may be alike, not 21.
    assert (rare.distance, rare.limit) == (4, 4)
    hashes = portraits(12, 40, 30, 0)
    hashes[40:200:40] = hashes[0]
    assert group_images(table, hashes, Rules("auto")).joining.distance is None


def test_wrong_labels_in_a_burst_and_equal_pictures_do_not_tighten_the_distance():
    table = manifest([f"p{k // 4}" for k in range(40)], [None] * 40)
    hashes = portraits(10, 4, 30, 1)
    hashes[4:7] = hashes[0]
    mixed = group_images(table, hashes, Rules("auto")).joining
    assert (mixed.distance, mixed.refused) == (4, 0) and mixed.across > 6
    hashes[20:32:4] = hashes[0]
    assert group_images(table, hashes, Rules("auto")).joining.distance is None
    equal = table.with_columns(visible=pl.Series(["x" if k in (20, 24, 28) else None for k in range(40)]))
    assert group_images(equal, hashes, Rules("auto")).joining.distance is None
    hashes[20:32:4] = hashes[39] ^ 255
    assert group_images(equal, hashes, Rules("auto")).joining.distance == 4
    assert group_images(table, hashes, Rules("auto")).joining.distance is None


def test_hashes_that_tell_nothing_apart_join_less_by_themselves(monkeypatch):
    hashes = np.array([0, 0, 0, 1, 3], np.uint64).view(np.uint8).reshape(-1, 8)
    table = manifest(["a", "a", "a", "b", "b"], [None] * 5)
    monkeypatch.setattr(hashing, "MOST", 4)
    joining = group_images(table, hashes, Rules("auto")).joining
    assert joining.distance == 0
    assert (
        "(groups.phash_distance: auto; at 1 bits, too many pairs of images are as close to be held)" in joining.note()
    )
    monkeypatch.setattr(hashing, "MOST", 2)
    assert (
        "No near-duplicates are joined (groups.phash_distance: auto; at 0 bits, too"
        in group_images(table, hashes, Rules("auto")).joining.note()
    )
    assert group_images(table, hashes, Rules("auto")).groups["group"].n_unique() == 5
