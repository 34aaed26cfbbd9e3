"""Two domains are split apart; queries taken out of one keep what they look for."""

import numpy as np
import polars as pl
import pytest
from test_splits import NO_PAIRS

from reidflow.evaluation.layout import Layout
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit
from reidflow.splits.sides import without_gallery_side
from reidflow.splits.split import split_images


def data_set(photographs, renders=None, images_of_a_group=2, joined=()):
    """Return manifest and groups: identity -> groups of photographs, and -> renders. joined: pairs of images of a group."""
    rows = [
        (f"train/{identity}-{g}-{i}.png", identity, None, f"train/{identity}-{g}-0.png")
        for identity, count in photographs.items()
        for g in range(count)
        for i in range(images_of_a_group)
    ]
    rows += [
        (f"gallery/{identity}-{k}.png", identity, "gallery", f"gallery/{identity}-{k}.png")
        for identity, count in (renders or {}).items()
        for k in range(count)
    ]
    columns = dict.fromkeys(["image", "identity", "side", "group"], pl.String)
    table = pl.DataFrame(rows, schema=columns, orient="row").sort("image")
    for image, other in joined:
        ours = pl.col("group").is_in(table.filter(pl.col("image").is_in([image, other]))["group"].implode())
        table = table.with_columns(group=pl.when(ours).then(pl.lit(min(image, other))).otherwise("group"))
    copies = dict.fromkeys(("sha256", "pixels", "path"), pl.col("image"))
    nothing = dict.fromkeys(("flank", "time", "box", "visible"), pl.lit(None, pl.String))
    manifest = table.with_columns(**copies, **nothing)
    return manifest.drop("group"), table.with_columns(block=pl.col("group"))


def split_of(data, name="closed_set", gallery="role", sides="across", queries=None, **parameters):
    return split_images(*data, resolve("split", {"name": name, **parameters}), gallery, sides, queries)


def renders_of(split):
    return split.filter(pl.col("image").str.starts_with("gallery/"))


def photographs_of(split):
    return split.filter(pl.col("image").str.starts_with("train/"))


def positives(split, gallery="role", role="test"):
    """Return for each query, by hand, how many images it may find."""
    ranked = split.filter(pl.col("role") == role) if gallery == "role" else split.filter(pl.col("role") != "aside")
    ranked = [row for row in ranked.to_dicts() if row["side"] != "query"]
    queries = [row for row in split.filter(pl.col("role") == role).to_dicts() if row["side"] != "gallery"]
    return [
        sum(r["identity"] == q["identity"] and r["group"] != q["group"] and r["image"] != q["image"] for r in ranked)
        for q in queries
    ]


ANIMALS = {f"id{k:02d}": 5 + k % 7 for k in range(14)}
RENDERS = {f"id{k:02d}": 3 + k % 4 for k in range(14)}


@pytest.mark.parametrize("sides", ["across", "within"])
@pytest.mark.parametrize("name", ["closed_set", "identity_disjoint", "image_level"])
@pytest.mark.parametrize("seed", range(3))
def test_renders_never_change_the_roles_of_photographs(name, seed, sides):
    alone = split_of(data_set(ANIMALS), name, seed=seed)
    joined = [("gallery/id03-0.png", "train/id03-2-0.png")]
    both = split_of(data_set(ANIMALS, RENDERS, joined=joined), name, seed=seed, sides=sides)
    assert photographs_of(both).select("image", "role").equals(alone.select("image", "role"))


def test_across_photographs_are_queries_and_renders_alone_the_gallery():
    data = data_set(ANIMALS, RENDERS)
    split = split_of(data)
    layout = Layout(split, data[0], "role")
    assert all(split["image"][int(row)].startswith("train/") for row in layout.query)
    assert all(split["image"][int(row)].startswith("gallery/") for row in layout.gallery)
    assert min(positives(split)) >= 1 and min(positives(split, role="val")) >= 1
    assert set(photographs_of(split)["side"]) == {"query"} and set(renders_of(split)["side"]) == {"gallery"}


def test_a_closed_set_shares_out_the_renders_of_every_identity():
    split = renders_of(split_of(data_set(ANIMALS, dict.fromkeys(ANIMALS, 10))))
    counts = split.group_by("identity", "role").len()
    assert {(role, n) for _, role, n in counts.iter_rows()} == {("train", 5), ("val", 2), ("test", 3)}
    few = renders_of(split_of(data_set(ANIMALS, {"id00": 1, "id01": 2, **dict.fromkeys(list(ANIMALS)[2:], 3)})))
    assert few.filter(pl.col("identity") == "id00")["role"].to_list() == ["test"]
    assert sorted(few.filter(pl.col("identity") == "id01")["role"]) == ["test", "val"]
    assert sorted(few.filter(pl.col("identity") == "id02")["role"]) == ["test", "train", "val"]
    assert not few.equals(
        renders_of(split_of(data_set(ANIMALS, {"id00": 1, "id01": 2, **dict.fromkeys(list(ANIMALS)[2:], 3)}), seed=1))
    )


def test_disjoint_renders_follow_their_identity_and_unknown_ones_are_distractors_in_test():
    split = split_of(data_set(ANIMALS, {**RENDERS, "stranger": 2}), "identity_disjoint")
    roles = dict(photographs_of(split).select("identity", "role").unique().iter_rows())
    assert len(roles) == len(ANIMALS)
    for identity, role in renders_of(split).select("identity", "role").iter_rows():
        assert role == roles.get(identity, "test")


def test_a_render_that_joins_a_photograph_has_its_role():
    joined = [(f"gallery/id{k:02d}-0.png", f"train/id{k:02d}-1-0.png") for k in range(14)]
    data = data_set(ANIMALS, RENDERS, joined=joined)
    split = split_of(data)
    roles = dict(split.select("image", "role").iter_rows())
    assert all(roles[a] == roles[b] for a, b in joined)
    assert not audit(split, data[0], NO_PAIRS, "role")["leaks"]


def test_within_renders_are_aside_and_audited_as_no_leak():
    data = data_set(ANIMALS, RENDERS, joined=[("gallery/id03-0.png", "train/id03-2-0.png")])
    split = split_of(data, sides="within")
    assert set(renders_of(split)["role"]) == {"aside"} and set(photographs_of(split)["side"]) == {None}
    pairs = pl.DataFrame(
        {
            "image": ["gallery/id03-0.png", "gallery/id00-0.png"],
            "other": ["train/id03-2-0.png", "train/id00-0-0.png"],
            "distance": [0, 0],
            "same_identity": [True, True],
            "joined": [True, True],
        }
    )
    audited = audit(split, data[0], pairs, "role")
    assert not audited["leaks"] and audited["straddling_joined_pairs"] == 0
    assert audited["sides"]["aside"] == sum(RENDERS.values()) and "aside" in audited["roles"]
    for gallery in ("role", "all"):
        layout = Layout(split, data[0], gallery)
        assert all(split["role"][int(row)] != "aside" for row in layout.evaluated)


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize("seed", range(4))
def test_every_query_has_a_positive_in_another_group_and_identities_ask_by_their_size(gallery, seed):
    random = np.random.default_rng(seed)
    animals = {f"id{k:02d}": int(n) for k, n in enumerate(random.integers(6, 30, 15))}
    data = data_set(animals, images_of_a_group=3)
    plain = split_of(data, gallery=gallery, seed=seed)
    split = split_of(data, gallery=gallery, queries=0.2, seed=seed)
    assert split.drop("side").equals(plain.drop("side"))
    assert split.filter(pl.col("role") == "train")["side"].null_count() == (plain["role"] == "train").sum()
    for role in ("val", "test"):
        own = split.filter(pl.col("role") == role)
        assert min(positives(split, gallery, role)) >= 1
        counts = own.group_by("identity").agg(n=pl.len(), q=(pl.col("side") == "query").sum())
        assert counts["q"].min() >= 1
        assert counts["q"].sum() == max(int(0.2 * own.height), len(counts))
        assert (counts["q"] - 0.2 * counts["n"]).abs().max() <= 1


def test_the_seed_of_the_split_draws_the_queries():
    data = data_set(dict.fromkeys("abcdef", 12))
    first, again, other = (split_of(data, queries=0.3, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again) and not first.equals(other)


def test_a_small_share_lets_every_identity_ask_once():
    split = split_of(data_set(ANIMALS, images_of_a_group=4), queries=0.01)
    for role in ("val", "test"):
        queries = split.filter((pl.col("role") == role) & (pl.col("side") == "query"))
        assert sorted(queries["identity"]) == sorted(ANIMALS)


def test_no_query_is_taken_whose_positives_would_go_with_it():
    data = data_set(dict.fromkeys("abcdef", 5), images_of_a_group=1)
    split = split_of(data, queries=0.9)
    assert min(positives(split)) == 1 and (split.filter(pl.col("role") == "test")["side"] == "query").sum() == 6
    lonely = split_of(data_set({"one": 1, **dict.fromkeys("abcdef", 5)}), "identity_disjoint", "role", queries=0.2)
    assert set(lonely.filter(pl.col("identity") == "one")["side"]) <= {None, "gallery"}


def test_queries_and_sides_of_the_data_exclude_each_other():
    with pytest.raises(ReidflowError, match=r"side 'gallery' already.*sides: within"):
        split_of(data_set(ANIMALS, RENDERS), queries=0.2)
    split = split_of(data_set(ANIMALS, RENDERS), sides="within", queries=0.2)
    assert set(renders_of(split)["role"]) == {"aside"} and min(positives(split)) >= 1
    with pytest.raises(ReidflowError, match=r"queries: 1.5 is not a share"):
        split_of(data_set(ANIMALS), queries=1.5)


def test_an_audit_counts_queries_ranked_and_aside():
    data = data_set(dict.fromkeys("abcdef", 12))
    audited = audit(split_of(data, queries=0.25), data[0], NO_PAIRS, "role")["sides"]
    assert audited["aside"] == 0 and audited["test"] == {"query": 12, "gallery": 36, "without_positive": 0}
    assert "sides" not in audit(split_of(data), data[0], NO_PAIRS, "role")


def test_a_gallery_side_that_shows_nobody_of_the_queries_is_an_error():
    """What the error names was tried: with one moment of each animal sides: within does not do either."""
    shown = r"none of the .* photographs of the role 'val'"
    with pytest.raises(ReidflowError, match=rf"{shown}.*works with these images:\n  sides: within$"):
        split_of(data_set(ANIMALS, {"stranger": 4}))
    split_of(data_set(ANIMALS, {"stranger": 4}), sides="within")
    with pytest.raises(ReidflowError, match=rf"{shown}.*No split of these images does"):
        split_of(data_set(dict.fromkeys("abcdef", 1), {"stranger": 4}, images_of_a_group=10), name="image_level")


def test_only_labelled_images_of_the_gallery_side_are_of_no_use_where_it_is_left_aside():
    rows = {
        "identity": ["Ana", "Ana", None, None, "Ana"],
        "side": [None, "gallery", "gallery", None, "query"],
    }
    assert without_gallery_side(pl.DataFrame(rows)).tolist() == [True, False, True, True, True]
