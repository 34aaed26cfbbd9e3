"""Identities that cannot be scored stop no split, and every alternative that an error names works with the images."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_splits import NO_PAIRS, data_set

from reidflow.spec import plan as plans
from reidflow.spec.components import resolve
from reidflow.spec.config import fitting
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import load
from reidflow.splits.audit import audit
from reidflow.splits.scorable import Settings, _alternatives, scored_identities
from reidflow.splits.split import split_images

METHODS = ("closed_set", "identity_disjoint", "image_level")
WHALES = {**{f"id_{k}": 8 for k in range(8)}, **{f"single_{k}": 1 for k in range(12)}}


def split_by(data, division):
    """Return the splits of a division, as a config writes it: one, or those of its folds."""
    split = fitting(resolve("split", division["split"]))
    gallery = division.get("gallery", "role")
    return [split_images(*data, split, gallery, fold=fold) for fold in range(max(split.get("folds", 0), 1))]


def alternatives(message, folder):
    """Return the divisions that a message names."""
    for number, text in enumerate(message.split("What works with these images:\n")[1].split("\nor\n")):
        path = Path(folder / f"{number}.yaml")
        path.write_text(re.sub(r"^  ", "", text, flags=re.MULTILINE))
        yield load(path)


def test_groups_are_joined_otherwise_only_when_lesser_changes_were_tried():
    def regrouped():
        raise AssertionError
        yield

    tried = _alternatives(Settings(resolve("split", {"name": "closed_set"}), "role"), False, regrouped)
    assert next(tried)[0] == ["gallery: all"]
    with pytest.raises(AssertionError):
        list(tried)


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize(("name", "folds"), [*((name, 0) for name in METHODS), *((name, 4) for name in METHODS[:2])])
def test_singletons_serve_training_and_the_others_are_scored(name, folds, gallery):
    data = data_set(WHALES, images_of_a_group=1)
    method = {"name": name, **({"folds": folds} if folds else {})}
    splits = split_by(data, {"split": method, "gallery": gallery})
    tested = set()
    for split in splits:
        tested |= set(scored_identities(split, "test", gallery))
        role = dict(split.select("identity", "role").iter_rows())
        assert {role[f"single_{k}"] for k in range(12)} == {"train"}
        assert any(i.startswith("id_") for i in split.filter(pl.col("role") == "train")["identity"])
        found = audit(split, data[0], NO_PAIRS, gallery)
        assert found["single_group"] == sorted(f"single_{k}" for k in range(12))
        assert set(found["train_only"]) >= set(found["single_group"])
    expected = 8 if name != "identity_disjoint" or folds else len(tested)
    assert len(tested) == expected >= 2 and not any(i.startswith("single") for i in tested)


def test_two_identities_of_many_are_enough_and_one_is_not():
    data = data_set({"a": 6, "b": 6, **{f"single{k}": 1 for k in range(50)}})
    assert scored_identities(split_by(data, {"split": {"name": "closed_set"}})[0], "test", "role") == ["a", "b"]
    with pytest.raises(ReidflowError, match=r"1 of 51 identities can be scored in 'test', which needs 2"):
        split_by(data_set({"a": 6, **{f"single{k}": 1 for k in range(50)}}), {"split": {"name": "closed_set"}})


def small(seed):
    """Return a random data set of up to 7 identities with few groups, and a random division of it."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, random.integers(2, 7), random.integers(2, 8))
    data = data_set({f"i{k}": int(n) for k, n in enumerate(counts)}, int(random.integers(1, 3)))
    name = METHODS[seed % 3]
    val = float(random.choice([0.0, 0.2]))
    split = {"name": name, "train": round(0.7 - val, 1), "val": val, "test": 0.3, "seed": int(seed)}
    split |= {"folds": int(random.integers(2, 6))} if name != "image_level" and random.random() < 0.5 else {}
    return data, {"split": split, "gallery": str(random.choice(["role", "all"]))}


def test_every_alternative_that_a_message_names_works_with_the_images_that_raised_it(tmp_path):
    tried, hopeless = 0, 0
    for seed in range(150):
        data, division = small(seed)
        try:
            split_by(data, division)
            continue
        except ReidflowError as error:
            message = str(error)
        if "What works" not in message:
            assert re.search(r"No split of these images does: \d+ of \d+ identities have one group alone. Add", message)
            hopeless += 1
            continue
        for change in alternatives(message, tmp_path):
            tried += 1
            splits = split_by(data, {**division, **change})
            for split in splits:
                assert len(scored_identities(split, "test", {**division, **change}["gallery"])) >= 2
                assert (
                    not audit(split, data[0], NO_PAIRS, "role")["straddling_groups"]
                    or division["split"]["name"] == "image_level"
                )
    assert tried > 60 and hopeless > 5


def test_planning_accepts_the_split_of_two_roles_that_a_message_names(tmp_path):
    data = data_set({f"i{k}": 4 for k in range(6)})
    with pytest.raises(ReidflowError) as error:
        split_by(data, {"split": {"name": "closed_set"}})
    named = list(alternatives(str(error.value), tmp_path))
    assert {"gallery: all"} < {f"{key}: {value}" for one in named for key, value in one.items()}
    assert any(one.get("protocol") == {"checkpoint": "last"} for one in named)
    for change in named:
        untuned = (
            {"overrides": {"tiny_losses": {"tuned": {"optimizer.learning_rate": None}}}} if "protocol" in change else {}
        )
        assert not untuned or "overrides: {<experiment>: {tuned: {<key>: null}}}" in str(error.value)
        plans.make(["config/tiny.yaml"], {**change, **untuned})
