"""Submissions of finished runs: queries and gallery embedded, ranked and written."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from reidflow.evaluation import open_set
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.open_set import Decision
from reidflow.evaluation.ranking import similarity_of
from reidflow.evaluation.retrieval_queries import Retrieval, combine_members, infer
from reidflow.evaluation.runs import MIRRORED, TrainedRun, read_jobs, reranking
from reidflow.ingest.manifest import set_aside
from reidflow.ingest.rawdata import DEMO, cache_file
from reidflow.ingest.rawdigest import dataset_paths, snapshot
from reidflow.retrieval.fitted_ranking import Answer, FittedRanking, promise
from reidflow.retrieval.submission_files import (
    as_similarities,
    best_scored,
    pair_scores,
    place_pairs,
    read_pairs,
    submission_csv,
    without_images,
)
from reidflow.spec.components import needing
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import slug_of
from reidflow.spec.inference import around_ranking, needs_all_pairs, transductive
from reidflow.spec.plan import bank_id, tested_bank
from reidflow.spec.run import RunSpec
from reidflow.splits.candidates import codes
from reidflow.splits.split import SPLIT
from reidflow.store.runs import WEIGHTS, RunStore, verified
from reidflow.store.tables import read_table
from reidflow.training.embedding import embed_stored
from reidflow.training.execute import mirror_images


@dataclass(frozen=True)
class QueryRows:
    """Rows of the manifest that are queries, and the gallery rows that they are ranked in;
    the rest as in `Retrieval`.
    """

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
    query_absent: np.ndarray | None = None
    gallery_absent: np.ndarray | None = None

    @classmethod
    def of(cls, manifest: pl.DataFrame, queries: np.ndarray, gallery: np.ndarray, index: np.ndarray) -> "QueryRows":
        """Return queries whose candidates are all of the gallery but themselves,
        with the flanks that the manifest knows.
        """
        flank = codes(manifest["flank"])
        return cls(queries, gallery, index, query_flank=flank[queries], gallery_flank=flank[gallery])


class ChosenRun(NamedTuple):
    """A run behind a submission: its experiment, what it made, the spec of its arm with its seed,
    and the split's table.
    """

    experiment: str
    made: TrainedRun
    spec: RunSpec
    split: str = ""

    @property
    def name(self) -> str:
        """The run as people name it: by its folder in the results."""
        return f"{self.experiment}/{slug_of(self.made.arm)}/seed-{self.made.seed}"


def chosen_runs(arms: list[dict[str, Any]], store: RunStore) -> list[ChosenRun]:
    """Return the runs behind a submission.

    facts: of each arm its `experiment`, `arm`, `seeds`, `splits` (of each seed), `runs`, the files that list what
    was trained, and `local`, the digests of the banks of local features by which it is ranked.
    Raises ReidflowError for an arm that has none, since its network is unavailable.
    """
    found = []
    for part in arms:
        jobs = read_jobs(part["runs"], part["arms"], store, part["local"])
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
            split = part["splits"][str(seed)]
            found.append(ChosenRun(part["experiment"], run, RunSpec.model_validate(spec), split))
    return found


@dataclass(frozen=True)
class Validation:
    """The validation images of runs. gallery: the rule of the metric, `role` or `all`."""

    manifest: pl.DataFrame
    gallery: str

    def of(self, runs: list[ChosenRun]) -> Layout:
        """Return the validation queries of the split of runs, which have one, with their gallery."""
        (split,) = {run.split for run in runs}
        return Layout(read_table(Path(split), SPLIT), self.manifest, self.gallery).validation


class Embedded:
    """Embeddings of rows of the manifest by the runs behind a submission,
    from what the pipeline stored of the images.
    """

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
    runs: list[ChosenRun],
    question: QueryRows,
    embedded: Embedded,
    combine: str,
    inference: list[dict[str, Any]],
    validation: Validation | None = None,
) -> tuple[Retrieval, bool]:
    """Return the queries and the gallery as the runs together rank them, and whether they do so by cosines.

    Each run is ranked as its arm is: with its ensemble, its inference and its ranking. Then `concatenate` joins
    embeddings and does the further `inference` on them; `average` does it run by run, and takes the mean of the
    similarities.
    validation: the images on which rankings by several scores are fitted, where the runs have any.
    """
    if any(run.spec.ranking for run in runs):
        units = _units(runs, combine)
        parts = [_ranked(unit, question, embedded, inference, validation) for unit in units]
        return combine_members(parts, "average"), False
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


def _units(runs: list[ChosenRun], combine: str) -> list[list[ChosenRun]]:
    """Return the runs that rank together: one by one, or all of them, whose embeddings are joined."""
    return [[run] for run in runs] if combine == "average" else [runs]


def joined(runs: list[ChosenRun], inference: list[dict[str, Any]] | None = None) -> TrainedRun:
    """Return runs of one arm as one, whose embeddings stand side by side. inference: its steps, by default none."""
    first, members = runs[0].made, tuple(one for run in runs for one in run.made.runs)
    how = {"members": members, "combine": "concatenate"} if len(runs) > 1 else {}
    return first._replace(inference=tuple(inference or ()), **how)


def new_decision(
    runs: list[ChosenRun],
    embedded: Embedded,
    combine: str,
    inference: list[dict[str, Any]],
    validation: Validation,
    promised: float,
) -> Decision:
    """Return when a query is of a new individual, by what the runs together find for the validation queries of their
    split.
    """
    layout = validation.of(runs)
    rows = layout.manifest_rows[layout.query], layout.manifest_rows[layout.gallery]
    # What a query finds without its identity is not known of inference that looks at all queries at once.
    steps = [step for run in runs for step in [*run.spec.inference, *inference]]
    layouts = [layout] if transductive(steps) else [layout, layout.leaving_out()]
    together = embedded, combine, inference, validation
    ranked = [rank_query_images(runs, QueryRows(*rows, **each.filters()), *together)[0] for each in layouts]
    return open_set.fit(open_set.trials(layout, *ranked), promised)


def _ranked(
    runs: list[ChosenRun],
    question: QueryRows,
    embedded: Embedded,
    inference: list[dict[str, Any]],
    validation: Validation | None,
) -> Retrieval:
    """Return what runs of one arm, whose embeddings stand side by side, rank by: several scores, fused."""
    if validation is None:
        raise ReidflowError(f"{runs[0].name}: ranked by several scores, which are fitted on validation images.")
    made, layout = joined(runs, [*runs[0].spec.inference, *inference]), validation.of(runs)
    mirrored = _mirrored_table(runs, layout, embedded) if needing("inference", made.inference, "flipped") else None
    rerank = reranking(layout, made, mirrored)
    before, after = around_ranking(made.inference)
    seen = [embedded.rows] if mirrored is None else [embedded.rows, embedded.mirrored]
    own, *flipped = (combine_members([_seen(run, question, each) for run in runs], "concatenate") for each in seen)
    retrieval = infer(own, before, *flipped)
    if not _validates(question, layout):
        everywhere = np.arange(max(question.queries.max(), question.gallery.max()) + 1)
        rows = SimpleNamespace(query=question.queries, gallery=question.gallery, manifest_rows=everywhere)
        rerank = replace(rerank, layout=rows, parts=())
    return infer(rerank(retrieval, needs_all_pairs(after)), after)


def _validates(question: QueryRows, layout: Layout) -> bool:
    """Return whether the queries are those of a validation layout, each fifth of which is ranked by the others."""
    rows = layout.manifest_rows
    sides = (question.queries, rows[layout.query]), (question.gallery, rows[layout.gallery])
    return all(np.array_equal(*side) for side in sides)


def _mirrored_table(runs: list[ChosenRun], layout: Layout, embedded: Embedded) -> pl.DataFrame:
    """Return MIRRORED of the images that a layout evaluates."""
    images, rows = layout.table["image"][layout.evaluated.tolist()], layout.manifest_rows[layout.evaluated]
    tables = []
    for run in runs:
        for (key, folder), spec in zip(run.made.runs, run.spec.runs(), strict=True):
            vectors = list(embedded.mirrored(folder, spec, rows))
            tables.append(
                pl.DataFrame({"run": [key] * len(rows), "image": images, "vector": vectors}, schema=MIRRORED.columns)
            )
    return pl.concat(tables)


def sides_of(manifest: pl.DataFrame, splits: list[pl.DataFrame], gallery: str) -> QueryRows:
    """Return the queries and the gallery that a data set defines by itself.

    With two sides: the images that are not of the side `gallery` and that no run was trained or chosen on (unlabelled,
    else those of the role test), among all of the side `gallery` (of unlabelled queries, the unlabelled ones where
    there are any). Without: the test images, ranked as in the tables. Images that are set aside are on no side.

    splits: those on which the runs were trained. Raises ReidflowError where there is no query.
    """
    sides, used = manifest["side"].fill_null("").to_numpy(), ~set_aside(manifest).to_numpy()
    if not (sides == "gallery").any():
        return _tested(manifest, splits[0], gallery)
    unlabelled = manifest["identity"].is_null().to_numpy()
    tests = [set(split.filter(pl.col("role") == "test")["image"]) for split in splits]
    tested = np.array([all(image in test for test in tests) for image in manifest["image"]])
    asking_, ranked = used & (sides != "gallery"), used & (sides == "gallery")
    unknown = np.flatnonzero(asking_ & unlabelled)
    queries = _first(unknown, np.flatnonzero(asking_ & tested))
    if not len(queries):
        raise ReidflowError(
            "submission: there is no query image. Give the data set unlabelled queries, or the split test images."
        )
    # Among labelled queries, unlabelled images of the gallery are distractors.
    found = _first(np.flatnonzero(ranked & unlabelled & bool(len(unknown))), np.flatnonzero(ranked))
    return QueryRows.of(manifest, queries, found, np.full(len(queries), -1, np.int64))


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
    validation: Validation | None = None,
) -> str:
    """Return the submission for the pairs in `table`, a line for each, in its order; says what has no image.

    The distinct query and gallery images of the pairs form one retrieval, so that inference applies. validation: as for
    `rank_query_images`. Raises ReidflowError.
    """
    pairs = read_pairs(table)
    placed = place_pairs(pairs, manifest, quarantine)
    for line in without_images(pairs, placed):
        print(line)
    if not (len(placed.query_rows) and len(placed.gallery_rows)):
        raise ReidflowError(f"{table}: none of its images can be used; results/data/quarantine.parquet says why.")
    question = QueryRows.of(manifest, placed.query_rows, placed.gallery_rows, placed.query_index)
    retrieval, cosine = rank_query_images(runs, question, embedded, combine, inference, validation)
    values = pair_scores(retrieval, placed.query, placed.gallery)
    print(f"{len(values)} pairs of {len(placed.query_rows)} queries and {len(placed.gallery_rows)} gallery images")
    return submission_csv(pairs.row_ids, as_similarities(values, cosine))


def best_answers(
    runs: list[ChosenRun],
    question: QueryRows,
    manifest: pl.DataFrame,
    embedded: Embedded,
    combine: str,
    inference: list[dict[str, Any]],
    validation: Validation,
    k: int,
    promised: float | None,
) -> list[Answer]:
    """Return the k best gallery images for each query, by their paths in the data set, and whether it is a new
    individual's.

    promised: as for `fitted_gallery`.
    """
    together = embedded, combine, inference, validation
    retrieval, _ = rank_query_images(runs, question, *together)
    new = None if promised is None else new_decision(runs, *together, promised)
    if new:
        print(promise(new))
    names = manifest["image"].to_list()
    queries, gallery = ([names[row] for row in rows] for rows in (question.queries, question.gallery))
    print(f"{len(queries)} queries, {len(gallery)} gallery images, {min(k, len(gallery))} answers to each")
    found = best_scored(retrieval, queries, gallery, k)
    fitted, compared = FittedRanking(None, None, new), _calibrated(runs, combine, inference, k)
    return [fitted.answer(query, *found[query], len(gallery), compared[: len(found[query][0])]) for query in queries]


def _calibrated(runs: list[ChosenRun], combine: str, inference: list[dict[str, Any]], k: int) -> np.ndarray:
    """Return of which of the k best images the score is the log odds of the same identity, (k,) bool."""
    ranking = runs[0].spec.ranking
    after = around_ranking([*runs[0].spec.inference, *inference])[1]
    if ranking is None or ranking.fusion != "calibrated" or after or len(_units(runs, combine)) > 1:
        return np.zeros(k, bool)
    return np.arange(k) < (ranking.shortlist or k)


def data_root(source: dict[str, Any], results: Path) -> Path:
    """Return the folder of the data set."""
    return results / "data" / "demo" if source["name"] == DEMO else dataset_paths(source)[0]


def require_planned(source: dict[str, Any], detections: str | None, results: Path, raw: str) -> None:
    """Raise ReidflowError unless the raw data, of which test.csv is a part, are those that were planned with."""
    root, extra = dataset_paths(source, detections)
    if snapshot(root, cache_file(results), extra, links="follow", save=False).digest != raw:
        raise ReidflowError(f"{root}: the data changed after planning; nothing was written. Run the command again.")
