"""Splits whose candidates have the query's flank: a right flank is no answer to a left one."""

import re
from itertools import product

import numpy as np
import polars as pl
import pytest
from test_scorable import alternatives
from test_splits import NO_PAIRS

from reidflow.spec.components import resolve
from reidflow.spec.config import fitting
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit
from reidflow.splits.candidates import unanswered
from reidflow.splits.roles import most_groups
from reidflow.splits.scorable import scored_identities
from reidflow.splits.split import split_images


def flanked(groups, times=False):
    """Return manifest and groups of {identity: [the flanks of each group]}, an image for each flank."""
    rows = [
        (f"{name}_{g:02d}_{i}", name, f"{name}_{g:02d}_0", flank, f"2020-01-{g + 1:02d}" if times else None)
        for name, own in groups.items()
        for g, flanks in enumerate(own)
        for i, flank in enumerate(flanks)
    ]
    columns = ["image", "identity", "group", "flank", "time"]
    manifest = pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row").with_columns(
        side=pl.lit(None, pl.String), path="image", pixels="image", sha256="image", box=pl.lit(None, pl.String),
        visible=pl.lit(None, pl.String), role=pl.lit(None, pl.String),
    )  # fmt: skip
    return manifest, manifest.select("image", "identity", "group", block="group")


def answers(split, manifest, role, gallery):
    """Return (identity, flank) of the queries of a role that have a positive, by looking at every pair."""
    rows = split.join(manifest.select("image", "flank"), on="image").to_dicts()
    ranked = [row for row in rows if gallery == "all" or row["role"] == role]
    return [
        (query["identity"], query["flank"])
        for query in rows
        if query["role"] == role
        and any(
            query["identity"] == other["identity"]
            and query["group"] != other["group"]
            and (None in (query["flank"], other["flank"]) or query["flank"] == other["flank"])
            for other in ranked
        )
    ]


def divide(data, name, gallery="role", same=("flank",), fold=0, **settings):
    method = fitting(resolve("split", {"name": name, **settings}))
    return split_images(*data, method, gallery, fold=fold, same=same, queries=None)


LEFT, RIGHT, BOTH, UNKNOWN = ["left"], ["right"], ["left", "right"], [None]


@pytest.mark.parametrize(("name", "gallery"), [*product(["closed_set", "time", "image_level"], ["role", "all"])])
def test_both_flanks_of_an_animal_with_enough_groups_are_scored_in_validation_and_test(name, gallery):
    data = flanked({f"a{k}": [LEFT, RIGHT] * 5 for k in range(4)}, times=True)
    split = divide(data, name, gallery)
    for role in ("val", "test"):
        assert set(answers(split, data[0], role, gallery)) == set(
            product([f"a{k}" for k in range(4)], ["left", "right"])
        )
        assert unanswered(split, role, gallery)[1] == 0
    plain = divide(data, name, gallery, same=())
    assert "shared" not in plain.columns and plain["role"].to_list() != split["role"].to_list()


def test_a_flank_with_too_few_groups_is_trained_on_and_an_animal_without_two_of_one_flank_is_not_scored():
    data = flanked({"a": [LEFT] * 5 + [RIGHT] * 4, "b": [LEFT] * 6, "c": [LEFT, RIGHT], "d": [BOTH] * 6})
    split = divide(data, "closed_set")
    joined = split.join(data[0].select("image", "flank"), on="image")
    few = joined.filter((pl.col("identity") == "a") & (pl.col("flank") == "right"))
    assert set(few["role"]) == {"train"}
    assert split.group_by("group").agg(pl.col("role").n_unique())["role"].max() == 1
    assert scored_identities(split, "test", "role") == ["a", "b", "d"]
    found = audit(split, data[0], NO_PAIRS, "role")
    assert found["single_group"] == ["c"] and not found["leaks"]
    disjoint = divide(data, "identity_disjoint", val=0.0, test=0.5, train=0.5)
    assert set(disjoint.filter(pl.col("identity") == "c")["role"]) == {"train"}


def test_an_unknown_flank_may_be_any():
    data = flanked({"a": [LEFT, UNKNOWN, RIGHT], "b": [LEFT, RIGHT], "c": [UNKNOWN, UNKNOWN], "d": [LEFT, LEFT, RIGHT]})
    split = divide(data, "identity_disjoint", val=0.0, test=0.6, train=0.4).with_columns(role=pl.lit("test"))
    assert most_groups(split) == {"a": 2, "b": 1, "c": 2, "d": 2}
    assert scored_identities(split, "test", "role") == ["a", "c", "d"]
    assert unanswered(split, "test", "role") == (10, 3)


@pytest.mark.parametrize("seed", range(12))
def test_counts_of_scored_queries_are_those_of_looking_at_every_pair(seed):
    random = np.random.default_rng(seed)
    kinds = [LEFT, RIGHT, BOTH, UNKNOWN, ["left", None]]
    data = flanked({f"i{k}": [kinds[i] for i in random.integers(0, 5, random.integers(4, 16))] for k in range(6)})
    name, gallery, queries = (
        ("closed_set", "identity_disjoint")[seed % 2],
        ("role", "all")[seed // 2 % 2],
        seed % 3 == 0,
    )
    folds = {"folds": 2} if seed % 4 == 1 else {}
    method = fitting(resolve("split", {"name": name, **folds}))
    split = split_images(*data, method, gallery, queries=0.3 if queries else None, same=["flank"])
    assert split.group_by("group").agg(pl.col("role").n_unique())["role"].max() == 1
    if not queries:
        for role in ("val", "test"):
            found = answers(split, data[0], role, gallery)
            total, without = unanswered(split, role, gallery)
            assert total - without == len(found) > 0
            assert scored_identities(split, role, gallery) == sorted({identity for identity, _ in found})
    else:
        test = split.filter((pl.col("role") == "test") & (pl.col("side") == "query"))
        assert len(test) and unanswered(split, "test", gallery)[1] == 0


def test_a_split_that_scores_too_few_names_what_works_and_what_counts(tmp_path):
    data = flanked({f"a{k}": [LEFT, RIGHT] * 3 for k in range(5)})
    with pytest.raises(ReidflowError) as error:
        divide(data, "closed_set")
    assert "0 of 5 identities can be scored in 'test'" in str(error.value)
    assert "that show the same flank, as candidates do (candidates.same): 10 times" in str(error.value)
    named = list(alternatives(str(error.value), tmp_path))
    assert {"candidates": {"same": []}} in named and {"gallery": "all"} in named
    for change in named:
        split = change.get("split", {"name": "closed_set"})
        same = change.get("candidates", {"same": ["flank"]})["same"]
        found = divide(data, gallery=change.get("gallery", "role"), same=same, **split)
        assert len(scored_identities(found, "test", change.get("gallery", "role"))) >= 2


def test_a_flank_that_no_image_has_is_an_error_that_says_where_it_comes_from():
    data = flanked({f"a{k}": [UNKNOWN] * 5 for k in range(3)})
    with pytest.raises(ReidflowError, match=re.escape("candidates: {same: flank}: no labelled image has a flank.")):
        divide(data, "closed_set")


def test_distractors_have_their_flank_too():
    manifest, groups = flanked({f"a{k}": [LEFT] * 5 for k in range(3)})
    nobody = manifest.head(2).with_columns(
        image=pl.Series(["x", "y"]), pixels=pl.Series(["x", "y"]), identity=pl.lit(None, pl.String), flank=pl.Series(["right", None])
    )  # fmt: skip
    method = fitting(resolve("split", {"name": "closed_set"}))
    split = split_images(pl.concat([manifest, nobody]), groups, method, "role", distractors=True, same=["flank"])
    shared = dict(split.filter(pl.col("identity").is_null()).select("image", "shared").iter_rows())
    assert shared == {"x": ["flank=right"], "y": [None]}
