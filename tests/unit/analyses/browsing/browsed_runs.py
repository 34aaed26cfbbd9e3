"""Runs of planted embeddings in three geometries, and the files that the analysis reads of them."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import TrainedRun

IDENTITIES = [f"i{n % 6}" for n in range(48)]
IMAGES = [f"folder/{n:02d}.jpg" for n in range(48)]
GROUPS = [f"g{n // 12}-{n % 6}" for n in range(48)]
SPLIT = pl.DataFrame(
    {"image": IMAGES, "identity": IDENTITIES, "group": GROUPS, "role": ["test"] * 42 + ["train"] * 6},
).with_columns(side=pl.lit(None, pl.String))
MANIFEST = pl.DataFrame({"image": IMAGES}).with_columns(flank=pl.lit(None, pl.String))
LAYOUT = Layout(SPLIT, MANIFEST, "role")
GEOMETRIES = ("hypersphere", "euclidean", "poincare")
TEST = 42


def vectors(geometry: str) -> np.ndarray:
    """Return (42, 8) float32 embeddings near the centre of their identity; in the ball, inside of it."""
    random = np.random.default_rng(GEOMETRIES.index(geometry))
    centres = random.normal(size=(6, 8))
    found = np.stack([centres[int(name[1:])] for name in IDENTITIES[:TEST]]) + 0.8 * random.normal(size=(TEST, 8))
    if geometry == "poincare":
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        found = found / lengths * np.tanh(lengths / 4)
    return found.astype(np.float32)


def run_in(folder: Path, geometry: str, values: np.ndarray | None = None) -> TrainedRun:
    """Return a stored run of a geometry; its arm is named after the geometry."""
    own = folder / geometry
    own.mkdir()
    (own / "provenance.json").write_text(json.dumps({"geometry": {"name": geometry}}))
    stored = vectors(geometry) if values is None else values
    columns = {"image": IMAGES[:TEST], "vector": pl.Series(stored.tolist(), dtype=pl.List(pl.Float32))}
    pl.DataFrame(columns).with_columns(stage=pl.lit("final")).write_parquet(own / "embeddings.parquet")
    return TrainedRun(geometry, 5, f"key-{geometry}", own)


def photographs() -> np.ndarray:
    """Return (48, 80, 80, 3) images whose colours and stripes differ from one another."""
    random = np.random.default_rng(7)
    blocks = random.integers(0, 256, (48, 4, 4, 3), dtype=np.uint8)
    return blocks.repeat(20, axis=1).repeat(20, axis=2)
