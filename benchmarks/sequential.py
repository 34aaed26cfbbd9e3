"""Seeds that are added to undecided arms, in simulated experiments: errors, seeds spent, and what was found.

First the worlds of verdicts.py, in which no arm differs: how many experiments have a wrong verdict at any look if every arm goes
to the last one, whatever else would stop it. Then experiments that are run as the workflow runs them, without and with
differences, beside the same with the first and with the largest number of seeds for every arm: experiments with a wrong verdict (better
or worse in the wrong direction or of no difference, equivalent of one as large as the margin), seeds an arm, the baseline
included, and the share of the arms with a difference of 0, 0.03, 0.06 and 0.15 that have a verdict.

    python benchmarks/sequential.py --experiments 2000 --walks 300
"""

import argparse
from collections.abc import Iterable
from itertools import pairwise, product

import numpy as np
from verdicts import ARMS, LEVEL, PARTS, SPECIAL, Cell, upper, with_borrowed
from verdicts import draw as draw_equal

from reidflow.evaluation import sequential
from reidflow.evaluation.sequential import LEAST, chances, compare_looks, shares
from reidflow.evaluation.statistics import Comparison, compare

LOOKS = (3, 5, 7, 10)
WORLDS = {"identities": (0.08, 0.01, 0.08), "seeds": (0.02, 0.03, 0.1), "residual": (0.01, 0.005, 0.12)}
"""What dominates -> standard deviations of an arm's identities, of its seeds, and of the rest, in mAP."""
EFFECTS = (0.0, 0.03, 0.0, -0.06, 0.15)
"""Differences of the arms, in turn."""
FOUND = (0.0, 0.03, 0.06, 0.15)
MARGIN = 0.02
SIGNS = {"better": 1, "worse": -1}


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


KNOWN: dict[tuple, dict[str, Comparison]] = {}


def compare_once(
    differences: dict[str, np.ndarray], level: float, largest: float, margin: float | None
) -> dict[str, Comparison]:
    """Return `compare`, computed once for the looks that later ones repeat."""
    key = level, *((arm, values.tobytes()) for arm, values in differences.items())
    if key not in KNOWN:
        KNOWN[key] = compare(differences, level, largest, margin)
    return KNOWN[key]


def walk(differences: dict[str, np.ndarray]) -> tuple[dict[str, str], int]:
    """Return the verdicts of an experiment that adds seeds look by look, and how many runs it trained."""
    KNOWN.clear()
    trained = dict.fromkeys(differences, LOOKS[0])
    for seeds, following in pairwise(LOOKS):
        known = {arm: values[:, : trained[arm]] for arm, values in differences.items()}
        more = [arm for arm, chance in chances(known, LOOKS, seeds, margin=MARGIN).items() if chance >= LEAST]
        if not more:
            break
        trained |= dict.fromkeys(more, following)
    known = {arm: values[:, : trained[arm]] for arm, values in differences.items()}
    found = compare_looks(known, LOOKS, margin=MARGIN)
    return {arm: one.verdict for arm, one in found.items()}, sum(trained.values()) + max(trained.values())


def at_once(differences: dict[str, np.ndarray], seeds: int) -> tuple[dict[str, str], int]:
    """Return the verdicts of an experiment with so many seeds for every arm, and how many runs it trained."""
    found = compare({arm: values[:, :seeds] for arm, values in differences.items()}, margin=MARGIN)
    return {arm: one.verdict for arm, one in found.items()}, seeds * (len(differences) + 1)


def cell(experiments: int, effects: np.ndarray, identities: int, world: tuple[float, float, float]) -> Iterable[str]:
    """Return the columns of a line: per cent wrong with its upper end, seeds an arm, and verdicts, of the three ways."""
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = [draw(rng, effects, identities, world) for _ in range(experiments)]
    for way in (walk, *(lambda d, seeds=seeds: at_once(d, seeds) for seeds in (LOOKS[0], LOOKS[-1]))):
        results = [way(differences) for differences in drawn]
        verdicts = [list(found.values()) for found, _ in results]
        wrong = sum(any(map(is_wrong, found, effects)) for found in verdicts)
        decided = np.array(verdicts) != "inconclusive"
        yield f"{100 * wrong / experiments:4.1f} (to {100 * upper(wrong, experiments):3.1f})"
        yield f"{np.mean([runs for _, runs in results]) / (len(effects) + 1):4.1f}"
        shown = [decided[:, np.abs(effects) == size] for size in FOUND]
        yield " ".join(f"{100 * share.mean():3.0f}" if share.size else "  -" for share in shown)


def is_wrong(verdict: str, effect: float) -> bool:
    """Return whether an arm with this difference has a wrong verdict."""
    if verdict == "equivalent":
        return abs(effect) >= MARGIN
    return verdict != "inconclusive" and SIGNS[verdict] != np.sign(effect)


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
    sequential.compare = compare_once
    print("| World | Arms, baseline included | Identities | Wrong, % (upper end) |\n| --- | --- | --- | --- |")
    for world, arms, identities in product([*PARTS, *SPECIAL], ARMS, given.identities if given.experiments else ()):
        if arms > 2 or not world.startswith("half"):
            wrong = errors(Cell(world, arms, identities, LOOKS[-1]), given.experiments)
            ends = f"{100 * wrong / given.experiments:4.1f} (to {100 * upper(wrong, given.experiments):3.1f})"
            print(f"| {world} | {arms} | {identities} | {ends} |", flush=True)
    ways = (f"{LOOKS[0]} to {LOOKS[-1]}", f"{LOOKS[0]}", f"{LOOKS[-1]}")
    print(
        "\n| Dominates | Arms | Identities | Differ | "
        + " | ".join(f"{w}: wrong | seeds | verdicts" for w in ways)
        + " |"
    )
    print("| " + "--- | " * 13)
    for (name, world), arms, identities, differ in product(WORLDS.items(), given.arms, given.identities, (False, True)):
        effects = np.resize(EFFECTS, arms) if differ else np.zeros(arms)
        columns = cell(given.walks, effects, identities, world)
        print(f"| {name} | {arms} | {identities} | {'yes' if differ else 'no'} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
