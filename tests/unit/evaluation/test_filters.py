"""What is ignored for a query, and distractors, by hand and against the evaluation that Market-1501 is published with."""

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import pooled_metrics
from reidflow.evaluation.retrieval_queries import Retrieval, best_candidates
from reidflow.ingest.sources import market1501
from reidflow.retrieval.inference import database_augmentation, k_reciprocal, query_expansion
from reidflow.spec.components import resolve
from reidflow.splits.candidates import joined_groups
from reidflow.splits.split import split_images
from reidflow.training.data import RunData
from reidflow.training.validation import Validation


def eval_market1501(distances, query_identity, gallery_identity, query_camera, gallery_camera, ranks=10):
    """Return mAP and CMC as torchreid and fast-reid compute them: one query after another, over a sorted gallery."""
    precisions, curves = [], []
    for q, order in enumerate(np.argsort(distances, axis=1)):
        removed = (gallery_identity[order] == query_identity[q]) & (gallery_camera[order] == query_camera[q])
        matches = (gallery_identity[order] == query_identity[q])[~removed].astype(int)
        if not matches.any():
            continue
        curves.append(np.minimum(matches.cumsum(), 1)[:ranks])
        precision = matches.cumsum() / np.arange(1, len(matches) + 1)
        precisions.append((precision * matches).sum() / matches.sum())
    return np.mean(precisions), np.mean(curves, axis=0), len(precisions)


def layout_of(query, gallery, facets=("camera",), groups=None, gallery_rule="role"):
    """Return the layout of rows (identity, *values of the facets); identity None: a distractor."""
    rows = [(*row, "query") for row in query] + [(*row, "gallery") for row in gallery]
    names = [f"{i:04d}" for i in range(len(rows))]
    ignored = [[None if v is None else f"{f}={v}" for f, v in zip(facets, row[1:-1], strict=True)] for row in rows]
    split = pl.DataFrame(
        {
            "image": names,
            "identity": [row[0] for row in rows],
            "group": groups or names,
            "role": ["test"] * len(rows),
            "side": [row[-1] for row in rows],
            "ignored": ignored,
        },
        schema_overrides={"identity": pl.String, "ignored": pl.List(pl.String)},
    )
    manifest = pl.DataFrame({"image": names}).with_columns(flank=pl.lit(None, pl.String))
    return Layout(split, manifest, gallery_rule)


def along_a_circle(*similarities):
    return np.array([[s, np.sqrt(1 - s * s)] for s in similarities], np.float32)


QUERY = along_a_circle(1.0)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"


def metrics_of(layout, queries, gallery):
    found, _ = layout.score(layout.retrieval(queries, gallery, None))
    return pooled_metrics([found])


def test_a_gallery_with_images_by_the_same_camera_and_distractors_by_hand():
    gallery = [("a", "1"), ("b", "1"), ("a", "2"), (None, "3"), ("a", "3"), ("b", "2")]
    layout = layout_of([("a", "1")], gallery)
    found = metrics_of(layout, QUERY, along_a_circle(0.9, 0.8, 0.7, 0.6, 0.5, 0.4))
    # Without the first, which the query's camera took: b, a, nobody, a, b.
    assert found["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (found["top1"], found["top5"], found["queries"], found["skipped"]) == (0.0, 1.0, 1, 0)
    s, h = 1 / 4, sum(1 / n for n in range(1, 6))
    assert found["chance"] == pytest.approx(s + (1 - s) * h / 5)
    assert found["id_map_unfiltered"] == found["map"]


def test_only_the_query_identity_is_ignored_and_an_unknown_camera_is_shared_with_none():
    layout = layout_of([("a", "1"), ("a", None)], [("b", "1"), ("a", None), ("a", "1"), (None, "1")])
    masks = layout.masks()
    excluded = masks.excluded(slice(0, 2))
    assert excluded.tolist() == [[False, False, True, False], [False, False, False, False]]
    assert masks.positive(slice(0, 2)).tolist() == [[False, True, True, False]] * 2


def test_of_several_facets_one_that_is_shared_is_enough_and_own_groups_stay_out():
    gallery = [("a", "1", "x"), ("a", "2", "y"), ("a", "2", "x"), ("a", "3", "z")]
    layout = layout_of([("a", "1", "y")], gallery, ("camera", "site"), ["q", "0", "1", "2", "q"])
    masks = layout.masks()
    assert masks.excluded(slice(0, 1)).tolist() == [[True, True, False, True]]
    assert masks.excluded(slice(0, 1), groups=False).tolist() == [[True, True, False, False]]


def market(seed, queries=40, size=300):
    random = np.random.Generator(np.random.PCG64(seed))
    query = list(zip(random.integers(0, 12, queries), random.integers(0, 4, queries), strict=True))
    gallery = list(zip(random.integers(-1, 16, size), random.integers(0, 4, size), strict=True))
    vectors = random.standard_normal((queries + size, 6)).astype(np.float32)
    return query, gallery, vectors[:queries], vectors[queries:]


def named(rows):
    return [(None if identity < 0 else f"{identity:02d}", str(camera)) for identity, camera in rows]


@pytest.mark.parametrize("seed", range(8))
def test_map_and_cmc_are_those_of_the_published_evaluation(seed):
    query, gallery, probes, ranked = market(seed)
    unit = [v / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True) for v in (probes, ranked)]
    codes = [np.array([row[place] for row in rows]) for place in (0, 1) for rows in (query, gallery)]
    expected, curve, used = eval_market1501(1 - unit[0] @ unit[1].T, *codes)
    found = metrics_of(layout_of(named(query), named(gallery)), probes, ranked)
    assert found["map"] == pytest.approx(expected, abs=1e-9)
    assert [found[f"top{k}"] for k in (1, 5, 10)] == pytest.approx([curve[k - 1] for k in (1, 5, 10)])
    assert found["queries"] == used
    unfiltered, *_ = eval_market1501(1 - unit[0] @ unit[1].T, *codes[:3], codes[3] + 100)
    assert unfiltered > expected


def test_precisions_of_a_layout_are_those_of_its_queries():
    query, gallery, probes, ranked = market(3)
    layout = layout_of(named(query), named(gallery))
    _, table = layout.score(layout.retrieval(probes, ranked, None))
    values = layout.average_precisions(probes, ranked)
    assert np.array_equal(values, table["ap"].fill_null(np.nan).to_numpy(), equal_nan=True)
    assert table["identity"].null_count() == 0


def test_distractors_form_no_cluster():
    query, gallery, probes, ranked = market(1)
    found = metrics_of(layout_of(named(query), named(gallery)), probes, ranked)
    known = [identity >= 0 for identity, _ in gallery]
    without = [row for row, kept in zip(gallery, known, strict=True) if kept]
    other = metrics_of(layout_of(named(query), named(without)), probes, ranked[known])
    assert found["nmi"] == other["nmi"] and found["map"] < other["map"]


@pytest.mark.parametrize("method", [query_expansion, database_augmentation, k_reciprocal])
def test_inference_treats_what_is_ignored_as_it_treats_the_own_group(method):
    query, gallery, probes, ranked = market(5)
    retrieval = layout_of(named(query), named(gallery)).retrieval(probes, ranked, None)
    shared = retrieval.query_ignored, retrieval.gallery_ignored
    alone = Retrieval(probes, ranked, query_ignored=shared[0], gallery_ignored=shared[1])
    grouped = Retrieval(probes, ranked, query_group=shared[0][:, 0], gallery_group=shared[1][:, 0])
    plain, settings = Retrieval(probes, ranked), {"k1": 8, "k2": 3} if method is k_reciprocal else {"k": 4}
    found, expected, other = (best_candidates(method.apply(one, **settings), 20)[0] for one in (alone, grouped, plain))
    assert np.array_equal(found, expected) and not np.array_equal(found, other)


def test_validation_during_training_follows_the_filters():
    query, gallery, probes, ranked = market(2)
    layout = layout_of(named(query), named(gallery))
    split = layout.table
    data = RunData(
        split["image"].to_list(),
        split["identity"].to_list(),
        joined_groups(split),
        ["val"] * len(split),
        features=np.zeros((len(split), 1, 6)),
        sides=split["side"].to_list(),
    )
    validation = Validation(data, "hypersphere")
    vectors = np.concatenate([probes, ranked])
    assert np.array_equal(validation.rows, np.arange(len(split)))
    expected = metrics_of(layout, probes, ranked)["id_map"]
    assert validation.id_map(vectors) == pytest.approx(expected, abs=1e-12)


def test_a_folder_in_the_form_of_market_1501_is_scored_from_its_files_on_as_published(tmp_path):
    random = np.random.Generator(np.random.PCG64(0))
    names = [f"bounding_box_train/{k:04d}_c{i % 3 + 1}s1_{i:06d}_00.jpg" for k in range(1, 5) for i in range(6)]
    names += [f"query/{k:04d}_c{c}s1_{c:06d}_00.jpg" for k in range(5, 9) for c in (1, 2)]
    names += [f"bounding_box_test/{k:04d}_c{i % 3 + 1}s1_{i:06d}_01.jpg" for k in range(5, 9) for i in range(6)]
    names += [f"bounding_box_test/{k}_c{i + 1}s1_{i:06d}_00.jpg" for k in ("0000", "-1") for i in range(3)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    rows = market1501.open_source(path=str(tmp_path)).rows
    assert len(rows) == len(names) - 3 and not any("/-1_" in row.path for row in rows)
    fields = ("image", "identity", "role", "side", "camera", "group", "flank")
    columns = {name: [getattr(row, name) for row in rows] for name in fields}
    manifest = pl.DataFrame(columns, schema=dict.fromkeys(fields, pl.String))
    manifest = manifest.with_columns(pixels=pl.col("image"), visible=pl.lit(None, pl.String))
    known = manifest.filter(pl.col("identity").is_not_null())
    groups = known.select("image", "identity", group="image", block="image")
    method = resolve("split", {"name": "column", "val": 0.3})
    split = split_images(manifest, groups, method, "role", ignore=["camera"])
    assert dict(split.group_by("role").len().iter_rows()).keys() == {"train", "val", "test"}
    layout = Layout(split, manifest, "role")
    vectors = random.standard_normal((len(split), 5)).astype(np.float32)
    found = metrics_of(layout, vectors[layout.query], vectors[layout.gallery])

    parts = [
        [name.split("/")[1].split("_") for name in split["image"].gather(side)]
        for side in (layout.query, layout.gallery)
    ]
    codes = [
        np.array([int(part[place].lstrip("c")[: 4 if place == 0 else 1]) for part in side])
        for place in (0, 1)
        for side in parts
    ]
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    expected, curve, used = eval_market1501(1 - unit[layout.query] @ unit[layout.gallery].T, *codes)
    assert (len(layout.query), len(layout.gallery), used) == (8, 24 + 3, 8)
    assert (found["map"], found["top1"]) == (pytest.approx(expected, abs=1e-9), pytest.approx(curve[0]))
