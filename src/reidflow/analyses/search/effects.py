"""Importances of the axes of a search, and the marginal effect of each choice or part of a range."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import rankdata

from reidflow.analyses.search.tables import ENDED, SPACE_FILLING, STUDY, TRIALS, with_scores
from reidflow.search.importance import fanova, ped_anova
from reidflow.search.trial import PRUNED
from reidflow.spec.experiment import Experiment
from reidflow.spec.search import Axis, Study
from reidflow.spec.seeds import seed_for
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import columns
from reidflow.tables.comparisons import INCONCLUSIVE

PED_ANOVA, FANOVA = "ped_anova", "fanova"
PARTS = 3
"""Parts of a range: of equal width, on a logarithmic axis of equal factors."""
PERMUTATIONS = 4999
LEVEL = 0.05
FEWEST = 10
"""Trials below which no effect is tested."""
AXIS = Column("axis", pl.String, "axis", "text", "Axis of the space.")
IMPORTANCES = Contract(
    "importances of axes",
    [
        *columns("experiment"),
        STUDY.but(meaning="The study, or the space-filling ones joined by ` + `."),
        Column("pooled", pl.Boolean, "pooled", "yes_no", "Whether the trials of several studies are taken together."),
        Column("method", pl.String, "method", "text", "ped_anova or fanova."),
        AXIS,
        Column("share", pl.Float64, "share", "share",
               "PED-ANOVA: share of what separates the best fifth of the trials; fANOVA: share of the variance."),
        Column("chance", pl.Float64, "chance", "probability",
               "Share of shuffled trials in which the axis looks as important; PED-ANOVA alone.", nullable=True),
        TRIALS,
        ENDED,
    ],
)  # fmt: skip
EFFECTS = Contract(
    "marginal effects of choices",
    [
        *columns("experiment"),
        Column("pool", pl.String, "studies", "text", "The studies whose trials are compared."),
        AXIS,
        Column("label", pl.String, "choice", "text", "A choice, or a part of a range."),
        TRIALS,
        ENDED,
        Column("mean", pl.Float64, "mean", "number", "Mean validation mAP; pruned trials count with the best they reached.",
               nullable=True),
        Column("best", pl.Float64, "best", "number", "Highest validation mAP.", nullable=True),
        Column("mean_rank", pl.Float64, "mean rank", "number1", "Mean rank among all these trials; 1 is the best.",
               nullable=True),
        Column("standing", pl.Float64, "standing", "number2", "Mean share of all trials that these beat; 0.5 is average.",
               nullable=True),
        Column("effect", pl.Float64, "effect", "signed2", "Standing minus that of the trials without the choice.",
               nullable=True),
        Column("low", pl.Float64, "lower end", "signed2", "Lower end of the interval of the effect.", nullable=True),
        Column("high", pl.Float64, "upper end", "signed2", "Upper end of the interval of the effect.", nullable=True),
        Span("effect_interval", ("low", "high"), "interval", "interval2",
             "Simultaneous 95 % interval of the effect, corrected over all choices of all axes."),
        Column("p", pl.Float64, "p", "probability", "p value of the effect, corrected over all choices of all axes.",
               nullable=True),
        Column("verdict", pl.String, "verdict", "verdict", "better, worse or inconclusive, from the p value."),
    ],
)  # fmt: skip


def pool_of(experiment: Experiment) -> list[Study]:
    """Return the studies whose trials cover the space evenly: those over the same, the most, axes that do not adapt."""
    able = [study for study in experiment.studies.values() if study.algorithm["name"] in SPACE_FILLING]
    widest = max(able, key=lambda study: len(study.axes), default=None)
    return [study for study in able if study.axes == widest.axes]


def pool_name(studies: Sequence[Study]) -> str:
    """Return the name of the pooled trials of studies."""
    return " + ".join(study.name for study in studies)


def pooled(experiment: Experiment, trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials of the space-filling studies that have a score, with the column `score`."""
    names = [study.name for study in pool_of(experiment)]
    return with_scores(trials.filter(pl.col("study").is_in(names))).filter(pl.col("score").is_not_null())


def importances_table(experiment: Experiment, trials: pl.DataFrame) -> pl.DataFrame:
    """Return IMPORTANCES of each study with enough trials and of the space-filling ones together, if they are several.

    PED-ANOVA: what separates the best fifth from all trials; pruned ones count with the best they reached. fANOVA
    explains values, so it takes trials with a value alone; a diverged one has the value 0.
    """
    rows = []
    pool = pool_of(experiment)
    for group in [*([study] for study in experiment.studies.values()), *([pool] if len(pool) > 1 else [])]:
        known = trials.filter(pl.col("study").is_in([study.name for study in group]))
        scored = with_scores(known).filter(pl.col("score").is_not_null())
        finished = scored.filter(pl.col("value").is_not_null())
        for method, evaluate, own in ((PED_ANOVA, ped_anova, scored), (FANOVA, fanova, finished)):
            axes, name = group[0].axes, pool_name(group)
            settings = own.select(axis.name for axis in axes).to_dicts()
            pruned = own.filter(pl.col("state") == PRUNED).height
            for found in evaluate(axes, settings, own["score"].to_list(), seed_for(group[0].seed, name)):
                row = [experiment.name, name, len(group) > 1, method, found.axis, found.share, found.chance]
                rows.append([*row, own.height, pruned])
    return pl.DataFrame(rows, schema=IMPORTANCES.columns, orient="row")


def effects_table(experiment: Experiment, trials: pl.DataFrame, level: float = LEVEL) -> pl.DataFrame:
    """Return EFFECTS on the pooled space-filling trials: axes in the order of the space, labels in theirs.

    Each label's trials are compared with the pool's others by their standing. Shuffling the standings over the trials
    gives the null distribution; its largest over all labels at once gives corrected p values and intervals, so verdict
    and interval agree (Westfall and Young, 1993). Empty without FEWEST trials.
    """
    pool, own = pool_of(experiment), pooled(experiment, trials)
    if own.height < FEWEST:
        return EFFECTS.empty()
    groups = [(axis.name, label, members) for axis in pool[0].axes for label, members in _members(axis, own[axis.name])]
    values = own["score"].to_numpy()
    ranks = rankdata(values)
    standing = (ranks - 0.5) / len(ranks)
    tests = _test(standing, [members for *_, members in groups], level, pool[0].seed)
    ended = (own["state"] == PRUNED).to_numpy()
    rows = []
    for (axis, label, members), found in zip(groups, tests, strict=True):
        row = {"experiment": experiment.name, "pool": pool_name(pool), "axis": axis, "label": label}
        row |= {"trials": int(members.sum()), PRUNED: int(ended[members].sum()), "verdict": INCONCLUSIVE}
        if members.any():
            row |= {"mean": float(values[members].mean()), "best": float(values[members].max())}
            row |= {"mean_rank": float((len(ranks) + 1 - ranks)[members].mean())}
            row |= {"standing": float(standing[members].mean())}
        rows.append(row | found)
    return pl.DataFrame([{c: row.get(c) for c in EFFECTS.columns} for row in rows], schema=EFFECTS.columns)


def _members(axis: Axis, values: pl.Series) -> list[tuple[str, np.ndarray]]:
    """Return (label, which trials have it) of each label of an axis, or of each part of its range."""
    if axis.kind == "choice":
        return [(label, (values == label).to_numpy()) for label in axis.labels]
    scale = math.log if axis.log else float
    low, high = scale(axis.low), scale(axis.high)
    places = np.array([(scale(value) - low) / (high - low) for value in values])
    part = np.clip((places * PARTS).astype(int), 0, PARTS - 1)
    ends = [low + (high - low) * n / PARTS for n in range(PARTS + 1)]
    plain = [math.exp(end) if axis.log else end for end in ends]
    return [(f"{plain[n]:.3g} to {plain[n + 1]:.3g}", part == n) for n in range(PARTS)]


def _test(standing: np.ndarray, members: list[np.ndarray], level: float, seed: int) -> list[dict[str, Any]]:
    """Return effect, interval, corrected p and verdict of each group of trials; {} for one that holds none or all."""
    inside = np.array(members, dtype=float)
    counts = inside.sum(axis=1)
    able = (counts > 0) & (counts < len(standing))
    inside, counts = inside[able], counts[able]
    weights = inside / counts[:, None] - (1 - inside) / (len(standing) - counts)[:, None]
    errors = standing.std() * np.sqrt(1 / counts + 1 / (len(standing) - counts))
    effects = weights @ standing
    if not standing.std() or not able.any():
        return [{} for _ in members]
    generator = np.random.default_rng(seed_for(seed, "effects"))
    shuffled = generator.permuted(np.tile(standing, (PERMUTATIONS, 1)), axis=1)
    largest = np.round(np.abs((shuffled @ weights.T) / errors).max(axis=1), 9)
    seen = np.round(np.abs(effects) / errors, 9)
    p = (1 + (largest[None, :] >= seen[:, None]).sum(axis=1)) / (1 + PERMUTATIONS)
    critical = np.sort(largest)[math.ceil((1 - level) * (1 + PERMUTATIONS)) - 1]
    found = iter(
        {
            "effect": float(effect),
            "low": float(effect - critical * error),
            "high": float(effect + critical * error),
            "p": float(each),
            "verdict": INCONCLUSIVE if each > level else "better" if effect > 0 else "worse",
        }
        for effect, error, each in zip(effects, errors, p, strict=True)
    )
    return [next(found) if one else {} for one in able]
