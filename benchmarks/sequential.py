"""Seeds that are added to undecided arms, in simulated experiments: errors, seeds spent, and what was found.

Beside them the same experiments with the first and with the largest number of seeds for every arm. An experiment is wrong
where any verdict is: of an arm without a difference, or in the wrong direction. Power: the share of the arms with
a difference of 0.03, 0.06 and 0.15 that are found.

    python benchmarks/sequential.py --experiments 2000
"""

import argparse
from collections.abc import Iterable
from itertools import pairwise, product

import numpy as np
from scipy.stats import binomtest

from reidflow.evaluation.sequential import LEAST, chances, compare_looks
from reidflow.evaluation.statistics import compare

LOOKS = (3, 5, 7, 10)
WORLDS = {"identities": (0.08, 0.01, 0.08), "seeds": (0.02, 0.03, 0.1), "residual": (0.01, 0.005, 0.12)}
"""What dominates -> standard deviations of an arm's identities, of its seeds, and of the rest, in mAP."""
EFFECTS = (0.0, 0.03, 0.0, -0.06, 0.15)
"""Differences of the arms, in turn."""
FOUND = (0.03, 0.06, 0.15)


def draw(
    rng: np.random.Generator, effects: np.ndarray, identities: int, world: tuple[float, float, float]
) -> dict[str, np.ndarray]:
    """Return arm -> (identities, largest number of seeds) differences from a baseline that all arms share."""
    arms, seeds = len(effects) + 1, LOOKS[-1]
    shapes = ((arms, identities, 1), (arms, 1, seeds), (arms, identities, seeds))
    scores = sum(std * rng.standard_normal(shape) for std, shape in zip(world, shapes, strict=True))
    return {
        str(arm): effect + own - scores[0] for arm, (effect, own) in enumerate(zip(effects, scores[1:], strict=True))
    }


def walk(differences: dict[str, np.ndarray]) -> tuple[dict[str, str], int]:
    """Return the verdicts of an experiment that adds seeds look by look, and how many runs it trained."""
    trained = dict.fromkeys(differences, LOOKS[0])
    for seeds, following in pairwise(LOOKS):
        known = {arm: values[:, : trained[arm]] for arm, values in differences.items()}
        more = [arm for arm, chance in chances(known, LOOKS, seeds).items() if chance >= LEAST]
        if not more:
            break
        trained |= dict.fromkeys(more, following)
    found = compare_looks({arm: values[:, : trained[arm]] for arm, values in differences.items()}, LOOKS)
    return {arm: one.verdict for arm, one in found.items()}, sum(trained.values()) + max(trained.values())


def at_once(differences: dict[str, np.ndarray], seeds: int) -> tuple[dict[str, str], int]:
    """Return the verdicts of an experiment with so many seeds for every arm, and how many runs it trained."""
    found = compare({arm: values[:, :seeds] for arm, values in differences.items()})
    return {arm: one.verdict for arm, one in found.items()}, seeds * (len(differences) + 1)


def cell(experiments: int, effects: np.ndarray, identities: int, world: tuple[float, float, float]) -> Iterable[str]:
    """Return the columns of a line: per cent wrong with its upper end, seeds an arm, and power, of the three ways."""
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = [draw(rng, effects, identities, world) for _ in range(experiments)]
    for way in (walk, *(lambda d, seeds=seeds: at_once(d, seeds) for seeds in (LOOKS[0], LOOKS[-1]))):
        results = [way(differences) for differences in drawn]
        verdicts = np.array(
            [[0 if v == "inconclusive" else 1 if v == "better" else -1 for v in r[0].values()] for r in results]
        )
        wrong = int(((verdicts != 0) & (verdicts != np.sign(effects))).any(axis=1).sum())
        upper = binomtest(wrong, experiments).proportion_ci().high
        yield f"{100 * wrong / experiments:4.1f} ({100 * upper:3.1f})"
        yield f"{np.mean([runs for _, runs in results]) / (len(effects) + 1):4.1f}"
        powers = [(verdicts[:, np.abs(effects) == size] != 0) for size in FOUND]
        yield " ".join(f"{100 * power.mean():3.0f}" if power.size else "  -" for power in powers)


def main() -> None:
    """Print a table: a row for each world, without and with differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--arms", type=int, nargs="*", default=[2, 5, 10])
    parser.add_argument("--identities", type=int, nargs="*", default=[12, 30])
    given = parser.parse_args()
    ways = (f"{LOOKS[0]} to {LOOKS[-1]}", f"{LOOKS[0]}", f"{LOOKS[-1]}")
    print(
        "| Dominates | Arms | Identities | Differ | " + " | ".join(f"{w}: wrong | seeds | power" for w in ways) + " |"
    )
    print("| " + "--- | " * 13)
    for (name, world), arms, identities, differ in product(WORLDS.items(), given.arms, given.identities, (False, True)):
        effects = np.resize(EFFECTS, arms) if differ else np.zeros(arms)
        columns = cell(given.experiments, effects, identities, world)
        print(f"| {name} | {arms} | {identities} | {'yes' if differ else 'no'} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
