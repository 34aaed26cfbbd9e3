"""Validation ranks by the sides of a split, as the test does, and leaves aside what has no part."""

import numpy as np
import pytest

from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.training.data import RunData
from reidflow.training.validation import Validation


def run_data(gallery="role", sides=None, seed=0):
    random = np.random.default_rng(seed)
    roles = ["train"] * 10 + ["val"] * 24 + ["test"] * 10 + ["aside"] * 6
    count = len(roles)
    order = random.permutation(count)
    roles = [roles[i] for i in order]
    known = None
    if sides:
        known = [
            None if role in ("train", "aside") else "query" if i % 3 == 0 else "gallery" for i, role in enumerate(roles)
        ]
    names = [f"{i:02d}.png" for i in range(count)]
    identities = [f"id{k}" for k in random.integers(0, 4, count)]
    return RunData(
        names, identities, names, roles, features=np.zeros((count, 1, 8)), gallery=gallery, sides=known
    ), random


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize("sides", [True, False])
def test_the_score_is_that_of_the_queries_and_candidates_picked_by_hand(gallery, sides):
    data, random = run_data(gallery, sides)
    validation = Validation(data, "euclidean")
    everything = random.standard_normal((len(data.images), 8)).astype(np.float32)
    side = data.sides or [None] * len(data.images)
    queries = [i for i, role in enumerate(data.roles) if role == "val" and side[i] != "gallery"]
    ranked = [
        i
        for i, role in enumerate(data.roles)
        if (role == "val" if gallery == "role" else role != "aside") and side[i] != "query"
    ]
    identity = np.array([int(name[2:]) for name in data.identities])
    ap = average_precisions(
        everything[queries],
        everything[ranked],
        identity[queries],
        identity[ranked],
        query_index=np.array([ranked.index(i) if i in ranked else -1 for i in queries]),
        similarity=validation.similarity,
    )
    assert validation.id_map(everything[validation.rows]) == pytest.approx(
        identity_balanced(ap, identity[queries]), abs=1e-12
    )
    assert set(validation.rows) == set(queries) | set(ranked)
    assert set(validation.rows) <= set(range(len(data.images))) - {
        i for i, role in enumerate(data.roles) if role == "aside"
    }


@pytest.mark.parametrize("gallery", ["role", "all"])
def test_images_left_aside_are_neither_stored_nor_labelled(gallery):
    data, _ = run_data(gallery)
    assert "aside" not in {data.roles[i] for i in data.stored_rows()}
    assert {data.roles[i] for i in data.stored_rows()} == {"val", "test"} | ({"train"} if gallery == "all" else set())
    assert len(data.training_labels()) == 10
