"""Scores of images by their local features, kept in the store so that each is computed once."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.features.shards import keep, stored
from reidflow.matching.bank import Bank, single_threaded
from reidflow.spec import code, components
from reidflow.spec.canonical import canonical, short
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import LocalScore
from reidflow.store import published

Excluded = Callable[[slice], np.ndarray | None]
KEPT = 64  # queries of a file of the store


class LocalScores:
    """The local scores of the images of a manifest.

    banks: folder of each bank of local features, by `local_bank_id` of its matcher. cache: the folder of the run store.
    workers: threads, which change no score.
    """

    def __init__(self, banks: Mapping[str, Path], cache: Path, *, device: str = "cpu", workers: int = 1) -> None:
        self.folders, self.cache, self.device, self.workers = banks, cache, device, workers
        self._banks: dict[str, Bank] = {}

    def bank(self, score: LocalScore) -> Bank:
        """Return the opened bank of a score's matcher."""
        name = local_bank_id(score.matcher)
        if name not in self._banks:
            self._banks[name] = Bank(self.folders[name])
        return self._banks[name]

    def scores(
        self,
        score: LocalScore,
        queries: np.ndarray,
        gallery: np.ndarray,
        *,
        excluded: Excluded | None = None,
        shortlist: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the score of each query with each image of the gallery, float32 (Q, G); higher is more alike.

        queries, gallery: rows of the manifest. excluded(rows): of some queries, the images of the gallery that are no
        candidates, bool (q, G), or None for none; a query's own image never is one. shortlist: the candidates of each query
        that are compared, as places in the gallery, (Q, k), filled up with -1; None: all. What is not compared is NaN.
        """
        bank, made = self.bank(score), _Comparison(score, self.bank(score))
        found = np.full((len(queries), len(gallery)), np.nan, np.float32)
        whole = _Whole(made, bank, gallery, self.cache / published.MATCHES, self.workers)
        for start in range(0, len(queries), KEPT):
            rows = slice(start, min(start + KEPT, len(queries)))
            own = queries[rows, None] == gallery[None]
            apart = excluded(rows) if excluded else None
            found[rows] = whole.scores(queries[rows], own if apart is None else own | apart)
            if shortlist is not None:
                listed = np.zeros(own.shape, bool)
                places, chosen = np.nonzero(shortlist[rows] >= 0)
                listed[places, shortlist[rows][places, chosen]] = True
                found[rows][~listed] = np.nan
        return found

    def matches(self, score: LocalScore, row: int, other: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the matched keypoints of two images: points (M, 2) of each, in pixels of their squares, and weights (M,).

        A match's weight is its part of the score, the first image being a query among all images of the bank.
        """
        bank, made = self.bank(score), _Comparison(score, self.bank(score))
        rows = np.flatnonzero(np.arange(len(bank.count)) != row)
        descriptors, owners = bank.together(rows)
        query, target = bank.of(row), int(np.searchsorted(rows, other))
        voting = made.comparison.over(descriptors, owners, len(rows))
        places, images, weights = voting.votes(query.descriptors, None)
        used = np.flatnonzero((images == target) & (weights > 0))
        start = np.searchsorted(owners, target)
        first = query.points[used // made.comparison.k]
        return first, bank.of(other).points[places[used] - start], weights[used]


class _Comparison:
    """A resolved comparison, with what its scores are kept under."""

    def __init__(self, score: LocalScore, bank: Bank) -> None:
        import faiss

        self.comparison: Any = components.call("comparison", score.compare)
        self.key = {
            "compare": score.compare,
            "code": code.run_digest(components.module_name("comparison", score.compare["name"])),
            "features": {key: bank.facts[key] for key in ("matcher", "code", "versions", "device")},
            "versions": {"faiss": faiss.__version__},
        }


class _Whole:
    """Scores of queries with a whole gallery."""

    def __init__(self, made: _Comparison, bank: Bank, gallery: np.ndarray, cache: Path, workers: int) -> None:
        self.made, self.bank, self.gallery, self.workers = made, bank, gallery, workers
        listed = "\n".join(bank.digests[row] for row in gallery)
        self.place = cache / short(canonical({**made.key, "gallery": _sha(listed.encode())}), length=32)
        published.note_use(published.MATCHES, self.place.name)
        self.known = stored(self.place)

    @cached_property
    def voting(self) -> Any:
        """The gallery, searched."""
        descriptors, owners = self.bank.together(self.gallery)
        return self.made.comparison.over(descriptors, owners, len(self.gallery))

    def scores(self, queries: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        """Return the scores of some queries, float32 (q, G). excluded: bool (q, G)."""
        names = [
            _sha(self.bank.digests[row].encode() + np.packbits(apart).tobytes())
            for row, apart in zip(queries, excluded, strict=True)
        ]
        missing = [place for place, name in enumerate(names) if name not in self.known]
        found = np.full(excluded.shape, np.nan, np.float32)
        if missing:
            voting = self.voting
            with single_threaded("cpu"), ThreadPoolExecutor(self.workers) as pool:
                one = partial(self._one, voting)
                made = list(pool.map(one, queries[missing], excluded[missing]))
            found[missing] = np.stack(made)
            keep(self.place, [names[place] for place in missing], found[missing])
        files: dict[Path, list[int]] = {}
        for place in sorted(set(range(len(names))) - set(missing)):
            files.setdefault(self.known[names[place]][0], []).append(place)
        for path, places in files.items():
            with np.load(path, allow_pickle=False) as content:
                found[places] = content["features"][[self.known[names[place]][1] for place in places]]
        return found

    def _one(self, voting: Any, query: int, excluded: np.ndarray) -> np.ndarray:
        return voting.scores(self.bank.of(query).descriptors, excluded)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
