"""Evaluated arms with planted scores, as the evaluation leaves them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.runs import HISTORY, METRICS, PER_QUERY
from reidflow.spec.experiment import Arm, Experiment, slug_of
from reidflow.spec.experiment_file import ExperimentFile
from reidflow.store.tables import Contract
from reidflow.tables import experiment as tables
from reidflow.tables.arms import TABLES, read_arms
from reidflow.tables.data import DataDescription

SEEDS = (0, 1, 2)
IDENTITIES = [f"cat {n:02d}" for n in range(20)]
PER_IDENTITY = 4
AUDIT = {"straddling_groups": 0, "straddling_joined_pairs": 0, "train_only": ["cat 98", "cat 99"], "leaks": False}
VERSIONS = "torch 2.15.0, timm 1.0.31, device cpu"


@dataclass(frozen=True)
class Spec:
    """A stub for a run spec: the tables read its plain form alone."""

    tree: dict = field(default_factory=dict)

    def plain(self) -> dict:
        return self.tree


def an_experiment(
    names: list[str],
    *,
    seeds: dict[str, tuple] | None = None,
    tuned: dict | None = None,
    against: dict[str, str] | None = None,
    equivalence: float | None = None,
    **content: Any,
) -> Experiment:
    content = {
        "question": "Which loss ranks best?",
        "motivation": "it is not known",
        "hypothesis": "one does",
        "varies": ["loss"],
        "tuned": tuned or {},
        "baseline": names[0],
        "arms": {name: {"why": "to see", "loss": name} for name in names},
        **content,
    }
    arms = {
        name: Arm(
            name,
            slug_of(name),
            "to see",
            (against or {}).get(name),
            (seeds or {}).get(name, SEEDS),
            (({}, Spec({"loss": {"name": name}, "epochs": 30, "model": {"head": {"dim": 128}}, "seed": 0})),),
        )
        for name in names
    }
    return Experiment(
        "losses", "config/experiments/losses.yaml", ExperimentFile(**content), arms, (100, 101), equivalence=equivalence
    )


def scores(base: float, seed: int = 0, noise: float = 0.01, seeds: int = len(SEEDS)) -> np.ndarray:
    """(identities, seeds): scores that differ by identity alike for every arm, plus an arm's own small noise."""
    shape = np.linspace(-0.1, 0.1, len(IDENTITIES))[:, None]
    return base + shape + np.random.default_rng(seed).normal(0, noise, (len(IDENTITIES), seeds))


def write_arm(
    folder: Path,
    table: np.ndarray,
    *,
    seeds: tuple[int, ...] = SEEDS,
    chosen: dict | None = None,
    flank_effect: float = 0.0,
    skip: bool = True,
    metrics: dict[str, list] | None = None,
) -> Path:
    """Write an arm whose identity i scores table[i, s] with seed s: four queries, two of each flank, one more skipped."""
    folder.mkdir(parents=True)
    rows = []
    for place, seed in enumerate(seeds):
        for row, identity in enumerate(IDENTITIES):
            for query in range(PER_IDENTITY):
                left = query % 2 == 0
                ap = table[row, place] + (flank_effect if left else -flank_effect)
                rows.append((seed, f"{identity}/{query}.png", identity, "g", "left" if left else "right", float(ap)))
            if skip:
                rows.append((seed, f"{identity}/lone.png", identity, "g", "left", None))
    columns = ["seed", "image", "identity", "group", "flank", "ap"]
    per_query = whole(pl.DataFrame(rows, schema=columns, orient="row"), PER_QUERY)
    per_query.sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "per_query.parquet")
    count = len(seeds)
    values = {
        "run": [f"{folder.name} {seed}" for seed in seeds],
        "seed": list(seeds),
        "split": [0] * count,
        "id_map": table.mean(axis=0).tolist(),
        "id_map_unfiltered": (table.mean(axis=0) + 0.1).tolist(),
        "id_map_untrained": [0.3] * count,
        "val_id_map": [0.6 + 0.1 * place for place in range(count)],
        **{name: [0.05] * count for name in ("chance", "map", "top1", "top5", "top10", "map_at_r")},
        "nmi": [0.7 + 0.01 * position for position in range(count)],
        **{name: [10] * count for name in ("epochs", "best_epoch", "parameters", "trainable_parameters")},
        "loss_parameters": [7] * count,
        "queries": [len(IDENTITIES) * PER_IDENTITY] * count,
        "skipped": [len(IDENTITIES)] * count,
        "identities": [len(IDENTITIES)] * count,
        "steps": [100 + place for place in range(count)],
        "train_images": [200] * count,
        "flops": [1_000_000] * count,
        "train_flops": [5_000_000] * count,
        "diverged": [False] * count,
        "versions": [VERSIONS] * count,
        **(metrics or {}),
    }
    whole(pl.DataFrame(values), METRICS).reverse().write_parquet(folder / "metrics.parquet")
    whole(pl.DataFrame(a_history(seeds)), HISTORY).write_parquet(folder / "history.parquet")
    efficiency = {
        "seed": list(seeds),
        "split": [0] * count,
        "seconds_train": [1.5] * count,
        "images_per_second": [1000.0] * count,
        "peak_memory_mb": [500.0 + place for place in range(count)],
        "device": ["cpu"] * count,
    }
    pl.DataFrame(efficiency).write_parquet(folder / "efficiency.parquet")
    if chosen is not None:
        (folder / "chosen.json").write_text(json.dumps(chosen))
    return folder


def whole(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return the table with the columns of its contract that it lacks: nulls where they are allowed, else zeros."""
    lacking = {name: kind for name, kind in contract.columns.items() if name not in frame.columns and name != "arm"}
    added = [pl.lit(None if name in contract.nullable else 0, kind).alias(name) for name, kind in lacking.items()]
    kinds = {name: kind for name, kind in contract.columns.items() if name in frame.columns}
    return frame.cast(kinds).with_columns(added).select([n for n in contract.columns if n != "arm"])


def a_history(seeds: tuple[int, ...]) -> dict[str, list]:
    """Three epochs of every seed, which end higher than they began."""
    epochs = range(4)
    return {
        "seed": [seed for seed in seeds for _ in epochs],
        "epoch": [epoch for _ in seeds for epoch in epochs],
        "loss": [None if epoch == 0 else 4.0 - epoch for _ in seeds for epoch in epochs],
        "val_id_map": [0.1 + 0.2 * epoch for _ in seeds for epoch in epochs],
        "learning_rate": [0.1] * len(seeds) * 4,
        "gradient_norm": [None if epoch == 0 else 1.0 for _ in seeds for epoch in epochs],
        "gradient_norm_max": [None if epoch == 0 else 2.0 for _ in seeds for epoch in epochs],
        "steps": [10 * epoch for _ in seeds for epoch in epochs],
    }


def build_table(experiment: Experiment, folders: dict[str, Path], data: DataDescription, **more: Any) -> tables.Tables:
    """Return the tables of arms that lie each in a folder of its own, as `write_arm` leaves them."""
    joined = next(iter(folders.values())).parent / "evaluated"
    joined.mkdir(exist_ok=True)
    for name in TABLES:
        parts = [
            pl.read_parquet(f / f"{name}.parquet").with_columns(arm=pl.lit(arm, pl.String))
            for arm, f in folders.items()
        ]
        pl.concat(parts, how="diagonal_relaxed").select(list(TABLES[name].columns)).write_parquet(
            joined / f"{name}.parquet"
        )
    choices = {arm: folder / "chosen.json" for arm, folder in folders.items()}
    chosen = {arm: json.loads(path.read_text()) for arm, path in choices.items() if path.exists()}
    (joined / "chosen.json").write_text(json.dumps(chosen))
    files = {name: joined / f"{name}.parquet" for name in TABLES}
    arms = read_arms(experiment, files, joined / "chosen.json" if experiment.tuned else None)
    return tables.build_table(experiment, arms, data, **more)


def a_description(**changes: Any) -> DataDescription:
    """A description whose identity number i has i + 2 training images."""
    rows = []
    for place, identity in enumerate(IDENTITIES):
        rows += [(f"{identity}/t{n}.png", identity, f"t{n}", "train", None) for n in range(place + 2)]
        rows += [(f"{identity}/{q}.png", identity, f"q{q}", "test", None) for q in range(PER_IDENTITY)]
    columns = ["image", "identity", "group", "role", "side"]
    split = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    plain = {
        "title": "demo",
        "scale": "demo scale",
        "digest": "d1",
        "gallery": "role",
        "method": {"name": "closed_set", "seed": 0},
    }
    return DataDescription(**{**plain, "split": split, "audit": AUDIT, **changes})


def a_table(folder: Path, effects: dict[str, float], metrics: dict[str, dict] | None = None, **content: Any):
    """Return (experiment, tables) of arms whose scores are 0.5 plus the planted effect. metrics: arm -> its METRICS."""
    experiment = an_experiment(list(effects), **content)
    folders = {
        name: write_arm(folder / slug_of(name), scores(0.5 + effect, seed), metrics=(metrics or {}).get(name))
        for seed, (name, effect) in enumerate(effects.items())
    }
    return experiment, build_table(experiment, folders, a_description())
