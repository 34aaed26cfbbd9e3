"""Queries of individuals that are not in the gallery: a decision with a promised rate of false matches, chosen on
validation.

A query is answered with its best candidate where that one's score is above a threshold; else the answer is a new
individual. A **false match** is a query of a new individual that is answered with a known one. How the promise is made:
docs/open-set.md.

    found = trials(layout, arm_retrieval(layout, run), left_out_retrieval(layout, run))  # of the role val
    decision = fit(found, promised=0.05)
    decision.is_new(best, gallery_size)                      # bool of a best score, or of an array of them
    decision.probability_new(best, gallery_size, prior=0.2)  # prior: expected share of new queries
    Decision.of(json.loads(json.dumps(decision.to_json())))  # the same decision

`best` is the score of the best candidate as the ranking has it: a similarity, or the log odds of a fused ranking.
`gallery_size` is the number of images in the gallery, the query's own included where it is one of them.
"""

import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from reidflow.evaluation.average_precision import identity_balanced
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import Retrieval, scores
from reidflow.spec.errors import ReidflowError
from reidflow.spec.seeds import seed_for

SPLIT = "{name: open_set, new: 0.33, train: 0.5, val: 0.2, test: 0.3}"
PROMISED = 0.05
"""Promised rate of false matches."""
ALIKE = 0.05
"""Level of the test whether identities that are left out of the gallery score as new ones do."""
BLOCK, DRAWS, PART = 1024, 10, 4
_EDGE = 1e-6  # of a probability, so that its log odds are finite


class NoTrialsError(ReidflowError):
    """Validation has no query by which a threshold can be chosen."""


@dataclass(frozen=True)
class Trials:
    """What the queries of a role find, row i of everything the same query.

    identity: (Q,) codes. new: individuals that are not in the gallery. known: those with a positive; the other queries
    of identities in the gallery are neither. best: score of the best candidate, minus infinity without any. right:
    whether it is of the query's identity.
    without: score of the best candidate were the query's identity not in the gallery; minus infinity where that is not
    known.
    gallery: number of images in it. smaller: (Q,) mean of `without` in random quarters of the gallery.
    """

    identity: np.ndarray
    new: np.ndarray
    known: np.ndarray
    best: np.ndarray
    right: np.ndarray
    without: np.ndarray
    smaller: np.ndarray
    gallery: int


def trials(layout: Layout, retrieval: Retrieval, left_out: Retrieval | None = None) -> Trials:
    """Return the trials of a role.

    layout: of the role. retrieval: what an arm ranks in it (`runs.arm_retrieval`). left_out: what it ranks where no
    query's identity is in the gallery (`runs.left_out_retrieval`): local scores and what inference makes of a query
    change with the gallery, so the candidates of other identities score otherwise there. None: known queries are no
    trials.
    """
    queries, ranked = layout.identity[layout.query], layout.identity[layout.gallery]
    masks, new = retrieval.masks(queries, ranked), ~np.isin(queries, ranked)
    best, without, smaller = (np.full(len(queries), -np.inf) for _ in range(3))
    known, right = np.zeros(len(queries), bool), np.zeros(len(queries), bool)
    parts = _quarters(len(ranked))
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, min(start + BLOCK, len(queries)))
        values, excluded, positive = scores(retrieval, rows), masks.excluded(rows), masks.positive(rows)
        if excluded is not None:
            values[excluded], positive = -np.inf, positive & ~excluded
        known[rows] = positive.any(axis=1)
        best[rows] = values.max(axis=1, initial=-np.inf)
        # Of equally good candidates each is as likely to be named; a right one must not win by its place.
        right[rows] = positive.any(axis=1) & (
            np.where(positive, -np.inf, values).max(axis=1, initial=-np.inf) < best[rows]
        )
        if left_out is None:
            continue
        values, excluded = scores(left_out, rows), left_out.masks().excluded(rows)
        if excluded is None or not excluded[masks.positive(rows)].all():
            raise ValueError("left_out: images of a query's identity are candidates (see Layout.leaving_out)")
        values[excluded] = -np.inf
        without[rows] = values.max(axis=1, initial=-np.inf)
        smaller[rows] = np.mean([values[:, part].max(axis=1, initial=-np.inf) for part in parts], axis=0)
    return Trials(queries, new, known & ~new, best, right, without, smaller, len(ranked))


def _quarters(size: int) -> list[np.ndarray]:
    """Return random quarters of a gallery, the same for the same size."""
    generator = np.random.Generator(np.random.PCG64(seed_for(0, "open_set", size)))
    return [np.sort(generator.permutation(size)[: max(1, size // PART)]) for _ in range(DRAWS)]


@dataclass(frozen=True)
class Decision:
    """When a query is of a new individual. All numbers are those of validation.

    Attributes:
        threshold: best score up to which a query is new, in a gallery of `gallery` images; None: every query is, as no
            score of validation is a number.
        promised: rate of false matches that it was chosen for.
        gallery: number of images in the gallery that it was chosen in.
        growth: by how much the best score of a new individual grows when the gallery grows by a factor of e.
        intercept, slope: log odds of being new are intercept + slope * score, in that gallery and with that prior.
        prior: share of new queries for which the probability is calibrated.
        new_identities, left_out: identities that the threshold was chosen on: new ones, and known ones left out of the
            gallery.
        trials: effective number of queries of new individuals: how many independent ones say as much.
        alike: p value of the test whether known identities, left out, score as new ones do; None where one kind alone
            is there.
    """

    threshold: float | None
    promised: float
    gallery: int
    growth: float
    intercept: float
    slope: float
    prior: float
    new_identities: int
    left_out: int
    trials: float
    alike: float | None

    @property
    def kept(self) -> bool:
        """Whether there are enough trials for the promise: fewer than 1 / promised - 1 cannot show so small a rate."""
        return self.trials + 1 >= 1 / self.promised - 1e-9

    @property
    def attainable(self) -> float:
        """Smallest rate of false matches that as many trials can promise."""
        return 1 / (self.trials + 1)

    def is_new(self, best: np.ndarray | float, gallery_size: int) -> np.ndarray:
        """Return whether queries whose best candidate has this score, among so many images, are of new individuals."""
        return self._in_own_gallery(best, gallery_size) <= (np.inf if self.threshold is None else self.threshold)

    def probability_new(self, best: np.ndarray | float, gallery_size: int, prior: float | None = None) -> np.ndarray:
        """Return the probability that queries with these best scores, among so many images, are of new individuals.

        prior: share of queries that are expected to be new; None: as on validation.
        """
        # Where there is no candidate, the score is minus infinity.
        odds = self.intercept + self.slope * np.maximum(self._in_own_gallery(best, gallery_size), -1e6)
        if prior is not None:
            odds = odds + _log_odds(prior) - _log_odds(self.prior)
        return 1 / (1 + np.exp(-np.clip(odds, -500, 500)))

    def threshold_for(self, gallery_size: int) -> float | None:
        """Return the score up to which a query is new in a gallery of so many images; None: every query is."""
        return None if self.threshold is None else self.threshold + self.grown(gallery_size)

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Decision":
        """Return the decision that `to_json` described."""
        return cls(**values)

    def grown(self, gallery_size: int) -> float:
        """Return by how much the threshold for a gallery of so many images is above `threshold`."""
        return self.growth * float(np.log(max(gallery_size, 1) / self.gallery))

    def _in_own_gallery(self, best: np.ndarray | float, gallery_size: int) -> np.ndarray:
        """Return best scores as they would be in the gallery that the threshold was chosen in."""
        return np.asarray(best, float) - self.grown(gallery_size)


def fit(found: Trials, promised: float = PROMISED) -> Decision:
    """Return the decision that promises a rate of false matches, from the trials of validation.

    Trials are queries of new individuals, and known ones as they would be without their own identity in the gallery,
    unless these score lower. The threshold is their conformal quantile, every identity weighing the same: the share 1 -
    promised, enlarged by 1 / n for the n independent trials that the queries, alike within an identity, are worth.
    Where no score is a number, as after a training that diverged, every query is new. Raises NoTrialsError where
    validation has no query to choose by, and ReidflowError where `promised` is no rate.
    """
    if not 0 < promised < 1:
        raise ReidflowError(f"open set: promised: {promised} is no rate of false matches. Write e.g. 0.05.")
    best, without, smaller, either = found.best, found.without, found.smaller, found.new | found.known
    if either.any() and not np.isfinite(best[either]).any():
        return Decision(None, promised, found.gallery, 0.0, 0.0, 0.0, 0.5, 0, 0, 0.0, None)
    new = found.new & np.isfinite(best)
    left_out = found.known & np.isfinite(without)
    if not new.any() and not left_out.any():
        raise NoTrialsError(
            "open set: no validation query says what a new individual would find, so that no threshold can be chosen: none is of a "
            "new individual, and none of a known one has candidates of other identities. Keep individuals out of the gallery: "
            f"split: {SPLIT}. Where inference looks at all queries at once, leaving it out helps as well."
        )
    alike = _alike(best[new], found.identity[new], without[left_out], found.identity[left_out])
    used = left_out & (alike is None or alike >= ALIKE)
    score = np.concatenate([best[new], without[used]])
    identity = np.concatenate([found.identity[new], found.identity[used]])
    threshold, number = conformal(score, identity, promised)
    grown = np.concatenate([best[new] - smaller[new], without[used] - smaller[used]])
    grown = grown[np.isfinite(grown)]
    intercept, slope, prior = _calibrated(best[found.known & np.isfinite(best)], score, float(new.sum()))
    return Decision(
        threshold=threshold,
        promised=promised,
        gallery=found.gallery,
        growth=float(grown.mean() / np.log(PART)) if len(grown) else 0.0,
        intercept=intercept,
        slope=slope,
        prior=prior,
        new_identities=len(np.unique(found.identity[new])),
        left_out=len(np.unique(found.identity[used])),
        trials=number,
        alike=alike,
    )


def conformal(score: np.ndarray, identity: np.ndarray, promised: float) -> tuple[float, float]:
    """Return the score that trials of new individuals exceed at a rate of `promised`, and how many independent trials
    they are worth.

    The quantile of split conformal prediction (Vovk et al. 2005), for as many exchangeable scores as the trials are
    worth.
    """
    number = effective(score, identity)
    return quantile(score, identity, min(1.0, (1 - promised) * (1 + 1 / number))), number


def quantile(score: np.ndarray, identity: np.ndarray, level: float) -> float:
    """Return the smallest score up to which a share of at least `level` of the scores lies,
    each identity weighing the same.
    """
    weight, order = _weights(identity), np.argsort(score, kind="stable")
    place = np.searchsorted(np.cumsum(weight[order]), level - 1e-12)
    return float(score[order][min(place, len(score) - 1)])


def effective(score: np.ndarray, identity: np.ndarray) -> float:
    """Return how many independent scores say as much of the mean over identities,
    from their correlation within an identity.
    """
    counts, correlation = np.unique(identity, return_counts=True)[1], within(score, identity)
    return float(len(counts) / np.mean(correlation + (1 - correlation) / counts))


def within(score: np.ndarray, identity: np.ndarray) -> float:
    """Return the correlation of scores within an identity, by the one-way analysis of variance, within [0, 1].

    1 where no identity has two scores, or there is one identity.
    """
    _, codes, counts = np.unique(identity, return_inverse=True, return_counts=True)
    number, total = len(counts), len(score)
    if not 1 < number < total:
        return 1.0
    means = np.bincount(codes, score) / counts
    between = (counts * np.square(means - score.mean())).sum() / (number - 1)
    inside = np.square(score - means[codes]).sum() / (total - number)
    size = (total - np.square(counts).sum() / total) / (number - 1)
    spread = between + (size - 1) * inside
    return float(np.clip((between - inside) / spread, 0, 1)) if spread > 0 else 1.0


def _alike(new: np.ndarray, new_identity: np.ndarray, out: np.ndarray, out_identity: np.ndarray) -> float | None:
    """Return the p value of the test whether new identities score higher than known ones left out of the gallery.

    Mann and Whitney's, of the identities' means: a network may tell those that it was trained on better apart.
    """
    from scipy.stats import mannwhitneyu

    ours, theirs = (_means(*some) for some in ((new, new_identity), (out, out_identity)))
    if not len(ours) or not len(theirs):
        return None
    return float(mannwhitneyu(ours, theirs, alternative="greater").pvalue)


def _means(score: np.ndarray, identity: np.ndarray) -> np.ndarray:
    _, codes, counts = np.unique(identity, return_inverse=True, return_counts=True)
    return np.bincount(codes, score, minlength=len(counts)) / counts if len(counts) else np.empty(0)


def _weights(identity: np.ndarray) -> np.ndarray:
    """Return a weight for each row, which sum to 1, with all identities alike."""
    _, codes, counts = np.unique(identity, return_inverse=True, return_counts=True)
    return 1 / counts[codes] / len(counts)


def _calibrated(known: np.ndarray, new: np.ndarray, seen: float) -> tuple[float, float, float]:
    """Return intercept and slope of the log odds of being new by the score, and the share of new queries that they are
    for.

    seen: number of queries of new individuals; 0: as many as of known ones.
    """
    if not len(known):
        return 0.0, 0.0, 0.5
    prior = seen / (seen + len(known)) if seen else 0.5
    score = np.concatenate([known, new])
    is_new = np.repeat([0.0, 1.0], [len(known), len(new)])
    weight = np.where(is_new > 0, prior / len(new), (1 - prior) / len(known))
    intercept, slope = logistic(score, is_new, weight)
    return (intercept, slope, prior) if slope < 0 else (float(_log_odds(prior)), 0.0, prior)


def logistic(score: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float]:
    """Return intercept and slope of a logistic regression of `target`, 0 or 1, on one score (Platt 1999, with his
    targets).

    weight: of each row; None: the same.
    """
    from sklearn.linear_model import LogisticRegression

    # Platt's targets, away from 0 and 1, keep the slope finite where scores separate the two.
    ones, zeros = int(target.sum()), int(len(target) - target.sum())
    share = np.where(target > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    weight = np.full(len(score), 1 / len(score)) if weight is None else weight
    centre, spread = score.mean(), score.std() or 1.0
    standard = ((score - centre) / spread)[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    twice = np.concatenate([share, 1 - share]) * np.tile(weight, 2)
    with threadpool_limits(1, "blas"):  # whose threads decide bits
        model.fit(np.tile(standard, (2, 1)), np.repeat([1, 0], len(score)), sample_weight=twice * len(score))
    slope = float(model.coef_[0, 0] / spread)
    return float(model.intercept_[0] - slope * centre), slope


def _log_odds(probability: np.ndarray | float) -> np.ndarray:
    probability = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(probability / (1 - probability))


def among(layout: Layout, rows: np.ndarray) -> Layout:
    """Return the layout in which these images of the split, rows of it, are ranked among each other."""
    found = copy.copy(layout)
    found.validation = layout.validation
    found.query = found.gallery = rows
    found.query_index = np.arange(len(rows))
    return found


def measures(found: Trials, new: np.ndarray) -> dict[str, float]:
    """Return what a decision is worth on queries, by name; NaN where there is none of the kind that it needs.

    new: (Q,) which are called new. `false_match`: share of the queries of new individuals that are answered with a
    known one; `true_match`: share of the queries of known ones that are answered at all; `baks`: share of these that
    are answered with the right one; `baus`: share of the queries of new individuals that are called new: means over
    identities of the mean of each, as AnimalCLEF 2025 scores them. `geometric`: geometric mean of baks and baus.
    `auroc`: probability that a query of a known individual has a higher best score than one of a new individual,
    identities weighing the same.
    """
    baks = identity_balanced(np.where(found.known, (found.right & ~new).astype(float), np.nan), found.identity)
    baus = identity_balanced(np.where(found.new, new.astype(float), np.nan), found.identity)
    return {
        "false_match": 1 - baus,
        "true_match": identity_balanced(np.where(found.known, (~new).astype(float), np.nan), found.identity),
        "baks": baks,
        "baus": baus,
        "geometric": float(np.sqrt(baks * baus)),
        "auroc": auroc(found),
    }


def auroc(found: Trials) -> float:
    """Return the area under the ROC curve of the best score, known against new queries, each identity weighing the
    same.

    NaN without one of the two.
    """
    from sklearn.metrics import roc_auc_score

    if not found.known.any() or not found.new.any():
        return float("nan")
    known, score, weight = _either(found)
    return float(roc_auc_score(known, score, sample_weight=weight))


def roc(found: Trials) -> tuple[np.ndarray, np.ndarray]:
    """Return (false match, true match) of all thresholds, as `measures` has them;
    empty without new or known queries.
    """
    from sklearn.metrics import roc_curve

    if not found.known.any() or not found.new.any():
        return np.empty(0), np.empty(0)
    known, score, weight = _either(found)
    return roc_curve(known, score, sample_weight=weight)[:2]


def surpassing(found: Trials) -> np.ndarray:
    """Return for each query (Q,) of a known individual how probably its best score is above one of a new individual.

    New individuals weigh the same; NaN for the other queries. Its mean over identities is the AUROC.
    """
    values = np.full(len(found.best), np.nan)
    if found.new.any():
        new, weight = found.best[found.new], _weights(found.identity[found.new])
        own = found.best[found.known][:, None]
        values[found.known] = ((own > new) + 0.5 * (own == new)) @ weight
    return values


def _either(found: Trials) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of the queries of known and of new individuals which are known, their best score, and their weight."""
    parts = (found.known, found.new)
    known = np.repeat([True, False], [part.sum() for part in parts])
    score = np.concatenate([np.maximum(found.best[part], -1e300) for part in parts])
    return known, score, np.concatenate([_weights(found.identity[part]) for part in parts])


def balanced_threshold(found: Trials) -> float:
    """Return the best score up to which a query is new where the geometric mean of BAKS and BAUS is largest, the lowest
    of equals.

    NaN without queries of known and of new individuals that have a score.
    """
    either = (found.known | found.new) & np.isfinite(found.best)
    if not (found.known & either).any() or not (found.new & either).any():
        return float("nan")
    steps = np.unique(found.best[either])
    values = [measures(found, found.best <= step)["geometric"] for step in steps]
    return float(steps[int(np.nanargmax(np.round(values, 12)))])


def risk_coverage(found: Trials) -> tuple[np.ndarray, np.ndarray]:
    """Return (coverage, risk), both (n,): the share of queries that are answered when those with the highest best
    scores are, and the share of the answers that are wrong: another individual, or a query of a new one. Equal scores
    are answered together."""
    either = found.known | found.new
    score, wrong = found.best[either], ~(found.right & found.known)[either]
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(order) else np.empty(0, int)
    answered = ends + 1
    return answered / max(len(order), 1), np.cumsum(wrong[order])[ends] / answered


def calibration(
    probability: np.ndarray, new: np.ndarray, bins: int = 5
) -> tuple[float, list[tuple[float, float, int]]]:
    """Return the expected calibration error of probabilities of being new, and of each bin of equally many queries the
    mean probability, the share of new ones and the number of queries."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, max(len(order), 1))) if len(part)]
    rows = [(float(probability[p].mean()), float(new[p].mean()), len(p)) for p in parts]
    error = sum(count * abs(said - is_) for said, is_, count in rows) / max(len(order), 1)
    return float(error), rows
