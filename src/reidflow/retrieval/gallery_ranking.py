"""Ranking by several scores in a gallery: local features of image files, and queries ranked as the pipeline ranks its own."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from reidflow.evaluation.fusion import pair_scores
from reidflow.evaluation.ranking import STEPS, unit
from reidflow.evaluation.retrieval_queries import Retrieval, best_candidates
from reidflow.matching.bank import Bank, ExtendedBank, build_matcher, facts_of, one_thread_each
from reidflow.matching.features import Features
from reidflow.matching.scores import LocalScores
from reidflow.retrieval.fitted_ranking import FittedRanking
from reidflow.retrieval.index import search
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import EMBEDDING

PAIRS = 2**24
"""Pairs of a query and an image of the gallery that are scored at a time."""


@dataclass(frozen=True)
class Extractor:
    """A matcher as it extracts the local features of squares. matcher: its resolved component."""

    matcher: dict[str, Any]
    device: str

    @property
    def name(self) -> str:
        """The name of its banks."""
        return local_bank_id(self.matcher)

    @property
    def side(self) -> int:
        """Of the squares that it sees, pixels."""
        return self.matcher["size"]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What decides the features of a square and its mask. Raises ReidflowError where a package is missing."""
        return facts_of(self.matcher, self._extract, self.device)

    @cached_property
    def _extract(self) -> Any:
        return build_matcher(self.matcher, self.device)

    def __call__(self, pixels: np.ndarray, masks: np.ndarray, workers: int) -> list[Features]:
        """Return the features of squares, (n, S, S, 3) and (n, S, S) uint8. workers: threads, which change none."""

        def one(row: int) -> Features:
            return self._extract(pixels[row : row + 1], masks[row : row + 1])[0]

        return one_thread_each(self.device, workers, one, range(len(pixels)))


class BesideGallery(LocalScores):
    """The local scores of queries with the images of a gallery: its rows, then the queries.

    banks: of the gallery, by name. queries: by bank, the features of each. digests: of the queries' files.
    """

    def __init__(
        self,
        banks: dict[str, Bank],
        queries: dict[str, list[Features]],
        digests: Sequence[str],
        cache: Path,
        workers: int,
    ) -> None:
        super().__init__({}, cache, workers=workers)
        self._banks = {name: ExtendedBank(bank, queries[name], digests) for name, bank in banks.items()}


def rank_queries(
    fitted: FittedRanking,
    vectors: np.ndarray,
    index: faiss.Index,
    banks: dict[str, Bank],
    queries: np.ndarray,
    features: dict[str, list[Features]],
    digests: Sequence[str],
    own: np.ndarray,
    k: int,
    workers: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of the gallery, fused values and whether these are log odds of the same identity, (Q, k) each, the best first.

    Where there are fewer images, the row is -1.

    vectors: (G, D) unit, in the index, as are the queries (Q, D). features: of the queries, by bank. digests: of their
    files. own: (Q,) the row that is the query itself, or -1.
    """
    count, ranking = len(vectors), fitted.ranking
    rows, values = np.full((len(queries), k), -1), np.full((len(queries), k), np.nan)
    calibrated = np.zeros(rows.shape, bool)
    step = max(1, PAIRS // count)
    with tempfile.TemporaryDirectory(prefix="reidflow-") as cache:
        local = BesideGallery(banks, features, digests, Path(cache), workers) if banks else None
        for start in range(0, len(queries), step):
            some = slice(start, min(start + step, len(queries)))
            retrieval = Retrieval(queries[some], vectors, own[some])
            if ranking.scores[0] == EMBEDDING and ranking.shortlist is not None:
                wanted = max(ranking.shortlist, k) + 1
                retrieval = replace(retrieval, matrix=_proposed(index, vectors, queries[some], wanted))
            pairs = pair_scores(ranking, retrieval, count + np.arange(some.start, some.stop), np.arange(count), local)
            fused = replace(retrieval, matrix=fitted.fusion.fused(pairs))
            found, scores = best_candidates(fused, k)
            rows[some], values[some] = np.where(np.isfinite(scores), found, -1), scores
            if ranking.fusion == "calibrated":
                calibrated[some] = np.take_along_axis(pairs.listed, np.maximum(found, 0), axis=1)
    return rows, values, calibrated


def _proposed(index: faiss.Index, vectors: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
    """Return the cosines (Q, G) float32 of the images that an index finds for each query; minus infinity of all others."""
    found, _ = search(index, vectors, queries, count)
    cosines = np.full((len(queries), len(vectors)), -np.inf, np.float32)
    for row, (query, places) in enumerate(zip(unit(queries), found, strict=True)):
        places = places[places >= 0]
        cosines[row, places] = np.rint(unit(vectors[places]) @ query * STEPS) / STEPS
    return cosines
