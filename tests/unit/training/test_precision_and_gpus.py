"""bf16 and GPUs reproduce the results of fp32 on the CPU, up to their own precision."""

import numpy as np
import polars as pl
import pytest
import torch
from test_image_runs import image_data, image_spec
from training_cases import small_data, small_spec, stored_bytes

from reidflow.training.loop import train

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
PLAIN = {"trainable": {"name": "all"}, "head": {"dim": 8}}
ATTENTION = {**PLAIN, "backbone": {"name": "small", "family": "vit"}}
HEAD = {"head": {"dim": 8, "hidden": 0, "dropout": 0.0}}
# All random numbers here are sampled on the CPU: no dropout, whose mask each device samples itself.
SPECS = {
    "images": lambda **more: image_spec(model=PLAIN, augmentation=["flip", "crop", "colour", "cutmix"], **more),
    "stages": lambda **more: image_spec(
        model=ATTENTION, resizing={"stages": [{"scale": 0.5, "share": 0.5}, {"scale": 1, "share": 0.5}]}, **more
    ),
    "features": lambda **more: small_spec(model=HEAD, **more),
    "ball": lambda **more: small_spec(
        model={**HEAD, "geometry": {"name": "poincare", "learned": True}}, loss="triplet", miner="batch_hard", **more
    ),
}


def trained(folder, kind, device="cpu", **more):
    """Return the files of a run, its embeddings by stage, and its losses."""
    spec = SPECS[kind](**more)
    data = small_data() if spec.frozen else image_data()
    train(spec, data, folder / "work", folder / "out", device, key="key")
    table = pl.read_parquet(folder / "out" / "embeddings.parquet")
    vectors = {stage: np.array(own["vector"].to_list()) for (stage,), own in table.group_by("stage")}
    losses = pl.read_parquet(folder / "out" / "history.parquet")["loss"].drop_nulls().to_numpy()
    return stored_bytes(folder / "out"), vectors, losses


def apart(one, other):
    """Return the largest difference between two sets of vectors, as a share of their spread."""
    return np.abs(one - other).max() / np.abs(one - one.mean(axis=0)).max()


@pytest.mark.parametrize("kind", SPECS)
def test_bf16_agrees_with_fp32_up_to_its_precision(tmp_path, kind):
    full = trained(tmp_path / "fp32", kind)
    half = trained(tmp_path / "bf16", kind, precision="bf16")
    again = trained(tmp_path / "again", kind, precision="bf16")
    assert half[0] == again[0]
    assert 0 < apart(full[1]["initial"], half[1]["initial"]) < 0.1
    assert half[2][0] == pytest.approx(full[2][0], rel=0.05)


@gpu
@pytest.mark.parametrize("kind", SPECS)
def test_a_gpu_agrees_with_the_cpu_and_repeats_bit_for_bit(tmp_path, kind):
    cpu, one, two = (trained(tmp_path / n, kind, d) for n, d in (("cpu", "cpu"), ("a", "cuda"), ("b", "cuda")))
    assert one[0] == two[0]
    assert apart(cpu[1]["initial"], one[1]["initial"]) < 1e-3
    assert one[2] == pytest.approx(cpu[2], rel=0.02)


@gpu
@pytest.mark.parametrize("kind", SPECS)
def test_bf16_on_a_gpu_agrees_with_fp32_up_to_its_precision(tmp_path, kind):
    full, half = trained(tmp_path / "a", kind, "cuda"), trained(tmp_path / "b", kind, "cuda", precision="bf16")
    assert apart(full[1]["initial"], half[1]["initial"]) < 0.1
    assert half[2][0] == pytest.approx(full[2][0], rel=0.05)
