"""Local scores: LNBNN against brute force, exclusion before neighbours are taken, and the cache."""

import faiss
import numpy as np
import polars as pl
import pytest

from reidflow.matching import bank, neighbours, scores
from reidflow.matching.bank import BankFiles
from reidflow.matching.comparisons import lnbnn
from reidflow.matching.features import Features, Matches
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
    return made_bank(tmp_path, features)


def made_bank(tmp_path, features):
    place, names = tmp_path / "store" / "local" / "x", [f"{number:064d}" for number in range(len(features))]
    features = [Features(*(part.astype(np.float32) for part in one)) for one in features]
    bank.keep_features(place, names, features)
    out = tmp_path / "bank"
    facts = {"matcher": LNBNN.matcher, "code": "", "versions": {}, "device": "cpu"}
    files = BankFiles(**{name: out / file for name, file in bank.FILES.items()})
    bank.assemble(place, pl.Series([f"i{n}" for n in range(len(features))]), names, files, facts)
    return out


def local(folder, **more):
    return LocalScores({local_bank_id(LNBNN.matcher): folder}, folder.parent / "store", **more)


def distances_to(opened, rows, descriptor):
    """Return how far the nearest descriptor of each image is, inf where it has none."""
    sets = [opened.of(row).descriptors.astype(float) for row in rows]
    return np.array([np.linalg.norm(own - descriptor, axis=1).min() if len(own) else np.inf for own in sets])


def nearest_groups(distances, groups):
    """Return the distance of each group's nearest image, sorted."""
    return sorted(min(distances[groups == group]) for group in np.unique(groups[np.isfinite(distances)]))


def brute_force(folder, query, gallery, excluded, groups, k):
    """Return the scores of LNBNN by its definition: all distances, sorted; over the root of the keypoints of both."""
    opened, out = bank.Bank(folder), excluded | (gallery == query)
    found = np.where(out, np.nan, 0.0)
    for descriptor in opened.of(query).descriptors.astype(float):
        distances = np.where(out, np.inf, distances_to(opened, gallery, descriptor))
        near = nearest_groups(distances, groups)
        if near:
            found += np.maximum(near[min(k, len(near) - 1)] - distances, 0)
    return found / np.sqrt(np.maximum(opened.count[query] * opened.count[gallery], 1))


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4, 5, 6, 7], [7, 2, 2, 2, 4, 5, 7, 4]])
def test_lnbnn_is_its_definition(folder, groups):
    queries, gallery, groups = np.array([0, 1, 5]), np.arange(8), np.array(groups)
    apart = np.random.default_rng(0).random((3, 8)) < 0.4
    found = local(folder).scores(LNBNN, queries, gallery, groups=groups, excluded=lambda rows: apart[rows])
    for place, query in enumerate(queries):
        expected = brute_force(folder, query, gallery, apart[place], groups, 3)
        np.testing.assert_allclose(found[place], expected, atol=5e-6)


def backward(folder, query, gallery, excluded, groups, k):
    """Return what the gallery's keypoints add: of the 5k nearest groups to each of the query's, by how much it is nearer."""
    opened, out = bank.Bank(folder), excluded | (gallery == query)
    found = np.zeros(len(gallery))
    for descriptor in opened.of(query).descriptors.astype(float):
        distances = np.where(out, np.inf, distances_to(opened, gallery, descriptor))
        near = nearest_groups(distances, groups)
        for image in np.flatnonzero(distances <= near[min(5 * k, len(near)) - 1]):
            own = opened.of(gallery[image]).descriptors.astype(float)
            keypoint = own[np.linalg.norm(own - descriptor, axis=1).argmin()]
            others = np.where(out | (groups == groups[image]), np.inf, distances_to(opened, gallery, keypoint))
            limits = nearest_groups(others, groups)
            found[image] += max(limits[k - 1] - distances[image], 0) if len(limits) >= k else 0
    return found / np.sqrt(np.maximum(opened.count[query] * opened.count[gallery], 1))


@pytest.mark.parametrize("spare", [0, 1, 8])
@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4, 5, 6, 7], [7, 2, 5, 2, 4, 5, 7, 4]])
def test_votes_in_both_directions_are_their_definition(folder, groups, spare, monkeypatch):
    """Whatever is known of neighbours: some that a query excludes are of a group that it does not exclude."""
    monkeypatch.setattr(lnbnn, "SPARE", spare)
    both = LocalScore(matcher=LNBNN.matcher, compare={"name": "lnbnn", "k": 2, "both": True, "verify": None})
    apart, groups = np.isin(np.arange(8), [0, 5]), np.array(groups)
    given = {"groups": groups, "excluded": lambda rows: apart[None]}
    found = local(folder, workers=2).scores(both, np.array([3]), np.arange(8), **given)[0]
    case = folder, 3, np.arange(8), apart, groups, 2
    np.testing.assert_allclose(found, brute_force(*case) + backward(*case), atol=1e-4)
    assert backward(*case).max() > 0.001


def test_frames_of_a_burst_change_no_score_of_others(tmp_path):
    """The gallery holds near copies of the right image: they use up one neighbour, and each gets the votes of a single one."""
    random = np.random.default_rng(8)
    made = [unit(random.uniform(size=(30, 128))) for _ in range(9)]
    burst = [unit(made[0] + 0.02 * random.uniform(size=(30, 128))) for _ in range(40)]
    query = unit(made[0] + 0.04 * random.uniform(size=(30, 128)))
    out = made_bank(tmp_path, [Features(random.uniform(0, 512, (30, 2)), d) for d in [query, *made, *burst]])
    alone, among = np.arange(1, 10), np.arange(1, 50)
    groups = np.array([*range(9), *[0] * 40])
    for compare in ({"name": "lnbnn"}, {"name": "lnbnn", "both": True}):
        score = LocalScore(matcher=LNBNN.matcher, compare=compare)
        few = local(out).scores(score, np.array([0]), alone)[0]
        many = local(out).scores(score, np.array([0]), among, groups=groups)[0]
        assert few[0] > 5 * few[1:].max()
        np.testing.assert_allclose(many[0], few[0], rtol=0.25)
        assert many[9:].min() > 0.7 * few[0]
        assert local(out).scores(score, np.array([0]), among)[0][0] < 0.2 * few[0]


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
    groups = np.arange(300) // 4
    found = Neighbours(vectors, owners, groups).search(queries.astype(np.float32), 6, excluded)
    distances = np.linalg.norm(queries[:, None] - vectors, axis=2).reshape(7, 300, 3).min(axis=2)
    distances[:, excluded] = np.inf
    true = np.sort(distances.reshape(7, 75, 4).min(axis=2), axis=1)[:, :6]
    np.testing.assert_allclose(found.nearest, true, atol=1e-3)
    assert np.isfinite(true).all() == (share < 0.9)
    for number, own in enumerate(distances):
        last = np.max(true[number], where=np.isfinite(true[number]), initial=0)
        assert set(owners[found.places[found.queries == number]]) == set(np.flatnonzero(own <= last))


def test_lists_find_nearly_what_all_comparisons_find_and_always_the_same(monkeypatch):
    random = np.random.default_rng(1)
    centres = unit(random.normal(size=(40, 32)))
    vectors = unit(centres[random.integers(0, 40, 6000)] + 0.15 * random.normal(size=(6000, 32))).astype(np.float32)
    queries, owners = unit(vectors[:50] + 0.02 * random.normal(size=(50, 32))).astype(np.float32), np.arange(6000)
    true = Neighbours(vectors, owners, owners).search(queries, 5, None).owners
    monkeypatch.setattr(neighbours, "EXACT", 1000)
    made = [Neighbours(vectors, owners, owners).search(queries, 5, None) for _ in range(2)]
    assert np.array_equal(made[0].distances, made[1].distances)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(true, made[0].owners, strict=True)]) > 0.9


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
    same = np.array([5, 4, 3, 2, 1, 0, 7, 6])
    local(folder).scores(LNBNN, queries, gallery, groups=same)
    assert len(computed) == 7
    same[7] = 6
    local(folder).scores(LNBNN, queries, gallery, groups=same // 2)
    assert len(computed) == 10


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


class Lopsided:
    """A comparison of pairs that says another thing the other way round."""

    def matches(self, first, second):
        count = min(len(first.points), len(second.points))
        return Matches(np.arange(count), np.arange(count)[::-1], first.points[:count, 0] + 2 * second.points[:count, 1])


def test_matches_of_a_pair_are_those_of_its_score_whichever_is_the_query(folder):
    one = local(folder)
    made = one._comparison(LNBNN)
    made.comparison, made.whole = Lopsided(), False
    score = one.scores(LNBNN, np.array([1, 4]), np.array([4, 1]))
    assert score[0, 0] == score[1, 1]
    there, back = one.matches(LNBNN, 1, 4), one.matches(LNBNN, 4, 1)
    assert all(np.array_equal(*pair) for pair in zip(there, (back[1], back[0], back[2]), strict=True))
    assert np.isclose(there[2].sum(), score[0, 0])
    assert np.array_equal(there[0], bank.Bank(folder).of(1).points[np.arange(len(there[0]))])
    again = local(folder)
    again._comparison(LNBNN).comparison = None
    again._comparison(LNBNN).whole = False
    assert np.array_equal(again.scores(LNBNN, np.array([1]), np.array([4])), score[:1, :1])


def test_a_score_knows_the_library_that_verifies_it():
    assert "opencv" in lnbnn.build(verify=8.0).versions
    assert "opencv" not in lnbnn.build().versions


def test_a_search_leaves_the_number_of_threads_as_it_was():
    vectors = unit(np.random.default_rng(2).normal(size=(40, 8))).astype(np.float32)
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(2)
        Neighbours(vectors, np.arange(40), np.arange(40)).search(vectors[:3], 2, None)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)


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
    assert np.nansum(np.delete(checked, 6)) < 0.35 * np.nansum(np.delete(plain, 6))
