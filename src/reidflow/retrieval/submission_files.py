"""Submission files: the best of a gallery for each query, or the similarity of each listed pair."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.evaluation.retrieval_queries import Retrieval, scores
from reidflow.ingest.sources import _table
from reidflow.retrieval.fitted_ranking import Answer
from reidflow.spec.errors import Problems, ReidflowError

COLUMNS = ("row_id", "query_image", "gallery_image")
BELOW = 0.01  # how far under all other similarities, as a share of their range, a pair without an image lies
BLOCK = 256


@dataclass(frozen=True)
class Pairs:
    """The pairs that a competition lists: row i is `row_ids[i]`, of two file names."""

    row_ids: list[str]
    queries: list[str]
    galleries: list[str]


@dataclass(frozen=True)
class Placed:
    """Pairs by their images: `rows` are rows of the manifest, of the distinct queries and gallery images.

    query, gallery: (P,) the place of each pair's images among the distinct ones, -1 where the image cannot be used.
    missing: name of each such image -> why.
    """

    query_rows: np.ndarray
    gallery_rows: np.ndarray
    query: np.ndarray
    gallery: np.ndarray
    missing: dict[str, str]

    @property
    def query_index(self) -> np.ndarray:
        """The position of each distinct query in the gallery, -1 if it is not in it."""
        place = {row: number for number, row in enumerate(self.gallery_rows.tolist())}
        return np.array([place.get(row, -1) for row in self.query_rows.tolist()], np.int64)


def read_pairs(path: Path) -> Pairs:
    """Read a `test.csv` with the columns row_id, query_image and gallery_image. Raises ReidflowError."""
    table = _table.read(path)
    row_ids, queries, galleries = ([(value or "").strip() for value in table.column(name)] for name in COLUMNS)
    problems = Problems()
    for name, values in zip(COLUMNS, (row_ids, queries, galleries), strict=True):
        if "" in values:
            problems.add(f"{path}, row {values.index('') + 1}", f"'{name}' is blank.", "Fill it in.")
    seen: dict[str, int] = {}
    for number, row_id in enumerate(row_ids, 1):
        if seen.setdefault(row_id, number) != number:
            problems.add(f"{path}, row {number}", f"row {seen[row_id]} has the row_id '{row_id}' too.", "Correct it.")
            break
    problems.raise_if_any(str(path))
    return Pairs(row_ids, queries, galleries)


def place_pairs(pairs: Pairs, manifest: pl.DataFrame, quarantine: pl.DataFrame) -> Placed:
    """Return the pairs by the rows of the manifest; images in quarantine are noted. Raises ReidflowError for others."""
    row_of = _by_name(manifest)
    reasons = dict(zip(quarantine["image"], quarantine["reason"] + ": " + quarantine["detail"], strict=True))
    missing: dict[str, str] = {}
    for name in dict.fromkeys([*pairs.queries, *pairs.galleries]):
        if name not in row_of:
            missing[name] = next((reasons[key] for key in _spellings(name) if key in reasons), "")
    unknown = [name for name, reason in missing.items() if not reason]
    if unknown:
        raise ReidflowError(
            f"test.csv: '{unknown[0]}' is neither an image of the data set nor in quarantine ({len(unknown)} such names). "
            "Run the pipeline again, which lists the images that test.csv names."
        )
    (query_rows, query), (gallery_rows, gallery) = (_distinct(n, row_of) for n in (pairs.queries, pairs.galleries))
    return Placed(query_rows, gallery_rows, query, gallery, missing)


def pair_scores(retrieval: Retrieval, query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return the (P,) float64 scores of pairs, given as places of queries and of gallery images; NaN for a place of -1.

    A pair of an image with itself, which a ranking never compares, scores as high as the highest of all pairs.
    Raises ReidflowError where a score is not a number: the run diverged.
    """
    found = np.full(len(query), np.nan)
    usable = np.flatnonzero((query >= 0) & (gallery >= 0))
    order = usable[np.argsort(query[usable], kind="stable")]
    for start in range(0, len(retrieval.queries), BLOCK):
        low, high = np.searchsorted(query[order], [start, start + BLOCK])
        pairs = order[low:high]
        if len(pairs):
            block = scores(retrieval, slice(start, start + BLOCK))
            found[pairs] = block[query[pairs] - start, gallery[pairs]]
    own = np.zeros(len(found), bool)
    if retrieval.query_index is not None:
        own[usable] = retrieval.query_index[query[usable]] == gallery[usable]
    known = found[usable][~own[usable]]
    found[own] = np.fmax(found[own], known.max(initial=0.0 if not len(known) else -np.inf))
    if not np.isfinite(known).all():
        raise ReidflowError(
            "the runs give similarities that are not numbers: a run diverged. Choose another arm or seed."
        )
    return found


def as_similarities(values: np.ndarray, cosine: bool) -> np.ndarray:
    """Return scores (P,) as similarities in [0, 1], in the same order, equal only where the scores are.

    cosine: they are cosines, and c becomes (1 + c) / 2; anything else is scaled from its smallest to its largest value.
    A pair without a score (NaN) gets 0, and then every other similarity is above 0.
    """
    missing = np.isnan(values)
    known = values[~missing]
    if not len(known):
        return np.zeros(len(values))
    low, high = float(known.min()), float(known.max())
    if cosine:
        low, high = min(low, -1.0), max(high, 1.0)
    if missing.any():
        low -= BELOW * ((high - low) or 1.0)
    span = high - low
    found = np.zeros(len(values))
    found[~missing] = (known - low) / span if span else 0.5
    return _distinct_values(found, values)


def submission_csv(row_ids: list[str], similarities: np.ndarray) -> str:
    """Return `row_id,similarity` with a line for each row, in their order, with all digits that distinguish values.

    Raises ReidflowError for a value that is no similarity, or where rows lack one.
    """
    if len(row_ids) != len(similarities):
        raise ReidflowError(f"{len(similarities)} similarities for {len(row_ids)} rows of test.csv.")
    if not (np.isfinite(similarities) & (similarities >= 0) & (similarities <= 1)).all():
        raise ReidflowError("a similarity is not a number from 0 to 1.")
    lines = [f"{_quoted(row_id)},{value!r}" for row_id, value in zip(row_ids, similarities.tolist(), strict=True)]
    return "\n".join(["row_id,similarity", *lines]) + "\n"


def best_scored(
    retrieval: Retrieval, query_keys: list[str], gallery_keys: list[str], k: int
) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return the keys of the k best candidates of each query with their scores, best first; of equal ones the key
    decides.

    Images that are no candidates (the query itself, its own group) are left out.
    """
    in_order = np.argsort(np.array(gallery_keys, dtype=object), kind="stable")
    masks = retrieval.masks()
    best: dict[str, tuple[list[str], np.ndarray]] = {}
    for start in range(0, len(query_keys), BLOCK):
        rows = slice(start, min(start + BLOCK, len(query_keys)))
        block = scores(retrieval, rows)
        excluded = masks.excluded(rows)
        if excluded is not None:
            block = np.where(excluded, -np.inf, block)
        block = block[:, in_order]
        chosen = np.argsort(-block, axis=1, kind="stable")[:, :k]
        for number, places in enumerate(chosen):
            kept = [place for place in places if block[number, place] > -np.inf]
            best[query_keys[start + number]] = [gallery_keys[in_order[place]] for place in kept], block[number, kept]
    return best


def best_keys(retrieval: Retrieval, query_keys: list[str], gallery_keys: list[str], k: int) -> dict[str, list[str]]:
    """Return the keys of `best_scored`."""
    return {query: keys for query, (keys, _) in best_scored(retrieval, query_keys, gallery_keys, k).items()}


def answers_json(best: dict[str, list[str]]) -> str:
    """Return {query key: [keys of the gallery, best first]} as JSON, sorted by the query's key."""
    return json.dumps({key: best[key] for key in sorted(best)}, indent=1, ensure_ascii=False) + "\n"


def answers_csv(answers: Sequence[Answer]) -> str:
    """Return a table of answers, in their order: query, rank, image, score, probability.

    probability: of the same identity as the image's, where that is calibrated. `new individual` has a line without a
    rank, after the images that count as matches, with its probability.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["query", "rank", "image", "score", "probability"])
    for one in answers:
        table.writerows([one.query, *row] for row in one.rows())
    return text.getvalue()


def without_images(pairs: Pairs, placed: Placed) -> list[str]:
    """Return a sentence for each image that cannot be used: what becomes of its pairs."""
    facts = []
    for name, reason in placed.missing.items():
        count = sum(name in pair for pair in zip(pairs.queries, pairs.galleries, strict=True))
        facts.append(f"{name} cannot be used ({reason}): its {count} pairs get the similarity 0, below all others.")
    return facts


def _distinct_values(found: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return similarities in which different scores differ, where scaling rounded some of them to one number."""
    known = ~np.isnan(values)
    distinct, where = np.unique(values[known], return_inverse=True)
    mapped = np.zeros(len(distinct))
    mapped[where] = found[known]
    # Downwards from the top, so that nothing leaves [0, 1].
    for place in range(len(mapped) - 2, -1, -1):
        if mapped[place] >= mapped[place + 1]:
            mapped[place] = np.nextafter(mapped[place + 1], -np.inf)
    apart = found.copy()
    apart[known] = mapped[where]
    return apart


def _distinct(names: list[str], row_of: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the distinct usable images, in the order of their first mention,
    and each pair's place there.
    """
    place: dict[str, int] = {}
    for name in names:
        if name in row_of:
            place.setdefault(name, len(place))
    rows = np.array([row_of[name] for name in place], np.int64)
    return rows, np.array([place.get(name, -1) for name in names], np.int64)


def _by_name(manifest: pl.DataFrame) -> dict[str, int]:
    """Return the name in test.csv -> row of the manifest, of the unlabelled images."""
    rows = {image: row for row, image in enumerate(manifest["image"])}
    unlabelled = manifest.filter(pl.col("identity").is_null())["image"].to_list()
    return {name: rows[image] for image in unlabelled for name in _names(image)}


def _spellings(name: str) -> tuple[str, ...]:
    return f"test/test/{name}", f"test/{name}"


def _names(image: str) -> list[str]:
    return [image.removeprefix(prefix) for prefix in ("test/test/", "test/") if image.startswith(prefix)][:1]


def _quoted(row_id: str) -> str:
    return '"' + row_id.replace('"', '""') + '"' if any(sign in row_id for sign in ',"\n') else row_id
