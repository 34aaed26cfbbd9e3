"""For which identities an arm differs from the baseline: rare or common in training, and which flank."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from reidflow.evaluation.statistics import Comparison, compare
from reidflow.tables.arms import mean
from reidflow.tables.comparisons import LEVEL

FEWEST = 6  # identities; with fewer a rank correlation says nothing


@dataclass(frozen=True)
class Rarity:
    """How an arm's difference goes with the number of training images of the identity.

    rho: Spearman's correlation; low, high: its interval, corrected over the arms. rare, common: mean difference of the
    identities with at most, and with more than, `middle` training images (None where there is no such identity).
    """

    rho: float
    low: float
    high: float
    middle: int
    rare: float | None
    common: float | None


def reach(comparisons: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Return for every arm how many identities it scores higher than the baseline does, and of how many."""
    rows = comparisons.filter(pl.col("flank").is_null() & pl.col("delta").is_not_null())
    counted = rows.group_by("arm", maintain_order=True).agg((pl.col("delta") > 0).sum().alias("higher"), pl.len())
    return {arm: (higher, total) for arm, higher, total in counted.iter_rows()}


def rarity(comparisons: pl.DataFrame, level: float = LEVEL) -> dict[str, Rarity]:
    """Return the rarity of every arm's difference.

    Empty where it is undefined: too few identities, or all with equally many training images. Intervals by Bonett and
    Wright (Psychometrika 2000), Bonferroni over the arms.
    """
    rows = comparisons.filter(pl.col("flank").is_null() & pl.col("delta").is_not_null())
    tables = {arm: table for (arm,), table in rows.group_by(["arm"], maintain_order=True)}
    found = {}
    for arm, table in tables.items():
        images, delta = table["train_images"].to_numpy(), table["delta"].to_numpy()
        if len(images) < FEWEST or np.ptp(images) == 0 or np.ptp(delta) == 0:
            continue
        rho = _spearman(images, delta)
        low, high = _interval(rho, len(images), level / len(tables))
        middle = int(np.median(images))
        found[arm] = Rarity(rho, low, high, middle, _mean(delta[images <= middle]), _mean(delta[images > middle]))
    return found


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of the ranks; equal values, up to rounding, share a rank."""
    a, b = (pl.Series(np.round(values, 12)).rank("average").to_numpy() for values in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1, 1))


def _interval(rho: float, count: int, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    clipped = min(max(rho, -1 + 1e-12), 1 - 1e-12)
    width = ndtri(1 - level / 2) * math.sqrt((1 + rho * rho / 2) / (count - 3))
    centre = math.atanh(clipped)
    return math.tanh(centre - width), math.tanh(centre + width)


def _mean(values: np.ndarray) -> float | None:
    return mean(values.tolist()) if len(values) else None


def flank_contrasts(comparisons: pl.DataFrame, level: float = LEVEL) -> dict[tuple[str, str], Comparison]:
    """Return (arm, flank) -> the arm's difference on that flank minus its mean difference on the others.

    Paired by identity (those scored on every flank) and seed, corrected over all pairs returned. Of two flanks only the
    first is given, since the second is its negative. Empty where flanks are unknown or identities or seeds too few.
    """
    rows = comparisons.filter(pl.col("flank").is_not_null() & pl.col("delta").is_not_null())
    flanks = sorted(set(rows["flank"]))
    if len(flanks) < 2:
        return {}
    contrasts = {}
    for (arm,), table in rows.group_by(["arm"], maintain_order=True):
        of = {
            (flank, identity): d
            for flank, identity, d in table.select("flank", "identity", "delta_by_seed").iter_rows()
        }
        shared = sorted({i for _, i in of if all((flank, i) in of for flank in flanks)})
        if len(shared) < 2:
            continue
        cube = np.array([[of[flank, identity] for identity in shared] for flank in flanks])
        if cube.shape[2] < 2:
            continue
        for index, flank in enumerate(flanks[:1] if len(flanks) == 2 else flanks):
            contrasts[arm, flank] = cube[index] - np.delete(cube, index, axis=0).mean(axis=0)
    return compare(contrasts, level) if contrasts else {}


def flank_means(comparisons: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Return arm -> flank -> mean difference over the identities scored on that flank."""
    found: dict[str, dict[str, list[float]]] = {}
    rows = comparisons.filter(pl.col("flank").is_not_null() & pl.col("delta").is_not_null())
    for arm, flank, delta in rows.select("arm", "flank", "delta").iter_rows():
        found.setdefault(arm, {}).setdefault(flank, []).append(delta)
    return {arm: {flank: mean(by_flank[flank]) for flank in sorted(by_flank)} for arm, by_flank in found.items()}
