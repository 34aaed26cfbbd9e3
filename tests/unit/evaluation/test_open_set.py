"""A promised rate of false matches holds on new individuals of the same kind, in galleries of other sizes too."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.fusion import Calibration, Fusion, Reranking
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.open_set import (
    Decision,
    NoTrialsError,
    Trials,
    balanced_threshold,
    calibration,
    conformal,
    effective,
    fit,
    logistic,
    measures,
    quantile,
    risk_coverage,
    roc,
    surpassing,
    trials,
)
from reidflow.evaluation.retrieval_queries import Retrieval, infer, scores
from reidflow.evaluation.runs import TrainedRun, left_out_retrieval
from reidflow.matching import bank
from reidflow.matching.features import Features
from reidflow.matching.scores import LocalScores
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import LocalScore, Ranking


def found(new=(), known=(), left_out=(), gallery=100):
    """Return trials of (identity, best score) of new queries, and of known ones, all right; left_out: `without` of these."""
    rows = [*new, *known]
    is_new = np.arange(len(rows)) < len(new)
    best = np.array([score for _, score in rows], float)
    without = np.where(is_new, best, np.array([*[0.0] * len(new), *(left_out or [-np.inf] * len(known))]))
    return Trials(np.array([i for i, _ in rows]), is_new, ~is_new, best, ~is_new, without, without - 0.1, gallery)


def planted(rng, identities, queries, spread):
    """Return (identity, score) of queries that are alike within an identity."""
    centre = spread * rng.standard_normal(identities)
    return [
        (i, centre[i] + np.sqrt(1 - spread**2) * x) for i in range(identities) for x in rng.standard_normal(queries)
    ]


@pytest.mark.parametrize("spread", [0.0, 0.5, 0.95])
def test_the_promise_holds_over_new_identities_that_are_alike_within_themselves(spread):
    rng = np.random.default_rng(1)
    measured, plain = [], []
    for _ in range(400):
        own = planted(rng, 30, 6, spread)
        score, identity = np.array([s for _, s in own]), np.array([i for i, _ in own])
        other = np.array([s for _, s in planted(rng, 40, 6, spread)])
        measured.append((other > conformal(score, identity, 0.05)[0]).mean())
        plain.append((other > quantile(score, identity, 0.95)).mean())
    assert 0.03 < np.mean(measured) < 0.06
    assert np.mean(plain) > np.mean(measured) + 0.005, "the correction for few trials does something"


def test_effective_trials_lie_between_identities_and_queries():
    rng = np.random.default_rng(0)
    identity = np.repeat(np.arange(50), 10)
    alone, alike = rng.standard_normal(500), np.repeat(rng.standard_normal(50), 10)
    assert effective(alone, identity) > 300 and effective(alike, identity) == pytest.approx(50)
    assert effective(alone[:1], identity[:1]) == 1


class Ranked:
    """The layout of queries of which the first half is new, in a gallery of other identities."""

    def __init__(self, queries, gallery):
        self.identity = np.r_[np.arange(queries) + 10**6, np.arange(gallery) % 50]
        self.identity[queries // 2 : queries] = np.arange(queries - queries // 2) % 50
        self.query, self.gallery = np.arange(queries), queries + np.arange(gallery)

    def trials(self, rng):
        matrix = rng.gumbel(size=(len(self.query), len(self.gallery))).astype(np.float32)
        sides = np.empty((len(self.query), 0)), np.empty((len(self.gallery), 0))
        return trials(self, *both(self, Retrieval(*sides, matrix=matrix)))


def both(layout, retrieval):
    """Return a retrieval whose scores do not change with the gallery, as it is and without each query's identity."""
    absent = {f"{side}_absent": layout.identity[getattr(layout, side)] for side in ("query", "gallery")}
    return retrieval, replace(retrieval, **absent)


def test_the_threshold_grows_with_the_gallery_as_the_best_of_more_scores_does():
    rng = np.random.default_rng(0)
    decision = fit(small := Ranked(1200, 200).trials(rng))
    own = np.concatenate([small.best[small.new], small.without[small.known]])
    identity = np.concatenate([small.identity[small.new], small.identity[small.known]])
    assert decision.threshold == conformal(own, identity, 0.05)[0]
    larger = Ranked(2000, 1000).trials(rng)
    # The maximum of Gumbel variables moves by the logarithm of their number.
    assert decision.growth == pytest.approx(1, abs=0.1)
    best = larger.best[larger.new]
    assert 0.03 < 1 - decision.is_new(best, 1000).mean() < 0.07
    assert 1 - decision.is_new(best, 200).mean() > 0.15
    assert decision.threshold_for(1000) == pytest.approx(decision.threshold + decision.growth * np.log(5))


def test_best_scores_with_and_without_the_own_identity_and_ties():
    layout = Ranked(4, 3)
    layout.identity = np.array([9, 8, 0, 1, 0, 1, 1])
    matrix = np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.1], [0.5, 0.4, 0.1], [0.5, 0.5, 0.5]], np.float32)
    sides = np.empty((4, 0)), np.empty((3, 0))
    own = trials(layout, *both(layout, Retrieval(*sides, matrix=matrix, query_index=np.array([-1, -1, -1, 2]))))
    assert own.new.tolist() == [True, True, False, False] and own.known.tolist() == [False, False, True, True]
    assert own.best == pytest.approx([0.3, 0.3, 0.5, 0.5], abs=1e-6)
    assert own.without == pytest.approx([0.3, 0.3, 0.4, 0.5], abs=1e-6)
    assert own.right.tolist() == [False, False, True, False], "of two equally good candidates none is the answer"
    alone = trials(
        layout,
        Retrieval(
            np.empty((4, 0)),
            np.empty((3, 0)),
            matrix=matrix,
            query_group=np.array([0, 1, 2, 3]),
            gallery_group=np.array([2, 5, 6]),
        ),
    )
    assert alone.known.tolist() == [False, False, False, True], "a query whose only positive is of its group is neither"


def test_identities_seen_in_training_are_not_used_where_they_score_lower():
    rng = np.random.default_rng(0)
    new = [(i, 1.0 + 0.1 * rng.standard_normal()) for i in range(8) for _ in range(5)]
    known = [(100 + i, 3.0) for i in range(20) for _ in range(5)]
    lower, same = (list(level + 0.1 * rng.standard_normal(100)) for level in (0.0, 1.0))
    apart, together = fit(found(new, known, lower)), fit(found(new, known, same))
    assert (apart.left_out, together.left_out) == (0, 20)
    assert apart.alike < 0.05 < together.alike and apart.threshold > 1
    alone = fit(found(known=known, left_out=same))
    assert alone.alike is None and (alone.new_identities, alone.left_out) == (0, 20)


def test_a_decision_says_when_its_trials_are_too_few_for_the_promise_and_survives_json():
    few = fit(found([(i, float(i)) for i in range(7)], [(100, 20.0), (101, 21.0)]))
    assert not few.kept and few.attainable == pytest.approx(1 / 8) and few.threshold == 6
    enough = fit(found([(i, float(i)) for i in range(19)], [(100, 30.0)]))
    assert enough.kept
    assert Decision.of(json.loads(json.dumps(few.to_json()))) == few
    with pytest.raises(ReidflowError, match="no validation query"):
        fit(found())
    with pytest.raises(ReidflowError, match="promised"):
        fit(found([(0, 1.0)]), promised=0)


def test_probabilities_of_being_new_are_calibrated_and_follow_the_expected_share():
    rng = np.random.default_rng(0)
    draw = lambda n, at, first: [(first + k, at + x) for k, x in enumerate(rng.standard_normal(n))]  # noqa: E731
    decision = fit(found(draw(2000, 0, 0), draw(4000, 2, 10**4)))
    fresh = found(draw(2000, 0, 0), draw(4000, 2, 10**4))
    error, rows = calibration(decision.probability_new(fresh.best, 100), fresh.new, bins=10)
    assert error < 0.02 and rows[0][1] < 0.02 < 0.9 < rows[-1][1]
    half = found(draw(4000, 0, 0), draw(4000, 2, 10**4))
    assert calibration(decision.probability_new(half.best, 100, prior=0.5), half.new)[0] < 0.02
    assert calibration(decision.probability_new(half.best, 100), half.new)[0] > 0.05
    assert decision.probability_new(-np.inf, 100) == 1 and decision.is_new(-np.inf, 100)


def test_scores_that_are_no_numbers_call_every_query_new():
    own = found([(0, -np.inf), (1, -np.inf)], [(5, -np.inf), (6, -np.inf)])
    decision = fit(own)
    assert decision.threshold is None and decision.threshold_for(7) is None and not decision.kept
    assert decision.is_new(own.best, 50).all() and decision.attainable == 1
    assert Decision.of(json.loads(json.dumps(decision.to_json()))) == decision
    assert np.isnan(balanced_threshold(own)) and measures(own, decision.is_new(own.best, 100))["baus"] == 1


@pytest.mark.parametrize("kind", ["new", "known"])
def test_without_new_or_without_known_queries_no_threshold_balances_the_two(kind):
    assert np.isnan(balanced_threshold(found(**{kind: [(0, 1.0), (1, 2.0)]})))


def test_measures_by_hand():
    # Known: a is right, wrong; b is right. New: x is above once of two; y never.
    own = Trials(
        identity=np.array([0, 0, 1, 7, 7, 8]),
        new=np.array([0, 0, 0, 1, 1, 1], bool),
        known=np.array([1, 1, 1, 0, 0, 0], bool),
        best=np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1]),
        right=np.array([1, 0, 1, 0, 0, 0], bool),
        without=np.zeros(6),
        smaller=np.zeros(6),
        gallery=5,
    )
    values = measures(own, own.best <= 0.5)
    assert values["baks"] == pytest.approx((1 / 2 + 0) / 2)
    assert values["baus"] == pytest.approx((1 / 2 + 1) / 2) and values["false_match"] == pytest.approx(1 / 4)
    assert values["true_match"] == pytest.approx((1 + 0) / 2)
    assert values["geometric"] == pytest.approx(np.sqrt(0.25 * 0.75))
    # Every query of a is above all new ones; that of b is above y, and above x once of two.
    assert values["auroc"] == pytest.approx((1 + (1 / 2 + 1) / 2) / 2)
    assert surpassing(own)[:3] == pytest.approx([1, 1, 3 / 4]) and np.isnan(surpassing(own)[3:]).all()
    corners = np.stack(roc(own), axis=1).round(6).tolist()
    assert [0, 0.5] in corners and [0.25, 1] in corners
    # At 0.2 all of the known are answered: baks 3/4, baus 3/4 of new called so.
    assert balanced_threshold(own) == 0.2
    coverage, risk = risk_coverage(own)
    assert coverage == pytest.approx(np.arange(1, 7) / 6)
    assert risk == pytest.approx([0, 1 / 2, 2 / 3, 2 / 4, 3 / 5, 4 / 6])


def test_a_logistic_fit_recovers_its_curve_and_stays_finite_where_scores_separate():
    rng = np.random.default_rng(0)
    score = rng.uniform(-3, 3, 20000)
    target = (rng.uniform(size=20000) < 1 / (1 + np.exp(-(0.5 - 2 * score)))).astype(float)
    assert logistic(score, target) == pytest.approx((0.5, -2), abs=0.1)
    intercept, slope = logistic(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert np.isfinite([intercept, slope]).all() and slope < 0


LNBNN = LocalScore(matcher={"name": "rootsift"}, compare={"name": "lnbnn", "k": 3})
KNOWN, NEW, IMAGES = 40, 40, 4


@pytest.fixture(scope="module")
def herd(tmp_path_factory):
    """A layout of known and new individuals, and what ranks it: local features by which each is known, and embeddings."""
    rng, folder = np.random.default_rng(4), tmp_path_factory.mktemp("herd")
    codes = np.repeat(np.arange(KNOWN + NEW), IMAGES)
    coats = rng.standard_normal((KNOWN + NEW, 12, 16))

    def of(code):
        points = coats[code] + 0.7 * rng.standard_normal((12, 16))
        return Features(np.zeros((12, 2), np.float32), (points / np.linalg.norm(points, axis=1)[:, None]).astype("f4"))

    images = [f"{row:064d}" for row in range(len(codes))]
    bank.keep_features(folder / "store", images, [of(code) for code in codes])
    facts = {"matcher": LNBNN.matcher, "code": "", "versions": {}, "device": "cpu"}
    files = bank.BankFiles(**{name: folder / "bank" / file for name, file in bank.FILES.items()})
    bank.assemble(folder / "store", pl.Series(images), images, files, facts)
    side = [None if code < KNOWN else "query" for code in codes]
    table = pl.DataFrame(
        {"image": images, "identity": [f"i{c}" for c in codes], "group": images, "role": "val", "side": side}
    )
    layout = Layout(table, table.with_columns(flank=pl.lit(None, pl.String)), "role", "val")
    ranking = Ranking(scores=[LNBNN], shortlist=None)
    local = LocalScores({local_bank_id(LNBNN.matcher): folder / "bank"}, folder / "cache")
    fusion = Fusion("calibrated", np.ones(1), 0.0, (Calibration(0.0, 1.0, 1.0, 0.0),))
    rerank = Reranking(ranking, layout, local, fusion, (), np.full(len(codes), -1))
    vectors = coats.reshape(len(coats), -1)[codes] + 2 * rng.standard_normal((len(codes), 12 * 16))
    return layout, rerank, vectors.astype(np.float32)


def bare(layout):
    return layout.retrieval(np.empty((len(layout.query), 0)), np.empty((len(layout.gallery), 0)), None)


def test_local_scores_of_known_queries_left_out_are_those_of_new_ones_and_keep_the_promise(herd):
    layout, rerank, _ = herd
    own = trials(layout, rerank(bare(layout)), rerank(bare(layout.leaving_out())))
    alone = own.identity == layout.identity[layout.query[0]]
    absent = np.delete(layout.gallery, np.flatnonzero(layout.identity[layout.gallery] == own.identity[0]))
    really = rerank.local.scores(LNBNN, layout.query[alone], absent)
    assert own.without[alone] == pytest.approx(really.max(axis=1), abs=1e-5)
    known = replace(own, new=np.zeros_like(own.new))
    above = lambda decision: 1 - decision.is_new(own.best[own.new], own.gallery).mean()  # noqa: E731
    assert 0.02 < above(fit(known)) < 0.09
    masked = trials(layout, *both(layout, rerank(bare(layout))))
    assert above(fit(replace(masked, new=known.new))) > 0.12, "scores with the own identity there are no such trials"


@pytest.mark.parametrize("name", ["query_expansion", "alpha_query_expansion", "database_augmentation"])
def test_inference_of_known_queries_left_out_is_as_if_their_identity_were_not_there(herd, name):
    layout, _, vectors = herd
    steps, sides = [resolve("inference", {"name": name, "k": 3})], (vectors[layout.query], vectors[layout.gallery])
    left_out = trials(layout, *(infer(each.retrieval(*sides, None), steps) for each in (layout, layout.leaving_out())))
    for identity in range(3):
        alone = left_out.identity == identity
        there = layout.identity[layout.gallery] != identity
        groups = layout.group[layout.query[alone]], layout.group[layout.gallery[there]]
        alone_there = infer(Retrieval(sides[0][alone], sides[1][there], None, *groups), steps)
        assert left_out.without[alone] == pytest.approx(scores(alone_there, slice(None)).max(axis=1), abs=1e-6)


def test_inference_that_looks_at_all_queries_has_no_trials_of_known_individuals(herd):
    layout, _, vectors = herd
    run = TrainedRun("a", 0, "k", None, inference=(resolve("inference", {"name": "k_reciprocal"}),))
    assert left_out_retrieval(layout, run) is None
    own = trials(layout, layout.retrieval(vectors[layout.query], vectors[layout.gallery], None))
    assert np.isinf(own.without).all()
    assert (fit(own).left_out, fit(own).new_identities) == (0, NEW)
    with pytest.raises(NoTrialsError, match=r"name: open_set.*leaving it out"):
        fit(replace(own, new=np.zeros_like(own.new)))
