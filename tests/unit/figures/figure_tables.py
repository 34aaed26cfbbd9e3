"""Small tables of the shapes that figures read, with names as awkward as users' are."""

import numpy as np
import polars as pl

LONG = "a name that says at great length what the arm does and why it is there " * 3
NAMES = [
    "base",
    "<script>alert(1)</script>",
    "$x^2$ & $y_1$",
    "two\nlines",
    LONG[:200],
    "tab\there",
    "nul\x00 bell\x07",
]


def names(count: int) -> list[str]:
    return [NAMES[i] if i < len(NAMES) else f"arm_{i:02d}" for i in range(count)]


def results(count: int) -> pl.DataFrame:
    verdicts = ["better", "worse", "inconclusive"]
    rows = []
    for i, name in enumerate(names(count)):
        delta = [0.08, -0.07, 0.01][i % 3] + i * 1e-3
        value = 0.5 + (delta if i else 0.0)
        rows.append(
            {
                "experiment": "losses",
                "arm": name,
                "baseline": i == 0,
                "id_map": value,
                "id_map_std": 0.01,
                "id_map_by_seed": [value - 0.01, value, value + 0.01],
                "chance": 0.1,
                "delta": delta if i else None,
                "delta_low": delta - 0.02 if i else None,
                "delta_high": delta + 0.02 if i else None,
                "verdict": verdicts[i % 3] if i else "baseline",
                "ties_with_best": value > 0.57,
                "smallest_detectable": 0.03 if i else None,
                "parameters": 10 ** (5 + i % 4),
                "trainable_parameters": 1000,
                "flops": None if i == 1 else 10**9 * (i + 1),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def history(seed: int = 0, epochs: int = 6, validation: bool = True, broken: bool = False) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for s in range(3):
        for epoch in range(epochs + 1 - s):
            loss = float(5 / (epoch + 1) + generator.uniform(0, 0.1)) if epoch else None
            value = float(0.3 + 0.05 * epoch + generator.uniform(0, 0.01)) if validation else None
            rows.append({"seed": s, "epoch": epoch, "loss": loss, "val_id_map": value})
    if broken:
        rows[-1]["loss"] = float("nan")
    schema = {"seed": pl.Int64, "epoch": pl.Int64, "loss": pl.Float64, "val_id_map": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


def comparisons(count: int, identities: int = 12) -> pl.DataFrame:
    generator = np.random.default_rng(1)
    rows = [
        {
            "arm": arm,
            "flank": None,
            "identity": f"animal {i}",
            "train_images": 3 * i + 1,
            "delta": float(generator.normal(0, 0.05)) if arm != "base" else None,
        }
        for arm in names(count)
        for i in range(identities)
    ]
    return pl.DataFrame(rows, schema_overrides={"flank": pl.String, "delta": pl.Float64})


def profiles(count: int) -> pl.DataFrame:
    rows = [
        {
            "arm": arm,
            "threshold": t,
            "share": (0.3 + i / 100) ** t,
            "share_low": 0.9 * 0.2**t,
            "share_high": (0.6 + i / 200) ** t,
        }
        for i, arm in enumerate(names(count))
        for t in (0.0, 0.25, 0.5, 1.0)
    ]
    return pl.DataFrame(rows).with_columns(share_low=pl.when(pl.col("arm") != names(2)[1]).then("share_low"))


def choices(count: int) -> dict:
    found = {}
    for i, arm in enumerate(names(count)):
        best = i % 4
        points = [
            {
                "values": {"optimizer.lr": rate},
                "val_id_map": 0.5 - 0.05 * abs(k - best),
                "seeds": {"90": 0.5, "91": 0.4},
            }
            for k, rate in enumerate([1e-4, 3e-4, 1e-3, 3e-3])
        ]
        edge = {"optimizer.lr": best in (0, 3)}
        found[arm] = {"values": points[best]["values"], "points": points, "on_edge": edge}
    return found


def board(count: int) -> pl.DataFrame:
    ranked = results(count).sort("id_map", descending=True).with_row_index("rank", 1)
    return ranked.with_columns(
        pl.lit("A").alias("group"), pl.lit("within group A").alias("comparable"), pl.lit("demo").alias("data_set")
    )
