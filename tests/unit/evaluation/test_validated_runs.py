"""Top-k accuracies on the validation images, by hand."""

import json

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.runs import VALIDATED, TrainedRun, validate_runs
from reidflow.store.tables import write_table

ROLES = ["val"] * 5 + ["test"] * 2
IDENTITY = ["a", "a", "b", "b", "a", "a", "a"]
IMAGES = [f"{n}.png" for n in range(len(ROLES))]
SIDES = ["query", "gallery", "query", "gallery", "gallery", None, None]
ANGLES = [0.0, 0.3, 1.0, 1.5, 0.9, 0.1, 0.2]  # the query b finds an a first, then its b
MANIFEST = pl.DataFrame({"image": IMAGES, "flank": [None] * 7}, schema_overrides={"flank": pl.String})


def split(roles: list[str]) -> pl.DataFrame:
    columns = {"image": IMAGES, "identity": IDENTITY, "group": IMAGES, "role": roles, "side": SIDES}
    return pl.DataFrame(columns, schema_overrides={"side": pl.String})


@pytest.fixture
def runs(tmp_path):
    found = []
    for key, angles in (("one", ANGLES), ("right", [0.0, 0.3, 1.2, 1.5, 0.4, 0.1, 0.2])):
        vectors = [[float(np.cos(angle)), float(np.sin(angle))] for angle in angles]
        (tmp_path / key).mkdir()
        columns = {"image": IMAGES, "role": ROLES, "stage": ["final"] * 7, "vector": vectors}
        table = pl.DataFrame(columns, schema_overrides={"vector": pl.List(pl.Float32)})
        table.write_parquet(tmp_path / key / "embeddings.parquet")
        (tmp_path / key / "provenance.json").write_text(json.dumps({"geometry": {"name": "hypersphere"}}))
        found.append(TrainedRun(f"arm {key}", 4, key, tmp_path / key))
    return [*found, TrainedRun("another", 5, "one", tmp_path / "one")]


def test_queries_of_the_validation_are_ranked_in_its_own_gallery(runs, tmp_path):
    table = validate_runs(runs, split(ROLES), MANIFEST, "role")
    write_table(table, tmp_path / "validated.parquet", VALIDATED)
    assert table["arm"].to_list() == ["arm one", "arm right", "another"]
    own = table.row(0, named=True)
    assert (own["queries"], own["top1"], own["top5"], own["top10"]) == (2, 0.5, 1.0, 1.0)
    assert own["id_map"] == pytest.approx(((1 + 2 / 2) / 2 + 1 / 2) / 2)
    assert table.row(2)[2:] == table.row(0)[2:]
    assert table.row(1)[3:] == (1.0, 1.0, 1.0, 1.0)


def test_without_validation_images_there_is_nothing_to_choose_by(runs):
    assert validate_runs(runs, split(["train"] * 5 + ["test"] * 2), MANIFEST, "role").is_empty()
