"""Pairs to review begin with planted label errors, and the truth's answers to them restore the labels."""

import numpy as np
import polars as pl
import pytest

from reidflow.curation.review import REVIEW, pairs_to_review
from reidflow.ingest.review import Answer, verdicts

IDENTITIES, EACH, WRONG = 20, 12, 12


def planted(seed: int = 0) -> tuple[pl.DataFrame, np.ndarray, dict[str, str]]:
    """Return images, features of which most of the variance is shared by all identities, and the true labels."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(IDENTITIES), EACH)
    nuisance = random.normal(size=(len(truth), 8)) @ random.normal(size=(8, 64)) * 3
    features = random.normal(size=(IDENTITIES, 64))[truth] * 1.2 + nuisance + random.normal(size=(len(truth), 64)) * 0.5
    labels = truth.copy()
    wrong = random.permutation(len(truth))[:WRONG]
    labels[wrong] = (truth[wrong] + random.integers(1, IDENTITIES, WRONG)) % IDENTITIES
    names = [f"{row:03d}.png" for row in range(len(truth))]
    images = pl.DataFrame(
        {
            "image": names,
            "identity": [f"i{label:02d}" for label in labels],
            "group": names,
            "flank": [("left", "right")[row % 2] for row in range(len(names))],
        }
    )
    return images, features, {name: f"i{label:02d}" for name, label in zip(names, truth, strict=True)}


def test_planted_errors_come_first_and_answers_restore_the_labels_and_harm_none():
    images, features, truth = planted()
    labels = dict(images.select("image", "identity").iter_rows())
    pairs = pairs_to_review(images, features, most=2 * WRONG)
    assert pairs_to_review(images, features, most=2 * WRONG).equals(pairs) and pairs.schema == REVIEW.columns
    wrong = {image for image in labels if labels[image] != truth[image]}
    first = pairs.filter(pl.col("after").is_null())
    assert len(wrong & set(first["image"])) >= 0.9 * WRONG
    answers: dict[int, Answer] = {}
    for pair in pairs.to_dicts():
        if pair["after"] is None or (pair["after"] in answers and answers[pair["after"]].answer == "different"):
            same = truth[pair["image"]] == truth[pair["other"]]
            answers[pair["pair"]] = Answer(pair["image"], pair["other"], "same" if same else "different")
    after = labels | verdicts(labels, list(answers.values())).labels
    assert sum(after[image] == truth[image] for image in wrong) >= 0.9 * WRONG
    assert all(after[image] == truth[image] for image in labels if image not in wrong)


def test_pairs_are_of_the_own_identity_then_of_the_one_that_it_resembles_in_other_groups_and_of_the_same_flank():
    images, features, _ = planted()
    groups = images.select(pl.col("identity") + "-" + (pl.int_range(pl.len()) % 3).cast(pl.String)).to_series()
    images = images.with_columns(group=groups)
    pairs = pairs_to_review(images, features, most=30)
    flank, group = (dict(images.select("image", column).iter_rows()) for column in ("flank", "group"))
    assert pairs["doubt"].head(30).is_sorted(descending=True) and len(pairs) == 90
    assert pairs["pair"].to_list() == list(range(90))
    for number, pair in enumerate(pairs.to_dicts()):
        assert (number >= 30 and number % 2 == 0) == (pair["label"] != pair["other_label"])
        assert group[pair["image"]] != group[pair["other"]] and pair["image"] != pair["other"]
    same = [flank[pair["image"]] == flank[pair["other"]] for pair in pairs.to_dicts()]
    assert np.mean(same) > 0.9
    for number, (second, third) in enumerate(
        zip(pairs.rows(named=True)[30::2], pairs.rows(named=True)[31::2], strict=True)
    ):
        assert second["image"] == third["image"] == pairs["image"][number] and third["other"] != pairs["other"][number]
        assert (second["after"], third["after"]) == (number, second["pair"])


def test_an_image_alone_is_compared_with_the_one_it_resembles_and_answered_ones_are_left_out():
    images, features, _ = planted()
    images = images.with_columns(
        identity=pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("alone")).otherwise(pl.col("identity"))
    )
    pairs = pairs_to_review(images, features, most=240)
    own = pairs.filter(image="005.png")
    assert own["after"].to_list() == [None] and own["other_label"].to_list() == ["i00"]
    assert len(set(pairs["image"])) == 240
    left = pairs_to_review(images, features, answered={"005.png", "006.png"}, most=240)
    assert set(pairs["image"]) - set(left["image"]) == {"005.png", "006.png"}


@pytest.mark.parametrize("identities", [["a"] * 6, ["a", "b", "c", "d", "e", "f"]])
def test_data_without_identities_to_compare_have_few_pairs_or_none(identities):
    names = [f"{row}.png" for row in range(6)]
    images = pl.DataFrame(
        {"image": names, "identity": identities, "group": names, "flank": pl.Series([None] * 6, dtype=pl.String)}
    )
    pairs = pairs_to_review(images, np.random.default_rng(0).normal(size=(6, 4)))
    assert len(pairs) == (0 if len(set(identities)) == 1 else 6)
    zeros = np.zeros((6, 4))
    assert pairs_to_review(images, zeros).is_empty()
