"""Fused rankings: calibration on validation pairs alone, joined scores, shortlists, and which score weighs."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from reidflow.evaluation.fusion import (
    LOOSE,
    TILT,
    Calibration,
    Fusion,
    PairScores,
    UnfittedError,
    best_weights,
    fit_reranking,
    logistic_fit,
    pair_scores,
    probability,
)
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.open_set import trials
from reidflow.evaluation.ranked_points import ValidationRanking
from reidflow.evaluation.runs import TrainedRun, arm_retrieval, reranking, validate_runs
from reidflow.evaluation.selection import choose_tuned
from reidflow.spec.errors import ReidflowError
from reidflow.spec.ranking import Ranking
from reidflow.store.runs import RunStore

PEOPLE, SHOTS, DIM = 10, 6, 12
ROLES = ("val", "test")


def table() -> pl.DataFrame:
    rows = [
        {
            "image": f"{role}{person}-{shot}",
            "identity": f"p{person}",
            "group": f"{role}{person}-{shot // 2}",
            "role": role,
        }
        for role in ROLES
        for person in range(PEOPLE)
        for shot in range(SHOTS)
    ]
    return pl.DataFrame(rows).with_columns(side=pl.lit(None, pl.String))


SPLIT = table()
MANIFEST = SPLIT.select("image").reverse().with_columns(flank=pl.lit(None, pl.String))
TEST = Layout(SPLIT, MANIFEST, "role")
IDENTITY = SPLIT.reverse()["identity"].cast(pl.Categorical).to_physical().to_numpy()


class Local:
    """Local scores of rows of the manifest by stored matrices, as `LocalScores`; it keeps the shortlists that it gets."""

    def __init__(self, **matrices: np.ndarray) -> None:
        self.matrices, self.shortlists = matrices, []

    def unavailable(self, scores):
        """Nothing is."""

    def scores(self, score, queries, gallery, *, groups=None, excluded=None, shortlist=None):
        self.shortlists.append(shortlist)
        found = self.matrices[score.matcher["name"]][np.ix_(queries, gallery)].astype(np.float32)
        out = excluded(slice(0, len(queries)))
        if out is not None:
            found[out] = np.nan
        if shortlist is not None:
            kept = np.zeros(found.shape, bool)
            for query, places in enumerate(shortlist):
                kept[query, places[places >= 0]] = True
            found[~kept] = np.nan
        return found


def likeness(strength: float, seed: int) -> np.ndarray:
    """Return scores of all pairs of the manifest's images: noise, raised by `strength` for pairs of one identity."""
    noise = np.random.Generator(np.random.PCG64(seed)).normal(size=(len(MANIFEST), len(MANIFEST)))
    return noise + strength * (IDENTITY[:, None] == IDENTITY)


def ranking(**settings) -> Ranking:
    score = {"matcher": {"name": "rootsift"}}
    return Ranking.model_validate({"scores": ["embedding", score], "shortlist": None, **settings})


@pytest.fixture
def run(tmp_path: Path) -> TrainedRun:
    """A run whose embeddings of one identity are somewhat alike."""
    draw = np.random.Generator(np.random.PCG64(3)).normal
    centres = draw(size=(PEOPLE, DIM))
    person = [int(name[1:]) for name in SPLIT["identity"]]
    vectors = centres[person] + 2.5 * draw(size=(len(SPLIT), DIM))
    (tmp_path / "provenance.json").write_text(json.dumps({"geometry": {"name": "hypersphere"}}))
    columns = {"stage": ["final"] * len(SPLIT), "image": SPLIT["image"], "vector": vectors.astype(np.float32).tolist()}
    pl.DataFrame(columns, schema_overrides={"vector": pl.List(pl.Float32)}).write_parquet(
        tmp_path / "embeddings.parquet"
    )
    return TrainedRun("arm", 0, "key", tmp_path)


def id_map(run: TrainedRun, layout: Layout = TEST) -> float:
    found, _ = layout.score(arm_retrieval(layout, run))
    return float(np.nanmean(found.columns["ap"]))


def test_calibrations_are_those_of_scikit_learn():
    draw = np.random.Generator(np.random.PCG64(0))
    same = draw.random(400) < 0.3
    values = draw.normal(size=400) + same
    at = np.linspace(-4, 5, 50)
    standard = ((values - values.mean()) / values.std())[:, None]
    plain = LogisticRegression(C=LOOSE, max_iter=1000, tol=1e-10).fit(standard, same)
    expected = plain.predict_proba(((at - values.mean()) / values.std())[:, None])[:, 1]
    np.testing.assert_allclose(probability(Calibration.fit(values, same, "logistic")(at)), expected, atol=1e-6)
    steps = IsotonicRegression(out_of_bounds="clip").fit(values, same).predict(at)
    found = Calibration.fit(values, same, "isotonic")(at)
    np.testing.assert_allclose(probability(found), (1 - TILT) * steps + TILT * expected, atol=1e-6)
    assert (np.diff(found) > 0).all(), "a level step ties candidates that a score tells apart"


def test_three_candidates_by_hand():
    # The fourth image is off the shortlist, the fifth has no embedding.
    first, second = np.array([[0.9, 0.5, 0.1, 0.05, np.nan]]), np.array([[1.0, 4.0, 1.0, 9.0, 9.0]])
    listed = np.array([[True, True, True, False, False]])
    scores = PairScores((first.astype(np.float32), second.astype(np.float32)), listed)
    added = Fusion("sum", np.array([0.5, 0.5])).fused(scores)[0]
    z = np.sqrt(1.5), np.sqrt(2)
    np.testing.assert_allclose(added[:3], [(z[0] - z[1] / 2) / 2, z[1] / 2, (-z[0] - z[1] / 2) / 2], atol=1e-6)
    assert added[3] == pytest.approx(added[2] - 1) and added[4] == -np.inf
    by_rank = Fusion("rank", np.array([0.5, 0.5])).fused(scores)[0]
    expected = [(1 / 61 + 1 / 62.5) / 2, (1 / 62 + 1 / 61) / 2, (1 / 63 + 1 / 62.5) / 2]
    np.testing.assert_allclose(by_rank[:3], expected, atol=1e-7)
    assert by_rank[3] == -1


@pytest.mark.parametrize("fusion", ["calibrated", "sum", "rank"])
def test_behind_the_shortlist_images_keep_the_order_of_the_first_score(run: TrainedRun, fusion: str):
    local = Local(rootsift=likeness(3, 1))
    alone = arm_retrieval(TEST, run)
    short = arm_retrieval(TEST, run._replace(ranking=ranking(shortlist=5, fusion=fusion), local=local))
    excluded = alone.masks().excluded(slice(0, len(TEST.query)))
    embedding = np.where(excluded, -np.inf, np.asarray(alone.queries @ alone.gallery.T))
    cosines = embedding / np.linalg.norm(alone.queries, axis=1)[:, None] / np.linalg.norm(alone.gallery, axis=1)
    for query in range(len(TEST.query)):
        best = np.argsort(-cosines[query])[:5]
        order = [image for image in np.argsort(-short.matrix[query]) if not excluded[query, image]]
        assert set(order[:5]) == set(best)
        np.testing.assert_array_equal(order[5:], np.argsort(-cosines[query])[5 : len(order)])
        assert len(np.unique(short.matrix[query])) == len(TEST.gallery)


def test_no_candidate_of_the_own_group_is_on_a_shortlist(run: TrainedRun):
    retrieval = arm_retrieval(TEST, run)
    rows = TEST.manifest_rows
    found = pair_scores(Ranking(scores=["embedding"]), retrieval, rows[TEST.query], rows[TEST.gallery], None)
    np.testing.assert_array_equal(found.listed, ~retrieval.masks().excluded(slice(0, len(TEST.query))))


def test_a_score_alone_ranks_as_it_does_without_a_fusion(run: TrainedRun):
    for calibration in ("logistic", "isotonic"):
        fused = run._replace(ranking=Ranking(scores=["embedding"], calibration=calibration))
        assert id_map(fused) == pytest.approx(id_map(run), abs=1e-9)


def test_what_is_fitted_depends_on_validation_alone(run: TrainedRun):
    changed = likeness(2, 1)
    rows = TEST.manifest_rows[TEST.evaluated]
    changed[np.ix_(rows, rows)] = 0
    embedded = arm_retrieval(TEST.validation, run)
    before, after = (
        fit_reranking(ranking(), TEST, embedded, Local(rootsift=matrix)).whole for matrix in (likeness(2, 1), changed)
    )
    np.testing.assert_array_equal(before.weights, after.weights)
    assert before.offset == after.offset
    assert before.calibrations == after.calibrations
    rows = TEST.validation.manifest_rows[TEST.validation.evaluated]
    changed[np.ix_(rows, rows)] = likeness(0.5, 5)[np.ix_(rows, rows)]
    assert fit_reranking(ranking(), TEST, embedded, Local(rootsift=changed)).whole.offset != before.offset


@pytest.mark.parametrize("fusion", ["calibrated", "sum", "rank"])
def test_two_good_scores_beat_each_and_noise_loses_its_weight(run: TrainedRun, fusion: str):
    def fused(strength: float) -> TrainedRun:
        return run._replace(ranking=ranking(fusion=fusion), local=Local(rootsift=likeness(strength, 1)))

    alone = run._replace(
        ranking=Ranking.model_validate({"scores": [{"matcher": {"name": "rootsift"}}]}), local=fused(1.5).local
    )
    assert id_map(fused(1.5)) > max(id_map(run), id_map(alone)) + 0.02
    assert id_map(fused(0)) > id_map(run) - 0.02
    embedded = arm_retrieval(TEST.validation, run)
    good, noise = (
        fit_reranking(own.ranking, TEST, embedded, own.local).whole.weights for own in (fused(1.5), fused(0))
    )
    assert good[1] / good.sum() > 0.3
    assert noise[1] / noise.sum() < 0.3


def test_probabilities_of_test_pairs_are_those_that_come_true(run: TrainedRun):
    found = arm_retrieval(TEST, run._replace(ranking=ranking(), local=Local(rootsift=likeness(2, 1))))
    masks = found.masks(TEST.identity[TEST.query], TEST.identity[TEST.gallery])
    every = slice(0, len(TEST.query))
    open_, same = ~masks.excluded(every), masks.positive(every)
    said = probability(found.matrix[open_])
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 1.0)):
        inside = (said >= low) & (said < high)
        assert inside.sum() > 40
        assert same[open_][inside].mean() == pytest.approx(said[inside].mean(), abs=0.1)


def test_a_validation_query_is_ranked_by_what_other_identities_say(run: TrainedRun):
    local, validation = Local(rootsift=likeness(2, 1)), TEST.validation
    embedded = arm_retrieval(validation, run)
    made = fit_reranking(ranking(), validation, embedded, local)
    assert len({fusion.offset for fusion in (made.whole, *made.parts)}) == 6
    assert set(made.part[validation.query]) == set(range(5))
    for number, fusion in enumerate(made.parts):
        own = validation.manifest_rows[validation.query[made.part[validation.query] == number]]
        changed = likeness(2, 1)
        changed[own] = 0
        again = fit_reranking(ranking(), validation, embedded, Local(rootsift=changed)).parts[number]
        assert (again.offset, *again.weights) == (fusion.offset, *fusion.weights)
    scored = validate_runs([run._replace(ranking=ranking(), local=local)], SPLIT, MANIFEST, "role")
    assert scored["id_map"][0] == pytest.approx(id_map(run._replace(ranking=ranking(), local=local), validation))


@pytest.mark.parametrize("calibration", ["logistic", "isotonic"])
def test_a_fusion_is_stored_as_json(run: TrainedRun, calibration: str):
    embedded, local = arm_retrieval(TEST.validation, run), Local(rootsift=likeness(2, 1))
    made = fit_reranking(ranking(calibration=calibration), TEST, embedded, local).whole
    again = Fusion.of(json.loads(json.dumps(made.plain())))
    assert again.calibrations == made.calibrations and again.offset == made.offset
    np.testing.assert_array_equal(again.weights, made.weights)


def test_weights_are_those_given():
    scores = ranking(weights=[3.0, 1.0], fusion="sum")
    assert fit_reranking(scores, TEST, None, None).whole.weights == pytest.approx([0.75, 0.25])
    with pytest.raises(ValueError, match="'weights' are 1, 'scores' 2"):
        ranking(weights=[1.0])
    assert best_weights(lambda weights: -abs(weights[0] - 0.9), 2) == pytest.approx([0.875, 0.125])


def test_without_validation_pairs_calibration_says_what_to_use(run: TrainedRun):
    split = SPLIT.with_columns(role=pl.lit("test"))
    layout = Layout(split, MANIFEST, "role")
    with pytest.raises(ReidflowError, match="Set fusion: sum"):
        arm_retrieval(layout, run._replace(ranking=ranking(), local=Local(rootsift=likeness(1, 1))))
    summed = run._replace(ranking=ranking(fusion="sum"), local=Local(rootsift=likeness(1, 1)))
    assert np.isfinite(arm_retrieval(layout, summed).matrix).all()


@pytest.mark.parametrize("role", ["test", "val"])
def test_labels_of_test_images_decide_nothing_that_is_fitted(run: TrainedRun, role: str):
    """With `gallery: all`, validation queries are ranked among the images of test too, in the metric but in no fit."""
    fused = run._replace(ranking=ranking(), local=Local(rootsift=likeness(1, 1)))
    names = np.random.Generator(np.random.PCG64(1)).permutation(SPLIT.filter(pl.col("role") == "test")["identity"])
    relabelled = pl.concat([SPLIT.filter(pl.col("role") == "val")["identity"], pl.Series(names)])
    layouts = [Layout(split, MANIFEST, "all", role) for split in (SPLIT, SPLIT.with_columns(identity=relabelled))]
    one, other = (reranking(layout, fused) for layout in layouts)
    assert one.whole == replace(other.whole, weights=one.whole.weights)
    np.testing.assert_array_equal(one.whole.weights, other.whole.weights)
    assert [part.calibrations for part in one.parts] == [part.calibrations for part in other.parts]
    seen = [trials(each.validation, arm_retrieval(each.validation, fused)) for each in layouts]
    assert seen[0].gallery == PEOPLE * SHOTS
    np.testing.assert_array_equal(seen[0].without, seen[1].without)


def test_a_run_that_cannot_be_calibrated_is_named_and_a_diverged_one_ranks_nobody_first(run: TrainedRun):
    local = Local(rootsift=likeness(1, 1))
    wrong = np.where(IDENTITY[:, None] == IDENTITY, -100.0, 0.0) + likeness(0, 2)
    scores = [{"matcher": {"name": "rootsift"}}, "embedding"]
    short = run._replace(ranking=ranking(scores=scores, shortlist=2), local=Local(rootsift=wrong))
    with pytest.raises(UnfittedError, match=r"arm 'arm', seed 0: .* 2 candidates of its shortlist.*longer shortlist"):
        arm_retrieval(TEST, short)
    arm_retrieval(TEST, short._replace(ranking=ranking(scores=scores)))
    arm_retrieval(TEST, short._replace(ranking=ranking(scores=scores, shortlist=2, fusion="sum")))
    table = pl.read_parquet(run.folder / "embeddings.parquet")
    lost = pl.Series("vector", [[float("nan")] * DIM] * table.height, dtype=pl.List(pl.Float32))
    table.with_columns(lost).write_parquet(run.folder / "embeddings.parquet")
    assert not np.isfinite(arm_retrieval(TEST, run._replace(ranking=ranking(), local=local)).matrix).any()


def test_re_ranking_follows_the_fused_scores(run: TrainedRun):
    """With a local score that knows the truth, neighbours of neighbours are the identity's images alone."""
    step = ({"name": "k_reciprocal", "k1": 4, "k2": 2, "lambda_": 0.3},)
    local = Local(rootsift=likeness(30, 1))
    fused = run._replace(ranking=ranking(fusion="sum", weights=[0.01, 1.0]), local=local, inference=step)
    assert id_map(fused) == pytest.approx(1.0)
    assert id_map(run._replace(inference=step)) < 0.9


def test_a_tuned_ranking_is_chosen_by_its_own_validation_score(run: TrainedRun, tmp_path: Path):
    store = RunStore(tmp_path / "results" / ".store")

    def make(_: Path, out: Path) -> None:
        copytree(run.folder, out, dirs_exist_ok=True, ignore=lambda *_: ["results"])
        facts = {"geometry": {"name": "hypersphere"}, "diverged": False, "best_epoch": 1}
        (out / "provenance.json").write_text(json.dumps(facts))
        pl.DataFrame({"epoch": [1], "val_id_map": [0.0]}).write_parquet(out / "history.parquet")

    store.get_or_make("c0ffee", make)
    local = Local(rootsift=likeness(3, 1))
    points = [
        [
            {"ranking.shortlist": size},
            {"inference": [], "ranking": ranking(shortlist=size).model_dump(mode="json"), "seed": 0},
        ]
        for size in (2, 30, None)
    ]
    made = {"seed": 7, "key": "c0ffee", "members": ["c0ffee"], "split": 0, "spec": points[0][1]}
    (tmp_path / "job.json").write_text(json.dumps({"runs": [made]}))
    validates = ValidationRanking([SPLIT], MANIFEST, "role", local)
    grid = {"ranking.shortlist": [2, 30, None]}
    found = choose_tuned(grid, {"a": points}, [str(tmp_path / "job.json")], tmp_path / "results", validates)["a"]
    ranked = [run._replace(arm=str(size), ranking=ranking(shortlist=size), local=local) for size in (2, 30, None)]
    expected = validate_runs(ranked, SPLIT, MANIFEST, "role")["id_map"]
    assert [point["val_id_map"] for point in found["points"]] == pytest.approx(expected.to_list(), abs=1e-12)
    assert found["values"] == {"ranking.shortlist": (2, 30, None)[expected.arg_max()]}
    assert expected[0] < expected.max()


def test_arms_that_rank_otherwise_are_scored_apart(run: TrainedRun):
    own = run._replace(ranking=ranking(shortlist=5))
    assert len({one.scored_as for one in (run, own, run._replace(ranking=ranking(shortlist=6)))}) == 3
    assert run.plain and not own.plain
    with pytest.raises(ReidflowError, match="rootsift"):
        arm_retrieval(TEST, own)


def test_fitted_bits_do_not_depend_on_the_threads_of_the_blas():
    generator = np.random.default_rng(0)
    same = generator.random(200_003) < 0.02
    features = generator.standard_normal((len(same), 4)) + same[:, None] * [0.5, 1.0, 0.2, 0.8]
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            found.append(logistic_fit(features, same))
    assert found[0][1] == found[1][1]
    assert found[0][0].tolist() == found[1][0].tolist()
