"""Verdicts over folds in simulated data sets, although the folds' training sets overlap: how often wrong, how wide.

Every experiment draws a new data set: identities, and images about them as several views of the same distribution. An arm
whitens the features of its view by the training images (a random share of them for each seed) and ranks the test images, so
that no arm is better in expectation, while a training set favours one arm or another. Compared on the same data: one split,
folds, and a split for each seed.

Then worlds in which the effect of each training image on a difference is known, of two arms that do not differ: a verdict
is wrong about training sets drawn from the same images, or about those drawn from other images.

    python benchmarks/folds.py --experiments 500
"""

import argparse
from collections.abc import Callable

import numpy as np
import polars as pl

from reidflow.evaluation.statistics import compare
from reidflow.spec.components import call

IDENTITIES, IMAGES, ARMS, SEEDS, FOLDS, FEATURES, SUBSAMPLED = 30, 10, 4, 3, 5, 6, 0.7
DRAWN_SPLITS = 20


def roles(name: str, seed: int, fold: int | None = None) -> np.ndarray:
    """Return the role of each image (identities x images) under a split method; every image is a group of its own."""
    image = [f"{row:04}" for row in range(IDENTITIES * IMAGES)]
    identity = [f"{row // IMAGES:03}" for row in range(IDENTITIES * IMAGES)]
    images = pl.DataFrame({"image": image, "identity": identity, "group": image, "block": image})
    method = {"name": name, "train": 0.5, "val": 0.2, "test": 0.3, "seed": seed}
    whole = {**method, "folds": FOLDS} if fold is not None else method
    return np.array(call("split", whole, images, "role", *([] if fold is None else [fold])))


def draw(rng: np.random.Generator) -> np.ndarray:
    """Return features (arms, images, features): each arm sees a view of its own; identities differ in their spread."""
    prototypes = rng.standard_normal((ARMS, IDENTITIES, 1, FEATURES))
    noise = rng.standard_normal((ARMS, IDENTITIES, IMAGES, FEATURES)) * rng.gamma(2, 0.5, (1, IDENTITIES, 1, 1))
    mixing = np.exp(0.5 * rng.standard_normal((1, 1, 1, FEATURES)))
    return ((prototypes + noise) * mixing).reshape(ARMS, -1, FEATURES)


def scores(features: np.ndarray, role: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mean average precision of each identity (identities,), NaN where it has no query, for one training run."""
    owner = np.arange(len(role)) // IMAGES
    kept = (role == "train") & (rng.random(len(role)) < SUBSAMPLED)
    rows, owners = features[kept], owner[kept]
    means = np.stack(
        [rows[owners == one].mean(0) if (owners == one).any() else np.zeros(FEATURES) for one in range(IDENTITIES)]
    )
    within = rows - means[owners]
    values, vectors = np.linalg.eigh(within.T @ within / len(rows) + 1e-2 * np.eye(FEATURES))
    test = role == "test"
    embedded, who = features[test] @ (vectors / np.sqrt(values)), owner[test]
    distance = np.square(embedded[:, None] - embedded[None]).sum(-1)
    np.fill_diagonal(distance, np.inf)
    hits = (who[np.argsort(distance, axis=1)[:, :-1]] == who[:, None]).astype(float)
    ranks = np.arange(1, hits.shape[1] + 1)
    precision = (np.cumsum(hits, axis=1) / ranks * hits).sum(1) / np.maximum(hits.sum(1), 1)
    found = np.full(IDENTITIES, np.nan)
    for one in np.unique(who):
        found[one] = precision[who == one].mean()
    return found


def table(features: np.ndarray, splits: list[list[np.ndarray]], rng: np.random.Generator) -> np.ndarray:
    """Return (identities, columns) of an arm: splits: for each column the roles of its runs, over which it is averaged."""
    return np.stack([np.mean([scores(features, role, rng) for role in column], axis=0) for column in splits], axis=1)


EFFECTS = (0.0, 0.2, 0.4)
"""Standard deviations of the effect of a training set; that of the mean over identities is 0.18."""
GROUPS, SEED_EFFECT = 6, 0.3


def difference(design: str, effect: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return a difference (identities, columns), and its mean over all training sets that are drawn from its images.

    Identities and the residual of an image have the standard deviation 1.
    """
    images, identity = IDENTITIES * GROUPS, rng.standard_normal(IDENTITIES)
    weights, residual = rng.standard_normal((2, IDENTITIES, GROUPS))
    part = rng.permuted(np.arange(images).reshape(IDENTITIES, GROUPS) % GROUPS, axis=1)
    values, shared = np.full((IDENTITIES, FOLDS), np.nan), []
    for column in range(FOLDS):
        if design == "folds":
            test = part % FOLDS == column
            train = ~test & (rng.random(test.shape) < 5 / 7)
        else:
            order = part if design == "one split" else rng.permuted(part, axis=1)
            test, train = order < 2, order > 2
        moved = effect * weights[train].sum() / np.sqrt(train.sum())
        shared.append(effect * weights.mean() * np.sqrt(train.sum()))
        tested = test.sum(axis=1)
        noise = np.where(test, residual, 0).sum(axis=1) / np.maximum(tested, 1)
        found = identity + moved + noise + SEED_EFFECT * rng.standard_normal()
        values[:, column] = np.where(tested > 0, found, np.nan)
    return values, float(np.mean(shared))


def known_effects(experiments: int) -> None:
    """Print how often a verdict on one difference is wrong, about either kind of training sets."""
    for effect in EFFECTS:
        for design in ("one split", "a split for each seed", "folds"):
            rng = np.random.Generator(np.random.PCG64([int(100 * effect), len(design)]))
            found = [difference(design, effect, rng) for _ in range(experiments)]
            wrong = [
                np.mean([_differs(values - shared * own) for values, shared in found]) * 100 for own in (True, False)
            ]
            print(
                f"effect of the training set {effect:.1f}, {design:22} wrong about training sets drawn from these images "
                f"{wrong[0]:4.1f} %, from other images {wrong[1]:4.1f} %",
                flush=True,
            )


def _differs(values: np.ndarray) -> bool:
    return compare({"arm": values}, largest=np.inf)["arm"].verdict != "inconclusive"


def main() -> None:
    """Print, for each design, the share of experiments with a wrong verdict and the median half width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=500)
    given = parser.parse_args()
    known_effects(given.experiments)
    for name in ("closed_set", "identity_disjoint"):
        single = [roles(name, seed) for seed in range(DRAWN_SPLITS)]
        folds = [[roles(name, seed, fold) for fold in range(FOLDS)] for seed in range(DRAWN_SPLITS)]
        designs: dict[str, Callable[[int], list[list[np.ndarray]]]] = {
            f"one split, {SEEDS} seeds": lambda k, single=single: [[single[k % DRAWN_SPLITS]]] * SEEDS,
            f"{FOLDS} folds, one seed": lambda k, folds=folds: [[role] for role in folds[k % DRAWN_SPLITS]],
            f"{FOLDS} folds, {SEEDS} seeds": lambda k, folds=folds: [
                [role] * SEEDS for role in folds[k % DRAWN_SPLITS]
            ],
        }
        if name == "closed_set":
            designs[f"a split for each of {FOLDS} seeds"] = lambda k, single=single: [
                [single[(k + seed) % DRAWN_SPLITS]] for seed in range(FOLDS)
            ]
        for design, columns in designs.items():
            wrong, halves, deltas = 0, [], []
            for k in range(given.experiments):
                rng = np.random.Generator(np.random.PCG64([k, 16]))
                data = draw(rng)
                arms = [table(features, columns(k), rng) for features in data]
                found = compare({str(arm): arms[arm] - arms[0] for arm in range(1, ARMS)})
                wrong += any(one.verdict != "inconclusive" for one in found.values())
                halves += [(one.high - one.low) / 2 for one in found.values()]
                deltas += [one.delta for one in found.values()]
            print(
                f"{name:18} {design:30} wrong {100 * wrong / given.experiments:4.1f} %, half width {np.median(halves):.3f}, "
                f"standard deviation of the difference {np.std(deltas):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
