"""What an arm answers is what it is measured with: plain runs, inference, mirror images and ensembles."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.latency import ANSWERS, answer_times
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.ranked_runs import ranked_runs, shown_runs
from reidflow.evaluation.retrieval_queries import RANKED
from reidflow.evaluation.runs import TrainedRun, arm_retrieval

IDENTITIES = [name for name in "ABCD" for _ in range(4)]
IMAGES = [f"{name}{n}" for n, name in enumerate(IDENTITIES)]
SPLIT = pl.DataFrame(
    {"image": IMAGES, "identity": IDENTITIES, "group": IMAGES, "role": ["test"] * 12 + ["train"] * 4},
).with_columns(side=pl.lit(None, pl.String))
MANIFEST = pl.DataFrame({"image": IMAGES}).with_columns(flank=pl.lit(None, pl.String))
LAYOUT = Layout(SPLIT, MANIFEST, "role")


def vectors(seed: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((12, 5)).astype(np.float32)


def embeddings(seed: int, **more) -> pl.DataFrame:
    columns = {"image": IMAGES[:12], "vector": pl.Series(vectors(seed).tolist(), dtype=pl.List(pl.Float32))}
    return pl.DataFrame(columns).with_columns(**{name: pl.lit(value) for name, value in more.items()})


@pytest.fixture
def runs(tmp_path: Path) -> list[TrainedRun]:
    folders = {}
    for seed in (1, 2):
        folder = folders[f"run{seed}"] = tmp_path / f"run{seed}"
        folder.mkdir()
        (folder / "provenance.json").write_text(json.dumps({"geometry": {"name": "hypersphere"}}))
        embeddings(seed, stage="final").write_parquet(folder / "embeddings.parquet")
    one, both = ("run1", folders["run1"]), tuple(folders.items())
    return [
        TrainedRun("plain", 7, *one),
        TrainedRun("plain", 8, "run2", folders["run2"]),
        TrainedRun("expanded", 7, *one, inference=({"name": "query_expansion", "k": 2},)),
        TrainedRun("mirrored", 7, *one, inference=({"name": "flip"},)),
        TrainedRun("joined", 7, *one, both, "concatenate"),
        TrainedRun("averaged", 7, *one, both, "average"),
    ]


MIRRORED = embeddings(9, run="run1")


def test_each_arm_is_measured_once_with_what_it_ranks(runs: list[TrainedRun]):
    found = answer_times("an experiment", runs, LAYOUT, MIRRORED)
    ANSWERS.check(found, "here")
    assert found["arm"].to_list() == ["plain", "expanded", "mirrored", "joined", "averaged"]
    assert set(found["seed"]) == {7}
    assert set(found["queries"]) == set(found["gallery"]) == {12}
    assert found["dimensions"].to_list() == [5, 5, 5, 10, 5]
    seconds = found.select("seconds_inference", "seconds_ranking", "ms_per_query")
    assert (seconds.to_numpy() >= 0).all()
    together = seconds["seconds_inference"] + seconds["seconds_ranking"]
    assert (seconds["ms_per_query"] - 1000 * together / 12).abs().max() < 1e-9


def test_what_is_ranked_is_what_the_arm_asks_for(runs: list[TrainedRun]):
    plain, _, expanded, mirrored, together, averaged = (arm_retrieval(LAYOUT, made, MIRRORED) for made in runs)
    assert (plain.queries == vectors(1)).all() and plain.matrix is None
    assert not np.allclose(expanded.queries, plain.queries) and (expanded.gallery == plain.gallery).all()
    own, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors(1), vectors(9)))
    mean = own + other
    np.testing.assert_allclose(mirrored.queries, mean / np.linalg.norm(mean, axis=1, keepdims=True), rtol=0, atol=1e-6)
    second = vectors(2) / np.linalg.norm(vectors(2), axis=1, keepdims=True)
    cosines = (own @ own.T + second @ second.T) / 2
    np.testing.assert_allclose(averaged.matrix, cosines, atol=1e-6)
    np.testing.assert_allclose(together.queries @ together.gallery.T / 2, cosines, atol=1e-6)


def test_the_pictures_show_the_ranking_after_the_inference(runs: list[TrainedRun]):
    results = pl.DataFrame(
        {"arm": ["plain", "averaged"], "id_map": [0.1, 0.2], "val_id_map": [0.1, 0.2], "baseline": [True, False]}
    )
    shown = shown_runs(runs, results)
    found = ranked_runs(LAYOUT, shown)
    RANKED.check(found, "here")
    assert [(made.arm, made.seed) for made in shown] == [("plain", 7), ("averaged", 7)]
    averaged = arm_retrieval(LAYOUT, runs[-1])
    own = found.filter((pl.col("arm") == "averaged") & (pl.col("query") == IMAGES[3]))
    order = [IMAGES[place] for place in np.argsort(-averaged.matrix[3], kind="stable") if place != 3]
    assert own["image"].to_list() == order[:10]
    assert own["similarity"].to_list() == pytest.approx(
        sorted(np.delete(averaged.matrix[3], 3), reverse=True)[:10], abs=1e-6
    )
    assert ranked_runs(LAYOUT, []).is_empty()
