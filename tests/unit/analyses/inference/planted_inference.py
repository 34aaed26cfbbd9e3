"""An experiment on inference with planted effects: who gains from which method is known."""

from types import SimpleNamespace

import numpy as np
import polars as pl

from reidflow.analyses.inference.tables import inference_table
from reidflow.evaluation.statistics import compare
from reidflow.tables.comparisons import COMPARISONS

SEEDS, QUERIES = (0, 1, 2), 4
IDENTITIES = [f"animal {n:02d}" for n in range(16)]
IMAGES = {name: 2 + n // 2 for n, name in enumerate(IDENTITIES)}
"""Images in the gallery: from 2 to 9, two identities each."""
EXPANSION, RECIPROCAL = {"name": "query_expansion", "k": 5}, {"name": "k_reciprocal", "k1": 20, "k2": 6, "lambda_": 0.3}
STEPS = {
    "none": [],
    "flip_*": [{"name": "flip"}],
    "expansion": [EXPANSION],
    "reciprocal": [RECIPROCAL],
    "flip_reciprocal": [{"name": "flip"}, RECIPROCAL],
    "flip_expansion": [{"name": "flip"}, EXPANSION],
    "three_runs": [],
    "pair": [{"name": "flip"}],
}
ENSEMBLES = {
    "three_runs": {"seeds": 3, "members": [], "combine": "average"},
    "pair": {"seeds": 1, "members": [{"epochs": 9}], "combine": "concatenate"},
}
EFFECT = {"reciprocal": 0.1, "flip_reciprocal": 0.2, "flip_expansion": -0.05, "three_runs": 0.05}
VALIDATION = {"flip_*": 0.41, "expansion": 0.40, "reciprocal": 0.5, "flip_reciprocal": 0.55, "flip_expansion": 0.3}


def specs() -> dict[str, dict]:
    return {arm: {"inference": steps, "ensemble": ENSEMBLES.get(arm), "ranking": None} for arm, steps in STEPS.items()}


def experiment() -> SimpleNamespace:
    return SimpleNamespace(
        name="inference", arms=dict.fromkeys(STEPS), equivalence=None, file=SimpleNamespace(baseline="none")
    )


def gain(arm: str) -> np.ndarray:
    """Return what each identity gains: expansion takes from those with few images and gives to the others."""
    if arm == "expansion":
        return np.linspace(-0.1, 0.1, len(IDENTITIES))
    return np.full(len(IDENTITIES), EFFECT.get(arm, 0.0))


def scores() -> dict[str, np.ndarray]:
    """Return arm -> average precision (identities, seeds, queries); without an effect nothing changes at all."""
    generator = np.random.default_rng(3)
    base = generator.uniform(0.3, 0.6, (len(IDENTITIES), len(SEEDS), QUERIES))
    found = {}
    for arm in STEPS:
        noise = generator.normal(0, 0.01, base.shape) if gain(arm).any() else 0.0
        found[arm] = np.clip(base + gain(arm)[:, None, None] + noise, 0, 1)
    return found


def per_query() -> pl.DataFrame:
    rows = [
        (arm, seed, f"{identity}-{query}", identity, float(values[i, s, query]))
        for arm, values in scores().items()
        for s, seed in enumerate(SEEDS)
        for i, identity in enumerate(IDENTITIES)
        for query in range(QUERIES)
    ]
    unscored = [(arm, seed, "alone", "nobody", None) for arm in STEPS for seed in SEEDS]
    return pl.DataFrame([*rows, *unscored], schema=["arm", "seed", "image", "identity", "ap"], orient="row")


def differences() -> dict[str, np.ndarray]:
    values = scores()
    return {arm: (values[arm] - values["none"]).mean(axis=2) for arm in STEPS}


def comparisons() -> pl.DataFrame:
    rows = []
    for arm, values in differences().items():
        for identity, own in zip(IDENTITIES, values.tolist(), strict=True):
            known = [None, None] if arm == "none" else [float(np.mean(own)), own]
            rows.append(["inference", arm, None, identity, 7, 0.4, *known])
            # By flank it is something else: only the rows over all queries count.
            rows.append(["inference", arm, "left", identity, 7, 0.4, 9.0, [9.0] * len(SEEDS)])
    return pl.DataFrame(rows, schema=COMPARISONS.columns, orient="row")


def results() -> pl.DataFrame:
    changes = {arm: values for arm, values in differences().items() if arm != "none"}
    found, rows = compare(changes), []
    for arm in STEPS:
        mean = float(scores()[arm].mean())
        row = {"arm": arm, "val_id_map": VALIDATION.get(arm, 0.35), "id_map": mean, "id_map_std": 0.01}
        row |= dict.fromkeys(("top1", "top5", "top10"), min(1.0, mean + 0.1))
        row |= {"ties_with_best": arm in ("flip_reciprocal", "pair"), "verdict": "baseline"}
        row |= dict.fromkeys(("delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable"))
        if arm in found:
            own = found[arm]
            row |= {"delta": own.delta, "delta_low": own.low, "delta_high": own.high, "p_adjusted": own.p_adjusted}
            row |= {"smallest_detectable": own.smallest_detectable, "verdict": own.verdict}
        rows.append(row)
    return pl.DataFrame(rows)


def table() -> pl.DataFrame:
    return inference_table(experiment(), specs(), results(), per_query(), comparisons(), IMAGES)
