import json

import numpy as np
import polars as pl
import pytest
from slow_metric import expected_average_precision, rounded

from reidflow.evaluation import image_versions
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import pooled_metrics
from reidflow.evaluation.runs import TrainedRun, arm_retrieval
from reidflow.spec.errors import ReidflowError

IDENTITIES, IMAGES, DIM = 6, 7, 5


def a_split(sides: bool = False) -> pl.DataFrame:
    """Some identities with groups, a lone test image, and images of other roles between them."""
    roles = ["train", "test", "test", "val", "test", "test", "train"]
    rows = []
    for i in range(IDENTITIES):
        for k in range(IMAGES):
            role = "train" if i == 5 and k in (1, 2, 4) else roles[k]
            side = ("query" if k in (1, 4) else "gallery") if sides and role == "test" else None
            group = "burst" if (i, k) in ((0, 1), (0, 2), (1, 1)) else None
            rows.append((f"{i}-{k}.png", f"cat {9 - i}", group, role, side))
    columns = ["image", "identity", "group", "role", "side"]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def a_layout(gallery: str, sides: bool = False) -> Layout:
    split = a_split(sides)
    return Layout(split, split.select("image").with_columns(flank=pl.lit(None, pl.String)), gallery)


def slowly(split, gallery, query_vectors, ranked):
    """The tables of the definitions: embeddings (N, D) of the queries and of the gallery, by row of the split."""
    rows = split.to_dicts()
    queries = [n for n, r in enumerate(rows) if r["role"] == "test" and r["side"] != "gallery"]
    pool = [n for n, r in enumerate(rows) if (gallery == "all" or r["role"] == "test") and r["side"] != "query"]
    groups = [r["group"] or f"alone {n}" for n, r in enumerate(rows)]
    of: dict[str, list[tuple[float, float]]] = {}
    for query in queries:
        among = [n for n in pool if n != query and groups[n] != groups[query]]
        positive = np.array([rows[n]["identity"] == rows[query]["identity"] for n in among])
        if not positive.any():
            continue
        a, b = query_vectors[query].astype(float), ranked[among].astype(float)
        cosine = b @ a / np.linalg.norm(b, axis=1) / np.linalg.norm(a)
        ap = expected_average_precision(rounded(cosine), positive)
        chance = expected_average_precision(np.zeros(len(among)), positive)
        of.setdefault(rows[query]["identity"], []).append((ap, chance))
    return {identity: np.mean(values, axis=0) for identity, values in of.items()}


@pytest.mark.parametrize(("gallery", "sides"), [("role", False), ("all", False), ("role", True)])
def test_each_version_is_ranked_by_the_rules_of_the_headline(gallery, sides):
    layout, split = a_layout(gallery, sides), a_split(sides)
    generator = np.random.default_rng(3)
    whole = {label: generator.normal(size=(len(split), DIM)).astype(np.float32) for label in ("gray", "plain")}
    whole["gray"][8] = whole["gray"][9]
    found = image_versions.evaluate_versions(
        {k: v[layout.evaluated] for k, v in whole.items()}, "plain", layout, "a", 7
    )
    image_versions.TESTED_ON.check(found, "here")
    assert set(found["seed"]) == {7}
    expected = {
        ("gray", "both"): slowly(split, gallery, whole["gray"], whole["gray"]),
        ("gray", "query"): slowly(split, gallery, whole["gray"], whole["plain"]),
        ("plain", "both"): slowly(split, gallery, whole["plain"], whole["plain"]),
    }
    tables = dict(found.group_by(["tested_on", "mode"], maintain_order=True))
    assert list(tables) == list(expected)
    for key, by_identity in expected.items():
        assert tables[key]["identity"].to_list() == sorted(by_identity)
        values = tables[key].select("ap", "ap_chance").to_numpy()
        assert values == pytest.approx(np.array([by_identity[i] for i in sorted(by_identity)]), abs=1e-9)


def test_the_original_version_scores_what_the_arm_scores(tmp_path):
    layout = a_layout("role")
    vectors = np.random.default_rng(0).normal(size=(len(layout.table), DIM)).astype(np.float32)
    images = layout.table["image"].to_list()
    pl.DataFrame(
        {"image": images, "stage": ["final"] * len(images), "vector": [v.tolist() for v in vectors]},
        schema_overrides={"vector": pl.List(pl.Float32)},
    ).write_parquet(tmp_path / "embeddings.parquet")
    (tmp_path / "provenance.json").write_text(json.dumps({"geometry": {"name": "hypersphere"}}))
    scored, _ = layout.score(arm_retrieval(layout, TrainedRun("a", 0, "key", tmp_path)))
    values = pooled_metrics([scored])
    found = image_versions.evaluate_versions({"original": vectors[layout.evaluated]}, "original", layout, "a", 0)
    assert found["mode"].unique().to_list() == ["both"]
    assert found["ap"].mean() == pytest.approx(values["id_map"], abs=1e-12)
    assert found["ap_chance"].mean() == pytest.approx(values["chance"], abs=1e-12)


def test_a_query_of_an_erased_image_still_finds_its_identity_in_an_original_gallery():
    """Versions differ: what one mode hides the other must not."""
    layout = a_layout("role")
    identity = layout.identity[layout.evaluated]
    plain = np.eye(identity.max() + 1, dtype=np.float32)[identity]
    shuffled = np.roll(plain, 1, axis=1)
    found = image_versions.evaluate_versions({"plain": plain, "shuffled": shuffled}, "plain", layout, "a", 0)
    means = dict(found.group_by("tested_on", "mode").agg(pl.col("ap").mean()).select(
        pl.concat_str("tested_on", "mode", separator=" "), "ap").iter_rows())  # fmt: skip
    assert means["plain both"] == means["shuffled both"] == pytest.approx(1)
    assert means["shuffled query"] < 0.5


def test_exactly_one_version_is_the_original():
    gray, plain = {"background": {"name": "gray"}}, {"background": {"name": "original"}}
    assert image_versions.original_label({"a": gray, "b": plain}) == "b"
    for tests in ({"a": gray}, {"a": plain, "b": plain}):
        with pytest.raises(ReidflowError, match=r"tests: [02] of them are the images as they are"):
            image_versions.original_label(tests)
    assert image_versions.original_label({"a": {**plain, "scale": 0.5}, "b": {**plain, "scale": 1.0}}) == "b"


def test_a_version_of_another_size_changes_queries_and_gallery_alike():
    layout = a_layout("role")
    vectors = np.random.default_rng(0).normal(size=(2, len(layout.evaluated), DIM)).astype(np.float32)
    tests = {
        label: {"background": {"name": "original"}, "scale": scale} for label, scale in (("full", 1.0), ("half", 0.5))
    }
    resized = image_versions.resized_labels(tests)
    given = dict(zip(tests, vectors, strict=True))
    found = image_versions.evaluate_versions(
        given, image_versions.original_label(tests), layout, "a", 0, resized=resized
    )
    assert found.select("tested_on", "mode").unique(maintain_order=True).rows() == [("full", "both"), ("half", "both")]
    alone = image_versions.evaluate_versions({"half": vectors[1]}, "half", layout, "a", 0)
    assert found.filter(pl.col("tested_on") == "half")["ap"].to_list() == alone["ap"].to_list()
