"""Arms against the baseline or a control: differences paired by identity and seed, and their table per identity.

A control is the arm that does as much as another one at random: what was done is worth something if it beats that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation import bootstrap
from reidflow.evaluation.sequential import compare_looks
from reidflow.evaluation.statistics import LARGEST, Comparison, compare, ties_with_best
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract
from reidflow.tables.arms import EvaluatedArm, identity_mean, known, mean
from reidflow.tables.columns import column, columns

LEVEL = 0.05
FEWEST = 5
"""Identities that the interval of a distance from chance needs: with fewer it would be too narrow."""
BASELINE, EQUIVALENT, INCONCLUSIVE, UNAVAILABLE = "baseline", "equivalent", "inconclusive", "unavailable"
Scores = tuple[list[str], np.ndarray]
"""Identities, and the value of each with each seed: (identities, seeds)."""
AGAINST = tuple(
    f"against{part}" for part in ("", "_delta", "_low", "_high", "_p_adjusted", "_verdict", "_smallest_detectable")
)
"""Columns of the comparison with a control; null where an arm names none."""
COMPARISONS = Contract(
    "comparisons",
    [
        *columns("experiment", "arm", "flank", "identity"),
        *(column(name).but(nullable=False) for name in ("train_images", "id_map")),
        *columns("delta", "delta_by_seed"),
    ],
)

PROFILES = Contract(
    "performance profiles",
    [
        *columns("experiment", "arm"),
        Column("threshold", pl.Float64, "threshold", "number2", "Mean average precision of an identity."),
        Column("share", pl.Float64, "share", "share1",
               "Share of identities with at least this mean average precision, mean over seeds."),
        Column("share_low", pl.Float64, "lower end", "share1",
               "Lower end of the pointwise 95 % band, by a bootstrap over identities and seeds.", nullable=True),
        Column("share_high", pl.Float64, "upper end", "share1", "Upper end of the same band.", nullable=True),
    ],
)  # fmt: skip
"""The share of identities that an arm ranks at least as well as each threshold (Dolan and More 2002, Agarwal et al. 2021)."""


@dataclass(frozen=True)
class Paired:
    """Arm minus another arm: `differences` is (identities, seeds), the seeds of both paired by position.

    With folds it is (identities, folds), NaN where a fold does not test the identity.
    """

    identities: list[str]
    differences: np.ndarray
    notes: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether there is a spread over seeds and over identities to judge the difference by."""
        return min(self.differences.shape) >= 2

    @property
    def delta(self) -> float | None:
        """The mean difference, None without a shared identity; with folds the mean over identities of their own means."""
        if np.isnan(self.differences).any():
            return identity_mean(self.differences)
        return mean(self.differences.ravel().tolist()) if self.differences.size else None


def pair(arm: EvaluatedArm, other: EvaluatedArm, flank: str | None = None) -> Paired:
    """Return the differences of an arm to another one over the identities that both score with every seed.

    Where one has more seeds, its first ones count.
    """
    seeds = min(len(arm.seeds), len(other.seeds))
    paired = pair_scores(arm.first(seeds).scores(flank), other.first(seeds).scores(flank), remark=flank is None)
    if seeds < 2 or (len(arm.seeds) == seeds and (arm.seeds == other.seeds[:seeds] or len(other.seeds) == seeds)):
        return paired
    return replace(paired, notes=(f"compared on the first {seeds} seeds, which both arms have", *paired.notes))


def in_order(names: Sequence[str], others: Iterable[str]) -> list[str]:
    """Return those of `names`, in their order, that are among `others`."""
    known = set(others)
    return [name for name in names if name in known]


def places(names: Sequence[str], wanted: Iterable[str]) -> list[int]:
    """Return the place of each of `wanted` among `names`, which are different."""
    place = {name: number for number, name in enumerate(names)}
    return [place[name] for name in wanted]


def pair_scores(arm: Scores, other: Scores, remark: bool = True) -> Paired:
    """Return the differences of scores over the identities that both have. remark: whether to note that there is none."""
    (ours, scores), (theirs, base) = arm, other
    shared = in_order(ours, theirs)
    seeds = min(scores.shape[1], base.shape[1])
    rows, base_rows = places(ours, shared), places(theirs, shared)
    differences = scores[rows, :seeds] - base[base_rows, :seeds]
    both = ~np.isnan(differences).all(axis=1)
    shared, differences = [identity for identity, kept in zip(shared, both, strict=True) if kept], differences[both]
    notes = []
    if seeds < 2:
        notes.append("one seed alone: the noise between seeds is unknown, so nothing is concluded")
    elif scores.shape[1] != base.shape[1]:
        notes.append(f"compared on the first {seeds} seeds, which both arms have")
    left_out = len({*ours, *theirs}) - len(shared)
    if not shared and remark:
        notes.append("no identity is scored with every seed of both arms")
    elif left_out:
        notes.append(f"compared on the {len(shared)} identities that both arms score ({left_out} left out)")
    return Paired(shared, differences, tuple(notes))


def judge(
    pairs: dict[str, Paired],
    level: float = LEVEL,
    largest: float = LARGEST,
    margin: float | None = None,
    looks: Sequence[int] = (),
) -> dict[str, Comparison]:
    """Return the comparison of every arm that has enough seeds and identities, corrected over those arms.

    largest: no difference can be larger in size. margin: of equivalence, in units of the differences. looks: how many seeds
    each look has, where undecided arms get more.
    """
    enough = {arm: paired.differences for arm, paired in pairs.items() if paired.enough}
    if not enough:
        return {}
    return compare_looks(enough, looks, level, largest, margin) if looks else compare(enough, level, largest, margin)


def judged(found: Comparison) -> dict[str, Any]:
    """Return the columns of a row that say whether its difference is significant."""
    return {
        "delta_low": found.low,
        "delta_high": found.high,
        "p_adjusted": found.p_adjusted,
        "verdict": found.verdict,
        "smallest_detectable": found.smallest_detectable,
    }


def improves(arm: EvaluatedArm, baseline: EvaluatedArm) -> dict[str, float | None]:
    """Return the columns of the probability of improvement, over the identities that both arms score with every seed."""
    (ours, scores), (theirs, base) = arm.seed_scores(), baseline.seed_scores()
    shared = sorted(set(ours) & set(theirs))
    own, other = scores[places(ours, shared)], base[places(theirs, shared)]
    names = ("improvement", "improvement_low", "improvement_high")
    return {name: known(float(value)) for name, value in zip(names, bootstrap.improvement(own, other), strict=True)}


def profiles(experiment: str, arms: list[EvaluatedArm]) -> pl.DataFrame:
    """Return PROFILES of the arms that score an identity with every seed."""
    rows = []
    for arm in arms:
        _, scores = arm.seed_scores()
        if scores.size:
            found = bootstrap.profile(scores)
            rows += [
                [experiment, arm.name, threshold, *map(known, values)]
                for threshold, *values in zip(bootstrap.THRESHOLDS, *np.array(found).tolist(), strict=True)
            ]
    return pl.DataFrame(rows, schema=PROFILES.columns, orient="row")


def best_set(arms: list[EvaluatedArm], level: float = LEVEL) -> list[str]:
    """Return the arms that are not significantly different from the best, over the identities and seeds that all scored arms share."""
    scored = {arm.name: arm.scores() for arm in arms}
    scored = {name: found for name, found in scored.items() if found[0]}
    shared = set.intersection(*(set(found[0]) for found in scored.values())) if scored else set()
    seeds = min((found[1].shape[1] for found in scored.values()), default=0)
    tables = {
        name: scores[[row for row, identity in enumerate(identities) if identity in shared], :seeds]
        for name, (identities, scores) in scored.items()
    }
    return ties_with_best(tables, level)


def per_identity(
    experiment: str, arms: list[EvaluatedArm], baseline: EvaluatedArm, splits: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Return each arm's score of every identity and its difference to the baseline, over all queries and by flank.

    train_images: of the identity, over several splits their mean.
    """
    of_splits = pl.concat([split.filter(pl.col("role") == "train") for split in splits])
    trained = {name: round(n / len(splits)) for name, n in of_splits.group_by("identity").len().iter_rows()}
    flanks = sorted(set(baseline.per_query["flank"].drop_nulls()))
    rows = []
    for arm in arms:
        for flank in [None, *flanks]:
            identities, scores = arm.scores(flank)
            paired = pair(arm, baseline, flank)
            differences = (
                {} if arm is baseline else dict(zip(paired.identities, paired.differences.tolist(), strict=True))
            )
            for identity, values in zip(identities, scores.tolist(), strict=True):
                by_seed = differences.get(identity)
                delta = identity_mean(np.array([by_seed])) if by_seed else None
                images = trained.get(identity, 0)
                score = identity_mean(np.array([values]))
                rows.append([experiment, arm.name, flank, identity, images, score, delta, by_seed])
    return pl.DataFrame(rows, schema=COMPARISONS.columns, orient="row")


def against_controls(
    experiment: Experiment, arms: Mapping[str, EvaluatedArm], said: Mapping[str, Paired], level: float = LEVEL
) -> dict[str, dict[str, Any]]:
    """Return the columns AGAINST, and a note, of every arm that names a control.

    Paired by identity and seed as with the baseline, corrected over the arms that name a control: a family of
    their own. arms: those that were run. said: their comparisons with the baseline, whose notes are not repeated.
    """
    controls = {name: arm.against for name, arm in experiment.arms.items() if arm.against is not None}
    pairs = {
        name: pair(arms[name], arms[control])
        for name, control in controls.items()
        if name in arms and control in arms and name != control
    }
    verdicts = judge(pairs, level, margin=experiment.equivalence, looks=experiment.looks)
    rows = {}
    for name, control in controls.items():
        row: dict[str, Any] = {"against": control, "against_verdict": UNAVAILABLE, "note": ""}
        if name in pairs:
            known = said[name].notes if name in said else ()
            row |= {
                "against_delta": pairs[name].delta,
                "against_verdict": INCONCLUSIVE,
                "note": "; ".join(f"against '{control}': {note}" for note in pairs[name].notes if note not in known),
            }
        if name in verdicts:
            found = verdicts[name]
            row |= {
                "against_low": found.low,
                "against_high": found.high,
                "against_p_adjusted": found.p_adjusted,
                "against_verdict": found.verdict,
                "against_smallest_detectable": found.smallest_detectable,
            }
        rows[name] = row
    return rows


def controlled(results: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a results table that name a control."""
    return results.filter(pl.col("against").is_not_null())
