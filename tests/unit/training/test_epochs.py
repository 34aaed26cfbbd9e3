import json
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from test_image_runs import image_data, image_spec
from training_cases import stored_bytes

from reidflow.models.network import build_network, count_flops
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.training import loop
from reidflow.training.checkpoint import Checkpoints
from reidflow.training.epochs import MatchedEpochs, ResizingStages, split
from reidflow.training.image_inputs import ImageInputs
from reidflow.training.loop import train


def resizing(*stages, matched="epochs"):
    return {"stages": [{"scale": size / 32, "share": share} for size, share in stages], "matched": matched}


def stages_of(epochs, *stages, matched="epochs", size=32):
    spec = image_spec(epochs=epochs, resizing=resizing(*stages, matched=matched))
    made = ResizingStages(
        spec.model_copy(update={"model": spec.model.model_copy(update={"size": size})}), lambda s: s * s
    )
    return [made.size(number) for number in range(1, made.epochs + 1)]


def test_a_run_without_stages_has_the_epochs_and_the_size_of_its_spec():
    made = ResizingStages(image_spec(epochs=7), lambda size: pytest.fail("nothing is to be matched"))
    assert made.epochs == 7 and {made.size(n) for n in range(1, 8)} == {32}
    with pytest.raises(ReidflowError, match="epoch 8 is after the last one, 7"):
        made.size(8)


@pytest.mark.parametrize(
    ("epochs", "shares", "lengths"),
    [
        (6, [1 / 3, 1 / 3, 1 / 3], [2, 2, 2]),
        (5, [0.5, 0.5], [3, 2]),
        (10, [0.25, 0.25, 0.5], [3, 2, 5]),
        (10, [0.14, 0.46, 0.4], [1, 5, 4]),
        (7, [0.3, 0.3, 0.4], [2, 2, 3]),
        (30, [0.9, 0.05, 0.05], [27, 2, 1]),
        (5, [0.9, 0.05, 0.05], [3, 1, 1]),
        (3, [0.98, 0.01, 0.01], [1, 1, 1]),
        (10, [0.1, 0.2, 0.7], [1, 2, 7]),
    ],
)
def test_shares_become_whole_epochs_by_the_largest_remainder_and_none_is_left_without(epochs, shares, lengths):
    assert split(epochs, shares, [16 + 8 * n for n in range(len(shares))]) == lengths


@pytest.mark.parametrize("matched", ["epochs", "flops"])
@pytest.mark.parametrize("epochs", range(2, 9))
def test_stages_in_another_order_are_as_long(epochs, matched):
    small, large = (16, 0.5), (32, 0.5)
    there, back = (stages_of(epochs, *order, matched=matched) for order in ((small, large), (large, small)))
    assert there == sorted(there) and back == there[::-1]


def test_stages_follow_each_other_in_order():
    assert stages_of(6, (16, 0.5), (24, 0.2), (32, 0.3)) == [16, 16, 16, 24, 32, 32]
    with pytest.raises(ReidflowError, match="epochs: 2 are too few for 3 stages"):
        stages_of(2, (16, 0.5), (24, 0.2), (32, 0.3))


@pytest.mark.parametrize(
    "stages",
    [[(16, 1.0)], [(16, 0.5), (32, 0.5)], [(16, 1 / 3), (24, 1 / 3), (32, 1 / 3)], [(32, 0.7), (16, 0.3)], [(48, 1.0)]],
)
@pytest.mark.parametrize("epochs", [4, 9])
def test_matched_operations_come_as_near_as_whole_epochs_allow(stages, epochs):
    found = stages_of(epochs, *stages, matched="flops")
    wanted = epochs * 32 * 32
    cost = sum(size * size for size in found)
    shares = [share for _, share in stages]
    others = [split(n, shares, [size for size, _ in stages]) for n in range(len(shares), 100)]
    best = min(abs(wanted - sum(n * s * s for n, (s, _) in zip(o, stages, strict=True))) for o in others)
    assert abs(wanted - cost) == best
    assert sorted(set(found)) == sorted({size for size, _ in stages})


class Watched(ImageInputs):
    """Notes the sizes of the images that it gives out."""

    sizes: ClassVar[list[tuple[int, int]]] = []

    def epoch(self, number, batches, size=None):
        for images, mixed in super().epoch(number, batches, size):
            self.sizes.append((number, images.shape[-1]))
            yield images, mixed


FAMILY = {"backbone": {"name": "small", "family": "vit"}, "trainable": {"name": "all"}, "head": {"dim": 8}}
GROWING = {
    "model": FAMILY,
    "epochs": 4,
    "resizing": resizing((16, 0.5), (32, 0.5)),
    "augmentation": ["crop", "flip"],
}


def run(folder, spec, seconds=2.0):
    train(spec, image_data(), folder / "work", folder / "out", "cpu", key="key", checkpoint_seconds=seconds)
    return folder / "out"


def test_the_network_truly_sees_each_stage_at_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr("reidflow.training.image_inputs.ImageInputs", Watched)
    Watched.sizes = []
    out = run(tmp_path, image_spec(**GROWING))
    assert {(number, size) for number, size in Watched.sizes} == {(1, 16), (2, 16), (3, 32), (4, 32)}
    history = pl.read_parquet(out / "history.parquet")
    assert history["size"].to_list() == [None, 16, 16, 32, 32]


def test_images_of_a_stage_are_the_stored_ones_made_smaller_and_augmented_alike():
    data, spec = image_data(64), image_spec(augmentation=["flip"])
    inputs = ImageInputs(data.pixels, data.images, spec, "cpu")
    batches = [np.array([3, 1, 8])]
    (full, _), (half, _) = (next(iter(inputs.epoch(1, batches, size))) for size in (32, 16))
    plain = ImageInputs(data.pixels, data.images, image_spec(augmentation=[]), "cpu")
    (small, _), (large, _) = (next(iter(plain.epoch(1, batches, size))) for size in (16, 32))
    for seen, stored in ((half, small), (full, large)):
        assert seen.shape == stored.shape
    flipped = [not torch.equal(a, b.float()) for a, b in zip(full, large, strict=True)]
    assert flipped == [not torch.equal(a, b.float()) for a, b in zip(half, small, strict=True)]
    assert True in flipped and False in flipped


def test_a_run_is_as_long_as_its_stages_and_so_is_its_schedule(tmp_path):
    spec = image_spec(**{**GROWING, "resizing": resizing((16, 0.5), (32, 0.5), matched="flops"), "checkpoint": "last"})
    out = run(tmp_path, spec)
    history = pl.read_parquet(out / "history.parquet")
    network = build_network(spec.model, 0)
    epochs = ResizingStages(spec, lambda size: count_flops(network, size)).epochs
    assert epochs > spec.epochs and history["epoch"][-1] == epochs
    share = np.arange(epochs) / epochs
    assert history["learning_rate"][1:].to_list() == pytest.approx(0.01 * (1 + np.cos(np.pi * share)) / 2)
    line = json.loads((tmp_path / "work" / "progress.jsonl").read_text().splitlines()[-1])
    assert line["epoch"] == line["of"] == epochs
    facts = json.loads((out / "provenance.json").read_text())
    images = len(image_data().rows("train"))
    sizes = history["size"].drop_nulls().to_list()
    assert facts["train_flops"] == 3 * images * sum(count_flops(network, size) for size in sizes)
    full = 3 * images * spec.epochs * count_flops(network, 32)
    assert abs(facts["train_flops"] / full - 1) < 0.2
    assert facts["flops"] == count_flops(network, 32)


class KilledError(Exception):
    """Ends a training after a checkpoint."""


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_going_on_from_any_stage_gives_the_bits_of_a_run_that_never_stopped(tmp_path, monkeypatch, stop):
    spec = image_spec(**{**GROWING, "optimizer": {"name": "adamw", "learning_rate": 0.003}})
    whole = stored_bytes(run(tmp_path / "whole", spec))
    written = []

    class Stopping(Checkpoints):
        def write(self, state):
            super().write(state)
            written.append(1)
            if len(written) == stop:
                raise KilledError

    monkeypatch.setattr(loop, "Checkpoints", Stopping)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", spec, seconds=0.0)
    monkeypatch.setattr(loop, "Checkpoints", Checkpoints)
    assert stored_bytes(run(tmp_path / "cut", spec)) == whole
    assert "net.pos_embed" in "".join(load_file(tmp_path / "cut" / "out" / "model.safetensors"))


def test_the_optimizer_keeps_its_state_when_the_size_changes(tmp_path, monkeypatch):
    states = []
    epoch = loop.Fitting._epoch

    def noted(self, number):
        before = {n: dict(self.optimizer.state[p]) for n, p in self.module.named_parameters()}
        states.append({n: {k: v.clone() for k, v in s.items()} for n, s in before.items()})
        epoch(self, number)

    monkeypatch.setattr(loop.Fitting, "_epoch", noted)
    run(tmp_path, image_spec(**GROWING))
    small, large = states[1], states[3]
    steps = small["backbone.net.pos_embed"]["step"]
    assert steps > 0 and large["backbone.net.pos_embed"]["step"] == 3 * steps
    for moment in ("exp_avg", "exp_avg_sq"):
        assert small["backbone.net.pos_embed"][moment].shape == large["backbone.net.pos_embed"][moment].shape


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_the_batches_are_those_of_the_sampler_in_a_row(steps):
    sampler = call("sampler", resolve("sampler", {"name": "shuffled", "batch": 4}), np.arange(12) % 3, 5)
    whole = [batch.tolist() for epoch in range(1, 9) for batch in sampler.epoch(epoch)]
    recut = [batch.tolist() for epoch in range(1, 4) for batch in MatchedEpochs(sampler, steps).epoch(epoch)]
    assert recut == whole[: 3 * steps]


def test_an_epoch_alone_is_the_same_as_in_a_row():
    sampler = call("sampler", resolve("sampler", {"name": "pk", "identities": 2, "images": 2}), np.arange(9) % 3, 0)
    one, other = MatchedEpochs(sampler, 5), MatchedEpochs(sampler, 5)
    for epoch in (1, 2):
        one.epoch(epoch)
    assert [b.tolist() for b in one.epoch(3)] == [b.tolist() for b in other.epoch(3)]
