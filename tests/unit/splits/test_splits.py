"""A split keeps groups whole, scores who can be scored, and says who cannot."""

import numpy as np
import polars as pl
import pytest

from reidflow.dedup.groups import PAIRS, Rules, group_images
from reidflow.spec.components import resolve
from reidflow.spec.config import Groups
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit, of_folds
from reidflow.splits.split import split_digest, split_images


def data_set(groups_of, images_of_a_group=2, ties=()):
    """Return manifest and groups: identity -> number of groups; ties: pairs of groups that share a block."""
    rows = [
        (f"{identity}/{g}-{i}.png", identity, f"{identity}/{g}")
        for identity, count in groups_of.items()
        for g in range(count)
        for i in range(images_of_a_group)
    ]
    image, identity, group = map(list, zip(*rows, strict=True))
    block = {a: b for pair in ties for a, b in ((pair[1], pair[0]),)}
    manifest = pl.DataFrame({"image": image, "identity": identity}).with_columns(
        sha256=pl.col("image"),
        pixels=pl.col("image"),
        path=pl.col("image"),
        visible=pl.lit(None, pl.String),
        **{column: pl.lit(None, pl.String) for column in ("side", "box", "time", "camera", "site", "flank")},
    )
    groups = pl.DataFrame(
        {"image": image, "identity": identity, "group": group, "block": [block.get(g, g) for g in group]}
    )
    return manifest, groups


def roles(name, manifest, groups, gallery="role", **parameters):
    return split_images(manifest, groups, resolve("split", {"name": name, **parameters}), gallery)


NO_PAIRS = PAIRS.empty()


@pytest.mark.parametrize("seed", range(5))
def test_closed_set_keeps_groups_whole_and_every_scored_identity_scorable(seed):
    manifest, groups = data_set({f"id{k}": 5 + k for k in range(12)})
    split = roles("closed_set", manifest, groups, seed=seed)
    assert split.group_by("group").agg(pl.col("role").n_unique())["role"].max() == 1
    per = split.group_by("identity", "role").agg(pl.col("group").n_unique().alias("n"))
    assert per.filter(pl.col("role") != "train")["n"].min() >= 2
    assert per.group_by("identity").len()["len"].to_list() == [3] * 12
    shares = split["role"].value_counts(normalize=True)
    assert dict(shares.iter_rows())["train"] == pytest.approx(0.5, abs=0.1)


def test_an_identity_with_too_few_groups_goes_wholly_to_training_and_is_listed():
    manifest, groups = data_set({"rare": 4, **{f"id{k}": 6 for k in range(5)}})
    split = roles("closed_set", manifest, groups)
    assert split.filter(pl.col("identity") == "rare")["role"].unique().to_list() == ["train"]
    assert audit(split, manifest, NO_PAIRS, "role")["train_only"] == ["rare"]


def test_two_roles_have_no_validation_images():
    manifest, groups = data_set({f"id{k}": 4 for k in range(6)})
    split = roles("closed_set", manifest, groups, train=0.5, val=0.0, test=0.5)
    assert sorted(split["role"].unique()) == ["test", "train"]


def test_suspected_duplicates_across_identities_never_straddle_roles():
    ties = [("id0/0", "id1/0"), ("id2/1", "id3/1")]
    manifest, groups = data_set({f"id{k}": 6 for k in range(8)}, ties=ties)
    for seed in range(10):
        for name in ("closed_set", "identity_disjoint"):
            split = roles(name, manifest, groups, seed=seed)
            role = dict(split.select("group", "role").iter_rows())
            assert all(role[a] == role[b] for a, b in ties)


def test_identity_disjoint_shares_no_identity_and_scores_only_those_with_two_groups():
    manifest, groups = data_set({"single": 1, **{f"id{k}": 3 for k in range(20)}})
    split = roles("identity_disjoint", manifest, groups)
    assert split.group_by("identity").agg(pl.col("role").n_unique())["role"].max() == 1
    assert split.filter(pl.col("identity") == "single")["role"].unique().to_list() == ["train"]
    counts = dict(split.group_by("role").agg(pl.col("identity").n_unique()).iter_rows())
    assert counts == {"train": 11, "val": 4, "test": 6}


def test_image_level_leaks_and_the_audit_says_so():
    manifest, groups = data_set({f"id{k}": 5 for k in range(6)})
    leaking = audit(roles("image_level", manifest, groups), manifest, NO_PAIRS, "role")
    clean = audit(roles("closed_set", manifest, groups), manifest, NO_PAIRS, "role")
    assert leaking["leaks"] and leaking["straddling_groups"] > 0
    assert not clean["leaks"] and clean["straddling_groups"] == 0


def test_the_audit_finds_equal_bytes_and_near_duplicates_across_roles():
    manifest, groups = data_set({f"id{k}": 6 for k in range(6)})
    split = roles("closed_set", manifest, groups)
    one = split.filter(pl.col("role") == "train")["image"][0]
    other = split.filter(pl.col("role") == "test")["image"][0]
    same_bytes = manifest.with_columns(sha256=pl.col("image").replace({other: one}))
    assert audit(split, same_bytes, NO_PAIRS, "role")["straddling_bytes"] == 1
    hidden = manifest.with_columns(visible=pl.when(pl.col("image").is_in([one, other])).then(pl.lit("shown")))
    found = audit(split, hidden, NO_PAIRS, "role")
    assert found["straddling_pixels"] == 1 and found["leaks"]
    equal = hidden.with_columns(pixels=pl.col("image").replace({other: one}))
    assert audit(split, equal, NO_PAIRS, "role")["straddling_pixels"] == 1
    pairs = pl.DataFrame([(one, other, 3, True, True)], schema=NO_PAIRS.schema, orient="row")
    found = audit(split, manifest, pairs, "role")
    assert found["leaks"] and found["straddling_by_distance"] == {"0": 0, "2": 0, "4": 1, "8": 1}


def test_the_split_depends_on_its_seed_and_on_nothing_else():
    manifest, groups = data_set({f"id{k}": 6 for k in range(8)})
    order = np.random.default_rng(0).permutation(len(manifest))
    one = roles("closed_set", manifest, groups)
    shuffled = roles("closed_set", manifest[order], groups[order[::-1]])
    assert sorted(one.rows()) == sorted(shuffled.rows())
    assert split_digest(one, "role") == split_digest(roles("closed_set", manifest, groups), "role")
    assert split_digest(one, "role") != split_digest(one, "all")
    assert one["role"].to_list() != roles("closed_set", manifest, groups, seed=1)["role"].to_list()


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (0.0, 0.5, 0.5), (0.7, 0.3, 0.0)])
def test_impossible_shares_are_refused(shares):
    manifest, groups = data_set({f"id{k}": 6 for k in range(4)})
    with pytest.raises(ReidflowError, match="must sum to 1"):
        roles("closed_set", manifest, groups, train=shares[0], val=shares[1], test=shares[2])


LEAKS = ("groups", "joined_pairs", "bytes", "pixels", "photographs", "times")


def leaking(kind):
    """Return split, manifest and pairs of a closed set in which one image of test leaks from training in one way alone."""
    manifest, groups = data_set({f"id{k}": 6 for k in range(6)})
    split, pairs = roles("closed_set", manifest, groups), NO_PAIRS
    one, other = (split.filter((pl.col("identity") == "id0") & (pl.col("role") == r)).row(0) for r in ("train", "test"))
    if kind == "groups":
        split = split.with_columns(group=pl.when(pl.col("image") == other[0]).then(pl.lit(one[2])).otherwise("group"))
    if kind == "joined_pairs":
        pairs = pl.DataFrame([(one[0], other[0], 3, True, True)], schema=NO_PAIRS.schema, orient="row")
    if kind == "times":
        times = {one[0]: "2026-05-31T12:00:00", other[0]: "2026-05-31T12:05:00"}
        manifest = manifest.with_columns(time=pl.col("image").replace_strict(times, default=None))
    column = {"bytes": "sha256", "pixels": "pixels", "photographs": "path"}.get(kind)
    if column:
        manifest = manifest.with_columns(pl.col("image").replace({other[0]: one[0]}).alias(column))
    return split, manifest, pairs


@pytest.mark.parametrize("kind", LEAKS)
def test_each_kind_of_leak_is_counted_alone_and_makes_the_split_leak(kind):
    found = audit(*leaking(kind), "role")
    assert {key: found[f"straddling_{key}"] for key in LEAKS} == {key: int(key == kind) for key in LEAKS}
    assert found["leaks"]


BURSTS = {f"id{k}": 6 for k in range(6)}


def of_bursts(seed):
    """Return the manifest of 36 bursts of three images a second apart, as in a report, in which no group is given."""
    manifest, _ = data_set(BURSTS, 3)
    starts = np.random.default_rng(seed).permutation(36)
    times = [f"2026-05-{1 + starts[n // 3] % 28:02d}T{starts[n // 3] // 28:02d}:00:0{n % 3}" for n in range(108)]
    return manifest.with_columns(time=pl.Series(times), group=pl.lit(None, pl.String))


@pytest.mark.parametrize("name", ["closed_set", "identity_disjoint"])
def test_no_burst_stands_in_two_roles_by_default_and_the_audit_counts_those_that_do(name):
    manifest = of_bursts(0)
    hashes = np.random.default_rng(1).integers(0, 256, (108, 8), dtype=np.uint8)
    rules = Rules(**Groups().model_dump())
    split = roles(name, manifest, group_images(manifest, hashes, rules).groups)
    assert split["group"].n_unique() == 36
    found = audit(split, manifest, NO_PAIRS, "role", rules)
    assert (found["straddling_times"], found["leaks"]) == (0, False)
    assert found["times"] == {"known": 108, "coarse": 0, "none": 0}
    without = Rules(minutes=None)
    alone = roles("closed_set", manifest, group_images(manifest, hashes, without).groups)
    found = audit(alone, manifest, NO_PAIRS, "role", without)
    role = dict(alone.select("image", "role").iter_rows())
    bursts = [[role[image] for image in manifest["image"][3 * n : 3 * n + 3]] for n in range(36)]
    pairs = sum((a != b) + (b != c) + (a != c) for a, b, c in bursts)
    assert found["straddling_times"] == pairs > 36 and found["leaks"] and found["window_minutes"] == 5
    assert found["straddling_by_minutes"]["1"] == pairs <= found["straddling_by_minutes"]["1440"]


def test_near_times_of_two_cameras_are_a_leak_unless_cameras_are_kept_apart():
    split, manifest, _ = leaking("times")
    manifest = manifest.with_columns(camera=pl.when(pl.col("time").str.ends_with("05:00")).then(pl.lit("x")))
    assert audit(split, manifest, NO_PAIRS, "role", Rules(minutes=5))["leaks"]
    apart = audit(split, manifest, NO_PAIRS, "role", Rules(minutes=5, by=["identity", "camera"]))
    assert not apart["leaks"] and apart["straddling_by_minutes"] == {"1": 0, "5": 1, "60": 1, "1440": 1}
    assert not audit(split, manifest, NO_PAIRS, "role", Rules(minutes=4))["leaks"]
    both = of_folds([apart, audit(split, manifest, NO_PAIRS, "role", Rules(minutes=5))])
    assert (both["straddling_times"], both["straddling_by_minutes"]["60"], both["leaks"]) == (1, 2, True)


def test_pairs_that_are_not_joined_or_of_two_identities_are_counted_apart_and_are_no_leak():
    manifest, groups = data_set({f"id{k}": 6 for k in range(6)})
    split = roles("closed_set", manifest, groups)
    first = {(row["identity"], row["role"]): row["image"] for row in split.reverse().to_dicts()}
    rows = [
        (first["id0", "train"], first["id0", "test"], 1, True, False),
        (first["id0", "train"], first["id1", "test"], 1, False, True),
        (first["id0", "train"], first["id1", "train"], 1, False, True),
        (first["id0", "train"], first["id2", "test"], 1, False, False),
    ]
    found = audit(split, manifest, pl.DataFrame(rows, schema=NO_PAIRS.schema, orient="row"), "role")
    assert (found["cross_identity_pairs"], found["cross_identity_straddling"]) == (2, 1)
    assert found["straddling_by_distance"] == {"0": 0, "2": 1, "4": 1, "8": 1}
    assert found["straddling_joined_pairs"] == 0 and not found["leaks"]


def test_the_audit_counts_images_identities_and_groups_of_each_role():
    manifest, groups = data_set({f"id{k}": 6 for k in range(6)})
    split = roles("closed_set", manifest, groups)
    for role, counted in audit(split, manifest, NO_PAIRS, "role")["roles"].items():
        own = split.filter(pl.col("role") == role)
        assert counted == {
            "images": own.height,
            "identities": len(set(own["identity"])),
            "groups": len(set(zip(own["identity"], own["group"], strict=True))),
        }
