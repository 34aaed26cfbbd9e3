"""The arms of a face competition's program: network, side and training parameters read from their specs, and the score."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.special import stdtrit

from reidflow.spec.experiment import Experiment
from reidflow.spec.run import RunSpec
from reidflow.tables.arms import mean
from reidflow.tables.comparisons import Scores

DESCRIBED, TRAINED = "as described", "trained projection"
SIDES = (DESCRIBED, TRAINED)
"""As described: the features of the frozen network, before any head, are ranked; trained projection: those of a trained head."""


@dataclass(frozen=True)
class Configuration:
    """Parameters of an arm that the program varies; None where its components have no such parameter."""

    architecture: str
    learning_rate: float | None
    epochs: int | None
    batch: int | None
    normalised: bool
    augmented: bool

    def differing(self, other: "Configuration") -> list[str]:
        """Return the parameters in which two configurations differ, in the order of the fields."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]

    @property
    def network(self) -> tuple[str, bool]:
        """What determines the features of a frozen backbone."""
        return self.architecture, self.normalised


FACTORS = tuple(f.name for f in fields(Configuration))
KEYS = ("top1", "top5", "top10")
"""Shares of the queries with a hit among the first k candidates; each includes the one before."""


@dataclass(frozen=True)
class Entry:
    """A configuration on one side, and the arm with its runs; `arm` is None where the experiment has none."""

    side: str
    name: str
    configuration: Configuration
    arm: str | None


def configuration_of(spec: RunSpec) -> Configuration:
    """Return the configuration of a run spec."""
    plain = spec.plain()
    backbone = plain["model"]["backbone"]
    return Configuration(
        _architecture(backbone),
        plain["optimizer"].get("learning_rate"),
        plain["epochs"],
        _batch(plain["sampler"]),
        backbone.get("normalise", True),
        bool(plain["augmentation"]),
    )


def side_of(spec: RunSpec) -> str:
    """Return the side of an arm: as described where nothing is trained."""
    return DESCRIBED if spec.model.trainable.name == "none" else TRAINED


def entries(experiment: Experiment) -> list[Entry]:
    """Return the configurations of an experiment on both sides, each side in the order of its file.

    Every arm that trains is a configuration. As described, its runs are those of the arm that trains nothing on the same
    network, whatever its training parameters. An arm that trains nothing on a network of its own is a configuration too.
    """
    arms = {name: (side_of(arm.spec), configuration_of(arm.spec)) for name, arm in experiment.arms.items()}
    trained = {name: own for name, (side, own) in arms.items() if side == TRAINED}
    frozen: dict[tuple[str, bool], str] = {}
    for name, (side, own) in arms.items():
        if side == DESCRIBED:
            frozen.setdefault(own.network, name)
    described = [Entry(DESCRIBED, name, own, frozen.get(own.network)) for name, own in trained.items()]
    known = {own.network for own in trained.values()}
    untrained = _untrained(arms, [name for network, name in frozen.items() if network not in known])
    described += [Entry(DESCRIBED, name, own, name) for name, own in untrained.items()]
    return described + [Entry(TRAINED, name, own, name) for name, own in trained.items()]


def _untrained(arms: Mapping[str, tuple[str, Configuration]], names: list[str]) -> dict[str, Configuration]:
    """Return the configurations of arms that train nothing, without training parameters."""
    return {name: replace(arms[name][1], learning_rate=None, epochs=None, batch=None) for name in names}


def baseline_of(found: list[Entry], baseline: str) -> Configuration | None:
    """Return the configuration of the baseline, None where no entry has its runs."""
    own = [entry for entry in found if entry.arm == baseline]
    own.sort(key=lambda entry: entry.side != TRAINED)
    return own[0].configuration if own else None


def controlled(found: list[Entry], baseline: Configuration | None) -> list[Entry]:
    """Return the entries that differ from the baseline in their architecture alone, the baseline's own included."""
    if baseline is None:
        return []
    return [entry for entry in found if set(entry.configuration.differing(baseline)) <= {"architecture"}]


def controlled_arms(experiment: Experiment) -> set[str]:
    """Return the arms whose runs differ from the baseline's in the architecture alone, on either side."""
    found = entries(experiment)
    fixed = controlled(found, baseline_of(found, experiment.file.baseline))
    return {entry.arm for entry in fixed if entry.arm is not None}


def _architecture(backbone: Mapping[str, Any]) -> str:
    return str(backbone.get("model") or backbone.get("family") or backbone["name"])


def _batch(sampler: Mapping[str, Any]) -> int | None:
    if "batch" in sampler:
        return sampler["batch"]
    return sampler["identities"] * sampler["images"] if {"identities", "images"} <= set(sampler) else None


class Spread(NamedTuple):
    """Mean over seeds; std, low and high (95 % interval of the mean) are None for one seed."""

    mean: float
    std: float | None
    low: float | None
    high: float | None


def score(weights: Mapping[str, float], values: Mapping[str, Any]) -> float:
    """Return the score of top-k accuracies. weights: k -> weight, some of KEYS."""
    return sum(weight * values[key] for key, weight in weights.items())


def query_scores(per_query: pl.DataFrame, seeds: Sequence[int], weights: Mapping[str, float]) -> Scores:
    """Return the identities of an arm's queries and what each adds to the score of each seed, times their number.

    So the mean over identities is the score: that of a query is the sum of the weights of all k that its first hit is
    within (under ties the hit counts behind the tied negatives), and the score is their mean over queries.
    per_query: PER_QUERY of the arm.
    """
    worth = pl.sum_horizontal(
        pl.when(pl.col("first_hit") <= int(key.removeprefix("top"))).then(float(weight)).otherwise(0.0)
        for key, weight in weights.items()
    )
    scored = per_query.filter(pl.col("ap").is_finite()).with_columns(worth=worth)
    identities = sorted(scored["identity"].unique())
    values = np.full((len(identities), len(seeds)), np.nan)
    for place, seed in enumerate(seeds):
        own = scored.filter(pl.col("seed") == seed)
        sums: dict[str, float] = {}
        for identity, value in own.select("identity", "worth").iter_rows():
            sums[identity] = sums.get(identity, 0.0) + value
        values[:, place] = [sums.get(identity, math.nan) * len(identities) / own.height for identity in identities]
    return identities, values


def score_error(weights: Mapping[str, float], values: Mapping[str, Any], queries: int) -> float | None:
    """Return the standard error of a score over samples of as many queries.

    A query contributes the weights of all k that its first hit is within; the accuracies are nested, so they give the
    number of queries with each contribution, hence the variance. None without queries.
    """
    shares = [values[key] for key in KEYS]
    if not queries or any(share is None or math.isnan(share) for share in shares):
        return None
    worth = [sum(weights.get(key, 0.0) for key in KEYS[i:]) for i in range(len(KEYS))]
    added = [share - before for share, before in zip(shares, [0.0, *shares], strict=False)]
    square = sum(share * value**2 for share, value in zip(added, worth, strict=True))
    return math.sqrt(max(square - score(weights, values) ** 2, 0.0) / queries)


def share_error(share: float | None, queries: int | None) -> float | None:
    """Return the binomial standard error of a share of queries."""
    if share is None or not queries or math.isnan(share):
        return None
    return math.sqrt(share * (1 - share) / queries)


def spread(values: list[float], level: float = 0.05) -> Spread:
    """Return the mean of the values of several seeds with the t interval of the mean."""
    centre = mean(values)
    if len(values) < 2:
        return Spread(centre, None, None, None)
    std = statistics.stdev(values)
    half = float(stdtrit(len(values) - 1, 1 - level / 2)) * std / math.sqrt(len(values))
    return Spread(centre, std, centre - half, centre + half)
