"""Local scores: LNBNN against brute force, exclusion before neighbours are taken, and the cache."""

import numpy as np
import polars as pl
import pytest

from reidflow.matching import bank, neighbours, scores
from reidflow.matching.bank import BankFiles
from reidflow.matching.features import Features
from reidflow.matching.neighbours import Neighbours
from reidflow.matching.scores import LocalScores
from reidflow.matching.verification import inliers
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import LocalScore

LNBNN = LocalScore(matcher={"name": "rootsift", "keypoints": 40}, compare={"name": "lnbnn", "k": 3})
COUNTS = [25, 40, 0, 12, 30, 18, 40, 1]


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.fixture
def folder(tmp_path):
    """A bank of random features, those of image 6 being those of image 1 moved, by a transformation and some noise."""
    random = np.random.default_rng(3)
    features = [Features(random.uniform(0, 512, (n, 2)), unit(random.uniform(size=(n, 128)))) for n in COUNTS]
    turned = features[1].points @ np.array([[0.9, -0.2], [0.2, 0.9]]) + [30, -10]
    features[6] = Features(turned, unit(features[1].descriptors + 0.05 * random.uniform(size=(40, 128))))
    place, names = tmp_path / "store" / "local" / "x", [f"{number:064d}" for number in range(len(COUNTS))]
    features = [Features(*(part.astype(np.float32) for part in one)) for one in features]
    bank.keep_features(place, names, features)
    out = tmp_path / "bank"
    facts = {"matcher": LNBNN.matcher, "code": "", "versions": {}, "device": "cpu"}
    files = BankFiles(**{name: out / file for name, file in bank.FILES.items()})
    bank.assemble(place, pl.Series([f"i{n}" for n in range(len(COUNTS))]), names, files, facts)
    return out


def local(folder, **more):
    return LocalScores({local_bank_id(LNBNN.matcher): folder}, folder.parent / "store", **more)


def brute_force(folder, query, gallery, excluded, k):
    """Return the scores of LNBNN by its definition: all distances, sorted; over the root of the keypoints of both."""
    opened = bank.Bank(folder)
    found = {
        image: np.nan if apart or row == query else 0.0
        for image, (row, apart) in enumerate(zip(gallery, excluded, strict=True))
    }
    pool = [(image, d) for image in found if found[image] == 0 for d in opened.of(gallery[image]).descriptors]
    for descriptor in opened.of(query).descriptors:
        near = sorted((np.linalg.norm(descriptor.astype(float) - d), image) for image, d in pool)
        for distance, image in near[:k] if len(near) > k else []:
            found[image] += near[k][0] - distance
    counts = opened.count[query] * opened.count[gallery]
    return np.array(list(found.values())) / np.sqrt(np.maximum(counts, 1))


def test_lnbnn_is_its_definition(folder):
    queries, gallery = np.array([0, 1, 5]), np.arange(8)
    apart = np.random.default_rng(0).random((3, 8)) < 0.4
    found = local(folder).scores(LNBNN, queries, gallery, excluded=lambda rows: apart[rows])
    for place, query in enumerate(queries):
        np.testing.assert_allclose(found[place], brute_force(folder, query, gallery, apart[place], 3), atol=5e-6)


def backward(folder, query, gallery, excluded, k):
    """Return what the gallery's keypoints add: of the 5k nearest to each of the query's, how much nearer it is than their k-th."""
    opened = bank.Bank(folder)
    left = [
        image for image, (row, apart) in enumerate(zip(gallery, excluded, strict=True)) if not apart and row != query
    ]
    pool = [(image, d.astype(float)) for image in left for d in opened.of(gallery[image]).descriptors]
    found = np.zeros(len(gallery))
    for descriptor in opened.of(query).descriptors:
        reached = sorted(pool, key=lambda one: np.linalg.norm(one[1] - descriptor))[: 5 * k]
        for image, d in reached:
            limit = sorted(np.linalg.norm(other - d) for owner, other in pool if owner != image)[k - 1]
            found[image] += max(limit - np.linalg.norm(d - descriptor), 0)
    return found / np.sqrt(np.maximum(opened.count[query] * opened.count[gallery], 1))


def test_votes_in_both_directions_are_their_definition(folder):
    both = LNBNN.model_copy(update={"compare": {"name": "lnbnn", "k": 3, "both": True, "verify": None}})
    apart = np.isin(np.arange(8), [0, 5])
    found = local(folder, workers=2).scores(both, np.array([3]), np.arange(8), excluded=lambda rows: apart[None])[0]
    expected = brute_force(folder, 3, np.arange(8), apart, 3) + backward(folder, 3, np.arange(8), apart, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    plain = local(folder).scores(LNBNN, np.array([3]), np.arange(8), excluded=lambda rows: apart[None])[0]
    assert np.nanmax(found - plain) > 0.001


def test_excluded_images_take_no_neighbour_from_others(folder):
    """The copy of the query is excluded: its descriptors, the nearest of all, must not use up the k neighbours."""
    queries, gallery = np.array([1]), np.arange(8)
    without = np.array([0, 3, 4, 5, 7])
    apart = np.isin(gallery, [2, 6])[None]
    found = local(folder).scores(LNBNN, queries, gallery, excluded=lambda rows: apart)
    alone = local(folder).scores(LNBNN, queries, without)
    np.testing.assert_allclose(found[0][without], alone[0], atol=1e-5)
    assert np.isnan(found[0][[1, 2, 6]]).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_search_goes_on_until_there_are_enough_neighbours(share):
    random = np.random.default_rng(5)
    vectors, queries = unit(random.normal(size=(900, 16))).astype(np.float32), unit(random.normal(size=(7, 16)))
    owners = np.arange(900) // 3
    excluded = random.random(300) < share
    distances, places = Neighbours(vectors, owners).search(queries.astype(np.float32), 6, excluded)
    left = np.flatnonzero(~excluded[owners])
    true = np.sort(np.linalg.norm(queries[:, None] - vectors[left], axis=2), axis=1)[:, :6]
    np.testing.assert_allclose(distances[:, : true.shape[1]], true, atol=1e-3)
    assert not excluded[owners[places[np.isfinite(distances)]]].any()
    assert np.isinf(distances[:, true.shape[1] :]).all()


def test_lists_find_nearly_what_all_comparisons_find_and_always_the_same(monkeypatch):
    random = np.random.default_rng(1)
    centres = unit(random.normal(size=(40, 32)))
    vectors = unit(centres[random.integers(0, 40, 6000)] + 0.15 * random.normal(size=(6000, 32))).astype(np.float32)
    queries, owners = unit(vectors[:50] + 0.02 * random.normal(size=(50, 32))).astype(np.float32), np.arange(6000)
    true = Neighbours(vectors, owners).search(queries, 5, None)[1]
    monkeypatch.setattr(neighbours, "EXACT", 1000)
    made = [Neighbours(vectors, owners).search(queries, 5, None) for _ in range(2)]
    assert np.array_equal(made[0][0], made[1][0])
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(true, made[0][1], strict=True)]) > 0.9


def test_scores_are_kept_by_what_decides_them(folder, monkeypatch):
    computed = []
    monkeypatch.setattr(
        scores, "keep", lambda place, names, made: (computed.extend(names), bank.keep(place, names, made))
    )
    queries, gallery = np.array([0, 1, 5]), np.arange(8)
    first = local(folder).scores(LNBNN, queries, gallery)
    again = local(folder, workers=2).scores(LNBNN, queries[::-1], gallery, shortlist=np.array([[1, -1]] * 3))
    assert len(computed) == 3
    assert np.array_equal(again[:, 1], first[::-1, 1], equal_nan=True)
    assert np.isnan(np.delete(again, 1, axis=1)).all()
    local(folder).scores(LNBNN, queries, gallery[:7])
    assert len(computed) == 6
    apart = np.zeros((3, 8), bool)
    apart[0, 4] = True
    local(folder).scores(LNBNN, queries, gallery, excluded=lambda rows: apart[rows])
    assert len(computed) == 7


def test_a_damaged_score_is_computed_again(folder):
    queries, gallery = np.array([0, 1]), np.arange(8)
    first = local(folder).scores(LNBNN, queries, gallery)
    (kept,) = (folder.parent / "store" / "matches").glob("*/*.npz")
    content = bytearray(kept.read_bytes())
    content[-300] ^= 1
    kept.write_bytes(content)
    assert np.array_equal(local(folder).scores(LNBNN, queries, gallery), first, equal_nan=True)
    assert kept.read_bytes() != bytes(content)


def test_matches_are_the_votes_behind_a_score(folder):
    gallery = np.arange(8)
    found = local(folder).scores(LNBNN, np.array([1]), gallery)
    first, second, weights = local(folder).matches(LNBNN, 1, 6)
    assert np.isclose(weights.sum(), found[0, 6], rtol=1e-4)
    assert len(first) == len(second) == len(weights)
    few, apart = np.array([0, 3, 6, 1, 7]), np.array([True, False, False, False, False])
    fewer = local(folder).scores(LNBNN, np.array([1]), few, excluded=lambda rows: apart[None])
    among = local(folder).matches(LNBNN, 1, 6, gallery=few, excluded=apart)[2]
    assert np.isclose(among.sum(), fewer[0, 2], rtol=1e-4) and not np.isclose(among.sum(), weights.sum(), rtol=1e-3)
    strong = weights > weights.max() / 2
    first, second = first[strong], second[strong]
    assert len(first) > 30
    np.testing.assert_allclose(first @ np.array([[0.9, -0.2], [0.2, 0.9]]) + [30, -10], second, atol=0.1)


def test_verification_keeps_what_one_transformation_explains(folder):
    random = np.random.default_rng(0)
    first = random.uniform(0, 512, (60, 2))
    second = first @ np.array([[1.1, 0.1], [-0.1, 0.9]]) + 7
    second[40:] = random.uniform(0, 512, (20, 2))
    kept = inliers(first, second, 5.0)
    assert kept[:40].all()
    assert kept[40:].sum() <= 1
    assert not inliers(first[:3], second[:3], 5.0).any()
    verified = LNBNN.model_copy(update={"compare": {"name": "lnbnn", "k": 3, "verify": 8.0}})
    plain, checked = (local(folder).scores(score, np.array([1]), np.arange(8))[0] for score in (LNBNN, verified))
    assert checked[6] > 0.9 * plain[6]
    assert np.nansum(np.delete(checked, 6)) < 0.2 * np.nansum(np.delete(plain, 6))
