"""What the choices of a search do: importances of the axes, and the marginal effect of each label or part of a range."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import rankdata

from reidflow.analyses.search.tables import PRUNED, SPACE_FILLING, with_scores
from reidflow.search.importance import fanova, ped_anova
from reidflow.spec.experiment import Experiment
from reidflow.spec.search import Axis, Study
from reidflow.spec.seeds import seed_for
from reidflow.store.tables import Contract
from reidflow.tables.comparisons import INCONCLUSIVE

PED_ANOVA, FANOVA = "ped_anova", "fanova"
PARTS = 3
"""Parts of equal width (of equal factors on a logarithmic axis) into which a range is cut."""
PERMUTATIONS = 4999
LEVEL = 0.05
FEWEST = 10
"""Trials without which no effect is looked for."""
IMPORTANCES = Contract(
    "importances of axes",
    {
        "experiment": pl.String,
        "study": pl.String,  # a study, or the space-filling ones joined by ` + `
        "pooled": pl.Boolean,
        "method": pl.String,  # ped_anova or fanova
        "axis": pl.String,
        "share": pl.Float64,  # ped_anova: of getting into the best fifth; fanova: of the variance
        "chance": pl.Float64,  # share of shuffled trials in which the axis looks as important; null for fanova
        "trials": pl.Int64,  # on which it stands
        PRUNED: pl.Int64,  # of those, ended early
    },
    nullable=frozenset({"chance"}),
)
EFFECTS = Contract(
    "marginal effects of choices",
    {
        "experiment": pl.String,
        "pool": pl.String,  # the studies whose trials it stands on
        "axis": pl.String,
        "label": pl.String,  # a label, or a part of a range
        "trials": pl.Int64,
        PRUNED: pl.Int64,  # of those, ended early: they count with the best they had reached
        **dict.fromkeys(("mean", "best"), pl.Float64),  # validation mAP
        "mean_rank": pl.Float64,  # 1 is the best trial of the pool
        "standing": pl.Float64,  # mean share of the pool's trials that these beat; 0.5 is the average trial
        **dict.fromkeys(("effect", "low", "high"), pl.Float64),  # standing minus that of the pool's other trials
        "p": pl.Float64,  # corrected over all labels of all axes
        "verdict": pl.String,  # better, worse or inconclusive, from p alone
    },
    nullable=frozenset({"mean", "best", "mean_rank", "standing", "effect", "low", "high", "p"}),
)


def pool_of(experiment: Experiment) -> list[Study]:
    """Return the studies whose trials cover the space evenly: those over the same, the most, axes that do not adapt."""
    able = [study for study in experiment.studies.values() if study.algorithm["name"] in SPACE_FILLING]
    widest = max(able, key=lambda study: len(study.axes), default=None)
    return [study for study in able if study.axes == widest.axes]


def pool_name(studies: Sequence[Study]) -> str:
    """Return how the pooled trials of studies are called."""
    return " + ".join(study.name for study in studies)


def pooled(experiment: Experiment, trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials of the space-filling studies that have a score, with the column `score`."""
    names = [study.name for study in pool_of(experiment)]
    return with_scores(trials.filter(pl.col("study").is_in(names))).filter(pl.col("score").is_not_null())


def importances_table(experiment: Experiment, trials: pl.DataFrame) -> pl.DataFrame:
    """Return IMPORTANCES of each study with enough trials and of the space-filling ones together, if they are several.

    PED-ANOVA asks what separates the best fifth from all trials: pruned ones count, with the best they had reached.
    fANOVA explains values, so it takes finished trials alone; a diverged one has the value 0.
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
                told = [found.axis, found.share, found.chance, own.height, pruned]
                rows.append([experiment.name, name, len(group) > 1, method, *told])
    return pl.DataFrame(rows, schema=IMPORTANCES.columns, orient="row")


def effects_table(experiment: Experiment, trials: pl.DataFrame, level: float = LEVEL) -> pl.DataFrame:
    """Return EFFECTS on the pooled space-filling trials: axes in the order of the space, labels in theirs.

    Each label's trials are compared with the pool's others by their standing. Shuffling the standings over the trials
    gives the spread that chance alone has; its largest over all labels at once gives corrected p values and intervals,
    so verdict and interval agree (Westfall and Young, 1993). Empty without FEWEST trials.
    """
    pool, own = pool_of(experiment), pooled(experiment, trials)
    if own.height < FEWEST:
        return EFFECTS.empty()
    groups = [(axis.name, label, members) for axis in pool[0].axes for label, members in _members(axis, own[axis.name])]
    values = own["score"].to_numpy()
    ranks = rankdata(values)
    standing = (ranks - 0.5) / len(ranks)
    judged = _judged(standing, [members for *_, members in groups], level, pool[0].seed)
    ended = (own["state"] == PRUNED).to_numpy()
    rows = []
    for (axis, label, members), found in zip(groups, judged, strict=True):
        told = {"experiment": experiment.name, "pool": pool_name(pool), "axis": axis, "label": label}
        told |= {"trials": int(members.sum()), PRUNED: int(ended[members].sum()), "verdict": INCONCLUSIVE}
        if members.any():
            told |= {"mean": float(values[members].mean()), "best": float(values[members].max())}
            told |= {"mean_rank": float((len(ranks) + 1 - ranks)[members].mean())}
            told |= {"standing": float(standing[members].mean())}
        rows.append(told | found)
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


def _judged(standing: np.ndarray, members: list[np.ndarray], level: float, seed: int) -> list[dict[str, Any]]:
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
