"""What was fitted on validation to rank by: how several scores become one, and when a query is of a new individual."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.evaluation import open_set
from reidflow.evaluation.fusion import Fusion, probability
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.open_set import Decision
from reidflow.evaluation.runs import (
    TrainedRun,
    combined_retrieval,
    left_out_retrieval,
    member_retrievals,
    reranking,
)
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import Ranking

RANKING = "ranking.json"
NEW = "new individual"


@dataclass(frozen=True)
class Answer:
    """The best images of a gallery for a query, and whether it is of a new individual.

    keys: of the images, best first, with the `scores` that they are ranked by and, where they are calibrated, the
    `probabilities` of the same identity; else None. new: probability of a new individual; None where nothing is known
    of it. place: number of images that count as matches: `new individual` comes after them.
    """

    query: str
    keys: Sequence[str]
    scores: Sequence[float]
    probabilities: Sequence[float | None]
    new: float | None
    place: int

    def rows(self) -> list[tuple[int | None, str, float | None, float | None]]:
        """Return rank, image, score and probability of each answer, in order;
        `new individual` has no rank and no score.
        """
        ranked = zip(self.keys, self.scores, self.probabilities, strict=True)
        found: list[tuple[int | None, str, float | None, float | None]] = [
            (rank, *values) for rank, values in enumerate(ranked, 1)
        ]
        if self.new is not None:
            found.insert(self.place, (None, NEW, None, self.new))
        return found

    def named(self, k: int, new: bool) -> list[str]:
        """Return the k best answers, best first. new: `new individual` is one of them,
        where it comes among the first k.
        """
        return [name for rank, name, *_ in self.rows() if new or rank is not None][:k]


@dataclass(frozen=True)
class FittedRanking:
    """How queries are ranked and answered.

    ranking: by several scores; None: by the embedding alone. fusion: of these scores, fitted. new: when a query is of
    an individual that is not in the gallery; None where validation says nothing about it.
    """

    ranking: Ranking | None
    fusion: Fusion | None
    new: Decision | None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "ranking": self.ranking.model_dump(mode="json") if self.ranking else None,
            "fusion": self.fusion.plain() if self.fusion else None,
            "new": self.new.to_json() if self.new else None,
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "FittedRanking":
        """Return what `plain` described. Raises ValueError, KeyError or TypeError where the values are others."""
        ranking = values["ranking"] and Ranking.model_validate(values["ranking"])
        fusion, new = values["fusion"] and Fusion.of(values["fusion"]), values["new"] and Decision.of(values["new"])
        return cls(ranking or None, fusion or None, new or None)

    def text(self) -> str:
        """Return the content of `ranking.json`."""
        return json.dumps(self.plain(), indent=1) + "\n"

    @property
    def matchers(self) -> list[dict[str, Any]]:
        """The resolved matchers of its scores, each once."""
        found = [score.matcher for score in self.ranking.local] if self.ranking else []
        return list({local_bank_id(matcher): matcher for matcher in found}.values())

    def answer(
        self, query: str, keys: Sequence[str], scores: np.ndarray, gallery: int, calibrated: np.ndarray
    ) -> Answer:
        """Return the answer to a query. keys, scores: of its best images, best first. gallery: number of its images, as
        in `open_set`.

        calibrated: which of the scores are log odds of the same identity.
        """
        odds = [float(p) if own else None for p, own in zip(probability(scores), calibrated, strict=True)]
        if self.new is None:
            return Answer(query, keys, scores.tolist(), odds, None, len(keys))
        best = scores[0] if len(scores) else -np.inf
        matches = int((~self.new.is_new(scores, gallery)).sum())
        new = float(self.new.probability_new(best, gallery))
        return Answer(query, keys, scores.tolist(), odds, new, matches)


PLAIN = FittedRanking(None, None, None)
"""Ranking by the embedding alone, of which nothing is known."""


def read_ranking(path: Path) -> FittedRanking:
    """Return what a gallery's `ranking.json` says. Raises ReidflowError where it is missing or not legible."""
    try:
        return FittedRanking.of(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReidflowError(f"{path}: not there, or damaged ({error}). Rebuild the gallery with --rebuild.") from error


def fit_ranking(run: TrainedRun, layout: Layout, promised: float | None) -> FittedRanking:
    """Return what the validation queries of a layout say about the ranking of a run's arm, without mirrored images.

    promised: rate of queries of new individuals that are answered with a known one; None: nothing is said of new
    individuals. Where validation cannot give a threshold, neither is, and why is printed. Raises ReidflowError where
    scores cannot be calibrated.
    """
    rerank = reranking(layout, run)
    new = None
    if promised is not None and not len(layout.query):
        print(f"{NEW}: is not among the answers, as the split has no validation queries.")
    elif promised is not None:
        retrieval = combined_retrieval(run, *member_retrievals(layout, run), rerank)
        left_out = left_out_retrieval(layout, run, rerank=rerank)
        try:
            new = open_set.fit(open_set.trials(layout, retrieval, left_out), promised)
        except open_set.NoTrialsError as error:
            print(f"{NEW}: is not among the answers. {error}")
    return FittedRanking(run.ranking, rerank.whole if rerank else None, new)


def promise(new: Decision) -> str:
    """Return what a threshold for new individuals promises, in a sentence."""
    rate = new.promised if new.kept else new.attainable
    said = f"{NEW}: of the queries of new individuals, {rate:.0%} are answered with a known one, as validation promises"
    few = f"; its {new.trials:.0f} independent queries are too few to promise {new.promised:.0%}"
    return said + ("" if new.kept else few)
