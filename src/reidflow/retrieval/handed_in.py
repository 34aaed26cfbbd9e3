"""What the workflow writes for a competition: a similarity for each pair, or the best for each query and their gallery."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.asked import Retrieval
from reidflow.ingest.rawdata import DRAWN, cache_file
from reidflow.ingest.rawdigest import places, snapshot
from reidflow.retrieval.chosen import ChosenRun, Embedded, Question, ask, joint_vectors, sides_of
from reidflow.retrieval.embedder import code_of, joint_identity, run_identity
from reidflow.retrieval.submission import (
    answers_json,
    as_similarities,
    best_keys,
    pair_scores,
    place_pairs,
    read_pairs,
    submission_csv,
    without_images,
)
from reidflow.spec.errors import ReidflowError


def pairs_csv(
    table: Path,
    manifest: pl.DataFrame,
    quarantine: pl.DataFrame,
    runs: list[ChosenRun],
    embedded: Embedded,
    combine: str,
    inference: list[dict[str, Any]],
) -> str:
    """Return the submission for the pairs in `table`, a line for each, in its order; says what has no image.

    The distinct images that ask, and those that are asked about, are queries and gallery of one retrieval, so that
    inference applies. Raises ReidflowError.
    """
    pairs = read_pairs(table)
    placed = place_pairs(pairs, manifest, quarantine)
    for line in without_images(pairs, placed):
        print(line)
    if not (len(placed.query_rows) and len(placed.gallery_rows)):
        raise ReidflowError(f"{table}: none of its images can be used; results/data/quarantine.parquet says why.")
    question = Question(placed.query_rows, placed.gallery_rows, placed.query_index)
    asked, cosine = ask(runs, question, embedded, combine, inference)
    values = pair_scores(asked, placed.query, placed.gallery)
    print(f"{len(values)} pairs of {len(placed.query_rows)} queries and {len(placed.gallery_rows)} gallery images")
    return submission_csv(pairs.row_ids, as_similarities(values, cosine))


def best_json(asked: Retrieval, question: Question, manifest: pl.DataFrame, k: int) -> str:
    """Return the submission of the k best gallery images for each query, by their paths in the data set."""
    names = manifest["image"].to_list()
    queries, gallery = ([names[row] for row in rows] for rows in (question.queries, question.gallery))
    print(f"{len(queries)} queries, {len(gallery)} gallery images, {min(k, len(gallery))} answers to each")
    return answers_json(best_keys(asked, queries, gallery, k))


def gallery_files(
    manifest: pl.DataFrame, question: Question, runs: list[ChosenRun], embedded: Embedded
) -> tuple[list[str], list[str], np.ndarray]:
    """Return keys (sorted), digests and unit vectors of the gallery of a question."""
    facts = manifest[question.gallery.tolist()].select("image", "sha256", row=pl.Series(question.gallery)).sort("image")
    vectors = joint_vectors(runs, facts["row"].to_numpy(writable=True), embedded)
    return facts["image"].to_list(), facts["sha256"].to_list(), vectors


def told_of(runs: list[ChosenRun], images: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return what gallery.json says of vectors from the pipeline: as of those of image files by the same runs.

    images: the content of images.json. root: the folder of the data set.
    """
    single = [(folder, spec) for r in runs for (_, folder), spec in zip(r.made.runs, r.spec.runs(), strict=True)]
    return {
        "run": joint_identity([run_identity(folder, spec) for folder, spec in single]),
        "frame": images["frame"],
        "size": images["size"],
        "code": code_of([spec for _, spec in single], images["frame"]),
        "name": ", ".join(run.name for run in runs),
        "images": str(root.absolute()),
    }


def gallery_question(
    pairs: str | None, manifest: pl.DataFrame, quarantine: pl.DataFrame, splits: list[pl.DataFrame], gallery: str
) -> Question:
    """Return the question whose gallery is indexed: that of the pairs, else the data set's own."""
    if pairs is None:
        return sides_of(manifest, splits, gallery)
    placed = place_pairs(read_pairs(Path(pairs)), manifest, quarantine)
    return Question(placed.query_rows, placed.gallery_rows, placed.query_index)


def data_root(source: dict[str, Any], results: Path) -> Path:
    """Return the folder of the data set."""
    return results / "data" / "demo" if source["name"] == DRAWN else places(source)[0]


def require_planned(source: dict[str, Any], results: Path, raw: str) -> None:
    """Raise ReidflowError unless the raw data, of which test.csv is a part, are those that were planned with."""
    root, extra = places(source)
    if snapshot(root, cache_file(results), extra, save=False).digest != raw:
        raise ReidflowError(f"{root}: the data changed after planning; nothing was written. Run the command again.")
