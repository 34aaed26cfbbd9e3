"""What other tools find of a real run: TensorBoard, MLflow, ONNX Runtime, a notebook."""

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import onnxruntime
import polars as pl
import pytest
from conftest import ROOT
from mlflow import MlflowClient
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reidflow.cli import main
from reidflow.evaluation.ranking import unit
from reidflow.export.onnx import Check, confirm
from reidflow.spec.errors import ReidflowError

EXPERIMENTS = ("tiny_losses", "tiny_backbones")


@pytest.fixture
def export(tiny, monkeypatch, capsys):
    """Run `reidflow export` in the project's folder and return what it prints."""
    monkeypatch.chdir(tiny.folder)

    def run(*arguments: str) -> str:
        assert main(["export", *map(str, arguments), "--configfile", tiny.config]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def test_tensorboard_shows_the_history_of_every_run(tiny):
    shown = 0
    for metrics in tiny.results.glob("experiments/*/metrics.parquet"):
        for row in pl.read_parquet(metrics).iter_rows(named=True):
            folder = metrics.parent / row["arm"] / f"seed-{row['seed']}"
            read = EventAccumulator(str(folder))
            read.Reload()
            history = pl.read_parquet(folder / "history.parquet")
            for column in history.columns[1:]:
                known = history.select("epoch", pl.col(column).cast(pl.Float32)).drop_nulls()
                tag = "val/id_map" if column == "val_id_map" else f"train/{column}"
                events = read.Scalars(tag) if len(known) else []
                assert [(event.step, event.value) for event in events] == known.rows()
                assert len(known) or tag not in read.Tags()["scalars"]
            (tested,) = read.Scalars("test/id_map")
            assert (tested.step, tested.value) == (row["best_epoch"], np.float32(row["id_map"]))
            shown += 1
    assert shown == 10


def test_mlflow_holds_each_run_once(export, tiny, tmp_path):
    assert "6 runs, 6 of them exported now" in export("--mlflow", tmp_path / "mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow/mlflow.db")

    def exported(experiment: str) -> list:
        return client.search_runs([client.get_experiment_by_name(f"tiny/{experiment}").experiment_id])

    for experiment in EXPERIMENTS:
        folder = tiny.results / "experiments" / experiment
        metrics = pl.read_parquet(folder / "metrics.parquet")
        found = {
            (run.data.tags["reidflow.arm"], int(run.data.tags["reidflow.seed"])): run for run in exported(experiment)
        }
        assert len(exported(experiment)) == len(found) == len(metrics)
        for row in metrics.iter_rows(named=True):
            run = found[row["arm"], row["seed"]]
            assert run.data.tags["reidflow.run"] == row["run"] and run.info.status == "FINISHED"
            assert run.data.metrics["test/id_map"] == row["id_map"]
            history = pl.read_parquet(folder / row["arm"] / f"seed-{row['seed']}" / "history.parquet")
            losses = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "train/loss")]
            assert losses == history.select("epoch", "loss").drop_nulls().rows()
    arcface = next(run for run in exported("tiny_losses") if run.info.run_name == "arcface/seed-0")
    assert (arcface.data.params["loss.name"], arcface.data.params["loss.margin"]) == ("arcface", "0.5")
    artifact = client.download_artifacts(arcface.info.run_id, "table/tiny_losses.csv", tmp_path)
    assert Path(artifact).read_text() == (tiny.results / "tables" / "tiny_losses.csv").read_text()
    client.update_run(arcface.info.run_id, status="RUNNING")  # as an interrupted export leaves it
    assert "6 runs, 1 of them exported now" in export("--mlflow", tmp_path / "mlflow", "tiny_losses")
    assert "6 runs, 0 of them exported now" in export("--mlflow", tmp_path / "mlflow", "tiny_losses")
    assert len(exported("tiny_losses")) == 6


@pytest.mark.parametrize(("run", "seen"), [("tiny_losses/arcface/seed-0", 64), ("tiny_backbones/scratch/seed-0", 32)])
def test_an_onnx_file_gives_the_stored_embeddings(export, tiny, tmp_path, monkeypatch, run, seen):
    file = tmp_path / "losses-arcface-seed-0.onnx"
    assert f"images of {seen} pixels: within" in export("--onnx", run, "--out", file)
    session = onnxruntime.InferenceSession(file)
    stored = pl.read_parquet(tiny.results / "experiments" / run / "embeddings.parquet").filter(
        pl.col("stage") == "final"
    )
    wanted = unit(np.array(stored["vector"].to_list()))
    row_of = {
        image: row for row, image in enumerate(pl.read_parquet(tiny.results / "data" / "manifest.parquet")["image"])
    }
    squares = np.load(tiny.results / "data" / "images.npy")[[row_of[image] for image in stored["image"]]]
    found = session.run(None, {"images": squares})[0]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 if squares.shape[1] == seen else 1e-2)
    np.testing.assert_allclose(session.run(None, {"images": squares[:1]})[0], found[:1], rtol=0, atol=1e-5)
    about = session.get_modelmeta().custom_metadata_map
    experiment, arm, _ = Path(run).parts
    metrics = pl.read_parquet(tiny.results / "experiments" / experiment / "metrics.parquet")
    assert about["run"] == metrics.row(by_predicate=(pl.col("arm") == arm) & (pl.col("seed") == 0), named=True)["run"]
    assert json.loads(about["geometry"]) == {"name": "hypersphere"}
    assert (about["size"], about["stored_size"], about["comparison"]) == (str(seen), str(squares.shape[1]), "cosine")
    assert len(json.loads(about["identities"])) == 6

    wrong = Check(
        stored["image"].to_list(), squares, (wanted + 2e-2 * (np.arange(wanted.shape[1]) == 3)), "the stored ones"
    )
    with pytest.raises(ReidflowError, match="otherwise than the stored ones"):
        confirm(file, wrong, seen)

    # The example of the docs runs as it is.
    monkeypatch.chdir(tmp_path)
    for name, image in (("one", squares[0]), ("two", squares[1])):
        Image.fromarray(image[:40]).save(f"{name}.jpg")
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/elsewhere.md").read_text(), re.DOTALL)
    space: dict = {}
    exec(example, space)
    assert space["embeddings"].shape == (2, wanted.shape[1])


def test_the_notebook_runs_and_is_stored_without_outputs(tiny, monkeypatch):
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    first = cells[0].source
    assert 'CONFIG, EXPERIMENT, ARM = "config/config.yaml", "losses", "arcface"' in first
    cells[0].source = first.replace("config/config.yaml", tiny.config).replace('"losses"', '"tiny_losses"')
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tiny.folder / "config")
    space: dict = {}
    for cell in cells:
        exec(cell.source, space)
    assert space["table"]["arm"].to_list() == ["cross_entropy", "arcface", "triplet"]
    assert len(space["found"]) == 5 and space["query"].name not in space["found"]
    assert space["unit"].shape == (len(space["keys"]), 32)
