"""Scores of images by their local features, kept in the store so that each is computed once."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.features.shards import keep, stored
from reidflow.matching.bank import FILES, Bank, one_thread_each, single_threaded
from reidflow.matching.features import Matches, listed_places
from reidflow.spec import code, components
from reidflow.spec.canonical import canonical, short
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import LocalScore
from reidflow.store import published

Excluded = Callable[[slice], np.ndarray | None]
BLOCK = 64  # queries that are compared, and kept, at a time
PAIRS = 1024  # pairs that are kept at a time
GALLERIES = 2  # searched galleries that are kept


class LocalScores:
    """The local scores of the images of a manifest.

    banks: folder of each bank of local features, by `local_bank_id` of its matcher. cache: the folder of the run store.
    device: a torch device. workers: threads, which change no score.
    """

    def __init__(self, banks: Mapping[str, Path], cache: Path, *, device: str = "cpu", workers: int = 1) -> None:
        self.folders, self.cache, self.device, self.workers = banks, cache, device, workers
        self._banks: dict[str, Bank] = {}
        self._made: dict[str, _Comparison] = {}

    def bank(self, score: LocalScore) -> Bank:
        """Return the opened bank of a score's matcher."""
        name = local_bank_id(score.matcher)
        if name not in self._banks:
            self._banks[name] = Bank(Path(self.folders[name]))
        return self._banks[name]

    def unavailable(self, scores: Iterable[LocalScore]) -> str | None:
        """Return why the features of one of several scores are unavailable; None where all are available."""
        files = [Path(self.folders[local_bank_id(score.matcher)], FILES["digest"]) for score in scores]
        return next(filter(None, (json.loads(file.read_text()).get("unavailable") for file in files)), None)

    def scores(
        self,
        score: LocalScore,
        queries: np.ndarray,
        gallery: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        excluded: Excluded | None = None,
        shortlist: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the score of each query with each image of the gallery, float32 (Q, G); higher is more alike.

        queries, gallery: rows of the manifest. groups: codes of the gallery's images (G,), of which those of one burst have
        one; None: each has its own. excluded(rows): of some queries, the images of the gallery that are no
        candidates, bool (q, G), or None for none; a query's own image never is one. shortlist: the candidates of each query
        that are compared, as places in the gallery, (Q, k), filled up with -1; None: all. What is not compared is NaN.
        """
        made = self._comparison(score)
        cache = _Whole(made, gallery, groups) if made.whole else _Pairs(made, gallery)
        found = np.full((len(queries), len(gallery)), np.nan, np.float32)
        for start in range(0, len(queries), BLOCK):
            rows = slice(start, min(start + BLOCK, len(queries)))
            own = queries[rows, None] == gallery[None]
            apart = excluded(rows) if excluded else None
            listed = None if shortlist is None else listed_places(shortlist[rows], len(gallery))
            block = cache.scores(queries[rows], own if apart is None else own | apart, listed)
            found[rows] = block if listed is None else np.where(listed, block, np.nan)
        return found

    def matches(
        self,
        score: LocalScore,
        row: int,
        other: int,
        *,
        gallery: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        excluded: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the matched keypoints of two images: points (M, 2) of each, in pixels of their squares, and weights (M,).

        A match's weight is what it adds to the score of the first image as a query. row, other, gallery: rows of the
        manifest; gallery: the images among which it is a query, None: all; groups: of these, as in `scores`. excluded: those that
        are no candidates, bool (G,); the query never is one.
        """
        made = self._comparison(score)
        first, second = made.bank.of(row), made.bank.of(other)
        gallery = np.arange(len(made.bank.count)) if gallery is None else gallery
        apart = gallery == row if excluded is None else (gallery == row) | excluded
        with single_threaded(self.device):
            if made.whole:
                found = made.among(gallery, _numbered(groups, len(gallery))).matches(
                    first, int(np.flatnonzero(gallery == other)[0]), apart
                )
            else:
                swapped = made.bank.digests[row] > made.bank.digests[other]
                found = made.comparison.matches(*((second, first) if swapped else (first, second)))
                found = Matches(found.second, found.first, found.weights) if swapped else found
        return first.points[found.first], second.points[found.second], found.weights

    def _comparison(self, score: LocalScore) -> "_Comparison":
        name = canonical(score.model_dump(mode="json"))
        if name not in self._made:
            self._made[name] = _Comparison(score, self.bank(score), self.cache, self.device, self.workers)
        return self._made[name]


class _Comparison:
    """A built comparison, with the bank that it compares and where its scores are kept."""

    def __init__(self, score: LocalScore, bank: Bank, cache: Path, device: str, workers: int) -> None:
        given = {"matcher": score.matcher, "device": device}
        wanted = components.context("comparison", score.compare["name"])
        self.comparison: Any = components.call("comparison", score.compare, *(given[name] for name in wanted))
        self.bank, self.cache, self.device, self.workers = bank, cache / published.MATCHES, device, workers
        self.whole = hasattr(self.comparison, "over")
        self._searched: dict[bytes, Any] = {}
        self.key = {
            "compare": score.compare,
            "code": code.run_digest(__name__, components.module_name("comparison", score.compare["name"])),
            "versions": getattr(self.comparison, "versions", {}),
            "features": bank.decided,
            "device": device.split(":")[0] if "device" in wanted else "cpu",
        }

    @cached_property
    def pairs(self) -> dict[str, float]:
        """The scores of pairs that are kept, read once."""
        found: dict[str, float] = {}
        for path in sorted({path for path, _ in stored(self.place()).values()}):
            with np.load(path, allow_pickle=False) as content:
                found.update(zip(content["digests"].tolist(), content["features"].tolist(), strict=True))
        return found

    def place(self, **more: Any) -> Path:
        """Return the folder of the scores that are decided by the same things."""
        name = short(canonical({**self.key, **more}), length=32)
        published.note_use(published.MATCHES, name)
        return self.cache / name

    def each(self, function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
        """Return what a function makes of each item."""
        return one_thread_each(self.device, self.workers, function, *columns)

    def among(self, gallery: np.ndarray, groups: np.ndarray) -> Any:
        """Return a gallery to compare queries with; the last two are kept: those of validation and test.

        gallery: rows of the manifest. groups: as `_numbered` makes them.
        """
        key = gallery.tobytes() + groups.tobytes()
        found = self._searched.pop(key, None)
        while len(self._searched) >= GALLERIES:
            del self._searched[next(iter(self._searched))]
        self._searched[key] = self.comparison.over(self.bank.together(gallery, groups)) if found is None else found
        return self._searched[key]


class _Whole:
    """Scores of queries with a gallery as a whole, a row of all its images for each query."""

    def __init__(self, made: _Comparison, gallery: np.ndarray, groups: np.ndarray | None) -> None:
        self.made, self.gallery, self.groups = made, gallery, _numbered(groups, len(gallery))
        listed = "\n".join(f"{made.bank.digests[row]} {group}" for row, group in zip(gallery, self.groups, strict=True))
        self.place = made.place(gallery=_sha(listed.encode()))
        self.known = stored(self.place)

    def scores(self, queries: np.ndarray, excluded: np.ndarray, listed: np.ndarray | None) -> np.ndarray:
        """Return the scores of some queries, float32 (q, G). excluded, listed: bool (q, G)."""
        listed = listed if getattr(self.made.comparison, "verify", None) is not None else None
        parts = [excluded] if listed is None else [excluded, listed]
        names = [
            _sha(self.made.bank.digests[row].encode() + b"".join(np.packbits(part[place]).tobytes() for part in parts))
            for place, row in enumerate(queries)
        ]
        missing = [place for place, name in enumerate(names) if name not in self.known]
        found = np.full(excluded.shape, np.nan, np.float32)
        if missing:
            features = [self.made.bank.of(queries[place]) for place in missing]
            lists = [None if listed is None else listed[place] for place in missing]
            voting = self.made.among(self.gallery, self.groups)
            found[missing] = np.stack(self.made.each(voting.scores, features, excluded[missing], lists))
            keep(self.place, [names[place] for place in missing], found[missing])
        files: dict[Path, list[int]] = {}
        for place in sorted(set(range(len(names))) - set(missing)):
            files.setdefault(self.known[names[place]][0], []).append(place)
        for path, places in files.items():
            with np.load(path, allow_pickle=False) as content:
                found[places] = content["features"][[self.known[names[place]][1] for place in places]]
        return found


class _Pairs:
    """Scores of pairs of images, each the same whichever of the two is the query."""

    def __init__(self, made: _Comparison, gallery: np.ndarray) -> None:
        self.made, self.gallery, self.place, self.known = made, gallery, made.place(), made.pairs

    def scores(self, queries: np.ndarray, excluded: np.ndarray, listed: np.ndarray | None) -> np.ndarray:
        """Return the scores of some queries, float32 (q, G). excluded, listed: bool (q, G)."""
        wanted = ~excluded if listed is None else ~excluded & listed
        places = np.argwhere(wanted)
        digests = self.made.bank.digests
        rows = [(int(queries[query]), int(self.gallery[other])) for query, other in places]
        pairs = [tuple(sorted(pair, key=lambda row: digests[row])) for pair in rows]
        names = [_sha(f"{digests[first]}\n{digests[second]}".encode()) for first, second in pairs]
        missing = {name: pair for name, pair in zip(names, pairs, strict=True) if name not in self.known}
        todo = list(missing)
        for start in range(0, len(todo), PAIRS):
            part = todo[start : start + PAIRS]
            made = self.made.each(self._score, [missing[name] for name in part])
            keep(self.place, part, np.array(made, np.float32))
            self.known.update(zip(part, made, strict=True))
        found = np.full(excluded.shape, np.nan, np.float32)
        found[wanted] = [self.known[name] for name in names]
        return found

    def _score(self, pair: tuple[int, int]) -> float:
        first, second = (self.made.bank.of(row) for row in pair)
        return float(np.float32(self.made.comparison.matches(first, second).weights.sum()))


def _numbered(groups: np.ndarray | None, count: int) -> np.ndarray:
    """Return the groups of `count` images as numbers in the order in which they come, int64; None: each its own."""
    if groups is None:
        return np.arange(count)
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
