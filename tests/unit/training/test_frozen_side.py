"""Features before the head of a frozen network: no setting of a training can change them."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from training_cases import small_data, small_spec, stored_bytes

from reidflow.models.network import Network, build_network
from reidflow.spec.run import Model
from reidflow.training.loop import train

IMAGES = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8))
LABELS = torch.arange(12) % 3
SETTINGS = ((0.001, 3), (0.1, 5))


def run(folder, rate: float, epochs: int, batch: int = 8, trainable: str = "none", **changes):
    spec = small_spec(
        model={"trainable": {"name": trainable}},
        optimizer={"name": "adam", "learning_rate": rate},
        sampler={"name": "shuffled", "batch": batch},
        epochs=epochs,
        loss="softmax",
        checkpoint="last",
        **changes,
    )
    train(spec, small_data(), folder / "work", folder / "out", "cpu", key="key")
    return folder / "out"


def test_runs_as_described_are_the_same_bits_whatever_the_rate_the_epochs_and_the_batch(tmp_path):
    first = stored_bytes(run(tmp_path / "a", 0.001, 3))["embeddings.parquet"]
    assert stored_bytes(run(tmp_path / "b", 0.1, 5, batch=4, seed=7))["embeddings.parquet"] == first


def test_a_trained_projection_depends_on_them(tmp_path):
    folders = [run(tmp_path / str(rate), rate, epochs, trainable="head") for rate, epochs in SETTINGS]
    one, other = (
        pl.read_parquet(out / "embeddings.parquet").filter(stage="final")["vector"].to_list() for out in folders
    )
    assert not np.array_equal(one, other)


def a_network(family: str) -> Network:
    backbone = {"name": "small", "family": family}
    return build_network(Model(backbone=backbone, size=32, head={"dim": 8}, trainable={"name": "head"}), seed=0)


def features_after(family: str, rate: float, epochs: int, *, whole: bool) -> torch.Tensor:
    """Train the head on images, its backbone frozen, and return the features before it.

    whole: the network is put in training mode as a whole, as plain torch code does.
    """
    network = a_network(family)
    classifier = nn.Linear(8, 3)
    optimizer = torch.optim.Adam([*network.head.parameters(), *classifier.parameters()], lr=rate)
    network.train()
    if whole:
        network.backbone.train()
    for _ in range(epochs):
        for batch in torch.arange(12).split(4):
            loss = nn.functional.cross_entropy(classifier(network(IMAGES[batch])), LABELS[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        return network.features(IMAGES)


@pytest.mark.parametrize("family", ["vit", "mobilenetv3"])
def test_features_of_a_frozen_network_do_not_depend_on_the_training_of_its_head(family):
    with torch.no_grad():
        untouched = a_network(family).eval().features(IMAGES)
    for rate, epochs in SETTINGS:
        assert torch.equal(features_after(family, rate, epochs, whole=False), untouched)


def test_only_batch_statistics_could_carry_a_training_into_frozen_features():
    """Where a network without them is trained as a whole all the same, its features stay; with them they move."""
    for family, moves in (("vit", False), ("mobilenetv3", True)):
        one, other = (features_after(family, rate, epochs, whole=True) for rate, epochs in SETTINGS)
        assert torch.equal(one, other) is not moves
