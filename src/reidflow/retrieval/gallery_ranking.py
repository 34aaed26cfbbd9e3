"""Ranking by several scores in a gallery: local features of image files,
and queries ranked as the pipeline ranks its own.
"""

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
    """The local scores of queries with the images of a gallery: its rows, then the queries that it was last given.

    banks: of the gallery, by name.
    """

    def __init__(self, banks: dict[str, Bank], cache: Path, workers: int) -> None:
        super().__init__({}, cache, workers=workers)
        self._banks = {name: ExtendedBank(bank) for name, bank in banks.items()}

    def take(self, features: dict[str, list[Features]], digests: Sequence[str]) -> None:
        """Replace the queries. features: of each, by bank. digests: of their files."""
        for name, bank in self._banks.items():
            bank.extend(features[name], digests)


@dataclass(frozen=True)
class GalleryRanking:
    """The ranking of queries by several scores in a gallery.

    vectors: (G, D) unit, in the index. local: beside the gallery; None where all scores are of the embedding.
    """

    fitted: FittedRanking
    vectors: np.ndarray
    index: faiss.Index
    local: BesideGallery | None

    def __call__(
        self,
        queries: np.ndarray,
        features: dict[str, list[Features]],
        digests: Sequence[str],
        own: np.ndarray,
        k: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the k best rows of each query, their fused values, and whether these are log odds of the same
        identity.

        Each is (Q, k), best first; where there are fewer images, the row is -1. queries: (Q, D) unit. features: of
        each, by bank. digests: of their files. own: (Q,) the row that is the query itself, or -1.
        """
        count, ranking = len(self.vectors), self.fitted.ranking
        rows, values = np.full((len(queries), k), -1), np.full((len(queries), k), np.nan)
        calibrated = np.zeros(rows.shape, bool)
        step = max(1, PAIRS // count)
        if self.local:
            self.local.take(features, digests)
        for start in range(0, len(queries), step):
            some = slice(start, min(start + step, len(queries)))
            retrieval = Retrieval(queries[some], self.vectors, own[some])
            if ranking.scores[0] == EMBEDDING and ranking.shortlist is not None:
                wanted = max(ranking.shortlist, k) + 1
                retrieval = replace(retrieval, matrix=_proposed(self.index, self.vectors, queries[some], wanted))
            among = count + np.arange(some.start, some.stop), np.arange(count)
            pairs = pair_scores(ranking, retrieval, *among, self.local)
            fused = replace(retrieval, matrix=self.fitted.fusion.fused(pairs))
            found, scores = best_candidates(fused, k)
            rows[some], values[some] = np.where(np.isfinite(scores), found, -1), scores
            if ranking.fusion == "calibrated":
                calibrated[some] = np.take_along_axis(pairs.listed, np.maximum(found, 0), axis=1)
        return rows, values, calibrated


def _proposed(index: faiss.Index, vectors: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
    """Return the cosines (Q, G) float32 of the images that an index finds for each query;
    minus infinity of all others.
    """
    found, _ = search(index, vectors, queries, count)
    cosines = np.full((len(queries), len(vectors)), -np.inf, np.float32)
    for row, (query, places) in enumerate(zip(unit(queries), found, strict=True)):
        places = places[places >= 0]
        cosines[row, places] = np.rint(unit(vectors[places]) @ query * STEPS) / STEPS
    return cosines
