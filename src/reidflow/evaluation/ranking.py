"""Similarities rounded past the errors of their computation, and the ranks of positives under ties."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reidflow.spec.components import load
from reidflow.spec.errors import ReidflowError

Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]

STEPS = np.float64(2**23)
BLOCK_ELEMENTS = 2**20
EXCLUDED = np.int32(0x7FFFFFFE)


@dataclass(frozen=True)
class TieGroups:
    """The positives of a block of queries, gathered by similarity; arrays of length T, in order of query, then rank.

    Attributes:
        query: row of the query within the block.
        above: candidates that rank strictly above the group.
        tied: candidates in the group, positives and negatives; 1 unless there is a tie.
        hits: positives in the group, at least 1.
        hits_above: positives that rank strictly above the group.
        positives: (q,) positives of each query of the block, 0 for a query that cannot be scored.
    """

    query: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    hits: np.ndarray
    hits_above: np.ndarray
    positives: np.ndarray


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return (N, D) vectors as float64 unit vectors; a zero vector stays zero, one that is not finite becomes NaN."""
    vectors = np.array(vectors, dtype=np.float64, order="C", ndmin=2)
    norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    norms[~np.isfinite(norms)] = np.nan
    norms[norms == 0] = 1.0
    vectors /= norms
    return vectors


def inner_products(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return the (q, G) inner products: cosines if the vectors come from `unit`."""
    return queries @ gallery.T


def similarity_blocks(
    queries: np.ndarray, gallery: np.ndarray, similarity: Similarity | None, block: int | None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, steps): blocks of queries with their similarities (q, G) to the whole gallery, in steps of 2^-23.

    Similarities are computed in float64 and rounded to multiples of 2^-23 (1.2e-7), the precision of the vectors'
    own float32 entries; beyond 1 in size, to as many significant bits. So the last bits of a sum, which depend on the
    block, the number of threads and the linear algebra library, decide neither an order nor a tie. The steps are
    whole numbers held as float32; what is not a number becomes minus infinity.

    `similarity` maps (q, D), (G, D) to (q, G) and should compute in float64; None is the cosine. `block` is the number
    of queries at a time; None bounds the memory instead (2^20 similarities).
    """
    if similarity is None:
        similarity = inner_products
        same = queries is gallery
        queries = unit(queries)
        gallery = queries if same else unit(gallery)
    size = block or max(1, BLOCK_ELEMENTS // max(1, len(gallery)))
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        values = np.multiply(similarity(queries[rows], gallery), STEPS)
        steps = np.rint(values, out=values).astype(np.float32)
        yield rows, np.fmax(steps, np.float32(-np.inf), out=steps)


def tie_groups(steps: np.ndarray, positive: np.ndarray, excluded: np.ndarray | None = None) -> TieGroups:
    """Return the ranks of the positives.

    Arguments are (q, G): similarities in float32 steps, of which 23 significant bits count; which candidates are
    positive; which images are no candidates (an excluded image is never counted, nor a positive).

    One integer a candidate holds its similarity, the more similar the smaller, and in its last bit whether it is a
    positive. So a plain sort of integers, the fastest there is, puts the positives at the end of their ties.
    """
    keys = _descending_keys(steps)
    if excluded is not None:
        positive = positive & ~excluded
        keys[excluded] = EXCLUDED
    keys |= positive
    keys.sort(axis=1)
    places = np.flatnonzero(keys.ravel() & np.int32(1))
    return _gather(keys.ravel(), places, *keys.shape)


def _descending_keys(steps: np.ndarray) -> np.ndarray:
    """Turn float32 into int32 that sort the other way round, last bit cleared. Adding 0.0 joins the two zeros."""
    bits = (steps + np.float32(0.0)).view(np.int32)
    keys = bits >> 31
    keys &= np.int32(0x7FFFFFFF)
    keys ^= bits
    np.invert(keys, out=keys)
    keys &= np.int32(-2)
    return keys


def _gather(keys: np.ndarray, places: np.ndarray, queries: int, gallery: int) -> TieGroups:
    query = places // max(1, gallery)
    level = keys[places]
    first = np.ones(len(places), dtype=bool)
    first[1:] = (level[1:] != level[:-1]) | (query[1:] != query[:-1])
    starts = np.flatnonzero(first)
    hits = np.diff(starts, append=len(places))
    positives = np.bincount(query, minlength=queries)
    offset = np.cumsum(positives) - positives
    query, level, place = query[starts], level[starts] & np.int32(-2), places[starts]
    begin = _first_of_level(keys, query * gallery, place, level)
    return TieGroups(
        query=query,
        above=begin - query * gallery,
        tied=place - begin + hits,
        hits=hits,
        hits_above=starts - offset[query],
        positives=positives,
    )


def _first_of_level(keys: np.ndarray, low: np.ndarray, high: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the first place in [low, high] whose key is at least `level`; bisects only where there is a tie."""
    found = high.copy()
    previous = np.maximum(high - 1, 0)
    open_ = np.flatnonzero((high > low) & (keys[previous] == level))
    low, high, level = low[open_], high[open_], level[open_]
    while (low < high).any():
        middle = (low + high) // 2
        below = (keys[middle] < level) & (low < high)
        high = np.where(below, high, middle)
        low = np.where(below, middle + 1, low)
    found[open_] = low
    return found


def integer_codes(*columns: Sequence[str | None]) -> tuple[np.ndarray, ...]:
    """Return an int64 array for each column of names: the same code for the same name, in any column.

    A missing name (None) gets a code of its own, unlike every other: an image without a group is a group of one, an
    image without an identity is nobody's positive.
    """
    numbers = {name: number for number, name in enumerate(sorted({n for c in columns for n in c if n is not None}))}
    fresh = len(numbers)
    coded = []
    for column in columns:
        codes = np.empty(len(column), dtype=np.int64)
        for row, name in enumerate(column):
            codes[row] = fresh if name is None else numbers[name]
            fresh += name is None
        coded.append(codes)
    return tuple(coded)


def similarity_of(geometry: str) -> Similarity | None:
    """Return the `similarity` of the geometry's file, which maps (q, D), (G, D) to (q, G); None is the cosine.

    geometry: its name, or the dotted path of a user's own. Raises ReidflowError where its file does not say.
    """
    module = load("geometry", geometry)
    if not hasattr(module, "similarity"):
        raise ReidflowError(
            f"the geometry '{geometry}' does not say how to rank by it. Define `similarity(queries, gallery)` in its "
            "file (or `similarity = None` for the cosine)."
        )
    return module.similarity
