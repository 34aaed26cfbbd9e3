import numpy as np
import polars as pl
import pytest

from reidflow.curation.methods.combined import _limit
from reidflow.curation.methods.stratified_random import _allocation
from reidflow.curation.pool import choose, is_random
from reidflow.spec.components import names, resolve
from reidflow.spec.errors import ReidflowError

COUNT = 60
IDENTITIES = [f"J{code}" for code in np.repeat(np.arange(7), [20, 12, 10, 8, 6, 3, 1])]
RANDOM = ["random", "stratified_random"]


@pytest.fixture(scope="module")
def pool():
    random = np.random.default_rng(0)
    images = [f"{i:02}.png" for i in range(COUNT)]
    codes = np.unique(IDENTITIES, return_inverse=True)[1]
    features = random.standard_normal((7, 16))[codes] + 0.8 * random.standard_normal((COUNT, 16))
    scores = pl.DataFrame(
        {
            "image": images,
            "quality": random.permutation(COUNT) / COUNT,
            "label_doubt": [None, *random.random(COUNT - 1)],
        }
    )
    return images, IDENTITIES, images, scores, features.astype(np.float32)


def kept(pool, method, share=0.5, seed=0):
    return choose(*pool, resolve("curation", method), share, seed)


@pytest.mark.parametrize("name", names("curation"))
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.95])
def test_every_method_keeps_its_share_and_the_same_images_again(pool, name, share):
    once = kept(pool, name, share)
    assert once.dtype == bool and once.sum() == round(share * COUNT)
    assert (kept(pool, name, share) == once).all()


def test_only_random_methods_depend_on_the_seed(pool):
    assert [name for name in names("curation") if is_random(resolve("curation", name))] == RANDOM
    for name in names("curation"):
        assert (kept(pool, name, seed=0) == kept(pool, name, seed=1)).all() == (name not in RANDOM)
    with pytest.raises(ReidflowError, match="training seed"):
        kept(pool, "random", seed=None)
    assert kept(pool, "quality", seed=None).sum() == COUNT // 2


@pytest.mark.parametrize("name", ["quality", "k_center", "facility_location", "combined"])
def test_the_choice_ignores_scores_of_other_images(pool, name):
    images, identities, groups, scores, features = pool
    more = pl.concat([pl.DataFrame({"image": ["other"], "quality": [9.0], "label_doubt": [1.0]}), scores[::-1]])
    assert (kept((images, identities, groups, more, features), name) == kept(pool, name)).all()


def test_images_without_scores_are_an_error(pool):
    with pytest.raises(ReidflowError, match=r"1 training images have no scores, 59\.png"):
        kept((*pool[:3], pool[3][:-1], pool[4]), "quality")


def test_fewer_than_two_identities_are_an_error_that_says_what_to_do(pool):
    with pytest.raises(ReidflowError, match="Raise the share"):
        kept(pool, "random", 0.02)


def test_a_method_that_returns_too_few_or_repeated_rows_is_named(pool, tmp_path, monkeypatch):
    (tmp_path / "broken_choice.py").write_text("def select(pool, count):\n    return [0] * count\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ReidflowError, match="broken_choice"):
        kept(pool, "broken_choice")


def test_a_smaller_random_choice_is_part_of_a_larger_one(pool):
    assert (kept(pool, "random", 0.5) | ~kept(pool, "random", 0.25)).all()


def test_stratified_samples_are_in_proportion_with_at_least_one_each():
    random = np.random.default_rng(0)
    sizes = np.array([20, 12, 10, 8, 6, 3, 1])
    assert _allocation(sizes, 30, random).tolist() in ([10, 6, 5, 4, 3, 1, 1], [9, 6, 5, 4, 3, 2, 1])
    assert _allocation(np.array([6, 3, 1]), 5, random).tolist() == [3, 1, 1]
    assert _allocation(np.array([50, 30, 20]), 10, random).tolist() == [5, 3, 2]
    assert _allocation(np.array([97, 1, 1, 1]), 4, random).tolist() == [1, 1, 1, 1]
    assert _allocation(np.array([97, 1, 1, 1]), 2, random).sum() == 2
    assert _allocation(np.array([4, 3]), 7, random).tolist() == [4, 3]


def test_stratified_random_keeps_every_identity(pool):
    for seed in range(5):
        mask = kept(pool, "stratified_random", 0.25, seed)
        assert set(np.array(IDENTITIES)[mask]) == set(IDENTITIES)


def test_quality_keeps_the_images_of_highest_quality(pool):
    mask, quality = kept(pool, "quality"), pool[3]["quality"].to_numpy()
    assert quality[mask].min() > quality[~mask].max()


def test_combined_drops_the_lowest_quality_and_the_doubtful_labels(pool):
    scores = pool[3]
    mask = kept(pool, {"name": "combined", "quality": 0.2, "doubt": 0.1, "cap": 9.0})
    worst = np.argsort(scores["quality"].to_numpy())[:12]
    doubtful = np.argsort(-scores["label_doubt"].fill_null(0).to_numpy())[:6]
    assert not mask[worst].any() and not mask[doubtful].any()
    credible = (*pool[:3], scores.with_columns(pl.col("label_doubt") / 2.1), pool[4])
    free = kept(credible, {"name": "combined", "quality": 0.0, "doubt": 0.3, "cap": 9.0})
    assert (free == kept(pool, "facility_location")).all()


def test_combined_holds_the_cap_of_each_identity_and_raises_it_only_as_far_as_needed(pool):
    even = 15 / 7
    counts = np.unique(np.array(IDENTITIES)[kept(pool, {"name": "combined", "cap": 1.5}, 0.25)], return_counts=True)[1]
    assert counts.max() <= int(1.5 * even)
    loose = np.unique(np.array(IDENTITIES)[kept(pool, {"name": "combined", "cap": 9.0}, 0.25)], return_counts=True)[1]
    assert loose.max() > counts.max()
    assert _limit(np.array([20, 3, 1]), 12, 1.0) == 8
    assert _limit(np.array([20, 4, 2]), 6, 1.0) == 2


def test_combined_never_drops_more_than_the_share_allows(pool):
    mask = kept(pool, {"name": "combined", "quality": 0.5, "doubt": 0.5}, 0.9)
    doubt = pool[3]["label_doubt"].fill_null(0).to_numpy()
    assert sorted(np.flatnonzero(~mask)) == sorted(np.argsort(-doubt)[:6])
