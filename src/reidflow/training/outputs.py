"""The files of a finished run, and the contracts of its tables."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import save

from reidflow.spec.run import RunSpec
from reidflow.spec.yaml import dumps
from reidflow.store.atomic import write_bytes, write_text
from reidflow.store.tables import Contract, write_table
from reidflow.training.data import RunData

HISTORY = Contract(
    "history of a run",
    {
        "epoch": pl.Int64,  # 0: before training
        "loss": pl.Float64,  # mean over the epoch's batches
        "val_id_map": pl.Float64,
        "learning_rate": pl.Float64,  # at the epoch's first step
        "gradient_norm": pl.Float64,  # mean over the epoch's steps, before clipping
        "gradient_norm_max": pl.Float64,
        "steps": pl.Int64,  # optimizer steps since the start
        "active": pl.Float64,  # share of the loss's terms (anchors, pairs, triplets) above 0
        "hardness": pl.Float64,  # mean of the terms above 0, in the loss's units; null where it counts none
        "size": pl.Int64,  # side of the images trained on, pixels; null for a run on features
        "curvature": pl.Float64,  # of the geometry at the epoch's end, negative; null where it has none
        "clipped": pl.Float64,  # share of the training embeddings at the geometry's clipping radius; null without one
    },
    nullable=frozenset(
        {
            "loss",
            "val_id_map",
            "gradient_norm",
            "gradient_norm_max",
            "active",
            "hardness",
            "size",
            "curvature",
            "clipped",
        }
    ),
)
EMBEDDINGS = Contract(
    "embeddings of a run",
    {"image": pl.String, "role": pl.String, "stage": pl.String, "vector": pl.List(pl.Float32)},
)


def write_run(out: Path, spec: RunSpec, history: list[dict[str, Any]], provenance: dict[str, Any]) -> None:
    """Write run.yaml (without what the digest of the data stands for), history.parquet and provenance.json."""
    write_text(out / "run.yaml", dumps(spec.apart_from_data()))
    write_table(pl.DataFrame(history, schema=HISTORY.columns), out / "history.parquet", HISTORY)
    write_json(out / "provenance.json", provenance)


def write_embeddings(out: Path, data: RunData, rows: np.ndarray, initial: np.ndarray, final: np.ndarray) -> None:
    """Write embeddings.parquet: for each of `rows` the vector (dim,) of either stage."""
    frames = [
        pl.DataFrame(
            {
                "image": [data.images[i] for i in rows],
                "role": [data.roles[i] for i in rows],
                "stage": [stage] * len(rows),
                "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])).cast(pl.List(pl.Float32)),
            }
        )
        for stage, vectors in (("initial", initial), ("final", final))
    ]
    write_table(pl.concat(frames), out / "embeddings.parquet", EMBEDDINGS)


def write_weights(out: Path, state: dict[str, torch.Tensor]) -> None:
    """Write model.safetensors: what the run trained (nothing, where nothing was trained)."""
    write_bytes(out / "model.safetensors", save({name: t.cpu().contiguous() for name, t in sorted(state.items())}))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON, keys sorted, one a line."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
