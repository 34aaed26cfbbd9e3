"""Made-up tables of searches, in which the learning rate matters most, the sampler a little, and the rest not at all."""

from functools import cache

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from reidflow.spec.search import Axis, Written, axes_of

WRITTEN = TypeAdapter(Written)

SPACE = {
    "optimizer.learning_rate": {"low": 0.0001, "high": 0.03, "log": True},
    "sampler": [
        {"name": "shuffle"},
        {"name": "pk", "identities": 16, "images": 4},
        {"name": "pk", "identities": 8, "images": 8},
    ],
    "model.head.hidden": [0, 128, 256],
    "scheduler": [{"name": "constant"}, {"name": "cosine"}, {"name": "cosine", "warmup_epochs": 5}],
    "loss.margin": {"low": 0.1, "high": 0.7},
    "optimizer.weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "neck": {"choices": {"none": {"epochs": 3}, "<wide> & $deep$": {"epochs": 4}}},
    "batch_size": [16, 32, 64, 128],
    "model.head.dropout": {"low": 0.0, "high": 0.5},
    "model.backbone.kernels.0": [3, 5],
    "model.head.dimension": {"low": 16, "high": 512, "log": True},
    "loss.a_parameter_with_a_name_at_great_length": [f"value_{n}_of_seven" for n in range(7)],
}
STUDIES = ["random", "tpe", "quasi_random", "matched to tpe", "<evolution> $x^2$"]


@cache
def axes(count: int = len(SPACE)) -> tuple[Axis, ...]:
    written = {name: WRITTEN.validate_python(SPACE[name]) for name in list(SPACE)[:count]}
    return axes_of(written)


def studies(count: int) -> list[str]:
    return STUDIES[:count]


@cache
def trials(count: int = 3, axis_count: int = len(SPACE), budget: int = 40) -> pl.DataFrame:
    """TRIALS of `count` studies; tpe draws nearer to the best rate, the fourth study searches the first axis alone."""
    space = axes(axis_count)
    generator = np.random.default_rng(5)
    rows = []
    for s, study in enumerate(studies(count)):
        steps = 0
        for n in range(budget):
            own = {axis.name: _draw(axis, generator, n if study == "tpe" else 0) for axis in space}
            if s == 3:
                own |= {axis.name: None for axis in space[1:]}
            rows.append(_trial(study, n, own, space, generator))
            steps += rows[-1]["steps"]
        best = max((r for r in rows if r["study"] == study and r["value"]), key=lambda r: r["value"])
        best |= {"winner": True, "finalist_value": best["value"] - 0.01}
    kinds = {axis.name: {"choice": pl.String, "int": pl.Int64, "float": pl.Float64}[axis.kind] for axis in space}
    return pl.DataFrame(rows, schema_overrides={**kinds, "flops": pl.Int64, "finalist_value": pl.Float64})


def _draw(axis: Axis, generator: np.random.Generator, near: int) -> object:
    if axis.kind == "choice":
        return axis.labels[int(generator.integers(len(axis.labels)))]
    share = generator.uniform()
    if near > 10 and axis.name.endswith("learning_rate"):
        share = float(np.clip(generator.normal(0.6, 0.08), 0, 1))
    if axis.log:
        return float(axis.low * (axis.high / axis.low) ** share)
    value = axis.low + share * (axis.high - axis.low)
    return round(value) if axis.kind == "int" else float(value)


def _trial(study: str, number: int, own: dict, space: tuple[Axis, ...], generator: np.random.Generator) -> dict:
    rate = np.log10(own["optimizer.learning_rate"])
    value = 0.62 - 0.12 * (rate + 2.6) ** 2 + float(generator.normal(0, 0.015))
    value += 0.03 if str(own.get("sampler")).startswith("pk") else 0.0
    state = "diverged" if rate > -1.6 else "pruned" if number > 8 and value < 0.48 else "complete"
    epochs = 20 if state == "complete" else 6
    values = [0.2 + (max(value, 0.0) - 0.2) * (1 - np.exp(-e / 4)) for e in range(epochs + 1)]
    hidden = int(own.get("model.head.hidden") or 0)
    return {
        "study": study,
        "trial": number,
        "generation": number // 10,
        "seed": 1000 + number,
        "state": state,
        "value": {"complete": float(max(value, 0.05)), "pruned": None, "diverged": 0.0}[state],
        "values": values,
        "reached": epochs,
        "best_epoch": epochs if state == "complete" else None,
        "steps": epochs * 10,
        "flops": 1_000_000 + 1500 * hidden + 100_000 * int(own.get("model.backbone.kernels.0") or 3),
        "train_flops": epochs * 10**9,
        "parameters": 40_000 + 500 * hidden,
        "trainable_parameters": 10_000 + 500 * hidden,
        "run": f"{study}-{number}",
        "finalist_value": None,
        "winner": False,
        **own,
    }


def seconds(frame: pl.DataFrame) -> pl.DataFrame:
    """TRIALS_EFFICIENCY of these trials."""
    return frame.select("study", "trial", seconds=0.4 + 0.02 * pl.col("reached"), device=pl.lit("cpu"))


def importances(count: int = 3, axis_count: int = len(SPACE)) -> pl.DataFrame:
    """IMPORTANCES of `count` studies, the fourth without, and of two of them pooled."""
    names = [name for i, name in enumerate(studies(count)) if i != 3]
    space = [axis.name for axis in axes(axis_count)]
    rows = []
    for study in [*names, "random + quasi_random"]:
        for method in ("ped_anova", "fanova"):
            first = 0.7 if method == "fanova" else 0.6
            shares = [first * 0.4**i + 0.01 * (len(study) % 5) for i in range(len(space))]
            for i, axis in enumerate(space):
                chance = None if method == "fanova" else 0.01 if i < 2 else 0.4
                rows.append(
                    [
                        "hpo",
                        study,
                        "+" in study,
                        method,
                        axis,
                        shares[i],
                        chance,
                        *((60, 12) if method == "ped_anova" else (48, 0)),
                    ]
                )
    kinds = [pl.String, pl.String, pl.Boolean, pl.String, pl.String, pl.Float64, pl.Float64, pl.Int64, pl.Int64]
    names = ["experiment", "study", "pooled", "method", "axis", "share", "chance", "trials", "pruned"]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def effects(axis_count: int = len(SPACE)) -> pl.DataFrame:
    """EFFECTS of every choice; the last choice of each axis has no trials."""
    rows = []
    for i, axis in enumerate(axes(axis_count)):
        labels = axis.labels or [f"{axis.low:.3g} to 0.5", "0.5 to 0.6", f"0.6 to {axis.high:.3g}"]
        for k, label in enumerate(labels):
            effect = None if k and k == len(labels) - 1 else 0.3 * (k - 1) / (i + 1)
            verdict = "inconclusive" if effect is None or abs(effect) < 0.1 else "better" if effect > 0 else "worse"
            row = {"experiment": "hpo", "pool": "random + quasi_random", "axis": axis.name, "label": label}
            row |= {
                "trials": 20 - k if effect is not None else 0,
                "mean": None if effect is None else 0.5 + effect / 9,
            }
            row |= {"effect": effect, "low": effect and effect - 0.1, "high": effect and effect + 0.17}
            rows.append(row | {"verdict": verdict})
    kinds = dict.fromkeys(("mean", "effect", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=kinds, infer_schema_length=None)
