import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reidflow.cli import main
from reidflow.export.onnx import exponential_in_ball
from reidflow.export.tensorboard import EVENTS, write_events
from reidflow.export.values import TEST
from reidflow.models.geometries.poincare import build

SPEC = {"loss": {"name": "arcface", "margin": 0.5}, "augmentation": ["flip"], "stop": None, "learned": True}
HISTORY = pl.DataFrame(
    {
        "epoch": [0, 1, 2],
        "loss": [None, 0.1, float("nan")],
        "val_id_map": [0.5, 0.25, None],
        "clipped": pl.Series([None] * 3, dtype=pl.Float64),
    }
)
METRICS = {**{name: number / 16 for number, name in enumerate(TEST)}, "best_epoch": 1}


def test_tensorboard_reads_what_was_written(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_events(tmp_path / name, SPEC, HISTORY, METRICS)
    assert (tmp_path / "one" / EVENTS).read_bytes() == (tmp_path / "other" / EVENTS).read_bytes()
    read = EventAccumulator(str(tmp_path / "one"))
    read.Reload()
    assert set(read.Tags()["scalars"]) == {"train/loss", "val/id_map", *(f"test/{name}" for name in TEST)}
    loss, scores = read.Scalars("train/loss"), read.Scalars("val/id_map")
    assert [(event.step, event.wall_time) for event in loss] == [(1, 1.0), (2, 2.0)]
    assert loss[0].value == np.float32(0.1) and np.isnan(loss[1].value)
    assert [(event.step, event.value) for event in scores] == [(0, 0.5), (1, 0.25)]
    assert [(event.step, event.value) for event in read.Scalars("test/top1")] == [(1, METRICS["top1"])]
    settings = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"loss.margin" in settings and b'["flip"]' in settings
    assert "margin: 0.5" in read.Tensors("spec")[0].tensor_proto.string_val[0].decode()


def test_event_files_are_written_without_torch_and_tensorflow():
    code = "import sys, reidflow.export.tensorboard; print(*{'torch', 'tensorflow', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("length", [0.0, 1e-8, 0.3, 2.0, 9.0])
def test_the_map_into_the_ball_is_that_of_the_geometry(length):
    vectors = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    vectors *= length / vectors.norm(dim=1, keepdim=True)
    torch.testing.assert_close(exponential_in_ball(vectors), build(clip=None).exponential(vectors))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--onnx", "losses/arcface/seed-0", "losses"], "--onnx exports one run: remove 'losses'"),
        (["--mlflow", "place", "--out", "x.onnx"], "--out belongs to --onnx"),
        (["--mlflow", "place", "unknown"], "no experiment 'unknown'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message, capsys):
    assert main(["--configfile", "config/tiny.yaml", "export", *arguments]) == 1
    assert message in capsys.readouterr().err
