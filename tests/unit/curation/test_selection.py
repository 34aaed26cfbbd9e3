"""Duplicates are left out first, then a method chooses among the rest; each drop says why."""

import numpy as np
import polars as pl
import pytest

from reidflow.curation.scores import SCORES
from reidflow.curation.selection import curated, without_duplicates
from reidflow.curation.subset import KEEP, dropped, of_seed
from reidflow.dedup.images import DUPLICATES

NAMES = [f"{i}.png" for i in range(8)]
TRAINING = pl.DataFrame(
    {"row": range(8), "image": NAMES, "identity": ["a"] * 4 + ["b"] * 4, "group": NAMES},
    schema={"row": pl.UInt32, "image": pl.String, "identity": pl.String, "group": pl.String},
)
PAIRS = pl.DataFrame(
    {
        "image": ["0.png", "2.png", "3.png"],
        "other": ["1.png", "3.png", "4.png"],
        "distance": [0.0, 3.0, 1.0],
        "same_identity": [True, True, False],
    },
    schema=DUPLICATES.columns,
)
SCORED = pl.DataFrame(
    {
        name: NAMES
        if name == "image"
        else TRAINING["identity"]
        if name == "identity"
        else np.array([6.0, 7, 5, 1, 4, 3, 2, 0])
        for name in SCORES.columns
    }
)
PICTURES = np.zeros((8, 16, 16, 3), np.uint8), np.full((8, 16, 16), 255, np.uint8)
FEATURES = np.random.Generator(np.random.PCG64(0)).standard_normal((8, 1, 5)).astype(np.float32)
DEDUP = {"threshold": 2.0, "scope": "identity", "keep": "first"}


def test_everything_stays_where_nothing_is_asked():
    choice = without_duplicates(TRAINING, None, None, *PICTURES)
    assert dict(choice.schema) == KEEP.columns
    assert choice["kept"].all() and choice["seed"].null_count() == choice["reason"].null_count() == 8


def test_the_threshold_and_the_scope_decide_who_leaves():
    near = without_duplicates(TRAINING, DEDUP, PAIRS, *PICTURES)
    assert dict(near.schema) == KEEP.columns
    assert dropped(near, 0) == {"1.png"}
    assert dropped(without_duplicates(TRAINING, DEDUP | {"threshold": 3.0}, PAIRS, *PICTURES), 0) == {"1.png", "3.png"}
    across = without_duplicates(TRAINING, DEDUP | {"scope": "all"}, PAIRS, *PICTURES)
    assert dropped(across, 0) == {"1.png", "4.png"}
    assert "suspected label error" in across.filter(image="4.png")["reason"][0]


def test_what_was_left_out_as_a_duplicate_is_never_chosen():
    near = without_duplicates(TRAINING, DEDUP, PAIRS, *PICTURES)
    best = curated(TRAINING, near, {"method": {"name": "quality"}, "share": 0.57}, SCORED, FEATURES, [0, 1])
    assert best["seed"].is_null().all() and best.height == 8
    assert set(best.filter("kept")["image"]) == {"0.png", "2.png", "4.png", "5.png"}
    reasons = dict(best.select("image", "reason").iter_rows())
    assert reasons["1.png"].startswith("duplicate of 0.png")
    assert reasons["7.png"] == "not chosen"


def test_a_random_choice_is_drawn_for_each_seed():
    everything = without_duplicates(TRAINING, None, None, *PICTURES)
    method = {"method": {"name": "random"}, "share": 0.5}
    drawn = curated(TRAINING, everything, method, SCORED, FEATURES, [0, 1, 2])
    assert drawn.height == 24 and dict(drawn.schema) == KEEP.columns
    kept = [tuple(of_seed(drawn, seed).filter("kept")["image"]) for seed in (0, 1, 2)]
    assert {len(k) for k in kept} == {4} and len(set(kept)) > 1
    alone = curated(TRAINING, everything, method, SCORED, FEATURES, [2])
    assert of_seed(alone, 2).equals(of_seed(drawn, 2)), "a seed's draw must not depend on the other seeds"


@pytest.mark.parametrize("seed", [0, 7])
def test_a_choice_for_every_seed_is_everyones(seed):
    assert dropped(without_duplicates(TRAINING, DEDUP, PAIRS, *PICTURES), seed) == {"1.png"}
