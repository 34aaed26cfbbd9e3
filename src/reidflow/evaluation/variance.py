"""The variance of a mean over identities and columns (training seeds, or folds), both taken as samples and crossed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CAUTION = 0.2


class MeanDifference(NamedTuple):
    """Mean difference, its standard error and degrees of freedom; arrays of the leading shape of the input."""

    delta: np.ndarray
    standard_error: np.ndarray
    degrees_of_freedom: np.ndarray


class Spread(NamedTuple):
    """What the variance of a mean is made of; arrays of the leading shape (...) of the values.

    Attributes:
        delta: the mean: over identities of the mean over columns.
        identity: variance of the mean if only identities were a sample, the residual included: MS_identity / (I S).
        column: the same of columns: MS_column / (I S).
        residual: the residual's part of both: MS_residual / (I S).
        columns: (..., S) how far each column moves the mean; the sum is zero.
        freedom: degrees of freedom of `identity`: I - 1.
    """

    delta: np.ndarray
    identity: np.ndarray
    column: np.ndarray
    residual: np.ndarray
    columns: np.ndarray
    freedom: np.ndarray

    @property
    def known(self) -> bool:
        """Whether there are two identities and two columns to estimate a spread from."""
        return self.columns.shape[-1] >= 2 and bool(np.all(self.freedom >= 1))


def spread(values: np.ndarray) -> Spread:
    """Return the spread of (..., I, S) values without NaN: two-way crossed random effects, one value a cell."""
    identities, columns = values.shape[-2:]
    free = (identities - 1, columns - 1)
    grand = values.mean(axis=(-2, -1), keepdims=True)
    by_identity = values.mean(axis=-1, keepdims=True) - grand
    by_column = values.mean(axis=-2, keepdims=True) - grand
    rest = values - grand - by_identity - by_column
    return Spread(
        grand[..., 0, 0],
        np.square(by_identity).sum(axis=(-2, -1)) / (free[0] * identities),
        np.square(by_column).sum(axis=(-2, -1)) / (free[1] * columns),
        np.square(rest).sum(axis=(-2, -1)) / (free[0] * free[1] * identities * columns),
        by_column[..., 0, :] / columns,
        np.full(values.shape[:-2], float(free[0])),
    )


def spread_of(values: np.ndarray) -> Spread:
    """Return the spread of (I, S) values, some of which may be NaN; identities and columns without any are left out.

    Where cells are missing, as an identity is tested in some folds alone, the parts are those of two-way clustering
    (Cameron, Gelbach & Miller 2011): the squared sums of each identity's, and of each column's, weighted deviations. The
    residual is that of the additive fit; where each identity is in one column, so that there is none, the smaller part.
    """
    rows, columns = kept(values)
    values = values[rows][:, columns]
    identities, count = values.shape
    if min(identities, count) < 2:
        delta = np.nanmean(np.nanmean(values, axis=1)) if values.size else 0.0
        zero = np.float64(0)
        return Spread(np.float64(delta), zero, zero, zero, np.zeros(count), np.float64(identities - 1))
    if not np.isnan(values).any():
        return spread(values)
    scored = ~np.isnan(values)
    weights = scored / scored.sum(axis=1, keepdims=True) / identities
    filled = np.where(scored, values, 0.0)
    delta = (weights * filled).sum()
    moves = weights * (filled - delta)
    of_columns = moves.sum(axis=0)
    identity = identities / (identities - 1) * np.square(moves.sum(axis=1)).sum()
    column = count / (count - 1) * np.square(of_columns).sum()
    residual = min(_residual(values, scored) * np.square(weights).sum(), identity, column)
    return Spread(delta, identity, column, np.float64(residual), of_columns, np.float64(identities - 1))


def stacked(spreads: Sequence[Spread]) -> Spread:
    """Return spreads with as many columns as one, along a new last axis before the columns."""
    return Spread(*(np.stack(parts) for parts in zip(*spreads, strict=True)))


def summarise(found: Spread) -> MeanDifference:
    """Return the mean with its standard error and degrees of freedom.

    The variance of the mean is identity + column - residual, not below the residual. Degrees of freedom after Satterthwaite
    (1946), but cautious about the columns: few seeds that lie close together by chance would make him trust the identities'
    many degrees of freedom, so his formula is evaluated at the columns' part and at its upper 80 % confidence limit, and the
    smaller counts.
    """
    from scipy.special import gammaincinv

    free = (found.freedom, found.columns.shape[-1] - 1)
    scale = free[1] / (2 * gammaincinv(free[1] / 2, CAUTION))
    variance = np.maximum(found.identity + found.column - found.residual, found.residual)
    least = np.minimum(*free)
    freedom = np.minimum(
        _satterthwaite(found.identity, found.column, found.residual, free),
        _satterthwaite(found.identity, scale * found.column, found.residual, free),
    )
    return MeanDifference(found.delta, np.sqrt(variance), np.maximum(freedom, least))


def mean_difference(differences: np.ndarray) -> MeanDifference:
    """Return the mean of (..., I, S) differences without NaN; needs two identities and two seeds. See `summarise`."""
    return summarise(spread(differences))


def kept(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the identities and of the columns of (I, S) values that have any value."""
    scored = ~np.isnan(values)
    return scored.any(axis=1), scored.any(axis=0)


def _satterthwaite(identity: np.ndarray, column: np.ndarray, residual: np.ndarray, free: tuple) -> np.ndarray:
    variance = np.maximum(identity + column - residual, residual)
    parts = identity**2 / free[0] + column**2 / free[1] + residual**2 / (free[0] * free[1])
    least = np.array(np.broadcast_to(np.minimum(*free), np.shape(variance)), dtype=np.float64)
    return np.divide(variance**2, parts, out=least, where=parts > 0)


def _residual(values: np.ndarray, scored: np.ndarray) -> float:
    """Return the residual mean square of the additive fit to the scored cells; infinite where it has no freedom."""
    rows, columns = np.nonzero(scored)
    design = np.zeros((len(rows), sum(values.shape)))
    design[np.arange(len(rows)), rows] = 1
    design[np.arange(len(rows)), values.shape[0] + columns] = 1
    fitted, _, rank, _ = np.linalg.lstsq(design, values[scored], rcond=None)
    free = len(rows) - rank
    return float(np.square(values[scored] - design @ fitted).sum() / free) if free else np.inf
