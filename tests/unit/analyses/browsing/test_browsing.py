"""What can be browsed is what a brute-force ranking of the stored embeddings finds, with each image's own thumbnail."""

import io
import json

import numpy as np
import polars as pl
import pytest
from browsed_runs import GEOMETRIES, GROUPS, IDENTITIES, IMAGES, LAYOUT, TEST, photographs, run_in, vectors
from PIL import Image
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from reidflow.analyses.browsing.images import BYTES, MOST, browsed, thumbnails
from reidflow.analyses.browsing.queries import described
from reidflow.evaluation.ranked_runs import ranked_runs
from reidflow.evaluation.retrieval_queries import RANKED
from reidflow.evaluation.runs import arm_retrieval


@pytest.fixture
def runs(tmp_path):
    return [run_in(tmp_path, geometry) for geometry in GEOMETRIES]


def per_query(runs):
    tables = [LAYOUT.score(arm_retrieval(LAYOUT, run))[1] for run in runs]
    named = [
        table.with_columns(arm=pl.lit(run.arm), seed=pl.lit(run.seed)) for run, table in zip(runs, tables, strict=True)
    ]
    return pl.concat(named)


def found_in(runs, most=MOST):
    ranked = ranked_runs(LAYOUT, runs)
    images, queries = browsed(LAYOUT, ranked, most)
    spaces = {run.arm: run.arm for run in runs}
    found = described(LAYOUT, runs, spaces, ranked, per_query(runs), images, queries)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def brute_force(geometry):
    """Return the similarities (42, 42) of the test images by scikit-learn or, in the ball, by the textbook formula."""
    own = vectors(geometry).astype(np.float64)
    if geometry == "hypersphere":
        return cosine_similarity(own)
    if geometry == "euclidean":
        return -euclidean_distances(own)
    gaps = 1 - np.square(own).sum(axis=1)
    return -np.arccosh(1 + 2 * euclidean_distances(own, squared=True) / (gaps[:, None] * gaps))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_candidates_similarities_and_ap_are_those_of_a_brute_force_ranking(runs, geometry):
    found = found_in(runs)
    names = [image for image, _ in found["images"]]
    who = {image: found["identities"][identity] for image, identity in found["images"]}
    assert who == dict(zip(IMAGES[:TEST], IDENTITIES[:TEST], strict=True)) and found["of"] == TEST
    similar = brute_force(geometry)
    arm = next(arm for arm in found["arms"] if arm["arm"] == geometry)
    assert sorted(names[image] for image, _, _ in arm["queries"]) == IMAGES[:TEST]
    for image, ap, best in arm["queries"]:
        row = IMAGES.index(names[image])
        others = [n for n in range(TEST) if GROUPS[n] != GROUPS[row]]
        order = sorted(others, key=lambda n: -similar[row, n])[:10]
        assert [names[candidate] for candidate, _ in best] == [IMAGES[n] for n in order]
        assert [value for _, value in best] == pytest.approx(similar[row, order].tolist(), abs=1e-4)
        right = [IDENTITIES[n] == IDENTITIES[row] for n in others]
        assert ap == pytest.approx(average_precision_score(right, similar[row, others]), abs=1e-4)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_neighbours_on_the_map_are_neighbours_in_the_space_of_the_run(runs, geometry):
    found = found_in(runs)
    rows = [IMAGES.index(image) for image, _ in found["images"]]
    points = np.array(next(arm for arm in found["arms"] if arm["arm"] == geometry)["points"])
    assert np.abs(points).max() == pytest.approx(1)
    near = np.argsort(euclidean_distances(points), axis=1)[:, 1:6]
    true = np.argsort(-brute_force(geometry)[np.ix_(rows, rows)], axis=1)[:, 1:6]
    kept = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(near, true, strict=True)])
    assert kept > 0.45


def test_embeddings_that_are_not_finite_are_on_no_map_and_no_match_has_no_ap(tmp_path):
    values = vectors("euclidean")
    values[3] = np.nan
    found = found_in([run_in(tmp_path, "euclidean", values)])
    points = found["arms"][0]["points"]
    assert [found["images"][n][0] for n, point in enumerate(points) if point is None] == [IMAGES[3]]
    unmatched = per_query([run_in(tmp_path, "hypersphere")]).with_columns(ap=pl.lit(None, pl.Float64))
    runs = [run_in(tmp_path, "poincare")]
    ranked = ranked_runs(LAYOUT, runs)
    images, queries = browsed(LAYOUT, ranked)
    unmatched = unmatched.with_columns(arm=pl.lit("poincare"))
    found = described(LAYOUT, runs, {"poincare": "poincare"}, ranked, unmatched, images, queries)
    assert {ap for _, ap, _ in found["arms"][0]["queries"]} == {None}


def test_of_too_many_images_queries_are_taken_in_turn_with_all_their_candidates(runs):
    ranked = ranked_runs(LAYOUT, runs)
    images, queries = browsed(LAYOUT, ranked, 35)
    assert len(images) <= 35 and 2 <= len(queries) < TEST
    shown = ranked.filter(pl.col("query").is_in(queries))
    assert set(shown["image"]) | set(queries) == set(images["image"])
    assert images.rows() == sorted(images.rows(), key=lambda row: row[::-1])
    turns = [f"folder/{n:02d}.jpg" for n in range(TEST)]
    assert queries == turns[: len(queries)]
    assert browsed(LAYOUT, ranked.sample(fraction=1, shuffle=True, seed=1), 35)[1] == queries
    found = found_in(runs, 35)
    assert found["of"] == TEST and [len(arm["queries"]) for arm in found["arms"]] == [len(queries)] * 3


def test_without_a_run_that_can_be_shown_there_is_nothing_to_browse():
    images, queries = browsed(LAYOUT, RANKED.empty())
    assert images.is_empty() and queries == []
    assert Image.open(io.BytesIO(thumbnails(photographs(), []).jpeg)).format == "JPEG"


@pytest.mark.parametrize("rows", [[5, 0, 47, 12, 30], list(range(47, -1, -1))])
def test_each_thumbnail_is_at_the_place_of_its_image(rows):
    images, sheet = photographs(), thumbnails(photographs(), rows)
    canvas = np.asarray(Image.open(io.BytesIO(sheet.jpeg))).astype(float)
    for place, row in enumerate(rows):
        y, x = place // sheet.columns * sheet.tile, place % sheet.columns * sheet.tile
        tile = canvas[y : y + sheet.tile, x : x + sheet.tile]
        away = [
            np.abs(tile - np.asarray(Image.fromarray(image).resize((sheet.tile,) * 2), dtype=float)).mean()
            for image in images
        ]
        assert int(np.argmin(away)) == row and min(away) < 6


def test_the_thumbnails_of_as_many_images_as_there_may_be_fit_on_a_page():
    noise = np.random.default_rng(0).integers(0, 256, (4, 60, 60, 3), dtype=np.uint8)
    sheet = thumbnails(noise, [n % 4 for n in range(MOST)])
    assert len(sheet.jpeg) < BYTES and sheet.jpeg == thumbnails(noise, [n % 4 for n in range(MOST)]).jpeg
    assert Image.open(io.BytesIO(sheet.jpeg)).size == (sheet.columns * sheet.tile, 39 * sheet.tile)
