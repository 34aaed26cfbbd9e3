"""What the figures of seeds must show of planted tables."""

from collections.abc import Callable

import polars as pl
from figure_tables import names

from reidflow.analyses.seeds import figures
from reidflow.analyses.seeds.tables import DIFFERENCE, READINGS, SEEDS, SPREADS
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Does the <noise> carry $5?", "demo (demo scale)")
BEST, BASELINE = "best <of> $all$", names(5)[4]
T = {4: 2.7764451051977987, 7: 2.3646242510102993}
"""Quantile 0.975 of Student's t by degrees of freedom."""

DIVERGED = pl.DataFrame([dict.fromkeys(SEEDS.columns) | {"kind": "training", "arm": BEST}], schema=SEEDS.columns)


def runs(count: int, splits: int, best: str = BEST) -> tuple:
    rows, moments, expected = [], [], {}
    arms = {best: 0.66} if best == BASELINE else {best: 0.66, BASELINE: 0.60}
    for kind, keys in (("training", [100 + n for n in range(count)]), ("split", list(range(1, splits + 1)))):
        values = {
            arm: {k: level + 0.013 * ((7 * k + 3 * i) % 5) for k in keys} for i, (arm, level) in enumerate(arms.items())
        }
        for arm, own in values.items():
            for key, value in own.items():
                # Two training seeds on a split count as their mean.
                for shift in (0,) if kind == "training" else (-0.004, 0.004):
                    row = {"kind": kind, "arm": arm, "split_seed": None if kind == "training" else key, "run": "r"}
                    row |= {"seed": key if kind == "training" else 200 + (shift > 0), "id_map": value + shift}
                    rows.append(row | {"val_id_map": 0.9, "chance": 0.05, "diverged": False})
        if not keys:
            continue
        values[DIFFERENCE] = {k: values[best][k] - values.get(BASELINE, values[best])[k] for k in keys}
        for y, (arm, own) in enumerate(values.items()):
            side, y = ("differences", 0) if arm == DIFFERENCE else ("runs", y)
            middle, std, error = 0.5 + y / 10, (0.02 + y / 100 if len(keys) > 1 else None), 0.007
            row = {"kind": kind, "arm": arm, "count": len(keys), "mean": middle, "std": std}
            row |= {"standard_error": error if kind == "training" else None, "lowest": 0.1, "highest": 0.9}
            moments.append(row)
            panel = f"{kind} {side}"
            expected[gid("mean", arm, panel)] = [(middle, y)]
            expected[gid("seeds", arm, panel)] = [(value, y + 0.3) for value in own.values()]
            words = f"{middle:+.3f}" if arm == DIFFERENCE else f"{middle:.3f}"
            expected[gid("mean-text", arm, panel)] = words + ("" if std is None else f" ± {std:.3f}")
            if std is not None:
                expected[gid("std", arm, panel)] = [(middle - std, y), (middle + std, y)]
            if kind == "training":
                half = T[len(keys) - 1] * error
                expected[gid("interval", arm, panel)] = [(middle - half, y), (middle + half, y)]
        if best != BASELINE:
            expected[gid("pairs", "all", f"{kind} runs")] = [
                point for k in keys for point in ((values[best][k], 0.3), (values[BASELINE][k], 1.3))
            ]
    seeds, spreads = pl.DataFrame(rows, schema=SEEDS.columns), pl.DataFrame(moments, schema=SPREADS.columns)
    return figures.runs(seeds, spreads, best, BASELINE, HEADING), expected


def readings(count: int) -> tuple:
    rows, expected = [], {}
    for i, name in enumerate(names(count)):
        delta = [0.08, -0.05, 0.004][i % 3] + i / 1000
        verdict = ["better", "worse", "inconclusive"][i % 3]
        row = {"experiment": name, "arm": f"arm of {name}", "arms": 4, "seeds": 3, "delta": delta, "verdict": verdict}
        row |= {"delta_low": None if i == 2 else delta - 0.02, "delta_high": None if i == 2 else delta + 0.03}
        row |= {"noise": 0.01, "ratio": None if i == 1 else (i * 7 % count) + 0.5, "limit": 0.024 + i / 1000}
        row |= {"split_noise": 0.03, "split_limit": None if i == 0 else 0.06 + i / 1000}
        row |= {"beyond": False, "significant": 1, "significant_beyond": 0}
        rows.append(row)
    ordered = sorted(rows, key=lambda row: -(row["ratio"] or 0))
    for y, row in enumerate(ordered):
        name, delta = row["experiment"], row["delta"]
        words = f"{delta:+.3f}".replace("-", "\u2212") + ("" if row["ratio"] is None else f"  {row['ratio']:.1f} sd")
        expected[gid("delta", name)], expected[gid("delta-text", name)] = [(delta, y)], words
        expected[gid("limit", name)] = [(-row["limit"], y), (row["limit"], y)]
        if row["split_limit"] is not None:
            expected[gid("split-limit", name)] = [(-row["split_limit"], y), (row["split_limit"], y)]
        if row["delta_low"] is not None:
            expected[gid("interval", name)] = [(row["delta_low"], y), (row["delta_high"], y)]
    table = pl.DataFrame([{name: row.get(name) for name in READINGS.columns} for row in rows], schema=READINGS.columns)
    return figures.readings(table, HEADING), expected


CASES: dict[str, Callable[[], tuple]] = {
    "runs": lambda: runs(8, 5),
    "runs, one split": lambda: runs(5, 1),
    "runs, no split": lambda: runs(5, 0),
    "runs, the baseline wins": lambda: runs(5, 5, BASELINE),
    "runs, none": lambda: (figures.runs(DIVERGED, SPREADS.empty(), BEST, BASELINE, HEADING), {}),
    **{f"readings, {n}": lambda n=n: readings(n) for n in (2, 9, 30)},
    "readings, none": lambda: (figures.readings(READINGS.empty(), HEADING), {}),
}
