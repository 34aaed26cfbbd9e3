"""Definitions written out slowly, without the code under test, to compare with."""

import itertools

import numpy as np


def precision_of_order(relevant: list[bool], depth: int | None = None) -> float:
    """Average precision of one order: precisions at the positives within `depth`, over the number of positives."""
    found, total = 0, 0.0
    for rank, hit in enumerate(relevant, start=1):
        if hit:
            found += 1
            total += found / rank if depth is None or rank <= depth else 0.0
    return total / found


def over_all_orders(similarities, positive, value) -> float:
    """Mean of `value(relevant in order)` over every order of the candidates that respects the similarities."""
    levels = sorted(set(similarities), reverse=True)
    tied = [[bool(p) for s, p in zip(similarities, positive, strict=True) if s == level] for level in levels]
    orders = itertools.product(*(itertools.permutations(group) for group in tied))
    return float(np.mean([value([hit for group in order for hit in group]) for order in orders]))


def expected_average_precision(similarities, positive) -> float:
    """Sum over places, place by place, of P(positive there) x expected precision given that; NaN without a positive."""
    total, above, hits_above = 0.0, 0, 0
    for level in sorted(set(similarities.tolist()), reverse=True):
        tied = int((similarities == level).sum())
        hits = int(positive[similarities == level].sum())
        for place in range(1, tied + 1):
            others = (place - 1) * (hits - 1) / (tied - 1) if tied > 1 else 0.0
            total += hits / tied * (hits_above + 1 + others) / (above + place)
        above, hits_above = above + tied, hits_above + hits
    return total / positive.sum() if positive.any() else float("nan")


def rounded(similarities: np.ndarray) -> np.ndarray:
    """Similarities as they are compared: multiples of 2^-23, of which 23 significant bits count."""
    mantissa, exponent = np.frexp(np.round(similarities * 2.0**23).astype(np.float32).astype(np.float64))
    return np.trunc(mantissa * 2.0**23) * 2.0 ** (exponent - 46)


def candidates(query: int, index: int, gallery: int, query_group=None, gallery_group=None) -> np.ndarray:
    """Which of the gallery's images may be ranked for a query."""
    return np.array(
        [
            place != index and (query_group is None or gallery_group[place] != query_group[query])
            for place in range(gallery)
        ]
    )
