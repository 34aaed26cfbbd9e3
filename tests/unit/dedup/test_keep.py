import networkx
import numpy as np
import polars as pl
import pytest

from reidflow.dedup.detection import detection, threshold_table
from reidflow.dedup.images import DUPLICATES
from reidflow.dedup.keep import keep, suspects

IDENTITY = dict(zip("abcdefgh", ["J1", "J1", "J1", "J2", "J2", "J3", "J3", "J1"], strict=True))
TRAINING = pl.DataFrame({"image": list("abcdefgh"), "identity": list(IDENTITY.values())})
SHARPNESS = np.array([1.0, 5, 3, 2, 9, 4, 4, np.nan])


def table(*rows):
    same = [(one, two, distance, IDENTITY.get(one) == IDENTITY.get(two)) for one, two, distance in rows]
    return pl.DataFrame(same, schema=DUPLICATES.columns, orient="row")


PAIRS = table(("a", "b", 1.0), ("b", "c", 2.0), ("c", "d", 2.0), ("d", "e", 1.0), ("f", "g", 3.0), ("a", "x", 0.0))


def dropped(frame):
    return {row["image"]: row["reason"] for row in frame.to_dicts() if not row["kept"]}


def test_each_rule_keeps_its_image_of_a_group():
    assert dropped(keep(TRAINING, PAIRS, 2, "identity", "first")).keys() == {"b", "c", "e"}
    assert dropped(keep(TRAINING, PAIRS, 2, "identity", "sharpest", SHARPNESS)).keys() == {"a", "c", "d"}
    assert dropped(keep(TRAINING, PAIRS, 2, "identity", "central")).keys() == {"a", "c", "e"}
    assert dropped(keep(TRAINING, PAIRS, 3, "identity", "sharpest", SHARPNESS)).keys() == {"a", "c", "d", "g"}
    near = table(("a", "b", 3.0), ("b", "c", 1.0), ("a", "c", 2.0))
    assert dropped(keep(TRAINING, near, 3, "identity", "central")).keys() == {"a", "b"}
    with pytest.raises(ValueError, match="sharpness"):
        keep(TRAINING, PAIRS, 2, "identity", "sharpest")


def test_groups_are_named_by_their_first_image_and_loners_have_none():
    kept = keep(TRAINING, PAIRS, 2, "identity", "sharpest", SHARPNESS)
    assert kept["group"].to_list() == ["a", "a", "a", "d", "d", None, None, None]
    assert kept["image"].to_list() == TRAINING["image"].to_list()
    assert kept.filter("kept")["reason"].null_count() == kept["kept"].sum()


def test_only_a_drop_due_to_another_identity_is_a_suspected_label_error():
    assert dropped(keep(TRAINING, PAIRS, 2, "identity", "first")) == {
        "b": "duplicate of a, distance 1",
        "c": "duplicate of a",
        "e": "duplicate of d, distance 1",
    }
    assert dropped(keep(TRAINING, PAIRS, 2, "all", "first")) == {
        "b": "duplicate of a, distance 1",
        "c": "duplicate of a",
        "d": "suspected label error: duplicate of c of identity J1, distance 2",
        "e": "suspected label error: linked, through others, with a of identity J1",
    }


def test_images_of_one_identity_that_only_another_identity_links_are_suspected():
    pairs = table(("a", "d", 1.0), ("d", "h", 0.5))
    assert dropped(keep(TRAINING, pairs, 1, "all", "first")) == {
        "d": "suspected label error: duplicate of a of identity J1, distance 1",
        "h": "suspected label error: duplicate of d of identity J2, distance 0.5",
    }
    assert dropped(keep(TRAINING, pairs, 1, "identity", "first")) == {}


def test_suspects_are_the_cross_identity_pairs_the_closest_first():
    pairs = table(("a", "b", 0.0), ("a", "d", 2.0), ("b", "f", 1.0), ("c", "d", 1.0), ("e", "f", 7.0))
    assert suspects(pairs, 2, TRAINING).rows() == [
        ("b", "J1", "f", "J3", 1.0),
        ("c", "J1", "d", "J2", 1.0),
        ("a", "J1", "d", "J2", 2.0),
    ]


def random_pairs(seed, names, links):
    random = np.random.default_rng(seed)
    rows = {tuple(sorted(random.choice(len(names), 2, replace=False))) for _ in range(links)}
    identity = [f"J{i % 7}" for i in range(len(names))]
    return identity, pl.DataFrame(
        [(names[i], names[j], float(random.integers(0, 9)), identity[i] == identity[j]) for i, j in sorted(rows)],
        schema=DUPLICATES.columns,
        orient="row",
    )


@pytest.mark.parametrize("scope", ["identity", "all"])
def test_one_image_stays_of_each_connected_component(scope):
    names = [f"{i:03}" for i in range(120)]
    identity, pairs = random_pairs(4, names, 400)
    training = pl.DataFrame({"image": names[::2] + names[1:40:2], "identity": identity[::2] + identity[1:40:2]})
    for threshold in (0, 2, 5):
        graph = networkx.Graph()
        graph.add_nodes_from(training["image"])
        inside = set(training["image"])
        for one, two, distance, same in pairs.rows():
            if distance <= threshold and (same or scope == "all") and {one, two} <= inside:
                graph.add_edge(one, two)
        parts = list(networkx.connected_components(graph))
        kept = keep(training, pairs, threshold, scope, "central")
        assert all(kept.filter(pl.col("image").is_in(list(part)))["kept"].sum() == 1 for part in parts)
        row = threshold_table(pairs, training, [threshold], scope).row(0, named=True)
        assert row["pairs"] == graph.number_of_edges()
        assert row["groups"] == sum(len(part) > 1 for part in parts)
        assert row["largest_group"] == max(len(part) for part in parts if len(part) > 1)
        assert row["dropped"] == training.height - len(parts) == (~kept["kept"]).sum()
        assert row["share_dropped"] == row["dropped"] / training.height


def test_detection_counts_copies_of_copies_and_what_groups_imply():
    truth = pl.DataFrame(
        {"image": list("abcdefgh"), "duplicate_of": [None, "a", "b", None, "z", "z", None, None]},
        schema_overrides={"duplicate_of": pl.String},
    )
    pairs = table(("a", "b", 0.0), ("b", "c", 1.0), ("d", "h", 1.0), ("e", "f", 2.0), ("a", "g", 5.0))
    rows = detection(pairs, truth, [0, 1, 2], list("abcdefgh")).to_dicts()
    assert [(row["found"], row["true"]) for row in rows] == [(1, 4), (3, 4), (4, 4)]
    assert [(row["precision"], row["recall"]) for row in rows] == [(1, 0.25), (2 / 3, 0.5), (3 / 4, 3 / 4)]
    assert [(row["group_found"], row["group_precision"], row["group_recall"]) for row in rows][1:] == [
        (4, 3 / 4, 3 / 4),
        (5, 4 / 5, 1),
    ]
    assert rows[1]["f1"] == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))
    alone = detection(pairs, truth, [0], ["a", "c", "d"]).row(0, named=True)
    assert (alone["found"], alone["true"], alone["precision"], alone["recall"]) == (0, 1, None, 0)
