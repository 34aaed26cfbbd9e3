"""Tables and statements of a report on geometries, against planted embeddings."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.geometry import tables as tables
from reidflow.analyses.geometry.findings import sections
from reidflow.analyses.geometry.tables import ARMS, RADII, RUNS, Embedded
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import pooled_metrics
from reidflow.evaluation.ranking import similarity_of
from reidflow.store.runs import RunStore

PEOPLE, EACH = 8, 4
IMAGES = [f"{who}{n}" for who in range(PEOPLE) for n in range(EACH)]
WHO = [f"person {name[0]}" for name in IMAGES]
SHARPNESS = np.tile([1.0, 2.0, 3.0, 4.0], PEOPLE)
GEOMETRIES = {
    "sphere": {"name": "hypersphere"},
    "inside": {"name": "poincare", "curvature": -1.0, "learned": True, "clip": 2.0, "scale": 0.1},
    "edge": {"name": "poincare", "curvature": -1.0, "learned": False, "clip": 2.0, "scale": 1.0},
    "broken": {"name": "lorentz", "curvature": -1.0, "learned": False, "clip": None, "scale": 1.0},
}
EXPERIMENT = SimpleNamespace(
    file=SimpleNamespace(baseline="sphere"),
    arms={
        name: SimpleNamespace(spec=SimpleNamespace(model=SimpleNamespace(geometry=geometry)))
        for name, geometry in GEOMETRIES.items()
    },
)


@pytest.fixture(scope="module")
def layout():
    training = [(f"t{who}-{n}", f"person {who}") for who in range(PEOPLE) for n in range(who + 1)]
    images = [*IMAGES, *(name for name, _ in training)]
    split = pl.DataFrame(
        {
            "image": images,
            "identity": [*WHO, *(who for _, who in training)],
            "group": images,
            "role": ["test"] * len(IMAGES) + ["train"] * len(training),
        }
    ).with_columns(side=pl.lit(None, pl.String))
    return Layout(split, split.select("image", flank=pl.lit(None, pl.String)), "role")


def planted(arm: str, seed: int) -> np.ndarray:
    """Directions by identity with noise; `inside`, sharper images lie farther out, those of rare identities too."""
    random = np.random.default_rng([seed, len(arm)])
    vectors = np.repeat(random.normal(size=(PEOPLE, 3)), EACH, axis=0) + 0.3 * random.normal(size=(len(IMAGES), 3))
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if arm == "sphere":
        return vectors
    if arm == "broken":
        return np.full((len(IMAGES), 3), np.nan)
    rare = np.repeat(np.arange(PEOPLE)[::-1], EACH)
    return directions * (0.9 if arm == "edge" else (0.1 + 0.15 * SHARPNESS + 0.03 * rare)[:, None])


def id_map_of(layout, vectors, similarity=None):
    return pooled_metrics([layout.score(layout.retrieval(vectors, vectors, similarity))[0]])["id_map"]


@pytest.fixture(scope="module")
def found(layout):
    runs = [
        Embedded(arm, seed, GEOMETRIES[arm]["name"], planted(arm, seed).astype(np.float32))
        for arm in GEOMETRIES
        for seed in (0, 1, 2)
    ]
    metrics, history = [], []
    for run in runs:
        similarity = similarity_of(run.geometry)
        scored = id_map_of(layout, run.vectors, similarity)
        broken = run.arm == "broken"
        about = {"arm": run.arm, "seed": run.seed}
        metrics.append(
            about | {"best_epoch": 1, "diverged": broken, "id_map": scored, "gradient_norm_max": 1.0 + run.seed}
        )
        for epoch in range(3):
            clipped = {"inside": 0.1, "edge": 0.5 * epoch}.get(run.arm) if epoch else None
            curvature = -1.0 - 0.1 * epoch * (run.seed + 1) if run.arm == "inside" and epoch else None
            history.append(about | {"epoch": epoch, "clipped": clipped, "curvature": curvature})
    kinds = {"clipped": pl.Float64, "curvature": pl.Float64}
    table = tables.runs_table(runs, layout, pl.DataFrame(metrics), pl.DataFrame(history, schema_overrides=kinds))
    lengths = tables.radii_table(runs, layout, SHARPNESS)
    return SimpleNamespace(embedded=runs, runs=table, radii=lengths, arms=tables.arms_table(EXPERIMENT, table, lengths))


def arm(found, name):
    return found.arms.row(by_predicate=pl.col("arm") == name, named=True)


def test_the_tables_keep_their_contracts(found):
    for table, contract in ((found.arms, ARMS), (found.runs, RUNS), (found.radii, RADII)):
        contract.check(table, "planted")


def test_each_run_is_ranked_by_the_cosine_as_well(found, layout):
    for run in found.embedded[:9]:
        row = found.runs.row(by_predicate=(pl.col("arm") == run.arm) & (pl.col("seed") == run.seed), named=True)
        cosine = id_map_of(layout, run.vectors)
        assert row["id_map_cosine"] == pytest.approx(cosine)
        if run.arm in ("sphere", "edge"):
            assert row["id_map"] == pytest.approx(cosine, abs=1e-4)
    assert arm(found, "inside")["id_map"] < arm(found, "inside")["id_map_cosine"] - 0.01
    assert arm(found, "inside")["cosine_better"] == 3


def test_stability_comes_from_the_last_epoch_and_the_kept_weights(found):
    assert [arm(found, name)["clipped"] for name in GEOMETRIES] == [None, pytest.approx(0.1), 1.0, None]
    inside = arm(found, "inside")
    assert (inside["curvature_low"], inside["curvature_high"]) == (pytest.approx(-1.3), pytest.approx(-1.1))
    assert inside["gradient_norm_max"] == 3.0
    assert [arm(found, name)["divergence"] for name in GEOMETRIES] == [0, 0, 0, 1]


def test_radii_show_planted_sharpness_and_rarity(found):
    inside = arm(found, "inside")
    assert inside["sharpness"] > 0.6
    assert inside["sharpness_low"] > 0.5
    assert inside["rarity"] == pytest.approx(-1)
    lengths = found.radii.filter(pl.col("arm") == "inside")
    assert lengths["radius"][0] == pytest.approx(2 * np.arctanh(0.1 + 0.15 + 0.21), rel=1e-5)
    assert lengths["train_images"].to_list() == [who + 1 for who in range(PEOPLE) for _ in range(EACH)]


def test_equal_radii_and_broken_runs_have_no_correlation(found):
    for name in ("edge", "broken"):
        assert arm(found, name)["sharpness"] is None
    assert arm(found, "broken")["radius"] is None
    assert arm(found, "edge")["radius"] == pytest.approx(2 * np.arctanh(0.9), rel=1e-4)


def test_projections_show_the_largest_identities_of_the_first_finite_run(found, layout, monkeypatch):
    monkeypatch.setattr(tables, "SHOWN", 3)
    projections = tables.projections(found.embedded, layout)
    assert list(projections) == ["sphere", "inside", "edge"]
    edge = projections["edge"]
    assert (edge.geometry, edge.points.shape) == ("poincare", (12, 2))
    assert set(edge.identities) == {"person 0", "person 1", "person 2"}
    assert edge.rho > 0.5


def test_shuffled_features_keep_their_columns_and_lose_what_images_share():
    random = np.random.default_rng(0)
    features = np.repeat(10 * random.normal(size=(10, 60)), 6, axis=0) + random.normal(size=(60, 60))
    deltas = tables.feature_deltas(features)
    assert deltas == tables.feature_deltas(features)
    assert set(deltas) == {"features", "shuffled"}
    assert all(0 < value < 1 for value in deltas.values())
    assert deltas["features"] != pytest.approx(deltas["shuffled"], rel=0.05)


def test_statements_hold_the_planted_numbers(found):
    parts = sections(found.arms, {"features": 0.2, "shuffled": 0.1})
    text, inside = " ".join(line for part in parts for line in part.statements), arm(found, "inside")
    assert "Diverged at the learning rate selected for them: **broken** (100% of its runs)." in text
    assert "at least 90% of the embeddings of **edge** are at the limit of their radius" in text
    assert "**inside** 10% of the training embeddings" in text
    assert "The curvature of **inside** went from -1.000 to between -1.300 and -1.100." in text
    assert f"**inside** scores {inside['id_map']:.3f} by its own distance and {inside['id_map_cosine']:.3f}" in text
    assert "higher in 3 of 3 runs" in text
    assert "The cosine changes the mean mAP of **edge** by less than 0.0005." in text
    assert f"Sharper test images are farther from the origin in **inside** ({inside['sharpness']:+.2f}" in text
    assert f"more training images are nearer to the origin in **inside** ({inside['rarity']:+.2f}" in text
    assert "It is 0.20 for the frozen features of the test images, and 0.10 with" in text
    assert f"**inside** {inside['gromov_delta']:.2f}" in text
    (table,) = next(part.tables for part in parts if part.title == "Ranked by their distance, and by the cosine")
    assert table.headings == ["arm", "by its distance", "by the cosine", "runs", "cosine better"]


def test_without_frozen_features_nothing_is_said_of_them(found):
    assert "frozen" not in sections(found.arms, None)[-1].text


def test_embeddings_are_read_in_the_order_of_the_evaluated_images(tmp_path, layout):
    store = RunStore(tmp_path)
    vectors = planted("sphere", 0).astype(np.float32)
    turned = list(range(len(IMAGES)))[::-1]
    table = pl.DataFrame(
        {
            "image": [IMAGES[i] for i in turned],
            "role": ["test"] * len(IMAGES),
            "stage": ["final"] * len(IMAGES),
            "vector": pl.Series(vectors[turned].tolist(), dtype=pl.List(pl.Float32)),
        }
    )
    store.get_or_make("k", lambda work, out: table.write_parquet(out / "embeddings.parquet"))
    metrics = pl.DataFrame({"arm": ["inside"], "seed": [5], "run": ["k"]})
    (run,) = tables.embedded(EXPERIMENT, metrics, layout, store)
    assert (run.arm, run.seed, run.geometry) == ("inside", 5, "poincare")
    np.testing.assert_array_equal(run.vectors, vectors)
