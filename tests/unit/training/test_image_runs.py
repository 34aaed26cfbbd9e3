import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file
from training_cases import small_data, small_spec, stored_bytes

from reidflow.models.network import build_network
from reidflow.spec.errors import ReidflowError
from reidflow.training.image_inputs import ImageInputs
from reidflow.training.loop import train

LAST_BLOCK = {"trainable": {"name": "last_blocks", "blocks": 1}, "head": {"dim": 8}}


def image_spec(**changes):
    parts = {"model": {"trainable": {"name": "all"}, "head": {"dim": 8}}, "epochs": 2, "augmentation": ["flip"]}
    return small_spec(**(parts | changes))


def image_data(size: int = 32):
    """Six identities that differ in colour."""
    generator = np.random.default_rng(0)
    colour = generator.integers(40, 216, (6, 1, 1, 1, 3))
    pixels = colour + generator.integers(-40, 40, (6, 7, size, size, 3))
    return small_data(features=None, pixels=pixels.reshape(-1, size, size, 3).astype(np.uint8))


def run(folder, spec, data=None):
    train(spec, data or image_data(), folder / "work", folder / "out", "cpu", key="key")
    return folder / "out"


def test_the_whole_network_learns_from_images(tmp_path):
    out = run(tmp_path, image_spec(epochs=5))
    history = pl.read_parquet(out / "history.parquet")
    assert history["loss"][-1] < history["loss"][1]
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["parameters"] == facts["trainable_parameters"] > 10_000
    assert facts["flops"] > 1_000_000
    assert "timm" in facts["versions"]


ARMS = Path(__file__).parents[3] / "config" / "experiments" / "tiny_open_clip.yaml"


def test_the_arm_with_an_image_tower_of_open_clip_trains(tmp_path):
    arm = yaml.safe_load(ARMS.read_text())["arms"]["clip_scratch"]
    out = run(tmp_path, image_spec(model={**arm["model"], "head": {"dim": 8}}))
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["parameters"] == facts["trainable_parameters"] > 50_000 and not facts["diverged"]
    weights = load_file(out / "model.safetensors")
    assert any(name.startswith("model.backbone.net.transformer.resblocks.1") for name in weights)


def test_frozen_blocks_stay_as_they_were_and_the_last_one_moves(tmp_path):
    spec = image_spec(model=LAST_BLOCK)
    before = build_network(spec.model, spec.seed).state_dict()
    weights = load_file(run(tmp_path, spec) / "model.safetensors")
    kept = {name.removeprefix("model."): tensor for name, tensor in weights.items() if name.startswith("model.")}
    changed = {name for name, tensor in kept.items() if name in before and not torch.equal(tensor, before[name])}
    network = build_network(spec.model, spec.seed)
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained <= set(kept)
    assert changed >= trained
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen
    assert not frozen & set(kept)


def test_the_stored_weights_give_the_stored_embeddings(tmp_path):
    spec, data = image_spec(model=LAST_BLOCK, checkpoint="last"), image_data()
    out = run(tmp_path, spec, data)
    network = build_network(spec.model, spec.seed)
    weights = load_file(out / "model.safetensors")
    weights = {name.removeprefix("model."): w for name, w in weights.items() if name.startswith("model.")}
    network.load_state_dict(weights, strict=False)
    table = pl.read_parquet(out / "embeddings.parquet").filter(
        (pl.col("stage") == "final") & (pl.col("role") == "test")
    )
    rows = data.rows("test")
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(data.pixels[rows]).permute(0, 3, 1, 2)).numpy()
    assert np.array(table["vector"].to_list()) == pytest.approx(expected, abs=1e-4)


def test_the_same_images_give_the_same_bytes_wherever_they_lie(tmp_path):
    data = image_data(40)
    np.save(tmp_path / "images.npy", data.pixels)
    mapped = small_data(features=None, pixels=np.load(tmp_path / "images.npy", mmap_mode="r"))
    first = stored_bytes(run(tmp_path / "a", image_spec(epochs=1), data))
    assert stored_bytes(run(tmp_path / "b", image_spec(epochs=1), mapped)) == first


def test_pixels_on_the_device_are_those_of_the_map():
    data, spec = image_data(40), image_spec()
    inputs = ImageInputs(data.pixels, data.images, spec, "cpu")
    batches = [np.array([3, 1, 3]), np.array([3, 40, 0])]
    mapped = [images.clone() for images, _ in inputs.epoch(2, batches)]
    inputs.plain.resident = inputs.plain._load()
    resident = [images for images, _ in inputs.epoch(2, batches)]
    assert [images.shape for images in mapped] == [(3, 3, 32, 32)] * 2
    for one, other in zip(mapped, resident, strict=True):
        assert torch.equal(one, other)


def test_an_image_that_comes_again_in_an_epoch_is_augmented_anew():
    data = image_data()
    inputs = ImageInputs(data.pixels, data.images, image_spec(augmentation=["crop"]), "cpu")
    ((images, _),) = inputs.epoch(1, [np.array([5, 5])])
    assert not torch.equal(images[0], images[1])
    ((again, _),) = inputs.epoch(1, [np.array([7, 5])])
    assert torch.equal(again[1], images[0])


def test_missing_pixels_are_named(tmp_path):
    with pytest.raises(ReidflowError, match="pixels: missing"):
        run(tmp_path, image_spec(), small_data())
