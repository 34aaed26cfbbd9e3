"""Crops of one photograph, and bursts of several identities, have one role without costing everybody their test images."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from test_scorable import alternatives
from test_splits import NO_PAIRS

from reidflow.dedup.groups import NO_RULES, Rules, group_images, regrouped, with_scenes
from reidflow.spec.components import resolve
from reidflow.spec.config import Groups, fitting
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit
from reidflow.splits.scorable import scored_identities
from reidflow.splits.split import split_images


def crops(*photographs, times=None, camera=None):
    """Return the manifest of photographs, each a list of the identities in it, each of whom is an image of its own."""
    rows = [
        (f"{n:03}.jpg#{k}", f"{n:03}.jpg", identity, str(k), times and times[n], camera and camera[n])
        for n, photograph in enumerate(photographs)
        for k, identity in enumerate(photograph)
    ]
    columns = dict.fromkeys(("image", "path", "identity", "box", "time", "camera"), pl.String)
    table = pl.DataFrame(rows, schema=columns, orient="row")
    nothing = dict.fromkeys(("side", "group", "site", "flank"), pl.lit(None, pl.String))
    return table.with_columns(**nothing, sha256=pl.col("path"), pixels=pl.col("image"), visible=pl.col("image"))


def divided(manifest, rules=NO_RULES, gallery="role", name="closed_set", **parameters):
    """Return the splits (folds, where there are any) of a manifest whose images differ."""
    hashes = np.random.default_rng(0).integers(0, 256, (len(manifest), 8), dtype=np.uint8)
    grouping = group_images(manifest, hashes, rules)
    groups = with_scenes(grouping.groups, manifest, rules)
    method = fitting(resolve("split", {"name": name, **parameters}))
    others = lambda: regrouped(manifest, grouping.pairs, rules)  # noqa: E731
    folds = range(max(1, method.get("folds", 0)))
    return [split_images(manifest, groups, method, gallery, fold=fold, regrouped=others) for fold in folds]


REPORT = [[f"id_{n % 4}", f"id_{n % 3 + 4}"] for n in range(24)]  # as in a report of users' data
PAIRS_OF = [[f"id_{n % 4}", f"id_{n % 4 + 4}"] for n in range(24)]


@pytest.mark.parametrize(
    ("photographs", "name", "tested"),
    [(REPORT, "closed_set", 7), (PAIRS_OF, "closed_set", 8), (PAIRS_OF, "identity_disjoint", 2)],
)
def test_two_animals_of_each_photograph_are_scored_and_no_photograph_stands_in_two_roles(photographs, name, tested):
    (split,) = divided(crops(*photographs), name=name)
    found = audit(split, crops(*photographs), NO_PAIRS, "role")
    assert (found["straddling_photographs"], found["leaks"]) == (0, False)
    assert len(scored_identities(split, "test", "role")) == tested
    assert {"train", "val", "test"} == set(split["role"])
    assert split["group"].n_unique() == 48, "crops of different identities are groups of their own"


def test_photographs_split_image_by_image_are_counted_and_leak():
    (split,) = divided(crops(*PAIRS_OF), name="image_level")
    role = dict(split.select("image", "role").iter_rows())
    apart = sum(role[f"{n:03}.jpg#0"] != role[f"{n:03}.jpg#1"] for n in range(24))
    found = audit(split, crops(*PAIRS_OF), NO_PAIRS, "role")
    assert found["straddling_photographs"] == apart > 0 and found["leaks"]
    assert found["straddling_bytes"] == 0, "two boxes of one file are no equal files"
    assert not audit(split, crops(*PAIRS_OF), NO_PAIRS, "role", Rules(photographs=False))["leaks"]


def herd(seed):
    """Return photographs of 1 to 4 of 16 animals, some of which are seen seldom."""
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(16) * 3)
    return crops(
        *([f"a{i:02}" for i in random.choice(16, random.integers(1, 5), replace=False, p=weights)] for _ in range(90))
    )


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize("seed", range(4))
def test_a_herd_is_divided_by_photograph_and_all_who_can_be_are_scored(seed, gallery):
    manifest = herd(seed)
    (split,) = divided(manifest, gallery=gallery, seed=seed)
    assert split.join(manifest, on="image").group_by("path").agg(pl.col("role").n_unique())["role"].max() == 1
    groups = dict(manifest.group_by("identity").len().iter_rows())
    able = {i for i, n in groups.items() if n >= (5 if gallery == "role" else 3)}
    assert able <= set(scored_identities(split, "test", gallery)) & set(scored_identities(split, "val", gallery))
    assert able <= set(split.filter(pl.col("role") == "train")["identity"])


def test_roles_do_not_depend_on_the_order_of_the_images():
    manifest = herd(0)
    own = pl.DataFrame(dict.fromkeys(("image", "group", "block"), manifest["image"])).with_columns(manifest["identity"])
    groups = with_scenes(own, manifest, NO_RULES)
    order = np.random.default_rng(1).permutation(len(manifest))
    for method in ({"name": "closed_set"}, {"name": "closed_set", "folds": 3}):
        one = split_images(manifest, groups, method, "role")
        other = split_images(manifest[order], groups[order[::-1]], method, "role")
        assert sorted(one.rows()) == sorted(other.rows())


@pytest.mark.parametrize("seed", range(4))
def test_folds_test_each_photograph_once_at_most_and_train_everybody(seed):
    manifest = herd(seed)
    folds = divided(manifest, folds=4, seed=seed)
    tested = pl.concat([split.filter(pl.col("role") == "test") for split in folds])
    assert tested["image"].is_unique().all() and tested.height >= 0.9 * len(manifest)
    for split in folds:
        assert split.join(manifest, on="image").group_by("path").agg(pl.col("role").n_unique())["role"].max() == 1
        assert set(split.filter(pl.col("role") == "train")["identity"]) == set(manifest["identity"])
        assert len(scored_identities(split, "test", "role")) >= 8 and len(scored_identities(split, "val", "role")) >= 2


def test_identities_without_a_photograph_in_common_keep_their_roles():
    alone = [[f"b{n % 5}"] for n in range(40)]
    (apart,) = divided(crops(*alone))
    (beside,) = divided(crops(*alone, *PAIRS_OF))
    roles = dict(beside.select("image", "role").iter_rows())
    assert {image: roles[image] for image in apart["image"]} == dict(apart.select("image", "role").iter_rows())


def test_a_suspected_duplicate_in_a_photograph_keeps_all_of_it_in_training():
    manifest = crops(*PAIRS_OF)
    rules = Rules(phash_distance=0)
    hashes = np.random.default_rng(0).integers(0, 256, (48, 8), dtype=np.uint8)
    hashes[2] = hashes[0]
    grouping = group_images(manifest, hashes, rules)
    split = split_images(
        manifest, with_scenes(grouping.groups, manifest, rules), resolve("split", "closed_set"), "role"
    )
    assert split["role"][:4].to_list() == ["train"] * 4


def test_identities_that_are_all_seen_together_cannot_be_disjoint_and_every_alternative_named_works(tmp_path):
    everybody = crops(*([f"a{k}" for k in range(8)] for _ in range(8)))
    with pytest.raises(ReidflowError, match=r"groups: \{photographs: false\}") as error:
        divided(everybody, name="identity_disjoint")
    for change in alternatives(str(error.value), tmp_path):
        rules = Rules(**Groups(**change.get("groups", {})).model_dump())
        method = change.get("split", {"name": "identity_disjoint"})
        (split,) = divided(everybody, rules, change.get("gallery", "role"), **method)
        assert len(scored_identities(split, "test", "role")) >= 2
        apart = audit(split, everybody, NO_PAIRS, "role", rules)
        assert not apart["leaks"] and (apart["straddling_photographs"] > 0) == ("groups" in change)
    # One photograph of all of them leaves a closed set possible.
    assert set(divided(everybody)[0]["role"]) == {"train", "val", "test"}


def test_times_that_join_everything_are_named_as_what_to_leave_out(tmp_path):
    reset = crops(*([f"a{n % 6}"] for n in range(48)), times=["2000-01-01T00:00:00"] * 48)
    with pytest.raises(ReidflowError, match=r"groups: \{minutes: null, by: \[identity\]\}") as error:
        divided(reset, Rules(minutes=5))
    (change,) = alternatives(str(error.value), tmp_path)
    (split,) = divided(reset, Rules(**Groups(**change["groups"]).model_dump()))
    assert len(scored_identities(split, "test", "role")) == 6


def test_bursts_of_one_camera_have_one_role_whoever_they_show():
    times = [f"2026-05-{n // 6 + 1:02}T12:00:{n % 6:02}" for n in range(144)]
    camera = [f"c{n // 6 % 2}" for n in range(144)]
    manifest = crops(*([f"id_{n % 6}"] for n in range(144)), times=times, camera=camera)
    rules = Rules(minutes=5, by=["camera"])
    (split,) = divided(manifest, rules)
    burst = split.with_columns(burst=pl.Series([n // 6 for n in range(144)]))
    assert burst.group_by("burst").agg(pl.col("role").n_unique())["role"].max() == 1
    assert len(scored_identities(split, "test", "role")) == 6 and split["group"].n_unique() == 144
    assert not audit(split, manifest, NO_PAIRS, "role", rules)["leaks"]
    (apart,) = divided(manifest, Rules(minutes=5))
    assert audit(apart, manifest, NO_PAIRS, "role", rules)["straddling_scenes"] > 0
    # Of two cameras, each with all six, one is trained on, and the other can be scored in one role alone.
    (by_camera,) = divided(manifest, Rules(by=["camera"]), "all", train=0.5, val=0.0, test=0.5)
    assert by_camera.join(manifest, on="image").group_by("camera").agg(pl.col("role").n_unique())["role"].max() == 1


def test_an_error_of_too_few_groups_names_the_near_duplicates_and_remedies_that_work(tmp_path):
    manifest = crops(*[[f"id_{n // 8}"] for n in range(48)])
    # Pictures of an individual are 2 bits from the next: one group of each at 2 bits and more, eight at 0.
    steps = np.cumsum(np.eye(8, dtype=np.uint8), axis=0, dtype=np.uint8) * 192
    hashes = np.concatenate([steps ^ np.uint8(person * 21) for person in range(6)])
    rules = Rules(**Groups().model_dump())
    grouping = group_images(manifest, hashes, rules)
    assert grouping.joining.distance == 4
    known = replace(rules, phash_distance=4)
    others = lambda: regrouped(manifest, grouping.pairs, known)  # noqa: E731
    method = fitting(resolve("split", "closed_set"))
    with pytest.raises(ReidflowError) as error:
        split_images(manifest, grouping.groups, method, "role", regrouped=others, joined=grouping.joining.note())
    assert "joined as near-duplicates" in str(error.value) and "(groups.phash_distance: auto)" in str(error.value)
    changes = [change["groups"] for change in alternatives(str(error.value), tmp_path) if "groups" in change]
    assert changes[0] == {"phash_distance": None}
    for change in changes:
        made = group_images(manifest, hashes, Rules(**Groups(**change).model_dump()))
        split = split_images(manifest, made.groups, method, "role")
        assert len(scored_identities(split, "test", "role")) == 6
