import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import small_data, small_spec

from reidflow.models.images import to_pixels
from reidflow.models.network import build_network
from reidflow.spec.errors import ReidflowError
from reidflow.training.embedding import embed_stored
from reidflow.training.loop import train

SPECS = {
    "a head": small_spec(),
    "a head in half precision": small_spec(precision="bf16"),
    "a head with augmented views": small_spec(augmentation=["flip"], views=2),
    "nothing trained": small_spec(model={"trainable": {"name": "none"}}),
    "all of a network": small_spec(
        model={"trainable": {"name": "all"}, "head": {"dim": 8}}, epochs=2, augmentation=["flip"]
    ),
    "its last block": small_spec(
        model={"trainable": {"name": "last_blocks", "blocks": 1}, "head": {"dim": 8}}, epochs=2
    ),
}


def data_of(spec, **changes):
    if spec.frozen:
        return small_data(views=spec.views, **changes)
    pixels = np.random.default_rng(0).integers(0, 256, (42, 40, 40, 3), dtype=np.uint8)
    return small_data(**({"features": None, "pixels": pixels} | changes))


def trained(folder, spec, data):
    train(spec, data, folder / "work", folder / "out", "cpu", key="key")
    return folder / "out"


def stored(out, data, rows):
    table = pl.read_parquet(out / "embeddings.parquet").filter(pl.col("stage") == "final")
    of = dict(zip(table["image"], table["vector"].to_list(), strict=True))
    return np.array([of[data.images[row]] for row in rows], dtype=np.float32)


def embed(out, spec, rows, data):
    return embed_stored(out, spec, rows, features=data.features, pixels=data.pixels, device="cpu")


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize("name", SPECS)
def test_the_evaluated_images_get_the_stored_embeddings_bit_for_bit(tmp_path, name, gallery):
    spec = SPECS[name]
    data = data_of(spec, gallery=gallery)
    out = trained(tmp_path, spec, data)
    torch.manual_seed(5)
    torch.set_num_threads(2)
    rows = data.stored_rows()
    assert np.array_equal(embed(out, spec, rows, data), stored(out, data, rows))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["a head", "all of a network"])
def test_another_version_of_the_images_gets_other_embeddings_row_by_row(tmp_path, name):
    spec = SPECS[name]
    data = data_of(spec)
    out = trained(tmp_path, spec, data)
    rows = data.rows("test")[::-1]
    array = "features" if spec.frozen else "pixels"
    changed = getattr(data, array).copy()
    changed[rows[2]] = changed[rows[2]][::-1] * 2
    other = embed(out, spec, rows, data_of(spec, **{array: changed}))
    same = [np.array_equal(a, b) for a, b in zip(other, embed(out, spec, rows, data), strict=True)]
    assert same == [place != 2 for place in range(len(rows))]


def test_an_array_may_stay_on_disk(tmp_path):
    spec = SPECS["all of a network"]
    data = data_of(spec)
    out = trained(tmp_path, spec, data)
    np.save(tmp_path / "version.npy", data.pixels)
    mapped = data_of(spec, pixels=np.load(tmp_path / "version.npy", mmap_mode="r"))
    rows = data.stored_rows()
    assert np.array_equal(embed(out, spec, rows, mapped), stored(out, data, rows))


def test_images_of_another_size_are_seen_at_that_size(tmp_path):
    spec = SPECS["all of a network"]
    data = data_of(spec)
    out, rows = trained(tmp_path, spec, data), data.rows("test")
    small = embed_stored(out, spec, rows, features=None, pixels=data.pixels, device="cpu", size=16)
    network = build_network(spec.model, spec.seed)
    weights = load_file(out / "model.safetensors")
    network.load_state_dict({n.removeprefix("model."): w for n, w in weights.items() if n.startswith("model.")}, False)
    with torch.no_grad():
        expected = network.eval()(to_pixels(data.pixels[rows], 16)).numpy()
    assert small == pytest.approx(expected, abs=1e-4)
    full = embed_stored(out, spec, rows, features=None, pixels=data.pixels, device="cpu", size=32)
    assert np.array_equal(full, embed(out, spec, rows, data))


def test_weights_of_another_run_are_refused(tmp_path):
    spec = SPECS["a head"]
    out = trained(tmp_path, spec, small_data())
    with pytest.raises(ReidflowError, match=r"model\.safetensors: not the weights of this run"):
        embed(out, small_spec(model={"head": {"dim": 9, "hidden": 12}}), np.arange(3), small_data())
    (out / "model.safetensors").unlink()
    save_file({"model.else": torch.zeros(2)}, out / "model.safetensors")
    with pytest.raises(ReidflowError, match=r"model\.safetensors: not the weights of this run"):
        embed(out, spec, np.arange(3), small_data())
    (out / "model.safetensors").unlink()
    with pytest.raises(ReidflowError, match="not readable"):
        embed(out, spec, np.arange(3), small_data())


def test_a_missing_array_is_named(tmp_path):
    with pytest.raises(ReidflowError, match="reads pixels"):
        embed(tmp_path, SPECS["its last block"], np.arange(3), small_data())
