"""The evaluated arm: test metrics, per query values, training history and efficiency of an arm's runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.codes import integer_codes
from reidflow.evaluation.retrieval import evaluate
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import Contract

METRICS = Contract(
    "metrics of an arm",
    {
        "run": pl.String,
        "seed": pl.Int64,
        **dict.fromkeys(
            ("id_map", "id_map_unfiltered", "id_map_untrained", "chance", "map", "top1", "top5", "top10"), pl.Float64
        ),
        "val_id_map": pl.Float64,
        **dict.fromkeys(("map_at_r", "nmi", "intra", "inter"), pl.Float64),
        **dict.fromkeys(("queries", "skipped", "identities"), pl.Int64),
        "diverged": pl.Boolean,
        **dict.fromkeys(("epochs", "best_epoch", "steps", "train_images", "parameters"), pl.Int64),
        **dict.fromkeys(("trainable_parameters", "loss_parameters", "flops"), pl.Int64),
        **dict.fromkeys(("loss_first", "loss_last", "gradient_norm_max"), pl.Float64),
        "versions": pl.String,
    },
    nullable=frozenset({"val_id_map", "parameters", "flops", "loss_first", "loss_last", "gradient_norm_max"}),
)
PER_QUERY = Contract(
    "queries of an arm",
    {
        "seed": pl.Int64,
        "image": pl.String,
        "identity": pl.String,
        "group": pl.String,
        "flank": pl.String,
        "ap": pl.Float64,
        "ap_unfiltered": pl.Float64,
        "first_hit": pl.Int64,
    },
    nullable=frozenset({"flank", "ap", "ap_unfiltered", "first_hit"}),
)
HISTORY = Contract(
    "history of an arm",
    {
        "seed": pl.Int64,
        "epoch": pl.Int64,
        "loss": pl.Float64,
        "val_id_map": pl.Float64,
        "learning_rate": pl.Float64,
        "gradient_norm": pl.Float64,
        "gradient_norm_max": pl.Float64,
        "steps": pl.Int64,
        **dict.fromkeys(("active", "hardness"), pl.Float64),
        "size": pl.Int64,
        **dict.fromkeys(("curvature", "clipped"), pl.Float64),
    },
    nullable=frozenset(
        {"loss", "val_id_map", "gradient_norm", "gradient_norm_max", "active", "hardness", "size", "curvature", "clipped"}
    ),
)
EFFICIENCY = Contract(
    "efficiency of an arm",
    {
        "seed": pl.Int64,
        "seconds_train": pl.Float64,
        "images_per_second": pl.Float64,
        "peak_memory_mb": pl.Float64,
        "device": pl.String,
    },
    nullable=frozenset({"images_per_second"}),
)


def evaluate_arm(
    runs: list[tuple[int, str, Path]], split: pl.DataFrame, manifest: pl.DataFrame, gallery: str
) -> dict[str, pl.DataFrame]:
    """Return the tables `metrics`, `per_query`, `history` and `efficiency` of an arm.

    runs: (seed, key, folder in the run store); split: the split table; gallery: `role` (candidates are the test
    images) or `all` (every labelled image). Raises ReidflowError where a run's embeddings do not cover the test images.
    """
    layout = Layout(split, manifest, gallery)
    metrics, queries, histories, efficiency = [], [], [], []
    for seed, key, folder in runs:
        values, per_query = layout.score(folder, "final")
        untrained, _ = layout.score(folder, "initial")
        told = json.loads((folder / "provenance.json").read_text())
        history = pl.read_parquet(folder / "history.parquet")
        metrics.append(
            {
                **values,
                "run": key,
                "seed": seed,
                "id_map_untrained": untrained["id_map"],
                **_training(told, history),
            }
        )
        queries.append(per_query.with_columns(seed=pl.lit(seed, pl.Int64)))
        histories.append(history.with_columns(seed=pl.lit(seed, pl.Int64)).select(list(HISTORY.columns)))
        efficiency.append({"seed": seed, **_efficiency(folder)})
    return {
        "metrics": pl.DataFrame(metrics, schema=METRICS.columns),
        "per_query": pl.concat(queries).select(list(PER_QUERY.columns)),
        "history": pl.concat(histories),
        "efficiency": pl.DataFrame(efficiency, schema=EFFICIENCY.columns),
    }


class Layout:
    """Which test images ask, and which images they are ranked among."""

    def __init__(self, split: pl.DataFrame, manifest: pl.DataFrame, gallery: str) -> None:
        flanks = manifest.select("image", "flank")
        self.table = split.join(flanks, on="image", how="left", maintain_order="left")
        test = (split["role"] == "test").to_numpy()
        sides = split["side"].to_list()
        candidates = test if gallery == "role" else np.ones(len(split), bool)
        self.query = np.flatnonzero(test & np.array([side != "gallery" for side in sides]))
        self.gallery = np.flatnonzero(candidates & np.array([side != "query" for side in sides]))
        place = {row: position for position, row in enumerate(self.gallery)}
        self.query_index = np.array([place.get(row, -1) for row in self.query])
        (self.identity,), (self.group,) = integer_codes(split["identity"]), integer_codes(split["group"])

    @property
    def evaluated(self) -> np.ndarray:
        """Rows of the split that ask or are ranked, sorted."""
        return np.union1d(self.query, self.gallery)

    def rules(self) -> dict[str, np.ndarray]:
        """Return what decides the positives and the candidates of each query: arguments of `evaluate`, by name."""
        return {
            "query_identity": self.identity[self.query],
            "gallery_identity": self.identity[self.gallery],
            "query_index": self.query_index,
            "query_group": self.group[self.query],
            "gallery_group": self.group[self.gallery],
        }

    def score(self, folder: Path, stage: str) -> tuple[dict[str, float | int], pl.DataFrame]:
        """Return the metrics of a run's embeddings of one stage, and its table per query."""
        vectors = self._vectors(folder, stage)
        values, per_query = evaluate(vectors[self.query], vectors[self.gallery], **self.rules())
        described = self.table[self.query].select("image", "identity", "group", "flank")
        return values, pl.concat([described, per_query], how="horizontal")

    def _vectors(self, folder: Path, stage: str) -> np.ndarray:
        """Return (images of the split, dim) float32; rows that the run did not embed are never read."""
        table = pl.read_parquet(folder / "embeddings.parquet").filter(pl.col("stage") == stage)
        row_of = {image: row for row, image in enumerate(self.table["image"])}
        rows = [row_of[image] for image in table["image"]]
        if not set(self.evaluated.tolist()) <= set(rows):
            raise ReidflowError(f"{folder}: lacks embeddings of images that are evaluated. Remove it and run again.")
        stored = np.stack(table["vector"].to_numpy()).astype(np.float32)
        vectors = np.zeros((len(self.table), stored.shape[1]), np.float32)
        vectors[rows] = stored
        return vectors


def _training(told: dict[str, Any], history: pl.DataFrame) -> dict[str, Any]:
    losses = history.filter(pl.col("loss").is_not_null())["loss"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(told["versions"].items()))
    return {
        "val_id_map": _validation(told["best_epoch"], history),
        "diverged": told["diverged"],
        "epochs": told["epochs"],
        "best_epoch": told["best_epoch"],
        "steps": told["steps"],
        "train_images": told["train_images"],
        "parameters": told["parameters"],
        "trainable_parameters": told["trainable_parameters"],
        "loss_parameters": told["loss_parameters"],
        "flops": told["flops"],
        "loss_first": losses[0] if len(losses) else None,
        "loss_last": losses[-1] if len(losses) else None,
        "gradient_norm_max": history["gradient_norm_max"].max(),
        "versions": f"{versions}, device {told['device']}",
    }


def _validation(kept: int, history: pl.DataFrame) -> float | None:
    """Return the validation score of the weights that the run kept; None without validation."""
    scores = history.filter(pl.col("epoch") == kept)["val_id_map"]
    return scores[0] if len(scores) else None


def _efficiency(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / "efficiency.json").read_text())
    return {
        "seconds_train": told["seconds"],
        "images_per_second": told["images_per_second"],
        "peak_memory_mb": told["peak_memory_mb"],
        "device": told["device"],
    }


def merged(job_files: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the runs that an arm's jobs name."""
    for file in job_files:
        yield from json.loads(Path(file).read_text())
