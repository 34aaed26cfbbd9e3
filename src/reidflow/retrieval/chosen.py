"""The finished runs behind a submission, and what they make of queries and a gallery."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from reidflow.dedup.neighbours import unit
from reidflow.evaluation.arm import Layout, Made, merged
from reidflow.evaluation.asked import Retrieval, infer
from reidflow.evaluation.joined import joined
from reidflow.evaluation.similarity import similarity_of
from reidflow.spec.components import needing
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import slug_of
from reidflow.spec.plan import bank_id, tested_bank
from reidflow.spec.run import RunSpec
from reidflow.store.runs import RunStore
from reidflow.training.embedding import embed_stored
from reidflow.training.execute import mirror_images


@dataclass(frozen=True)
class Question:
    """Which rows of the manifest ask, and which they are ranked among; the rest as in `Retrieval`."""

    queries: np.ndarray
    gallery: np.ndarray
    query_index: np.ndarray
    query_group: np.ndarray | None = None
    gallery_group: np.ndarray | None = None


class ChosenRun(NamedTuple):
    """A run behind a submission: its experiment, what it made, and the spec of its arm with its seed."""

    experiment: str
    made: Made
    spec: RunSpec

    @property
    def name(self) -> str:
        """The run as people name it: by its folder in the results."""
        return f"{self.experiment}/{slug_of(self.made.arm)}/seed-{self.made.seed}"


def chosen_runs(told: list[dict[str, Any]], store: RunStore) -> list[ChosenRun]:
    """Return the runs behind a submission.

    told: of each arm its `experiment`, `arm`, `seeds`, and `runs`, the files that tell what was trained.
    Raises ReidflowError for an arm that has none, since its network cannot be had.
    """
    found = []
    for part in told:
        jobs = merged(part["runs"], part["arms"], store)
        if part["arm"] in jobs.unavailable:
            reason = jobs.unavailable[part["arm"]]
            raise ReidflowError(
                f"submission: {part['experiment']}/{part['arm']} has no runs. {reason} Choose another arm."
            )
        made = {
            run.seed: (run, spec) for run, spec in zip(jobs.runs, jobs.specs, strict=True) if run.arm == part["arm"]
        }
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


def ask(
    runs: list[ChosenRun], question: Question, embedded: Embedded, combine: str, inference: list[dict[str, Any]]
) -> tuple[Retrieval, bool]:
    """Return the queries and the gallery as the runs together rank them, and whether they do so by cosines.

    Each run is ranked as its arm is: with its ensemble and its inference. Then `concatenate` joins embeddings and does
    the further `inference` on them; `average` does it run by run, and takes the mean of the similarities.
    """
    if combine == "average" and len(runs) > 1:
        parts = [_own(run, question, embedded, inference) for run in runs]
        return joined(parts, combine), all(_by_cosine(part) for part in parts)
    steps = inference if len(runs) == 1 else []
    asked = joined([_own(run, question, embedded, steps) for run in runs], combine)
    if len(runs) > 1:
        flipped = None
        if needing("inference", inference, "flipped"):
            flipped = joined([_seen(run, question, embedded.mirrored) for run in runs], combine)
        asked = infer(asked, inference, flipped)
    return asked, _by_cosine(asked) or _averaged_cosines(runs, asked)


def joint_vectors(runs: list[ChosenRun], rows: np.ndarray, embedded: Embedded) -> np.ndarray:
    """Return the unit vectors (len(rows), D) float32 by which an index compares images: the runs' side by side.

    Raises ReidflowError for a run that is not compared by angles.
    """
    parts = []
    for run in runs:
        for (_, folder), spec in zip(run.made.runs, run.spec.runs(), strict=True):
            if similarity_of(spec.model.geometry["name"]) is not None:
                raise ReidflowError(
                    f"{run.name}: its embeddings lie in the geometry '{spec.model.geometry['name']}', and an index "
                    "compares angles. Choose runs with the geometry hypersphere for the submission."
                )
            parts.append(unit(embedded.rows(folder, spec, rows)))
    return parts[0] if len(parts) == 1 else unit(np.concatenate(parts, axis=1))


def sides_of(manifest: pl.DataFrame, splits: list[pl.DataFrame], gallery: str) -> Question:
    """Return the question that a data set asks by itself.

    With two sides: the images that are not of the side `gallery` and that no run was trained or chosen on (unlabelled,
    else those of the role test), among all of the side `gallery` (the unlabelled ones where there are any). Without:
    the test images, ranked as in the tables.

    splits: those on which the runs were trained. Raises ReidflowError where no image asks.
    """
    sides = manifest["side"].fill_null("").to_numpy()
    if not (sides == "gallery").any():
        return _tested(manifest, splits[0], gallery)
    unlabelled = manifest["identity"].is_null().to_numpy()
    tests = [set(split.filter(pl.col("role") == "test")["image"]) for split in splits]
    tested = np.array([all(image in test for test in tests) for image in manifest["image"]])
    asking_, ranked = sides != "gallery", sides == "gallery"
    queries = _first(np.flatnonzero(asking_ & unlabelled), np.flatnonzero(asking_ & tested))
    if not len(queries):
        raise ReidflowError(
            "submission: no image asks. Give the data set unlabelled queries, or the split test images."
        )
    found = _first(np.flatnonzero(ranked & unlabelled), np.flatnonzero(ranked))
    return Question(queries, found, np.full(len(queries), -1, np.int64))


def _first(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return rows if len(rows) else others


def _tested(manifest: pl.DataFrame, split: pl.DataFrame, gallery: str) -> Question:
    layout = Layout(split, manifest, gallery)
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    rows = np.array([row_of[image] for image in split["image"]], np.int64)
    return Question(rows[layout.query], rows[layout.gallery], **layout.places())


def _own(run: ChosenRun, question: Question, embedded: Embedded, inference: list[dict[str, Any]]) -> Retrieval:
    """Return what one run ranks by: as its arm does, and after further inference."""
    steps = [*run.spec.inference, *inference]
    flipped = _seen(run, question, embedded.mirrored) if needing("inference", steps, "flipped") else None
    return infer(_seen(run, question, embedded.rows), steps, flipped)


def _seen(run: ChosenRun, question: Question, embed: Any) -> Retrieval:
    """Return queries and gallery as the members of a run's arm embed them, together."""
    members = []
    rows = np.unique(np.concatenate([question.queries, question.gallery]))
    own = {name: getattr(question, name) for name in ("query_index", "query_group", "gallery_group")}
    for (_, folder), spec in zip(run.made.runs, run.spec.runs(), strict=True):
        vectors = embed(folder, spec, rows)
        queries, gallery = (vectors[np.searchsorted(rows, side)] for side in (question.queries, question.gallery))
        similarity = similarity_of(spec.model.geometry["name"])
        members.append(Retrieval(queries, gallery, similarity=similarity, **own))
    return joined(members, run.made.combine)


def _by_cosine(asked: Retrieval) -> bool:
    return asked.similarity is None and asked.matrix is None


def _averaged_cosines(runs: list[ChosenRun], asked: Retrieval) -> bool:
    """Return whether the similarities are means of cosines, by an ensemble and nothing else."""
    specs = [spec for run in runs for spec in run.spec.runs()]
    angles = all(similarity_of(spec.model.geometry["name"]) is None for spec in specs)
    return angles and len(runs) == 1 and runs[0].made.combine == "average"
