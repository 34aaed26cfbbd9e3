"""Small tables and images of the shapes that the report on a deduplication experiment reads."""

import numpy as np
import polars as pl
from figure_tables import names

from reidflow.analyses.dedup import tables as dedup
from reidflow.curation.subset import KEEP
from reidflow.dedup.images import DUPLICATES

IMAGES = [f"i{n:02d}" for n in range(12)]
WHO = ["A"] * 6 + ["B"] * 6


def pixels(count: int = len(IMAGES), size: int = 16) -> np.ndarray:
    """Images of one shade each, (N, size, size, 3): i00 is 10, the last 240."""
    shades = np.linspace(10, 240, count).astype(np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (count, size, size, 3))


def _complete(row: dict, contract) -> dict:
    return {name: row.get(name) for name in contract.columns}


def methods(count: int, truth: bool = True) -> pl.DataFrame:
    """`count` methods with awkward names at six thresholds; the last one finds nothing at its only threshold."""
    rows = []
    for i, label in enumerate(names(count)):
        last = i == count - 1
        for step in [0] if last else range(6):
            known = (
                {}
                if last or not truth
                else {"precision": 1 - step / 10, "recall": (step + 1) / 6, "f1": 0.5 - step / 20}
            )
            rows.append(
                {
                    "method": f"m{i}",
                    "label": label,
                    "threshold": step / (1 + i % 2 * 50),
                    "arm": step in (0, 3),
                    "pairs": 0 if last else 10 * step,
                    "cross_pairs": step,
                    "groups": 0 if last else step,
                    "largest_group": 1 + step,
                    "dropped": 0 if last else 2 * step,
                    "share": 0.0 if last else step / 50,
                    "recall": 0.0 if last and truth else None,
                    **known,
                }
            )
    return pl.DataFrame([_complete(row, dedup.METHODS) for row in rows], schema=dedup.METHODS.columns)


def dedup_arms(count: int) -> pl.DataFrame:
    """The baseline and two arms of each method but the last, the first recommended; two arms share one threshold."""
    rows = [{"arm": "base", "baseline": True, "share": 0.0, "kept": 100, "dropped": 0, "verdict": "baseline"}]
    rows[0] |= {"val_id_map": 0.5}
    for i, label in enumerate(names(count)[:-1]):
        for step in (0, 3):
            delta = 0.02 * (i % 3 - 1)
            rows.append(
                {
                    "arm": f"{label} {step}",
                    "baseline": False,
                    "method": f"m{i}",
                    "label": label,
                    "threshold": step / (1 + i % 2 * 50),
                    "scope": "identity",
                    "keep": "first",
                    "share": step / 50,
                    "kept": 100 - 2 * step,
                    "dropped": 2 * step,
                    "delta": delta,
                    "delta_low": None if i == 1 else delta - 0.04,
                    "delta_high": None if i == 1 else delta + 0.03,
                    "verdict": ["worse", "inconclusive", "better"][i % 3],
                    "val_id_map": 0.5,
                    "recommended": "overall" if not rows[1:] else "method" if step else None,
                }
            )
    rows.append(
        rows[1] | {"arm": "equal steps", "delta": 0.07, "delta_low": 0.05, "delta_high": 0.11, "recommended": None}
    )
    return pl.DataFrame([_complete(row, dedup.ARMS) for row in rows], schema=dedup.ARMS.columns)


def history(
    recorded: tuple[str, ...] = ("loss", "gradient_norm", "active", "hardness"), epochs: int = 4
) -> pl.DataFrame:
    rows = []
    for seed in range(2):
        for epoch in range(epochs + 1):
            values = {name: (k + 1.0 + seed) / epoch if epoch else None for k, name in enumerate(recorded)}
            rows.append({"seed": seed, "epoch": epoch, "val_id_map": 0.5, **values})
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(recorded, pl.Float64))


def duplicates(found: list[tuple[int, int, float]], dropped: list[int] = ()) -> dedup.Duplicates:
    """Twelve training images of two identities; pairs (i, j, distance) of the method `m0`, whose arm is `arm`."""
    rows = [(IMAGES[i], IMAGES[j], float(d), WHO[i] == WHO[j]) for i, j, d in found]
    keep = [(image, WHO[i], None, i not in dropped, None, None) for i, image in enumerate(IMAGES)]
    split = {"image": IMAGES, "identity": WHO, "group": IMAGES, "role": ["train"] * 12, "side": [None] * 12}
    return dedup.Duplicates(
        {"m0": {"name": "dhash"}},
        {"m0": [2.0]},
        {"m0": 9.0},
        {"m0": pl.DataFrame(rows, schema=DUPLICATES.columns, orient="row")},
        {"arm": pl.DataFrame(keep, schema=KEEP.columns, orient="row")},
        pl.DataFrame({"image": IMAGES}),
        pl.DataFrame(split),
    )


def sheet_arms(recommended: str | None = "overall") -> pl.DataFrame:
    row = {"arm": "arm", "baseline": False, "method": "m0", "label": "dhash", "threshold": 2.0, "scope": "identity"}
    row |= {"keep": "first", "dropped": 1, "val_id_map": 0.5, "recommended": recommended, "verdict": "inconclusive"}
    return pl.DataFrame([_complete(row, dedup.ARMS)], schema=dedup.ARMS.columns)
