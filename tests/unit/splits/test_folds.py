"""Folds test each image that can be scored once, leak in none, and leave splits without them as they are."""

import numpy as np
import polars as pl
import pytest
from test_splits import NO_PAIRS, data_set, roles

from reidflow.spec import plan as plans
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit, of_folds
from reidflow.splits.roles import needed_groups
from reidflow.splits.split import split_digest, split_images

METHODS = ("closed_set", "identity_disjoint")


def random_data_set(seed):
    """Identities with 1 to 12 groups, of which some share suspected duplicates."""
    random = np.random.default_rng(seed)
    groups_of = {f"id{k:02d}": int(n) for k, n in enumerate(random.integers(1, 13, 24))}
    linked = random.permutation([name for name, n in groups_of.items() if n > 4])[:4]
    ties = [(f"{linked[0]}/0", f"{linked[1]}/0"), (f"{linked[2]}/1", f"{linked[3]}/1")]
    return *data_set(groups_of, images_of_a_group=int(random.integers(1, 4)), ties=ties), ties


def folds_of(name, manifest, groups, folds, gallery="role", **parameters):
    method = {"name": name, "train": 0.5, "val": 0.2, "test": 0.3, "seed": 0, "folds": folds, **parameters}
    return [split_images(manifest, groups, method, gallery, fold=fold) for fold in range(folds)]


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize("seed", range(6))
def test_closed_set_folds_test_every_group_of_an_identity_that_can_be_scored_once(seed, gallery):
    manifest, groups, ties = random_data_set(seed)
    least, tied = needed_groups(gallery), {group for pair in ties for group in pair}
    folds = folds_of("closed_set", manifest, groups, 4, gallery, seed=seed)
    tested = pl.concat([split.filter(pl.col("role") == "test") for split in folds])
    assert tested["image"].is_unique().all()
    for (identity,), own in groups.group_by(["identity"]):
        every, free = set(own["group"]), set(own["group"]) - tied
        able = len(free) >= least and (len(every) > least or len(free) >= 2 * least)
        found = set(tested.filter(pl.col("identity") == identity)["group"])
        # One group stays in training where all of them make a single part.
        expected = len(free) if len(free) >= 2 * least or len(free) < len(every) else len(free) - 1
        assert len(found) == (expected if able else 0) and found <= free
    sizes = [split.filter(pl.col("role") == "test")["group"].n_unique() for split in folds]
    assert max(sizes) - min(sizes) <= 4
    for split in folds:
        of = split.group_by("identity", "role").agg(pl.col("group").n_unique())
        counts = {(identity, role): n for identity, role, n in of.iter_rows()}
        for (identity, role), n in counts.items():
            assert role == "train" or (n >= least and counts[identity, "train"] >= 1)


@pytest.mark.parametrize("seed", range(6))
def test_identity_disjoint_folds_test_every_identity_that_can_be_scored_once(seed):
    manifest, groups, _ = random_data_set(seed)
    folds = folds_of("identity_disjoint", manifest, groups, 4, seed=seed)
    tested = [set(split.filter(pl.col("role") == "test")["identity"]) for split in folds]
    several = groups.group_by("identity").agg(pl.col("group").n_unique()).filter(pl.col("group") >= 2)["identity"]
    linked = groups.group_by("block").agg(pl.col("identity").unique()).filter(pl.col("identity").list.len() > 1)
    single = set(groups["identity"]) - set(several)
    with_single = {name for names in linked["identity"].to_list() if single & set(names) for name in names}
    assert sorted(name for own in tested for name in own) == sorted(set(several) - with_single)
    assert max(map(len, tested)) - min(map(len, tested)) <= 2
    for split in folds:
        assert split.group_by("identity").agg(pl.col("role").n_unique())["role"].max() == 1
        assert {"train", "val", "test"} == set(split["role"])
    validated = [frozenset(split.filter(pl.col("role") == "val")["identity"]) for split in folds]
    assert len(set(validated)) == 4


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_no_fold_leaks_and_suspected_duplicates_stay_together_in_each(name, seed):
    manifest, groups, ties = random_data_set(seed)
    for split in folds_of(name, manifest, groups, 5, seed=seed):
        role = dict(split.select("group", "role").iter_rows())
        assert not audit(split, manifest, NO_PAIRS, "role")["leaks"]
        assert all(role[one] == role[other] for one, other in ties)


@pytest.mark.parametrize("name", METHODS)
def test_folds_follow_their_seed_and_not_the_order_of_the_images(name):
    manifest, groups = data_set({f"id{k}": 6 for k in range(12)})
    order = np.random.default_rng(0).permutation(len(manifest))
    one, shuffled = folds_of(name, manifest, groups, 3), folds_of(name, manifest[order], groups[order[::-1]], 3)
    assert [sorted(split.rows()) for split in one] == [sorted(split.rows()) for split in shuffled]
    assert split_digest(one[0], "role") != split_digest(folds_of(name, manifest, groups, 3, seed=1)[0], "role")


def test_a_fold_that_would_test_one_identity_alone_is_refused():
    manifest, groups = data_set({f"id{k}": 6 for k in range(5)})
    with pytest.raises(
        ReidflowError,
        match=r"with folds: 4: 1 of 5 identities can be scored in 'test', which needs 2.[^$]*\n  split: .*folds: 2}",
    ):
        for _ in folds_of("identity_disjoint", manifest, groups, 4):
            pass


def test_the_audit_of_folds_counts_over_all_and_leaks_where_one_does():
    manifest, groups = data_set({"rare": 2, **{f"id{k}": 6 for k in range(6)}})
    folds = folds_of("closed_set", manifest, groups, 3)
    audits = [audit(split, manifest, NO_PAIRS, "role") for split in folds]
    assert of_folds(audits)["train_only"] == ["rare"] and not of_folds(audits)["leaks"]
    pairs = [
        (
            split.filter(pl.col("role") == "train")["image"][0],
            split.filter(pl.col("role") == "test")["image"][0],
            3,
            True,
            True,
        )
        for split in folds[1:]
    ]
    for number, pair in enumerate(pairs, 1):
        found = pl.DataFrame([pair], schema=NO_PAIRS.schema, orient="row")
        audits[number] = audit(folds[number], manifest, found, "role")
    joined = of_folds(audits)
    assert joined["leaks"] and not audits[0]["leaks"] and joined["straddling_joined_pairs"] == 2
    same = [
        {**found, "distractor_copies": 3, "cross_identity_pairs": 4, "cross_identity_straddling": 1} for found in audits
    ]
    counted = of_folds(same)
    assert (counted["distractor_copies"], counted["cross_identity_pairs"], counted["cross_identity_straddling"]) == (
        3,
        4,
        3,
    )
    assert joined["straddling_by_distance"] == {"0": 0, "2": 0, "4": 2, "8": 2}


DIGESTS = {"closed_set": "0dd7c3ac351e49a0aae8136ac438f09d", "identity_disjoint": "f7dacddbacb4087a9d47fe8bceed52b8"}


@pytest.mark.parametrize("name", METHODS)
def test_splits_without_folds_are_what_they_were(name):
    manifest, groups = data_set({f"id{k}": 4 + k % 5 for k in range(12)}, ties=[("id0/0", "id1/0")])
    assert split_digest(roles(name, manifest, groups, seed=3), "role") == DIGESTS[name]


def tiny(**changes):
    return plans.make(["config/tiny.yaml"], changes)


def test_without_folds_nothing_names_them_and_with_them_the_config_keeps_its_own_split():
    plain = tiny()
    for changes in ({"folds": 0}, {"folds": 1}):
        made = tiny(split=changes)
        assert made.division == plain.division and made.splits() == {} and "folds" not in made.division["split"]
    folded = tiny(split={"folds": 3})
    assert folded.division == plain.division and len(folded.splits()) == 3
    off = tiny(split={"folds": 3}, overrides={"tiny_losses": {"evaluation": {"split": {"folds": 0}}}})
    assert off.experiments["tiny_losses"].divisions == (plain.division,)
    assert off.experiments["tiny_backbones"].folds == 3


def test_every_arm_is_trained_with_every_seed_in_every_fold_or_with_each_seed_on_its_own_split():
    def runs(**changes):
        return sorted(run for job in tiny(**changes).training("tiny_losses") for run in job if run[0] == "arcface")

    assert runs(split={"folds": 2}) == [("arcface", seed, fold) for seed in (0, 1) for fold in (0, 1)]
    assert runs(split_seed="each") == [("arcface", 0, 0), ("arcface", 1, 1)]
    divisions = tiny(split_seed="each", seeds=[4, 7]).experiments["tiny_losses"].divisions
    assert [division["split"]["seed"] for division in divisions] == [4, 7]
    swept = [run for job in tiny(split={"folds": 2}).sweep("tiny_losses") for run in job]
    assert {number for *_, number in swept} == {0, 1} and len(swept) == 2 * sum(map(len, tiny().sweep("tiny_losses")))


@pytest.mark.parametrize(
    "change",
    [
        {"tested_on": {"original": {}, "small": {"scale": 0.5}}},
        {"also_on": {"open": {"split": {"name": "identity_disjoint"}}}},
        {"score": {"top1": 1.0}},
        {"protocol": {"curation": {"method": "random"}}},
        {"protocol": {"inference": ["flip"]}},
    ],
)
@pytest.mark.parametrize(
    "several", [{"split": {"folds": 3}}, {"split_seed": "each"}], ids=["folds", "a split for each seed"]
)
def test_what_is_made_on_one_split_is_refused_with_the_way_to_switch_folds_off(change, several):
    off = {"split": {"folds": 0}} if "split" in several else {"split_seed": "fixed"}
    tiny(overrides={"tiny_losses": change})
    with pytest.raises(ReidflowError, match=r"Leave .*, or give this experiment one split: evaluation: {"):
        tiny(overrides={"tiny_losses": change}, **several)
    tiny(overrides={"tiny_losses": {**change, "evaluation": off}}, **several)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": {"name": "identity_disjoint"}, "split_seed": "each"}, "tests other identities.*folds: 5"),
        ({"split": {"folds": 3}, "split_seed": "each"}, "split_seed: each as well"),
        ({"split": {"folds": -1}}, "from 0 to 100"),
        ({"split": {"name": "image_level", "folds": 3}}, "no parameter 'folds'"),
    ],
)
def test_splits_that_cannot_be_had_are_refused(changes, said):
    with pytest.raises(ReidflowError, match=said):
        tiny(**changes)


def test_experiments_on_folds_are_not_ranked_and_the_message_says_how_they_are():
    one = {"evaluation": {"split": {"folds": 0}}}
    with pytest.raises(ReidflowError) as error:
        plans.make(["config/config.yaml"], {"split": {"folds": 3}, "overrides": {"seeds": one}})
    said = str(error.value)
    assert (
        "'losses' runs on several splits" in said and "overrides: {losses: {evaluation: {split: {folds: 0}}}}" in said
    )
    assert "'background' of arm 'gray' and " in said, "one message for all arms"
