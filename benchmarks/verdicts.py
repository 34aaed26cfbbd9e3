"""False positives and coverage of the statistics in simulated experiments without an effect, by variance regime.

Beside them the same test with Satterthwaite's degrees of freedom as they come, without the caution about seeds.

    python benchmarks/verdicts.py --seeds 3 --identities 24
"""

import argparse

import numpy as np

from reidflow.evaluation import statistics
from reidflow.evaluation.statistics import MeanDifference, interval, mean_difference, p_value

SHARES = (0, 0.5, 2, 8, 32, 1000)


def simulate(
    rng: np.random.Generator, draws: int, identities: int, seeds: int, parts: tuple[float, float]
) -> np.ndarray:
    """Return (draws, identities, seeds) of mean zero; `parts` are the variances of the mean due to identity and seed."""
    of_identity = rng.standard_normal((draws, identities, 1)) * np.sqrt(parts[0] / seeds)
    of_seed = rng.standard_normal((draws, 1, seeds)) * np.sqrt(parts[1] / identities)
    return of_identity + of_seed + rng.standard_normal((draws, identities, seeds))


def plain(differences: np.ndarray) -> MeanDifference:
    """Return the mean difference with the plain degrees of freedom."""
    identities, seeds = differences.shape[-2:]
    squares = statistics._mean_squares(differences)
    free = statistics._satterthwaite(*squares, (identities - 1, seeds - 1))
    return mean_difference(differences)._replace(degrees_of_freedom=free)


def figures(mean: MeanDifference) -> list[float]:
    """Return false positives at 5 % and at 0.5 %, and the coverage of the 95 % interval, in per cent."""
    p = p_value(mean)
    low, high = interval(mean, 0.05)
    return [100 * float(share.mean()) for share in (p < 0.05, p < 0.005, (low <= 0) & (high >= 0))]


def main() -> None:
    """Print a line for each regime and the extremes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--identities", type=int, default=24)
    parser.add_argument("--draws", type=int, default=20000)
    given = parser.parse_args()
    rng = np.random.Generator(np.random.PCG64(0))
    print("variance of the mean, residual = 1      false positives at 5 % | at 0.5 % | coverage")
    print("identities    seeds                     ours  plain | ours plain | ours plain")
    rows = []
    for identity in SHARES:
        for seed in SHARES:
            drawn = simulate(rng, given.draws, given.identities, given.seeds, (identity, seed))
            ours, other = figures(mean_difference(drawn)), figures(plain(drawn))
            rows.append([number for pair in zip(ours, other, strict=True) for number in pair])
            print(f"{identity:10} {seed:8}" + " " * 20 + "  ".join(f"{number:5.2f}" for number in rows[-1]))
    print("highest" + " " * 32 + "  ".join(f"{number:5.2f}" for number in np.max(rows, axis=0)))
    print("lowest " + " " * 32 + "  ".join(f"{number:5.2f}" for number in np.min(rows, axis=0)))


if __name__ == "__main__":
    main()
