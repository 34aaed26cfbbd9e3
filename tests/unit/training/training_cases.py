"""A small run that every test of the loop varies."""

from pathlib import Path

import numpy as np

from reidflow.spec.run import RunSpec
from reidflow.training.data import RunData

BACKBONE = {"name": "small", "family": "resnet"}


def small_spec(**changes) -> RunSpec:
    model = {"backbone": BACKBONE, "size": 32, "head": {"dim": 8, "hidden": 12, "dropout": 0.2}}
    model |= changes.pop("model", {})
    settings = {
        "loss": "arcface",
        "sampler": {"name": "shuffled", "batch": 8},
        "optimizer": {"name": "adamw", "learning_rate": 0.01},
        "scheduler": "cosine",
        "epochs": 4,
    }
    return RunSpec(model=model, **(settings | changes))


def small_data(views: int = 0, roles: str = "train train train val val test test", **changes) -> RunData:
    """Six identities, one image of each for every role in `roles`; features are noisy clusters of 16 values."""
    generator = np.random.default_rng(0)
    turns = roles.split()
    identity = np.repeat(np.arange(6), len(turns))
    centre = generator.normal(size=(6, 1, 16))
    features = centre[identity] + 0.7 * generator.normal(size=(len(identity), 1 + views, 16))
    columns = {
        "images": [f"{i}.png" for i in range(len(identity))],
        "identities": [f"animal {i}" for i in identity],
        "groups": [None] * len(identity),
        "roles": turns * 6,
        "features": features.astype(np.float32),
    }
    return RunData(**(columns | changes))


def stored_bytes(out: Path) -> dict[str, bytes]:
    """Return the bytes of a run's files, except the one with times."""
    return {p.name: p.read_bytes() for p in sorted(out.iterdir()) if p.name != "efficiency.json"}
