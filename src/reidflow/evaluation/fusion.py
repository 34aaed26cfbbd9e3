"""Candidates ranked by several scores: each is made comparable on validation pairs, then all are joined."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from reidflow.evaluation.average_precision import identity_balanced
from reidflow.evaluation.metrics import average_precisions
from reidflow.evaluation.ranking import BLOCK_ELEMENTS
from reidflow.evaluation.retrieval_queries import Retrieval, best_candidates, scores
from reidflow.matching.features import listed_places
from reidflow.spec.errors import ReidflowError
from reidflow.spec.ranking import EMBEDDING, Ranking

if TYPE_CHECKING:
    from reidflow.evaluation.layout import Layout
    from reidflow.matching.scores import LocalScores

RANK_OFFSET = 60
"""Added to a rank before its reciprocal is taken: Cormack, Clarke and Buettcher 2009."""
TILT = 0.01
"""Share of the logistic fit in an isotonic probability, so that no step of it is level and candidates tie."""
SHARES = 4
"""Parts into which the equal share of a score is divided when weights are chosen."""
NOISE = 1e-9
"""Difference of two scores that says nothing."""
PARTS = 5
"""Parts of the validation identities; the queries of each are ranked by what the others say."""
LOOSE = 100.0
"""Inverse strength of the penalty on a logistic fit, which keeps it finite where pairs are separable."""
ROUNDS, TOLERANCE = 1000, {"newton-cholesky": 1e-8, "lbfgs": 1e-4}
"""Steps of a logistic fit, at most, and the gradient at which it ends, by the solver."""
LEAST_SLOPE = 1e-3
"""Least slope of a logistic calibration, in log odds per standard deviation of the score."""


@dataclass(frozen=True)
class PairScores:
    """What several scores say of the candidates of queries.

    Attributes:
        values: of each score (Q, G) float32. Of the first for all images, of the others where `listed`.
        listed: (Q, G) whether an image is on the query's shortlist: a candidate of which every score is a number.
    """

    values: tuple[np.ndarray, ...]
    listed: np.ndarray

    def of(self, queries: np.ndarray) -> "PairScores":
        """Return those of some of the queries, (Q,) boolean."""
        return PairScores(tuple(values[queries] for values in self.values), self.listed[queries])


def pair_scores(
    ranking: Ranking, retrieval: Retrieval, queries: np.ndarray, gallery: np.ndarray, local: "LocalScores | None"
) -> PairScores:
    """Return the scores of a ranking for a retrieval.

    The shortlist of a query are its candidates with the best first score. Memory: 4 bytes for each score, query and
    image of the gallery.

    queries (Q,), gallery (G,): rows of the manifest. local: scores of local features, where the ranking has any.
    """
    masks = retrieval.masks()

    def of(score: object, shortlist: np.ndarray | None) -> np.ndarray:
        if score == EMBEDDING:
            return embedding_scores(retrieval)
        if local is None:
            raise ReidflowError(f"no local features were read for the score '{score.matcher['name']}'.")
        groups = retrieval.gallery_group
        return local.scores(score, queries, gallery, groups=groups, excluded=masks.excluded, shortlist=shortlist)

    first = of(ranking.scores[0], None)
    shortlist = None
    if ranking.shortlist is not None and ranking.shortlist < len(gallery):
        shortlist = best_candidates(replace(retrieval, matrix=first, similarity=None), ranking.shortlist)[0]
    values = (first, *(of(score, shortlist) for score in ranking.scores[1:]))
    listed = np.ones(first.shape, bool) if shortlist is None else listed_places(shortlist, len(gallery))
    for rows in _blocks(first.shape):
        excluded = masks.excluded(rows)
        if excluded is not None:
            listed[rows] &= ~excluded
    for each in values:
        listed &= np.isfinite(each)
    return PairScores(values, listed)


def embedding_scores(retrieval: Retrieval) -> np.ndarray:
    """Return the (Q, G) float32 similarities by which a retrieval ranks; minus infinity where one is not a number."""
    found = np.empty((len(retrieval.queries), len(retrieval.gallery)), np.float32)
    for rows in _blocks(found.shape):
        found[rows] = scores(retrieval, rows)
    return found


def _blocks(shape: tuple[int, int]) -> Iterator[slice]:
    """Yield blocks of rows whose arrays do not grow with their number."""
    size = max(1, BLOCK_ELEMENTS // max(1, shape[1]))
    yield from (slice(start, min(start + size, shape[0])) for start in range(0, shape[0], size))


@dataclass(frozen=True)
class Calibration:
    """The log odds of the same identity for a value of one score, fitted on pairs.

    They rise by `slope` with each `spread` of the value, and are `offset` at the `centre`. Where there are `steps`,
    values and the probabilities between which isotonic regression interpolates, those count, with a share `TILT` of the
    others.
    """

    centre: float
    spread: float
    slope: float
    offset: float
    steps: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @classmethod
    def fit(cls, values: np.ndarray, same: np.ndarray, kind: str) -> "Calibration":
        """Return the calibration that fits values (P,) of pairs; same: (P,) whether of one identity; kind:
        as in `Ranking`.
        """
        values = values.astype(np.float64)
        centre, spread = float(values.mean()), float(values.std()) or 1.0
        slopes, offset = logistic_fit(((values - centre) / spread)[:, None], same)
        # A score that falls with likeness on these pairs says nothing about them, and ranks as it does.
        fitted = centre, spread, max(float(slopes[0]), LEAST_SLOPE), offset
        if kind == "logistic":
            return cls(*fitted)
        from sklearn.isotonic import IsotonicRegression

        isotonic = IsotonicRegression(y_min=0, y_max=1).fit(values, same)
        return cls(*fitted, (tuple(isotonic.X_thresholds_.tolist()), tuple(isotonic.y_thresholds_.tolist())))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the log odds of each value, strictly rising with it."""
        values = np.asarray(values, np.float64)
        odds = self.offset + self.slope * (values - self.centre) / self.spread
        if self.steps is None:
            return odds
        return log_odds((1 - TILT) * np.interp(values, *self.steps) + TILT * probability(odds))


def probability(odds: np.ndarray) -> np.ndarray:
    """Return the probability of each log odds.

    Of what a calibrated ranking gives a pair: that the two show one identity, given that the candidate is on the
    query's shortlist in a gallery like that of validation, in size and in images of an identity. It can be compared
    between queries.
    """
    from scipy.special import expit

    return expit(odds)


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Return the log odds of each probability."""
    return np.log(probabilities) - np.log1p(-probabilities)


def logistic_fit(features: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the weights (S,) of features (P, S), none of them negative, and the offset of the log odds that fit best.

    Features whose weight would be negative are left out, and the others fitted again. The bits do not depend on the
    threads of the BLAS: it runs on one.
    """
    from sklearn.linear_model import LogisticRegression

    weights, kept = np.zeros(features.shape[1]), np.ones(features.shape[1], bool)
    # Newton's method takes a few steps for one feature; of several, some may be all but constant, which LBFGS leaves at 0.
    solver = "newton-cholesky" if features.shape[1] == 1 else "lbfgs"
    tolerance = TOLERANCE[solver]
    while kept.any():
        with threadpool_limits(1, "blas"):
            model = LogisticRegression(C=LOOSE, max_iter=ROUNDS, tol=tolerance, solver=solver)
            fit = model.fit(features[:, kept], same)
        if (fit.coef_[0] >= 0).all():
            weights[kept] = fit.coef_[0]
            return weights, float(fit.intercept_[0])
        kept[kept] = fit.coef_[0] > 0
    return weights, float(log_odds(same.mean()))


@dataclass(frozen=True)
class Fusion:
    """How the scores of a query and a candidate become one.

    Attributes:
        fusion: as in `Ranking`.
        weights: (S,) of the scores, of their log odds where they are calibrated.
        offset: added to the weighted sum.
        calibrations: of each score, where `fusion` is calibrated; else none.
    """

    fusion: str
    weights: np.ndarray
    offset: float = 0.0
    calibrations: tuple[Calibration, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON data, of which `of` makes it again."""
        return {**asdict(self), "weights": self.weights.tolist()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Fusion":
        """Return the fusion in `plain`."""
        own = [
            Calibration(**{**each, "steps": each["steps"] and tuple(map(tuple, each["steps"]))})
            for each in plain["calibrations"]
        ]
        return cls(plain["fusion"], np.array(plain["weights"]), plain["offset"], tuple(own))

    def fused(self, scores: PairScores) -> np.ndarray:
        """Return the (Q, G) float32 values by which images are ranked: see `joined`;
        log odds where they are calibrated.
        """
        return joined(scores, self.offset + weighted(self.terms(scores), self.weights))

    def terms(self, scores: PairScores) -> np.ndarray:
        """Return what each score contributes, (S, Q, G) float32, before it is weighted; NaN off the shortlist."""
        found = np.full((len(scores.values), *scores.listed.shape), np.nan, np.float32)
        for number, values in enumerate(scores.values):
            for query, own in enumerate(scores.listed):
                if own.any():
                    found[number, query, own] = self._term(number, values[query, own].astype(np.float64))
        return found

    def _term(self, number: int, values: np.ndarray) -> np.ndarray:
        """Return what a score contributes for the candidates (C,) of one query."""
        if self.fusion == "calibrated":
            return self.calibrations[number](values)
        return z_scores(values) if self.fusion == "sum" else reciprocal_ranks(values)


def weighted(terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum (Q, G) of terms (S, Q, G)."""
    return np.einsum("s,sqg->qg", weights, terms)


def z_scores(values: np.ndarray) -> np.ndarray:
    """Return values (C,) less their mean, over their standard deviation; zeros where all are equal."""
    return (values - values.mean()) / (values.std() or 1.0)


def reciprocal_ranks(values: np.ndarray) -> np.ndarray:
    """Return 1 / (60 + rank) for values (C,), the highest the first; equal values have their mean rank."""
    from scipy.stats import rankdata

    return 1.0 / (RANK_OFFSET + rankdata(-values))


def joined(scores: PairScores, fused: np.ndarray) -> np.ndarray:
    """Return the (Q, G) float32 values by which all images are ranked.

    On a query's shortlist they are the fused ones. All others follow in the order of the first score, in the interval
    [m - 2, m - 1], where m is the lowest fused value of the shortlist or 0, whichever is less. An image without a first
    score is last, with minus infinity.
    """
    matrix = fused.astype(np.float32)
    first = scores.values[0]
    for query, own in enumerate(scores.listed):
        rest = ~own & np.isfinite(first[query])
        behind = first[query, rest].astype(np.float64)
        below = min(0.0, float(matrix[query, own].min(initial=0.0))) - 1.0
        if len(behind):
            span = float(np.ptp(behind)) or 1.0
            matrix[query, rest] = below - (behind.max() - behind) / span
        matrix[query, ~own & ~rest] = -np.inf
    return matrix


@dataclass(frozen=True)
class ValidationPairs:
    """Queries of validation with what their candidates score.

    Attributes:
        scores: of the pairs.
        retrieval: whose candidates they are.
        query_identity, gallery_identity: (Q,), (G,) integer codes.
    """

    scores: PairScores
    retrieval: Retrieval
    query_identity: np.ndarray
    gallery_identity: np.ndarray

    def fitted(self, ranking: Ranking, chosen: np.ndarray) -> Fusion | None:
        """Return the fusion that fits some of the queries, (Q,) boolean; None where they have no pair of each kind."""
        listed = self.scores.listed & chosen[:, None]
        same = (self.query_identity[:, None] == self.gallery_identity)[listed]
        if same.all() or not same.any():
            return None
        if ranking.fusion == "calibrated":
            return self._calibrated(ranking, listed, same)
        fusion = Fusion(ranking.fusion, given_weights(ranking))
        return fusion if ranking.weights or len(ranking.scores) == 1 else self._searched(fusion, chosen)

    def _calibrated(self, ranking: Ranking, listed: np.ndarray, same: np.ndarray) -> Fusion:
        """Return the fusion whose log odds fit the pairs best, with the weights of the ranking where it has any."""
        calibrations = tuple(
            Calibration.fit(values[listed], same, ranking.calibration) for values in self.scores.values
        )
        odds = [own(values[listed]) for own, values in zip(calibrations, self.scores.values, strict=True)]
        features, given = np.stack(odds, axis=1), given_weights(ranking)
        if ranking.weights:
            features = (features @ given)[:, None]
        weights, offset = logistic_fit(features, same)
        if not weights.any():
            weights = np.full(len(weights), LEAST_SLOPE)
        return Fusion(ranking.fusion, weights * given if ranking.weights else weights, offset, calibrations)

    def _searched(self, fusion: Fusion, chosen: np.ndarray) -> Fusion:
        """Return the fusion with the weights by which the chosen queries have the highest identity-balanced mAP."""
        terms = fusion.terms(self.scores)

        def score(weights: np.ndarray) -> float:
            matrix = joined(self.scores, weighted(terms, weights))
            found = average_precisions(
                replace(self.retrieval, matrix=matrix), self.query_identity, self.gallery_identity
            )
            return identity_balanced(found[chosen], self.query_identity[chosen])

        return replace(fusion, weights=best_weights(score, len(terms)))


def given_weights(ranking: Ranking) -> np.ndarray:
    """Return the weights of a ranking, adding up to 1; equal ones where it has none."""
    weights = np.array(ranking.weights or [1.0] * len(ranking.scores))
    return weights / weights.sum()


def best_weights(score: Callable[[np.ndarray], float], count: int) -> np.ndarray:
    """Return the weights of `count` scores, adding up to 1, with the highest `score`.

    From equal weights on, a quarter of an equal share goes from one score to another as long as that is better, each
    time by the exchange that is best; of equals, the first.
    """
    units = np.full(count, SHARES)
    best = score(units / units.sum())
    while True:
        exchanges = [
            _exchanged(units, source, target) for source, target in permutations(range(count), 2) if units[source]
        ]
        found = [score(each / each.sum()) for each in exchanges]
        if not found or max(found) <= best + NOISE:
            return units / units.sum()
        best = max(found)
        units = exchanges[found.index(best)]


def _exchanged(units: np.ndarray, source: int, target: int) -> np.ndarray:
    changed = units.copy()
    changed[source] -= 1
    changed[target] += 1
    return changed


def needs_validation(ranking: Ranking) -> bool:
    """Return whether something of a ranking is fitted on validation pairs, where there are any."""
    return ranking.fusion == "calibrated" or (ranking.weights is None and len(ranking.scores) > 1)


class UnfittedError(ReidflowError):
    """Scores that cannot be calibrated: validation has no pair of one identity on its shortlists, or none of two."""


def _unfitted(ranking: Ranking, embedded: Retrieval | None) -> str:
    """Return why the scores of a ranking cannot be calibrated, and what to do."""
    if embedded is not None and ranking.shortlist is not None and ranking.shortlist < len(embedded.gallery):
        return (
            f"ranking: no validation query has a pair of each kind, of one identity and of two, among the {ranking.shortlist} "
            "candidates of its shortlist, so scores cannot be calibrated. Set a longer shortlist (null: all), or fusion: sum (or rank)."
        )
    return (
        "ranking: no two validation images of one identity can be compared, so scores cannot be calibrated. Set "
        "fusion: sum (or rank), or give the split a larger share for 'val'."
    )


@dataclass(frozen=True)
class Reranking:
    """A ranking by several scores, fitted: what it makes of a retrieval of one layout.

    Attributes:
        ranking: its settings.
        layout: of the retrieval.
        local: the scores of local features, where the ranking has any.
        whole: the fusion fitted on all validation queries.
        parts: those fitted without the queries of one part of the validation identities.
        part: (N,) which of `parts` ranks an image of the split as a query, -1: `whole`.
    """

    ranking: Ranking
    layout: "Layout"
    local: "LocalScores | None"
    whole: Fusion
    parts: tuple[Fusion, ...]
    part: np.ndarray

    def __call__(self, retrieval: Retrieval, among: bool = False) -> Retrieval:
        """Return a retrieval of the layout ranked by the fused scores.

        among: whether a later step needs the similarities of all images; they take 4 bytes for each score and pair.
        """
        queries, gallery = self.layout.query, self.layout.gallery
        found = replace(retrieval, matrix=self._matrix(retrieval, queries, gallery))
        if not among:
            return found
        everyone = retrieval.everyone()
        images = np.concatenate([gallery, queries[retrieval.own_images() >= len(gallery)]])
        return replace(found, among=self._matrix(everyone, np.concatenate([images, queries]), images))

    def _matrix(self, retrieval: Retrieval, queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        rows = self.layout.manifest_rows
        scores = pair_scores(self.ranking, retrieval, rows[queries], rows[gallery], self.local)
        matrix = self.whole.fused(scores)
        for number, fusion in enumerate(self.parts):
            own = self.part[queries] == number
            matrix[own] = fusion.fused(scores.of(own))
        return matrix


def fit_reranking(
    ranking: Ranking, layout: "Layout", embedded: Retrieval | None, local: "LocalScores | None"
) -> Reranking:
    """Return the ranking of the queries of a layout, fitted on the validation queries of its split.

    On validation itself, the queries of each fifth of the identities are ranked by what is fitted on the others, so
    that a validation score, by which arms are chosen, is not that of the queries which it was fitted on.

    embedded: the retrieval of the validation layout by the embeddings; None where nothing is fitted, or there are no
    validation queries. Raises UnfittedError where calibration has no pairs of one identity, or none of two.
    """
    nothing = np.full(len(layout.identity), -1)
    if embedded is None and ranking.fusion != "calibrated":
        return Reranking(ranking, layout, local, Fusion(ranking.fusion, given_weights(ranking)), (), nothing)
    validation = layout.validation
    whole = None
    if embedded is not None:
        query, gallery = validation.query, validation.gallery
        rows, identity = validation.manifest_rows, validation.identity
        scores = pair_scores(ranking, embedded, rows[query], rows[gallery], local)
        pairs = ValidationPairs(scores, embedded, identity[query], identity[gallery])
        whole = pairs.fitted(ranking, np.ones(len(query), bool))
    # Embeddings that are not finite, of a run that diverged, rank no candidate before another, however they are fused.
    diverged = embedded is not None and not np.isfinite(embedded.queries).any()
    if whole is None and diverged:
        return Reranking(ranking, layout, local, Fusion("sum", given_weights(ranking)), (), nothing)
    if whole is None and ranking.fusion != "calibrated":
        whole = Fusion(ranking.fusion, given_weights(ranking))
    if whole is None:
        raise UnfittedError(_unfitted(ranking, embedded))
    if layout.role != "val" or embedded is None:
        return Reranking(ranking, layout, local, whole, (), nothing)
    known = np.unique(pairs.query_identity)
    part = np.where(np.isin(identity, known), np.searchsorted(known, identity) % PARTS, -1)
    fits = [pairs.fitted(ranking, part[query] != number) for number in range(PARTS)]
    return Reranking(ranking, layout, local, whole, tuple(fit or whole for fit in fits), part)
