"""The gallery of a submission, made of what the pipeline stored of its images."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.dedup.neighbours import unit
from reidflow.evaluation.ranking import similarity_of
from reidflow.matching.bank import Bank
from reidflow.retrieval.embedder import code_of, joint_identity, run_identity
from reidflow.retrieval.fitted_ranking import PLAIN, FittedRanking, fit_ranking
from reidflow.retrieval.gallery import KeptBank, write_gallery
from reidflow.retrieval.image_embedder import LOCAL, known_by
from reidflow.retrieval.image_files import Framing
from reidflow.retrieval.submission_files import place_pairs, read_pairs
from reidflow.retrieval.write_submission import ChosenRun, Embedded, QueryRows, Validation, joined, sides_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import local_bank_id
from reidflow.spec.run import RunSpec


def fitted_gallery(runs: list[ChosenRun], validation: Validation, promised: float | None) -> FittedRanking:
    """Return what a gallery of the joined embeddings of runs is ranked and answered by.

    promised: rate of queries of new individuals that are answered with a known one; None: nothing is said of them.
    """
    if promised is None and not any(run.spec.ranking for run in runs):
        return PLAIN
    return fit_ranking(joined(runs), validation.of(runs), promised)


def joint_vectors(runs: list[ChosenRun], rows: np.ndarray, embedded: Embedded) -> np.ndarray:
    """Return the unit vectors (len(rows), D) float32 by which an index compares images: the runs' side by side.

    Raises ReidflowError for a run that is not compared by angles.
    """
    parts = []
    for run in runs:
        for (_, folder), spec in zip(run.made.runs, run.spec.runs(), strict=True):
            if similarity_of(spec.model.geometry["name"]) is not None:
                raise ReidflowError(
                    f"{run.name}: its embeddings have the geometry '{spec.model.geometry['name']}', and an index "
                    "compares angles. Choose runs with the geometry hypersphere for the submission."
                )
            parts.append(unit(embedded.rows(folder, spec, rows)))
    return parts[0] if len(parts) == 1 else unit(np.concatenate(parts, axis=1))


def gallery_files(
    manifest: pl.DataFrame, question: QueryRows, runs: list[ChosenRun], embedded: Embedded
) -> tuple[list[str], list[str], np.ndarray]:
    """Return keys (sorted), digests and unit vectors of a gallery."""
    facts = gallery_table(manifest, question)
    vectors = joint_vectors(runs, facts["row"].to_numpy(writable=True), embedded)
    return facts["image"].to_list(), facts["sha256"].to_list(), vectors


def gallery_table(manifest: pl.DataFrame, question: QueryRows) -> pl.DataFrame:
    """Return image, sha256 and row of the manifest of a gallery's images, by image."""
    return manifest[question.gallery.tolist()].select("image", "sha256", row=pl.Series(question.gallery)).sort("image")


@contextmanager
def gallery_banks(
    fitted: FittedRanking, manifest: pl.DataFrame, question: QueryRows, results: Path
) -> Iterator[dict[str, KeptBank]]:
    """Yield the local features of a gallery's images, as a temporary folder keeps them.

    results: the folder with the pipeline's banks, of which they are a part.
    """
    rows = gallery_table(manifest, question)["row"].to_list()
    with tempfile.TemporaryDirectory(prefix="reidflow-") as place:
        found = {}
        for name in map(local_bank_id, fitted.matchers):
            bank = Bank(results / LOCAL / name)
            found[name] = KeptBank(Path(place) / name, [bank.digests[row] for row in rows], bank.decided)
            found[name].keep(bank, rows)
        yield found


def gallery_facts(
    runs: list[ChosenRun],
    images: dict[str, Any],
    root: Path,
    max_pixels: int,
    fitted: FittedRanking,
    banks: dict[str, KeptBank],
) -> tuple[dict[str, Any], list[tuple[Path, RunSpec]]]:
    """Return what gallery.json says of vectors from the pipeline, as of those of image files, and the runs behind them.

    images: the content of images.json. root: the folder of the data set. fitted, banks: what the gallery ranks by.
    """
    single = [(folder, spec) for r in runs for (_, folder), spec in zip(r.made.runs, r.spec.runs(), strict=True)]
    framing = Framing.of_pipeline(images, max_pixels, masks=bool(banks))
    facts = {
        "run": joint_identity([run_identity(folder, spec) for folder, spec in single]),
        **framing.facts(),
        "network": framing.network,
        "code": code_of([spec for _, spec in single], framing.frame, framing.network),
        "name": ", ".join(run.name for run in runs),
        "images": str(root.absolute()),
        "max_pixels": max_pixels,
        **known_by(fitted, {name: bank.facts for name, bank in banks.items()}),
    }
    return facts, single


def gallery_question(
    pairs: str | None, manifest: pl.DataFrame, quarantine: pl.DataFrame, splits: list[pl.DataFrame], gallery: str
) -> QueryRows:
    """Return the query and gallery rows to be indexed: those of the pairs, else the data set's own."""
    if pairs is None:
        return sides_of(manifest, splits, gallery)
    placed = place_pairs(read_pairs(Path(pairs)), manifest, quarantine)
    return QueryRows.of(manifest, placed.query_rows, placed.gallery_rows, placed.query_index)


def write_submitted(
    folder: Path,
    runs: list[ChosenRun],
    question: QueryRows,
    validation: Validation,
    embedded: Embedded,
    images: dict[str, Any],
    root: Path,
    given: dict[str, Any],
) -> str:
    """Write the gallery of a submission into a folder and return what was done, in words.

    images: the content of images.json. root: the folder of the data set. given: `index`, a resolved component,
    `max_pixels`, and `new`, the promised rate of false matches or None.
    """
    fitted = fitted_gallery(runs, validation, given["new"])
    with gallery_banks(fitted, validation.manifest, question, embedded.results) as banks:
        made = gallery_files(validation.manifest, question, runs, embedded)
        facts, single = gallery_facts(runs, images, root, given["max_pixels"], fitted, banks)
        recall = write_gallery(folder, *made, {**facts, "index": given["index"]}, single, fitted, banks)
    near = "" if recall is None else f", recall of the 10 nearest against exact {recall:.4f}"
    return f"{len(made[0])} images{near}"
