"""Submissions of finished runs: queries and gallery embedded, ranked and written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from reidflow.dedup.neighbours import unit
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.ranking import similarity_of
from reidflow.evaluation.retrieval_queries import Retrieval, combine_members, infer
from reidflow.evaluation.runs import TrainedRun, read_jobs
from reidflow.ingest.rawdata import DEMO, cache_file
from reidflow.ingest.rawdigest import dataset_paths, snapshot
from reidflow.retrieval.embedder import code_of, joint_identity, run_identity
from reidflow.retrieval.image_files import Framing
from reidflow.retrieval.submission_files import (
    answers_json,
    as_similarities,
    best_keys,
    pair_scores,
    place_pairs,
    read_pairs,
    submission_csv,
    without_images,
)
from reidflow.spec.components import needing
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import slug_of
from reidflow.spec.plan import bank_id, tested_bank
from reidflow.spec.run import RunSpec
from reidflow.store.runs import WEIGHTS, RunStore, verified
from reidflow.training.embedding import embed_stored
from reidflow.training.execute import mirror_images


@dataclass(frozen=True)
class QueryRows:
    """Rows of the manifest that are queries, and the gallery rows that they are ranked in; the rest as in `Retrieval`."""

    queries: np.ndarray
    gallery: np.ndarray
    query_index: np.ndarray
    query_group: np.ndarray | None = None
    gallery_group: np.ndarray | None = None
    query_ignored: np.ndarray | None = None
    gallery_ignored: np.ndarray | None = None
    query_shared: np.ndarray | None = None
    gallery_shared: np.ndarray | None = None
    query_flank: np.ndarray | None = None
    gallery_flank: np.ndarray | None = None


class ChosenRun(NamedTuple):
    """A run behind a submission: its experiment, what it made, and the spec of its arm with its seed."""

    experiment: str
    made: TrainedRun
    spec: RunSpec

    @property
    def name(self) -> str:
        """The run as people name it: by its folder in the results."""
        return f"{self.experiment}/{slug_of(self.made.arm)}/seed-{self.made.seed}"


def chosen_runs(arms: list[dict[str, Any]], store: RunStore) -> list[ChosenRun]:
    """Return the runs behind a submission.

    facts: of each arm its `experiment`, `arm`, `seeds`, and `runs`, the files that list what was trained.
    Raises ReidflowError for an arm that has none, since its network is unavailable.
    """
    found = []
    for part in arms:
        jobs = read_jobs(part["runs"], part["arms"], store)
        if part["arm"] in jobs.unavailable:
            reason = jobs.unavailable[part["arm"]]
            raise ReidflowError(
                f"submission: {part['experiment']}/{part['arm']} has no runs. {reason} Choose another arm."
            )
        own = [(run, spec) for run, spec in zip(jobs.runs, jobs.specs, strict=True) if run.arm == part["arm"]]
        # Of a seed that was trained on several folds, the run of the first.
        made = {run.seed: (run, spec) for run, spec in reversed(own)}
        for seed in part["seeds"]:
            run, spec = made[seed]
            found.append(ChosenRun(part["experiment"], run, RunSpec.model_validate(spec)))
    return found


class Embedded:
    """Embeddings of rows of the manifest by the runs behind a submission, from what the pipeline stored of the images."""

    def __init__(self, results: Path, device: str) -> None:
        self.results, self.device = results, device

    def rows(self, folder: Path, spec: RunSpec, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings (len(rows), dim) of the images as they are."""
        verified(folder, WEIGHTS)
        features = pixels = None
        if spec.frozen:
            path = self.results / "features" / bank_id(tested_bank(spec)) / "features.npy"
            features = np.load(path, mmap_mode="r")
        else:
            pixels = np.load(self.results / "data" / "images.npy", mmap_mode="r")
        return embed_stored(folder, spec, rows, features=features, pixels=pixels, device=self.device)

    def mirrored(self, folder: Path, spec: RunSpec, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of the mirror images."""
        return mirror_images(folder, spec, rows, self.results, self.device)


def rank_query_images(
    runs: list[ChosenRun], question: QueryRows, embedded: Embedded, combine: str, inference: list[dict[str, Any]]
) -> tuple[Retrieval, bool]:
    """Return the queries and the gallery as the runs together rank them, and whether they do so by cosines.

    Each run is ranked as its arm is: with its ensemble and its inference. Then `concatenate` joins embeddings and does
    the further `inference` on them; `average` does it run by run, and takes the mean of the similarities.
    """
    if combine == "average" and len(runs) > 1:
        parts = [_own(run, question, embedded, inference) for run in runs]
        return combine_members(parts, combine), all(_by_cosine(part) for part in parts)
    steps = inference if len(runs) == 1 else []
    retrieval = combine_members([_own(run, question, embedded, steps) for run in runs], combine)
    if len(runs) > 1:
        flipped = None
        if needing("inference", inference, "flipped"):
            flipped = combine_members([_seen(run, question, embedded.mirrored) for run in runs], combine)
        retrieval = infer(retrieval, inference, flipped)
    return retrieval, _by_cosine(retrieval) or _averaged_cosines(runs, retrieval)


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


def sides_of(manifest: pl.DataFrame, splits: list[pl.DataFrame], gallery: str) -> QueryRows:
    """Return the queries and the gallery that a data set defines by itself.

    With two sides: the images that are not of the side `gallery` and that no run was trained or chosen on (unlabelled,
    else those of the role test), among all of the side `gallery` (of unlabelled queries, the unlabelled ones where there are
    any). Without: the test images, ranked as in the tables.

    splits: those on which the runs were trained. Raises ReidflowError where there is no query.
    """
    sides = manifest["side"].fill_null("").to_numpy()
    if not (sides == "gallery").any():
        return _tested(manifest, splits[0], gallery)
    unlabelled = manifest["identity"].is_null().to_numpy()
    tests = [set(split.filter(pl.col("role") == "test")["image"]) for split in splits]
    tested = np.array([all(image in test for test in tests) for image in manifest["image"]])
    asking_, ranked = sides != "gallery", sides == "gallery"
    unknown = np.flatnonzero(asking_ & unlabelled)
    queries = _first(unknown, np.flatnonzero(asking_ & tested))
    if not len(queries):
        raise ReidflowError(
            "submission: there is no query image. Give the data set unlabelled queries, or the split test images."
        )
    # Among labelled queries, unlabelled images of the gallery are distractors.
    found = _first(np.flatnonzero(ranked & unlabelled & bool(len(unknown))), np.flatnonzero(ranked))
    return QueryRows(queries, found, np.full(len(queries), -1, np.int64))


def _first(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return rows if len(rows) else others


def _tested(manifest: pl.DataFrame, split: pl.DataFrame, gallery: str) -> QueryRows:
    layout = Layout(split, manifest, gallery)
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    rows = np.array([row_of[image] for image in split["image"]], np.int64)
    return QueryRows(rows[layout.query], rows[layout.gallery], **layout.filters())


def _own(run: ChosenRun, question: QueryRows, embedded: Embedded, inference: list[dict[str, Any]]) -> Retrieval:
    """Return what one run ranks by: as its arm does, and after further inference."""
    steps = [*run.spec.inference, *inference]
    flipped = _seen(run, question, embedded.mirrored) if needing("inference", steps, "flipped") else None
    return infer(_seen(run, question, embedded.rows), steps, flipped)


def _seen(run: ChosenRun, question: QueryRows, embed: Any) -> Retrieval:
    """Return queries and gallery as the members of a run's arm embed them, together."""
    members = []
    rows = np.unique(np.concatenate([question.queries, question.gallery]))
    own = {name: value for name, value in vars(question).items() if name not in ("queries", "gallery")}
    for (_, folder), spec in zip(run.made.runs, run.spec.runs(), strict=True):
        vectors = embed(folder, spec, rows)
        queries, gallery = (vectors[np.searchsorted(rows, side)] for side in (question.queries, question.gallery))
        similarity = similarity_of(spec.model.geometry["name"])
        members.append(Retrieval(queries, gallery, similarity=similarity, **own))
    return combine_members(members, run.made.combine)


def _by_cosine(retrieval: Retrieval) -> bool:
    return retrieval.similarity is None and retrieval.matrix is None


def _averaged_cosines(runs: list[ChosenRun], retrieval: Retrieval) -> bool:
    """Return whether the similarities are means of cosines, by an ensemble and nothing else."""
    specs = [spec for run in runs for spec in run.spec.runs()]
    angles = all(similarity_of(spec.model.geometry["name"]) is None for spec in specs)
    return angles and len(runs) == 1 and runs[0].made.combine == "average"


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

    The distinct query and gallery images of the pairs form one retrieval, so that inference applies. Raises ReidflowError.
    """
    pairs = read_pairs(table)
    placed = place_pairs(pairs, manifest, quarantine)
    for line in without_images(pairs, placed):
        print(line)
    if not (len(placed.query_rows) and len(placed.gallery_rows)):
        raise ReidflowError(f"{table}: none of its images can be used; results/data/quarantine.parquet says why.")
    question = QueryRows(placed.query_rows, placed.gallery_rows, placed.query_index)
    retrieval, cosine = rank_query_images(runs, question, embedded, combine, inference)
    values = pair_scores(retrieval, placed.query, placed.gallery)
    print(f"{len(values)} pairs of {len(placed.query_rows)} queries and {len(placed.gallery_rows)} gallery images")
    return submission_csv(pairs.row_ids, as_similarities(values, cosine))


def best_json(retrieval: Retrieval, question: QueryRows, manifest: pl.DataFrame, k: int) -> str:
    """Return the submission of the k best gallery images for each query, by their paths in the data set."""
    names = manifest["image"].to_list()
    queries, gallery = ([names[row] for row in rows] for rows in (question.queries, question.gallery))
    print(f"{len(queries)} queries, {len(gallery)} gallery images, {min(k, len(gallery))} answers to each")
    return answers_json(best_keys(retrieval, queries, gallery, k))


def gallery_files(
    manifest: pl.DataFrame, question: QueryRows, runs: list[ChosenRun], embedded: Embedded
) -> tuple[list[str], list[str], np.ndarray]:
    """Return keys (sorted), digests and unit vectors of a gallery."""
    facts = manifest[question.gallery.tolist()].select("image", "sha256", row=pl.Series(question.gallery)).sort("image")
    vectors = joint_vectors(runs, facts["row"].to_numpy(writable=True), embedded)
    return facts["image"].to_list(), facts["sha256"].to_list(), vectors


def gallery_facts(
    runs: list[ChosenRun], images: dict[str, Any], root: Path, max_pixels: int
) -> tuple[dict[str, Any], list[tuple[Path, RunSpec]]]:
    """Return what gallery.json says of vectors from the pipeline, as of those of image files, and the runs behind them.

    images: the content of images.json. root: the folder of the data set.
    """
    single = [(folder, spec) for r in runs for (_, folder), spec in zip(r.made.runs, r.spec.runs(), strict=True)]
    framing = Framing.of_pipeline(images, max_pixels)
    facts = {
        "run": joint_identity([run_identity(folder, spec) for folder, spec in single]),
        **framing.facts(),
        "network": framing.network,
        "code": code_of([spec for _, spec in single], framing.frame, framing.network),
        "name": ", ".join(run.name for run in runs),
        "images": str(root.absolute()),
        "max_pixels": max_pixels,
    }
    return facts, single


def gallery_question(
    pairs: str | None, manifest: pl.DataFrame, quarantine: pl.DataFrame, splits: list[pl.DataFrame], gallery: str
) -> QueryRows:
    """Return the query and gallery rows to be indexed: those of the pairs, else the data set's own."""
    if pairs is None:
        return sides_of(manifest, splits, gallery)
    placed = place_pairs(read_pairs(Path(pairs)), manifest, quarantine)
    return QueryRows(placed.query_rows, placed.gallery_rows, placed.query_index)


def data_root(source: dict[str, Any], results: Path) -> Path:
    """Return the folder of the data set."""
    return results / "data" / "demo" if source["name"] == DEMO else dataset_paths(source)[0]


def require_planned(source: dict[str, Any], detections: str | None, results: Path, raw: str) -> None:
    """Raise ReidflowError unless the raw data, of which test.csv is a part, are those that were planned with."""
    root, extra = dataset_paths(source, detections)
    if snapshot(root, cache_file(results), extra, links="follow", save=False).digest != raw:
        raise ReidflowError(f"{root}: the data changed after planning; nothing was written. Run the command again.")
