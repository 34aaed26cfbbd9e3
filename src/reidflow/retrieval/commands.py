"""The commands `reidflow index` and `reidflow retrieve`."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.device import resolve_device
from reidflow.retrieval.embedder import Embedder, JointEmbedder, code_of
from reidflow.retrieval.finished_runs import fitted_of, run_folder
from reidflow.retrieval.fitted_ranking import Answer, FittedRanking, promise
from reidflow.retrieval.gallery import (
    Gallery,
    UpdateSummary,
    listed,
    open_gallery,
    unpacked_runs,
    update,
)
from reidflow.retrieval.gallery_ranking import BesideGallery, Extractor, GalleryRanking
from reidflow.retrieval.image_embedder import LOCAL, ImageEmbedder, other_versions
from reidflow.retrieval.image_files import Framing, LeftOut, find_images
from reidflow.retrieval.index import search
from reidflow.retrieval.submission_files import answers_csv, answers_json
from reidflow.spec import components
from reidflow.spec.config import Compute, Config
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan
from reidflow.store.atomic import write_text


def index_images(
    plan: Plan, runs: list[str], images: Path, out: Path, index: dict[str, Any], rebuild: bool, promised: float
) -> UpdateSummary:
    """Make or update a gallery of the images in a folder, and say what was done.

    promised: rate of queries of new individuals that are answered with a known one.
    """
    maker = maker_of(plan, runs, promised)
    _say_whole(maker, images)
    done = update(images, out, maker, index, rebuild=rebuild, progress=_progress)
    print(f"{out}: {done.count} images, {done.embedded} of them embedded now, {done.gone} gone since the last time")
    if done.recall is not None:
        print(f"recall of the 10 nearest, against an exact search: {done.recall:.4f}")
    if maker.fitted.new:
        print(promise(maker.fitted.new))
    _say_left_out(done.left_out)
    return done


def retrieve(folder: Path, queries: Path, k: int, out: Path | None, new: bool = False) -> dict[str, list[str]]:
    """Return the keys of the k best images of a gallery for each query image; print them, or write them to a file.

    The gallery's folder is all that is needed of the pipeline. new: `new individual` stands among the answers.
    Raises ReidflowError.
    """
    gallery = open_gallery(folder)
    if new and gallery.fitted.new is None:
        raise ReidflowError(
            f"{folder}: says nothing of new individuals. Leave --new out, or make the gallery again with `reidflow index`, "
            "by a run of the config's experiments whose split has validation images of several individuals."
        )
    found = find_images(queries)
    own = _own_rows(gallery, found.root, list(found.digests))
    answers: list[Answer] = []
    left_out: list[LeftOut] = []
    with unpacked_runs(folder) as runs, tempfile.TemporaryDirectory(prefix="reidflow-") as cache:
        maker = maker_of_gallery(gallery, runs, folder)
        _say_whole(maker, queries)
        local = BesideGallery(gallery.banks, Path(cache), maker.workers) if gallery.banks else None
        ranking = GalleryRanking(gallery.fitted, gallery.vectors, gallery.index, local)
        # What is known of one block of queries takes more memory than all answers.
        for block in maker.known(found, list(found.digests)):
            left_out += block.left_out
            rows = np.array([own[key] for key in block.keys], np.int64)
            if gallery.fitted.ranking:
                digests = [found.digests[key] for key in block.keys]
                ranked = ranking(block.vectors, block.features, digests, rows, k)
            else:
                nearest, cosines = nearest_others(gallery, block.vectors, rows, k)
                ranked = nearest, cosines, np.zeros(nearest.shape, bool)
            answers += answers_of(gallery, block.keys, *ranked)
    if not answers:
        raise ReidflowError(f"{queries}: none of the {len(found.digests)} images can be used.\n{listed(left_out)}")
    if out and out.suffix == ".csv":
        write_text(out, answers_csv(answers))
    elif out:
        write_text(out, answers_json({one.query: one.named(k, new) for one in answers}))
    if out:
        print(f"{out}: {len(answers)} queries, {min(k, len(gallery.keys))} answers to each")
    else:
        _print(answers)
    if gallery.fitted.new:
        print(promise(gallery.fitted.new), file=sys.stderr)
    _say_left_out(left_out)
    return {one.query: one.named(k, new) for one in answers}


def answers_of(
    gallery: Gallery, queries: list[str], rows: np.ndarray, values: np.ndarray, calibrated: np.ndarray
) -> list[Answer]:
    """Return the answer to each query. rows, values, calibrated: of its best images,
    as `GalleryRanking` returns them.
    """
    found = []
    for place, query in enumerate(queries):
        there = rows[place] >= 0
        keys = [gallery.keys[row] for row in rows[place][there]]
        given = values[place][there], len(gallery.keys), calibrated[place][there]
        found.append(gallery.fitted.answer(query, keys, *given))
    return found


def maker_of_gallery(gallery: Gallery, runs: list[Path], folder: Path) -> ImageEmbedder:
    """Return what embeds query images as those of a gallery were: by its own runs, unpacked, and in its frame.

    Raises ReidflowError where this installation would embed them otherwise, or lacks pretrained weights.
    """
    facts, compute = gallery.facts, Compute()
    device = resolve_device(compute.device)
    more = facts.get("levels", {}), facts.get("network"), facts.get("boxes", 0)
    framing = Framing(facts["frame"], facts["size"], facts["max_pixels"], *more)
    try:
        _ = framing.segmenter
    except ReidflowError as error:
        raise ReidflowError(
            f"{folder}: its images were framed by masks that a network computed, which new ones need as well. Put its file where "
            f"it was, or make the gallery again with `reidflow index`. {error}"
        ) from error
    try:
        made = _embedders(runs, device)
    except MissingWeightsError as error:
        raise ReidflowError(f"{folder}: its queries are embedded with pretrained weights; {error}") from error
    extractors = [Extractor(matcher, device) for matcher in gallery.fitted.matchers]
    maker = _joined(made, framing, facts["name"], compute.workers, gallery.fitted, extractors)
    own = maker.identity()
    if own["run"] != facts["run"]:
        raise ReidflowError(f"{folder}: a damaged gallery (its runs are not those of its vectors). Copy it again.")
    versions = other_versions(facts.get(LOCAL, {}), own.get(LOCAL, {}))
    if versions and own["code"] == facts["code"]:
        raise ReidflowError(
            f"{folder}: its local features were extracted with {versions}, so those of new images could not be compared "
            "with its own. Install that version, or make the gallery again with `reidflow index`."
        )
    if any(own.get(name) != facts.get(name) for name in ("code", LOCAL)):
        raise ReidflowError(
            f"{folder}: made by other code (reidflow {facts['version']}; this is {components.version()}), so new "
            "images could not be compared with its own. Use that version, or make the gallery again with `reidflow index`."
        )
    return maker


def nearest_others(gallery: Gallery, queries: np.ndarray, own: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and cosines (Q, k) of the best images for each query; own: (Q,) its own row, which is none, or -1."""
    # One more for every query, so that what an approximate index finds does not depend on the other queries.
    rows, cosines = search(gallery.index, gallery.vectors, queries, k + 1)
    itself = rows == np.where(own < 0, -2, own)[:, None]
    last = np.argsort(itself, axis=1, kind="stable")[:, :k]
    cosines = np.where(itself, -np.inf, cosines)
    rows = np.where(itself, -1, rows)
    return np.take_along_axis(rows, last, 1), np.take_along_axis(cosines, last, 1)


def maker_of(plan: Plan, runs: list[str], promised: float) -> ImageEmbedder:
    """Return what embeds images with finished runs (as experiment/arm/seed-0 or by the path of their folder).

    Where their arm has a ranking by several scores, it extracts local features as well. promised: as for
    `index_images`.
    Raises ReidflowError where a run is not there, or its embeddings are not compared by their angle.
    """
    config = plan.config
    results, device = Path(config.results), resolve_device(config.compute.device)
    framing_of(config)  # before networks are loaded
    made = _embedders([run_folder(results, name) for name in runs], device)
    for embedder, name in zip(made, runs, strict=True):
        if not embedder.cosine:
            raise ReidflowError(
                f"{name}: its embeddings have the geometry '{embedder.spec.model.geometry['name']}', and an index "
                "compares angles. Choose a run with the geometry hypersphere."
            )
    fitted = fitted_of(plan, [(embedder.folder, embedder.spec) for embedder in made], promised)
    extractors = [Extractor(matcher, device) for matcher in fitted.matchers]
    framing = framing_of(config, masks=bool(extractors))
    return _joined(made, framing, ", ".join(runs), config.compute.workers, fitted, extractors)


def _embedders(folders: list[Path], device: str) -> list[Embedder]:
    return [Embedder(folder, device=device) for folder in folders]


def _joined(
    made: list[Embedder],
    framing: Framing,
    name: str,
    workers: int,
    fitted: FittedRanking,
    extractors: list[Extractor],
) -> ImageEmbedder:
    """Return what embeds images with one run, or with several side by side."""
    runs = [(embedder.folder, embedder.spec) for embedder in made]
    digest = code_of([spec for _, spec in runs], framing.frame, framing.network)
    embed = made[0] if len(made) == 1 else JointEmbedder(made)
    return ImageEmbedder(embed, framing, name, digest, workers, runs, fitted, extractors)


def framing_of(config: Config, masks: bool = False) -> Framing:
    """Return how the pipeline framed the images that its runs were trained on. masks: whether masks are used beside.

    Raises ReidflowError.
    """
    path = Path(config.results) / "data" / "images.json"
    if not path.is_file():
        raise ReidflowError(f"{path}: not there yet. Run the pipeline with this config first.")
    facts = json.loads(path.read_text())
    if facts["frame"] != config.dataset.frame:
        raise ReidflowError(
            f"{path}: its images were made with the frame {facts['frame']}, and the config says "
            f"{config.dataset.frame}. Run the pipeline again, or name the config that made them with --configfile."
        )
    known, wanted = (facts.get("network") or {}).get("segmenter"), config.dataset.masks
    if _but_file(known) != _but_file(wanted):
        raise ReidflowError(
            f"{path}: its images were made with masks by {known}, and the config says {wanted}. Run the pipeline again, or "
            "name the config that made them with --configfile."
        )
    if wanted:  # whose file may have been moved since
        facts["network"] = {**facts["network"], "segmenter": wanted}
    return Framing.of_pipeline(facts, config.dataset.max_pixels, masks)


def _but_file(segmenter: dict[str, Any] | None) -> dict[str, Any] | None:
    return segmenter and {key: value for key, value in segmenter.items() if key != "file"}


def _own_rows(gallery: Gallery, root: Path, keys: list[str]) -> dict[str, int]:
    """Return query -> its row where it is itself an image of the gallery, by its place on the disk, else -1."""
    folder = Path(gallery.facts["images"]).resolve()
    row_of = {(folder / key).as_posix(): row for row, key in enumerate(gallery.keys)}
    top = root.resolve()
    return {key: row_of.get((top / key).as_posix(), -1) for key in keys}


def _print(answers: list[Answer]) -> None:
    """Print answers with their probabilities where they are calibrated, else with their scores."""
    calibrated = any(probability is not None for one in answers for probability in one.probabilities)
    for one in answers:
        print(one.query)
        for place, image, score, probability in one.rows():
            value = score if probability is None and not calibrated else probability
            shown = f"{'-':>8}" if value is None else f"{value:8.4f}"
            print(f"  {place or 'new':>3} {shown}  {image}")


def _say_whole(maker: ImageEmbedder, images: Path) -> None:
    """Warn that the runs know animals cut out of photographs, and these files are embedded as they are."""
    if maker.framing.boxes:
        print(
            f"WARNING: {maker.framing.boxes} images of the pipeline were cut out of photographs by boxes, and those of "
            f"{images} are embedded whole. Cut them to the animals first, unless they are such crops.",
            file=sys.stderr,
        )


def _say_left_out(left_out: list[Any]) -> None:
    if left_out:
        count = "1 image" if len(left_out) == 1 else f"{len(left_out)} images"
        print(f"left out, since not usable: {count}\n{listed(left_out)}", file=sys.stderr)


def _progress(done: int, total: int) -> None:
    print(f"{done} of {total} images", file=sys.stderr)
