"""A split by time trains on what came earlier and tests what came later, with groups whole."""

import re

import numpy as np
import polars as pl
import pytest
from test_scenes import crops, divided
from test_scorable import alternatives
from test_splits import NO_PAIRS

from reidflow.dedup.groups import NO_RULES, Rules
from reidflow.spec import plan as plans
from reidflow.spec.components import resolve
from reidflow.spec.config import Groups
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit
from reidflow.splits.scorable import scored_identities


def seen(**times):
    """Return a manifest: identity -> the times of its images."""
    return crops(*([i] for i, some in times.items() for _ in some), times=[t for some in times.values() for t in some])


def roles(manifest, rules=NO_RULES, gallery="role", **parameters):
    (split,) = divided(manifest, rules, gallery, "time", **parameters)
    return split["role"].to_list()


TEN = [f"20{y:02}-05-31" for y in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)]


def test_the_groups_of_each_identity_are_cut_by_their_times():
    found = roles(seen(a=TEN, b=[t.replace("20", "19", 1) for t in TEN], c=TEN[:3]))
    # 2000 to 2004 train, 2005 and 2006 val, 2007 to 2009 test; c has too few groups.
    ten = ["train", "train", "train", "train", "val", "test", "train", "val", "test", "test"]
    assert found == [*ten, *ten, "train", "train", "train"]


def test_images_without_a_time_are_trained_on_and_equal_times_are_not_cut_apart():
    untimed = [*TEN[:7], None, None, None]
    assert roles(seen(a=untimed, b=untimed))[7:10] == ["train"] * 3
    years = ["2001", "2001", "2002", "2003", "2003", "2004", "2004", "2004"]
    # Of eight groups two are for test; all three of 2004 began together.
    found = roles(seen(a=years, b=years))
    assert found[:8] == ["train", "train", "train", "val", "val", "test", "test", "test"]
    assert roles(seen(a=[*TEN], b=[*TEN], c=["2001"] * 8))[20:] == ["train"] * 8


def test_a_group_is_as_old_as_its_earliest_image():
    bursts = [f"20{y:02}-05-31T12:0{k}:00" for y in range(6) for k in (0, 4)]
    found = roles(seen(a=bursts, b=bursts), Rules(minutes=5))
    assert found[:12] == [*["train"] * 4, *["val"] * 4, *["test"] * 4]
    table = seen(a=TEN, b=TEN).with_columns(group=pl.Series(["g" if n in (3, 5) else None for n in range(20)]))
    assert roles(table)[3] == roles(table)[5] == "train"


def test_one_date_for_all_tests_what_comes_then_and_counts_new_identities():
    table = seen(a=TEN, b=TEN, new=[TEN[5], TEN[8]], old=TEN[:2], none=[None])
    (split,) = divided(table, NO_RULES, "role", "time", cutoff="2006-06", train=0.6, val=0.2, test=0.2)
    found = dict(zip(zip(table["identity"], table["time"], strict=True), split["role"], strict=True))
    assert {key for key, role in found.items() if role == "test"} == {
        (i, t) for i, t in zip(table["identity"], table["time"], strict=True) if t and t > "2006-06"
    }
    # Of the 16 groups before the date a quarter, the latest, are for validation.
    assert {t for (_, t), role in found.items() if role == "val"} == {"2005-05-31", "2006-05-31"}
    assert found["none", None] == "train"
    counted = audit(split, table, NO_PAIRS, "role")
    assert counted["new_identities"] == {"val": 0, "test": 1} and not counted["leaks"]
    (two,) = divided(table, NO_RULES, "role", "time", cutoff=2006, train=0.8, val=0.0, test=0.2)
    assert set(two["role"]) == {"train", "test"}


def test_crops_of_one_photograph_have_one_role_in_a_split_by_time():
    random = np.random.default_rng(0)
    photographs = [[f"a{i}" for i in random.choice(6, 2, replace=False)] for _ in range(60)]
    table = crops(*photographs, times=[f"20{n:02}-05-31" for n in range(60)])
    for cutoff in (None, "2040-01-01"):
        (split,) = divided(table, NO_RULES, "all", "time", cutoff=cutoff)
        assert split.join(table, on="image").group_by("path").agg(pl.col("role").n_unique())["role"].max() == 1
        assert len(scored_identities(split, "test", "all")) == 6


@pytest.mark.parametrize(
    ("table", "parameters"),
    [
        (seen(a=[None] * 9, b=[None] * 9), {}),
        (seen(a=TEN, b=TEN), {"cutoff": "2019-01-01"}),
        (seen(a=TEN, b=TEN), {"cutoff": "1990"}),
        (seen(a=TEN[:4], b=TEN[:4], c=TEN), {}),
        (seen(a=["2001"] * 9, b=["2001"] * 9), {}),
        (seen(a=["2001-05-31"] * 9, b=["2001-05-31"] * 9), {}),
    ],
    ids=["no times", "a late date", "an early date", "few groups", "one year", "one day"],
)
def test_every_alternative_to_an_impossible_split_by_time_works(table, parameters, tmp_path):
    given = Rules(minutes=5)
    with pytest.raises(ReidflowError, match=r"images have a time|are trained on") as error:
        roles(table, given, **parameters)
    for change in alternatives(str(error.value), tmp_path):
        rules = Rules(**Groups(**change["groups"]).model_dump()) if "groups" in change else given
        method = change.get("split", {"name": "time", **parameters})
        (split,) = divided(table, rules, change.get("gallery", "role"), **method)
        assert len(scored_identities(split, "test", change.get("gallery", "role"))) >= 2


def test_folds_and_dates_that_are_none_are_refused_while_planning():
    with pytest.raises(ReidflowError, match="no parameter 'folds'"):
        resolve("split", {"name": "time", "folds": 3})
    with pytest.raises(
        ReidflowError, match=re.escape("the cutoff 'June' is not a date such as 2024, 2024-05 or 2024-05-31")
    ):
        plans.make(["config/tiny.yaml"], {"split": {"name": "time", "cutoff": "June"}})
    for cutoff in ("2024-13", "2024-05-31 nonsense", "3 June 2024", "2024-5", "20240531"):
        with pytest.raises(ReidflowError, match=f"the cutoff '{cutoff}' is not a date"):
            plans.make(["config/tiny.yaml"], {"split": {"name": "time", "cutoff": cutoff}})
        with pytest.raises(ReidflowError, match=f"the cutoff '{cutoff}' is not a date"):
            divided(seen(a=TEN, b=TEN), NO_RULES, "role", "time", cutoff=cutoff)
