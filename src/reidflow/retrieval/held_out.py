"""Training, query and gallery images of a competition, and retrieval of identities held out from training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from reidflow.evaluation.metrics import TOP, evaluate, face_score
from reidflow.evaluation.ranking import Similarity, integer_codes
from reidflow.ingest.manifest import set_aside
from reidflow.spec.errors import ReidflowError
from reidflow.spec.seeds import seed_for

SHARE = 0.2
"""Share of the training identities that is held out, and of their images that are queries."""


@dataclass(frozen=True)
class CompetitionRows:
    """Rows of a manifest (int64): labelled images to train on, queries, and the gallery that they are ranked in."""

    training: np.ndarray
    queries: np.ndarray
    gallery: np.ndarray


def competition_rows(manifest: pl.DataFrame) -> CompetitionRows:
    """Return the rows of each part.

    Queries and gallery are the unlabelled images of these sides. A side that has none unlabelled is taken from the
    labelled images of that side, which are then not trained on. All other labelled images are trained on, of whichever
    side. Images that are set aside are of no part. Raises ReidflowError where there are no queries or no gallery.
    """
    labelled = manifest["identity"].is_not_null().to_numpy()
    sides = np.where(set_aside(manifest), "", manifest["side"].fill_null(""))
    queries, gallery = (_side(sides == side, labelled, side) for side in ("query", "gallery"))
    taken = np.isin(np.arange(len(manifest)), np.concatenate([queries, gallery]))
    return CompetitionRows(np.flatnonzero(labelled & ~taken), queries, gallery)


def _side(there: np.ndarray, labelled: np.ndarray, name: str) -> np.ndarray:
    unlabelled = np.flatnonzero(there & ~labelled)
    found = unlabelled if len(unlabelled) else np.flatnonzero(there)
    if not len(found):
        raise ReidflowError(
            f"the data set has no image of the side '{name}': there is nothing to submit. Use the source query_gallery, "
            "which takes a folder of queries and a folder of the gallery (config/faces.yaml)."
        )
    return found


@dataclass(frozen=True)
class HeldOut:
    """Positions in the training images (int64): identities to train on, and the queries and gallery of the others."""

    training: np.ndarray
    queries: np.ndarray
    gallery: np.ndarray


def hold_out(
    identities: list[str], sides: list[str | None], seed: int, groups: list[str | None] | None = None
) -> HeldOut | None:
    """Return a fifth of the identities apart from the others, a fifth of their images as queries among the rest.

    Where the training images are of two sides, photographs are queries and images of the side `gallery` are ranked, as
    in the competition. Each identity with two images has at least one query, unless all of them are of one group
    (burst, sighting). None with fewer than four identities, or without a query.
    """
    names = sorted(set(identities))
    if len(names) < 4:
        return None
    order = _generator(seed, "identities").permutation(len(names))
    apart = {names[i] for i in order[: max(2, round(SHARE * len(names)))]}
    rendered = np.array([side == "gallery" for side in sides])
    across = rendered.any() and not rendered.all()
    codes = np.array(identities, dtype=object)
    queries, gallery = [], []
    for name in sorted(apart):
        rows = np.flatnonzero(codes == name)
        able = rows[~rendered[rows]] if across else rows
        chosen = _choose_queries(able, len(rows) - len(able) if across else len(rows) - 1, seed, name)
        queries.append(chosen)
        gallery.append(rows[rendered[rows]] if across else np.setdiff1d(rows, chosen))
    ranked = np.sort(np.concatenate(gallery))
    answerable = _answerable(np.sort(np.concatenate(queries)), ranked, identities, groups)
    if not len(answerable):
        return None
    training = np.flatnonzero([name not in apart for name in identities])
    return HeldOut(training, answerable, ranked)


def _answerable(
    queries: np.ndarray, gallery: np.ndarray, identities: list[str], groups: list[str | None] | None
) -> np.ndarray:
    """Return the queries of which the gallery has an image of another group."""
    (identity,), group = integer_codes(identities), group_codes(groups or [None] * len(identities))
    found = [((identity[gallery] == identity[row]) & (group[gallery] != group[row])).any() for row in queries]
    return queries[np.array(found, bool)]


def _choose_queries(able: np.ndarray, others: int, seed: int, name: str) -> np.ndarray:
    """Return a fifth of the rows that are `able` to be queries, at least one;
    none without other images of the identity.
    """
    if not others or not len(able):
        return able[:0]
    count = max(1, int(SHARE * len(able)))
    return able[_generator(seed, "queries", name).permutation(len(able))[:count]]


def _generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed_for(seed, "held out", *names))))


def group_codes(groups: list[str | None]) -> np.ndarray:
    """Return an integer for each group (burst, sighting); an image without one is a group of one."""
    return integer_codes(groups)[0]


@dataclass(frozen=True)
class HeldOutResult:
    """What held-out queries found: metrics by name, and per scored query its score (0 to 1000) and identity code."""

    metrics: dict[str, float]
    scores: np.ndarray
    identity: np.ndarray

    @property
    def score(self) -> float:
        """The competition's score: 600 top-1 + 300 top-5 + 100 top-10, the mean over queries."""
        return float(self.scores.mean())

    @property
    def standard_error(self) -> float | None:
        """Of the score, queries of one identity counting as one observation."""
        return clustered_error(self.scores, self.identity)


def evaluate_held_out(
    queries: np.ndarray,
    gallery: np.ndarray,
    identity: np.ndarray,
    group: np.ndarray,
    held: HeldOut,
    similarity: Similarity | None = None,
) -> HeldOutResult:
    """Return what the held-out queries find with these vectors (Q, D) in these (G, D).

    identity, group: codes of all training images, of which `held` names the rows. Images of a query's own group are no
    candidates; a query without any other image to find is not scored.
    """
    metrics, table = evaluate(
        queries,
        gallery,
        identity[held.queries],
        identity[held.gallery],
        query_group=group[held.queries],
        gallery_group=group[held.gallery],
        similarity=similarity,
    )
    first = table["first_hit"]
    hits = {f"top{k}": (first <= k).fill_null(False).to_numpy().astype(np.float64) for k in TOP}
    scored = table.select(pl.col("ap").is_not_null())["ap"].to_numpy()
    chosen = {name: metrics[name] for name in (*hits, "map", "queries", "identities")}
    return HeldOutResult(chosen, face_score(hits)[scored], identity[held.queries][scored])


def clustered_error(values: np.ndarray, clusters: np.ndarray) -> float | None:
    """Return the standard error of the mean of `values` (N,) whose clusters (N,), not rows, are independent.

    The usual cluster-robust variance of a mean with the correction C / (C - 1) (Liang and Zeger 1986); None with one
    cluster.
    """
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=values - values.mean())
    count = len(sums)
    if count < 2:
        return None
    return float(np.sqrt(np.square(sums).sum() * count / (count - 1)) / len(values))


def best(judged: Sequence[HeldOutResult], flops: Sequence[int]) -> int:
    """Return the place of the highest score; of equal ones, the network with fewer operations, then the earlier one.

    Operations stand for the latency, which would not come out the same twice. Scores that agree to 1e-6 are equal.
    """
    return min(range(len(judged)), key=lambda place: (-round(judged[place].score, 6), flops[place], place))
