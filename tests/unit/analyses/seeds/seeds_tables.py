"""Made-up tables of an experiment on seeds: the best arm lies 0.06 above the baseline."""

import numpy as np
import polars as pl
from figure_tables import names

from reidflow.analyses.seeds import tables as tables

BEST, BASELINE = "best <of> $all$", "base"


def seeds(count: int = 8, splits: int = 5) -> pl.DataFrame:
    generator = np.random.default_rng(3)
    keys = [(tables.TRAINING, None, 100 + n) for n in range(count)]
    keys += [(tables.SPLIT, n, seed) for n in range(1, splits + 1) for seed in (100, 101)]
    rows = []
    for kind, split, seed in keys:
        shared = float(generator.normal(0, 0.02 if kind == tables.SPLIT else 0.006))
        for arm, level in ((BEST, 0.66), (BASELINE, 0.60)):
            value = level + shared + float(generator.normal(0, 0.03 if kind == tables.SPLIT else 0.005))
            told = {"kind": kind, "arm": arm, "split_seed": split, "seed": seed, "run": f"{arm}-{split}-{seed}"}
            rows.append(told | {"id_map": value, "val_id_map": value - 0.01, "chance": 0.1, "diverged": False})
    return pl.DataFrame(rows, schema=tables.SEEDS.columns)


def spreads(found: pl.DataFrame) -> pl.DataFrame:
    return tables.spreads_table(found, BEST, BASELINE)


def readings(count: int, found: pl.DataFrame) -> pl.DataFrame:
    """`count` experiments with awkward names, of four arms each, whose largest differences grow."""
    results = {}
    for i, name in enumerate(names(count)):
        rows = [{"arm": "base", "baseline": True, "delta": None, "verdict": "baseline"}]
        for k in range(4):
            delta = (-1) ** i * 0.006 * (i + 1) * (k + 1) / 4
            told = {"arm": f"arm {k} of {name}", "baseline": False, "delta": delta, "delta_low": delta - 0.02}
            verdict = "inconclusive" if abs(delta) < 0.02 else "better" if delta > 0 else "worse"
            rows.append(told | {"delta_high": delta + 0.02, "verdict": verdict, "seeds": 3 + i % 3})
        results[name] = pl.DataFrame(rows, infer_schema_length=None)
    return tables.readings_table(results, tables.noise_of(found, BEST, BASELINE))
