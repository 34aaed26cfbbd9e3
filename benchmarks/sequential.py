"""Seeds that are added to undecided arms, in simulated experiments: errors, seeds spent, and what was found.

First the worlds of verdicts.py, in which no arm differs: how many experiments have a wrong verdict at any look if every arm goes
to the last one, whatever else would stop it. Then experiments that are run as the workflow runs them, without and with
differences, beside the same with the first and with the largest number of seeds for every arm: wrong verdicts (of an
arm without a difference, or in the wrong direction), seeds an arm, the baseline included, and power: the share of the
arms with a difference of 0.03, 0.06 and 0.15 that are found.

    python benchmarks/sequential.py --experiments 2000 --walks 300
"""

import argparse
from collections.abc import Iterable
from itertools import pairwise, product

import numpy as np
from verdicts import ARMS, LEVEL, PARTS, SPECIAL, Cell, upper, with_borrowed
from verdicts import draw as draw_equal

from reidflow.evaluation.sequential import LEAST, chances, compare_looks, shares
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
        yield f"{100 * wrong / experiments:4.1f} (to {100 * upper(wrong, experiments):3.1f})"
        yield f"{np.mean([runs for _, runs in results]) / (len(effects) + 1):4.1f}"
        powers = [(verdicts[:, np.abs(effects) == size] != 0) for size in FOUND]
        yield " ".join(f"{100 * power.mean():3.0f}" if power.size else "  -" for power in powers)


def errors(cell: Cell, experiments: int) -> int:
    """Return how many of so many experiments have a verdict at any look, although nothing differs."""
    differences = draw_equal(cell, np.random.Generator(np.random.PCG64(0)), experiments)
    steps = zip(LOOKS, shares(LOOKS), strict=True)
    found = [with_borrowed(differences[..., :seeds], LEVEL * share, widths=1).wrong for seeds, share in steps]
    return int(np.any(found, axis=0).sum())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--walks", type=int, default=300)
    parser.add_argument("--arms", type=int, nargs="*", default=[2, 5, 10])
    parser.add_argument("--identities", type=int, nargs="*", default=[12, 30])
    given = parser.parse_args()
    print("| World | Arms, baseline included | Identities | Wrong, % (upper end) |\n| --- | --- | --- | --- |")
    for world, arms, identities in product([*PARTS, *SPECIAL], ARMS, given.identities):
        if arms > 2 or not world.startswith("half"):
            wrong = errors(Cell(world, arms, identities, LOOKS[-1]), given.experiments)
            ends = f"{100 * wrong / given.experiments:4.1f} (to {100 * upper(wrong, given.experiments):3.1f})"
            print(f"| {world} | {arms} | {identities} | {ends} |", flush=True)
    ways = (f"{LOOKS[0]} to {LOOKS[-1]}", f"{LOOKS[0]}", f"{LOOKS[-1]}")
    print(
        "\n| Dominates | Arms | Identities | Differ | " + " | ".join(f"{w}: wrong | seeds | power" for w in ways) + " |"
    )
    print("| " + "--- | " * 13)
    for (name, world), arms, identities, differ in product(WORLDS.items(), given.arms, given.identities, (False, True)):
        effects = np.resize(EFFECTS, arms) if differ else np.zeros(arms)
        columns = cell(given.walks, effects, identities, world)
        print(f"| {name} | {arms} | {identities} | {'yes' if differ else 'no'} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
