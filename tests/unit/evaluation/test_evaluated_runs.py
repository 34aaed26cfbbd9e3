import json

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.runs import (
    ALSO_ON,
    ALSO_ON_QUERIES,
    EFFICIENCY,
    HISTORY,
    METRICS,
    PER_QUERY,
    TrainedRun,
    evaluate_further_split,
    evaluate_runs,
    of_runs,
    of_seeds,
)
from reidflow.store.tables import read_table, write_table

IMAGES = [f"{identity}{n}" for identity in "abc" for n in range(3)]
SPLIT = pl.DataFrame(
    {
        "image": IMAGES,
        "identity": [name[0] for name in IMAGES],
        "group": IMAGES,
        "role": ["test"] * len(IMAGES),
        "side": [None] * len(IMAGES),
    },
    schema_overrides={"side": pl.String},
)
MANIFEST = pl.DataFrame({"image": IMAGES, "flank": [None] * len(IMAGES)}, schema_overrides={"flank": pl.String})


def write_run(folder, kept: int, validation: list[float | None], active: list[float | None], drawn: int | None = None):
    folder.mkdir()
    vectors = (
        np.random.default_rng(kept if drawn is None else drawn).standard_normal((len(IMAGES), 4)).astype(np.float32)
    )
    pl.DataFrame(
        {
            "image": IMAGES * 2,
            "role": ["test"] * 2 * len(IMAGES),
            "stage": ["initial"] * len(IMAGES) + ["final"] * len(IMAGES),
            "vector": [*vectors.tolist(), *vectors.tolist()],
        },
        schema_overrides={"vector": pl.List(pl.Float32)},
    ).write_parquet(folder / "embeddings.parquet")
    epochs = len(validation)
    history = {
        "epoch": list(range(epochs)),
        "loss": [None] + [1.0] * (epochs - 1),
        "val_id_map": validation,
        "learning_rate": [0.1] * epochs,
        "gradient_norm": [None] + [1.0] * (epochs - 1),
        "gradient_norm_max": [None] + [2.0] * (epochs - 1),
        "steps": list(range(epochs)),
        "active": active,
        "hardness": active,
        **dict.fromkeys(("size", "curvature", "clipped"), [None] * epochs),
    }
    floats = dict.fromkeys(("val_id_map", "active", "hardness", "curvature", "clipped"), pl.Float64)
    pl.DataFrame(history, schema_overrides={**floats, "size": pl.Int64}).write_parquet(folder / "history.parquet")
    counts = (
        "epochs",
        "steps",
        "train_images",
        "parameters",
        "trainable_parameters",
        "loss_parameters",
        "flops",
        "train_flops",
    )
    facts = {**dict.fromkeys(counts, 1), "best_epoch": kept, "diverged": False, "versions": {"torch": "2"}}
    (folder / "provenance.json").write_text(json.dumps({**facts, "device": "cpu", "geometry": {"name": "hypersphere"}}))
    efficiency = {"seconds": 1.0, "images_per_second": None, "peak_memory_mb": 1.0, "device": "cpu"}
    (folder / "efficiency.json").write_text(json.dumps(efficiency))
    return folder


@pytest.fixture
def tables(tmp_path):
    runs = [
        TrainedRun("a", 5, "best", write_run(tmp_path / "best", 1, [0.1, 0.7, 0.4], [None, 0.9, 0.8])),
        TrainedRun("a", 6, "last", write_run(tmp_path / "last", 2, [0.1, 0.7, 0.4], [None, None, None])),
        TrainedRun("b", 7, "untold", write_run(tmp_path / "untold", 2, [None, None, None], [None, 0.5, 0.6])),
    ]
    return evaluate_runs(runs, [SPLIT], MANIFEST, "role")


def test_the_validation_score_is_that_of_the_weights_that_were_kept(tables):
    assert tables["metrics"]["val_id_map"].to_list() == [0.7, 0.4, None]
    assert tables["metrics"]["run"].to_list() == ["best", "last", "untold"]
    assert tables["metrics"]["arm"].to_list() == ["a", "a", "b"]


def test_a_run_that_two_arms_share_stands_in_the_tables_of_both(tmp_path):
    folder = write_run(tmp_path / "shared", 1, [0.1, 0.7], [None, 0.9])
    shared = evaluate_runs(
        [TrainedRun("a", 0, "k", folder), TrainedRun("b", 0, "k", folder)], [SPLIT], MANIFEST, "role"
    )
    for table in shared.values():
        own = {arm: table.filter(pl.col("arm") == arm).drop("arm") for arm in "ab"}
        assert own["a"].equals(own["b"]) and not own["a"].is_empty()


def test_the_untrained_network_is_scored_like_the_trained_one(tables):
    # The runs of this file have the same vectors before and after training.
    metrics = tables["metrics"]
    assert metrics["id_map_untrained"].to_list() == metrics["id_map"].to_list()
    assert metrics["id_map"].is_not_nan().all()


def test_the_history_carries_what_the_loss_counted(tables):
    by_seed = dict(tables["history"].group_by("seed").agg("active").iter_rows())
    assert by_seed == {5: [None, 0.9, 0.8], 6: [None] * 3, 7: [None, 0.5, 0.6]}
    assert tables["history"]["hardness"].equals(tables["history"]["active"].alias("hardness"))


def test_the_tables_keep_their_contracts(tables, tmp_path):
    contracts = {"metrics": METRICS, "per_query": PER_QUERY, "history": HISTORY, "efficiency": EFFICIENCY}
    for name, contract in contracts.items():
        write_table(tables[name], tmp_path / f"{name}.parquet", contract)
        assert read_table(tmp_path / f"{name}.parquet", contract).equals(tables[name])


def test_runs_on_a_further_split_carry_its_label(tmp_path):
    run = TrainedRun("a", 5, "best", write_run(tmp_path / "best", 1, [0.1, 0.7, 0.4], [None, 0.9, 0.8]))
    plain = evaluate_runs([run], [SPLIT], MANIFEST, "role")
    for name, contract, found in zip(
        ("metrics", "per_query"),
        (ALSO_ON, ALSO_ON_QUERIES),
        evaluate_further_split("closed", [run], SPLIT, MANIFEST, "role"),
        strict=True,
    ):
        contract.check(found, "here")
        assert set(found["label"]) == {"closed"}
        assert found.drop("label").equals(plain[name])


def fold(tested: str) -> pl.DataFrame:
    return SPLIT.with_columns(
        role=pl.when(pl.col("image").is_in(tested.split())).then(pl.lit("test")).otherwise(pl.lit("train"))
    )


def average_precision(vectors, query, candidates):
    """The average precision of a query by the cosine, straight from its definition; nothing is tied."""
    cosine = {name: float(vectors[query] @ vectors[name] / np.linalg.norm(vectors[name])) for name in candidates}
    ranked = sorted(candidates, key=lambda name: -cosine[name])
    hits = [place for place, name in enumerate(ranked, 1) if name[0] == query[0]]
    return sum(n / place for n, place in enumerate(hits, 1)) / len(hits), hits[0]


def test_queries_of_all_folds_are_pooled_each_ranked_in_its_own_gallery(tmp_path):
    # Identity a is tested in both folds, with three queries in one and two in the other.
    tested = ["a0 a1 a2 b0 b1", "b2 c0 c1 c2 a0 a1"]
    keys = [(seed, number) for number in range(2) for seed in (5, 6)]
    folders = {
        key: write_run(tmp_path / f"{key}", 1, [0.1, 0.2 + 0.1 * key[1]], [None, 0.9], drawn=10 * key[0] + key[1])
        for key in keys
    }
    runs = [TrainedRun("a", seed, f"{seed}{number}", folders[seed, number], split=number) for seed, number in keys]
    found = evaluate_runs(runs, [fold(images) for images in tested], MANIFEST, "role")
    ap = {}
    for seed, number in keys:
        table = pl.read_parquet(folders[seed, number] / "embeddings.parquet").filter(pl.col("stage") == "final")
        vectors = {image: np.array(vector) for image, vector in table.select("image", "vector").iter_rows()}
        images = tested[number].split()
        for query in images:
            others = [name for name in images if name != query]
            if any(name[0] == query[0] for name in others):
                ap[seed, number, query] = average_precision(vectors, query, others)
    per_query = found["per_query"].filter(pl.col("ap").is_not_null())
    stored = {tuple(key): value for *key, value in per_query.select("seed", "split", "image", "ap").iter_rows()}
    assert stored == {key: pytest.approx(value) for key, (value, _) in ap.items()}
    pooled = of_seeds(found["metrics"])
    assert pooled["seed"].to_list() == [5, 6] and pooled["split"].to_list() == [None, None]
    assert of_runs(found["metrics"])["run"].to_list() == ["50", "51", "60", "61"]
    for row in pooled.to_dicts():
        own = {key: value for key, value in ap.items() if key[0] == row["seed"]}
        of = {name: [v for (*_, query), (v, _) in own.items() if query[0] == name] for name in "abc"}
        assert row["id_map"] == pytest.approx(np.mean([np.mean(values) for values in of.values()]))
        assert row["map"] == pytest.approx(np.mean([value for value, _ in own.values()]))
        assert row["top1"] == pytest.approx(np.mean([hit == 1 for _, hit in own.values()]))
        assert (row["queries"], row["skipped"], row["identities"]) == (len(own), 1, 3)
        assert row["val_id_map"] == pytest.approx(0.25) and row["id_map_untrained"] == pytest.approx(row["id_map"])
    for name, contract in {"metrics": METRICS, "per_query": PER_QUERY, "history": HISTORY}.items():
        contract.check(found[name], name)
    assert found["history"].select("seed", "split").unique().height == found["efficiency"].height == 4


def test_a_seed_with_a_split_of_its_own_is_scored_on_it_and_nothing_is_pooled(tmp_path):
    runs = [
        TrainedRun("a", seed, f"{seed}", write_run(tmp_path / f"{seed}", seed, [0.1], [None]), split=seed)
        for seed in (0, 1)
    ]
    found = evaluate_runs(runs, [fold("a0 a1 b0 b1"), fold("b0 b1 b2 c0 c1")], MANIFEST, "role")
    assert of_seeds(found["metrics"]).equals(found["metrics"]) and found["metrics"]["queries"].to_list() == [4, 5]
