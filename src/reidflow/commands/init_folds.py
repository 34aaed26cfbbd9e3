"""Folds in the config that `reidflow init` writes: for few test images, which verdicts could not rest on."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from reidflow.spec.config import FOLDS
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import Sides
from reidflow.spec.experiment import Experiment
from reidflow.spec.experiment_file import SEED
from reidflow.spec.experiment_splits import takes_folds
from reidflow.spec.plan import Plan
from reidflow.spec.winners import candidate_experiments
from reidflow.splits.roles import TEST
from reidflow.splits.sides import of_photographs
from reidflow.splits.split import split_images

FEW = 200
"""Test queries below which folds are worth their time.

With fewer, average precisions that spread as the demo's do (a standard deviation of 0.3) have a mean whose standard error
exceeds 0.02, the margin within which arms count as equivalent.
"""
NUMBER = 5
SEEDS = [0, 1, 2]
"""Training seeds in each fold: fifteen runs of an arm."""


@dataclass(frozen=True)
class Tested:
    """How many images are queries of the test role, and of how many individuals."""

    images: int
    individuals: int

    def __str__(self) -> str:
        return f"{self.images} images of {self.individuals} individuals"


@dataclass(frozen=True)
class Gain:
    """What one split tests, and all folds together."""

    one: Tested
    folds: Tested


def gain(
    manifest: pl.DataFrame, groups: pl.DataFrame, method: dict[str, Any], gallery: str, sides: Sides
) -> Gain | None:
    """Return what folds test more; None where one split tests enough, or folds do not fit the images.

    The arguments are those of `split_images`; method: a single split.
    """
    one = _tested([split_images(manifest, groups, method, gallery, sides)])
    if one.images >= FEW:
        return None
    folded = {**method, FOLDS: NUMBER}
    try:
        folds = [split_images(manifest, groups, folded, gallery, sides, fold=fold) for fold in range(NUMBER)]
    except ReidflowError:
        return None
    found = Gain(one, _tested(folds))
    return found if found.folds.images > one.images else None


def _tested(splits: list[pl.DataFrame]) -> Tested:
    queries = pl.concat(splits).filter((pl.col("role") == TEST) & of_photographs())
    return Tested(queries.height, queries["identity"].n_unique())


def on_folds(plan: Plan) -> list[str]:
    """Return the experiments of a plan that are to run on folds: those that can, on features, which takes seconds.

    Those whose arms differ in their seeds stay on one split: they are about seeds.
    """
    return [name for name, experiment in plan.experiments.items() if _foldable(experiment, plan.division)]


def _foldable(experiment: Experiment, main: dict[str, Any]) -> bool:
    frozen = all(arm.frozen for arm in experiment.arms.values())
    return frozen and takes_folds(experiment) and experiment.division == main and SEED not in experiment.file.varies


def overrides(folded: list[str], ranking: dict[str, list[str]]) -> dict[str, Any]:
    """Return the config's changes to experiments: to those that run on folds, and to those that ranked them.

    ranking: as `ranking` returns it.
    """
    on = {name: {"evaluation": {"split": {FOLDS: NUMBER}}, "seeds": SEEDS} for name in folded}
    return on | {name: {"candidates": {"experiments": others}} for name, others in ranking.items() if others}


def ranking(plan: Plan, folded: list[str]) -> dict[str, list[str]]:
    """Return experiment -> the experiments on one split whose arms it still ranks, where it ranked others as well."""
    found = {}
    for name, experiment in plan.experiments.items():
        ranked = candidate_experiments(experiment, plan.experiments)
        if any(other in folded for other in ranked):
            found[name] = [other for other in ranked if other not in folded]
    return found
