import numpy as np
import polars as pl
import pytest

from reidflow.retrieval.competition_workspace import Budget
from reidflow.retrieval.held_out import (
    HeldOutResult,
    best,
    clustered_error,
    competition_rows,
    evaluate_held_out,
    hold_out,
)
from reidflow.spec.errors import ReidflowError


def manifest(*rows):
    known = pl.DataFrame(rows, schema={"identity": pl.String, "side": pl.String}, orient="row")
    return known.with_columns(role=pl.lit(None, pl.String))


def test_unlabelled_images_compete_and_labelled_ones_train():
    found = competition_rows(manifest(("a", None), (None, "gallery"), ("b", "gallery"), (None, "query"), (None, None)))
    assert found.training.tolist() == [0, 2]
    assert found.queries.tolist() == [3] and found.gallery.tolist() == [1]


def test_labelled_sides_compete_where_there_are_no_others_and_are_not_trained_on():
    found = competition_rows(manifest(("a", None), ("b", "gallery"), (None, "query"), ("c", "query")))
    assert found.training.tolist() == [0, 3]
    assert found.queries.tolist() == [2] and found.gallery.tolist() == [1]


@pytest.mark.parametrize("side", ["query", "gallery"])
def test_a_side_without_images_is_an_error_that_names_it(side):
    other = "gallery" if side == "query" else "query"
    with pytest.raises(ReidflowError, match=f"side '{side}'"):
        competition_rows(manifest(("a", None), (None, other)))


IDENTITIES = [f"p{i:02}" for i in range(20) for _ in range(5)] + ["alone"]


def test_a_fifth_of_the_identities_is_held_out_and_a_fifth_of_their_images_asks():
    held = hold_out(IDENTITIES, [None] * 101, seed=4)
    names = np.array(IDENTITIES)
    apart = set(names[np.concatenate([held.queries, held.gallery])])
    assert len(apart) == 4 and not apart & set(names[held.training])
    assert len(held.training) + len(held.queries) + len(held.gallery) == 101
    assert not set(held.queries) & set(held.gallery)
    queries = apart - {"alone"}
    assert sorted(names[held.queries]) == sorted(queries)


def test_who_is_held_out_depends_on_the_seed_and_not_on_the_order_of_the_images():
    one, other = (hold_out(IDENTITIES, [None] * 101, seed=seed) for seed in (1, 2))
    assert set(one.training) != set(other.training)
    reverse = hold_out(IDENTITIES[::-1], [None] * 101, seed=1)
    assert {IDENTITIES[i] for i in one.training} == {IDENTITIES[::-1][i] for i in reverse.training}


def test_with_two_sides_photographs_are_queries_among_renders():
    sides = ["gallery" if place % 5 > 2 else None for place in range(100)]
    held = hold_out(IDENTITIES[:100], sides, seed=0)
    assert all(sides[i] is None for i in held.queries) and all(sides[i] == "gallery" for i in held.gallery)
    assert len(held.queries) == 4 and len(held.gallery) == 8


def test_three_identities_are_too_few():
    assert hold_out(["a", "a", "b", "b", "c", "c"], [None] * 6, seed=0) is None


def test_identities_of_one_image_cannot_ask():
    assert hold_out(list("abcdef"), [None] * 6, seed=0) is None


def test_a_query_whose_others_are_all_of_its_own_moment_does_not_ask():
    identities = [f"p{i}" for i in range(10) for _ in range(4)]
    bursts = [name if name != "p3" else f"p3 {place % 2}" for place, name in enumerate(identities)]
    for seed in range(30):
        held = hold_out(identities, [None] * 40, seed, bursts)
        assert held is None or {identities[i] for i in held.queries} == {"p3"}
    assert any(hold_out(identities, [None] * 40, seed, bursts) for seed in range(30))


def judged(scores, identity=None):
    return HeldOutResult(
        {}, np.array(scores, float), np.arange(len(scores)) if identity is None else np.array(identity)
    )


def test_held_out_scores_are_those_counted_by_hand():
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [0.9, 0.2], [0, 1], [1, 0.5]], float)
    identity, group = np.array([0, 1, 0, 1, 1, 2]), np.arange(6)
    held = type("Held", (), {"queries": np.array([0, 3]), "gallery": np.array([2, 4, 5])})()
    found = evaluate_held_out(vectors[held.queries], vectors[held.gallery], identity, group, held)
    # Row 0 finds row 2 first; row 3 finds rows 2 and 5 before row 4: third, so among the five and the ten best.
    assert found.scores.tolist() == [1000, 400] and found.score == 700
    assert found.metrics["top1"] == 0.5 and found.metrics["top5"] == 1
    assert found.standard_error == pytest.approx(300)


def test_images_of_a_querys_own_group_are_no_answer():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], float)
    held = type("Held", (), {"queries": np.array([0]), "gallery": np.array([1, 2])})()
    alone = evaluate_held_out(vectors[:1], vectors[1:], np.array([0, 0, 0]), np.array([7, 7, 8]), held)
    assert alone.metrics["map"] == 1 and alone.scores.tolist() == [1000]
    nothing = evaluate_held_out(vectors[:1], vectors[1:], np.array([0, 0, 1]), np.array([7, 7, 8]), held)
    assert len(nothing.scores) == 0


def test_the_standard_error_counts_identities_and_not_queries():
    values = np.random.default_rng(0).normal(size=50)
    plain = values.std(ddof=1) / np.sqrt(50)
    assert clustered_error(values, np.arange(50)) == pytest.approx(plain)
    assert clustered_error(np.repeat(values, 3), np.repeat(np.arange(50), 3)) == pytest.approx(plain)
    assert clustered_error(values, np.zeros(50)) is None


def test_the_best_score_wins_and_of_equal_ones_the_network_with_fewer_operations():
    assert best([judged([1, 2]), judged([3, 2])], [1, 9]) == 1
    assert best([judged([2, 2]), judged([3, 1])], [9, 1]) == 1
    assert best([judged([2, 2]), judged([3, 1])], [1, 1]) == 0


def test_a_quarter_of_the_budget_is_kept_back():
    budget = Budget(100, 1000, lambda: 1030)
    assert (budget.spent(), budget.left(), budget.usable()) == (30, 70, 45)
