"""A gallery: the vectors of a folder's images with their keys and an index, kept up to date image by image.

It also holds the runs that made the vectors, so that queries can be embedded without the results of the pipeline.
"""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import polars as pl

from reidflow.features.shards import keep, stored
from reidflow.ingest.rawdigest import UNREADABLE
from reidflow.matching.bank import FILES as BANK_FILES
from reidflow.matching.bank import Bank, BankFiles, assemble, keep_features
from reidflow.retrieval.fitted_ranking import RANKING, FittedRanking, read_ranking
from reidflow.retrieval.image_embedder import LOCAL, ImageEmbedder, known_by, other_versions
from reidflow.retrieval.image_files import ImageFiles, LeftOut, find_images
from reidflow.retrieval.index import EXACT, build_index, measured_recall, read_index, write_index
from reidflow.spec import components
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import local_bank_id
from reidflow.spec.run import RunSpec
from reidflow.spec.yaml import dumps
from reidflow.store.atomic import replacing, write_text
from reidflow.store.locks import locked
from reidflow.store.runs import SPEC
from reidflow.store.tables import Contract, read_table, write_table
from reidflow.training.embedding import WEIGHTS

KEYS = Contract("keys of a gallery", {"key": pl.String, "sha256": pl.String, "row": pl.Int64})
INDEX, TABLE, VECTORS, FACTS, FILES = "index.faiss", "keys.parquet", "vectors.npy", "gallery.json", "files.json"
RUNS = "runs.zip"
NAMES = (INDEX, TABLE, VECTORS, FACTS, FILES, RUNS, RANKING, LOCAL)
KEPT = 256  # images of a file of kept features
RECALL_AT = 10
RECALL = f"recall_at_{RECALL_AT}"


@dataclass(frozen=True)
class Gallery:
    """A gallery as stored on disk: row i of `vectors` (N, D), unit float32, is the image `keys[i]`, keys sorted.

    fitted: what its queries are ranked and answered by. banks: of local features, by name, row i again of `keys[i]`.
    """

    keys: list[str]
    digests: list[str]
    vectors: np.ndarray
    index: faiss.Index
    facts: dict[str, Any]
    fitted: FittedRanking
    banks: dict[str, Bank]


@dataclass(frozen=True)
class UpdateSummary:
    """What an update did: images in the gallery, embedded, gone since, and left out."""

    count: int
    embedded: int
    gone: int
    left_out: list[LeftOut]
    recall: float | None


def update(
    images: Path,
    out: Path,
    maker: ImageEmbedder,
    index: dict[str, Any],
    *,
    rebuild: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> UpdateSummary:
    """Make the gallery folder `out` of the images in a folder, or bring it up to date with them.

    An image is known by the bytes of its file: only bytes not seen before, by the same run and in the same frame, are
    embedded. Images that are gone leave. A kill leaves the gallery as it was, and the next update goes on from what was
    embedded. index: resolved component. rebuild: replace a gallery that another run made.
    Raises ReidflowError for a gallery of another run, a folder that holds other files, or no usable image.
    """
    out = out.absolute()
    _check_places(images, out)
    with locked(_beside(out, "lock")):
        _recover(out)
        old = _usable_old(out, maker, rebuild)
        part = _beside(out, "part")
        part.mkdir(parents=True, exist_ok=True)
        if (out / FILES).is_file() and not (part / FILES).is_file():
            shutil.copyfile(out / FILES, part / FILES)
        found = find_images(images, part / FILES)
        known = dict(zip(old.digests, old.vectors, strict=True)) if old else {}
        embedded, left_out = _embed_missing(found, known, maker, part / short(maker.identity()), progress)
        rows = {key: known[sha] for key, sha in found.digests.items() if sha in known}
        if not rows:
            raise ReidflowError(f"{images}: none of its {len(found.digests)} images can be used.\n{listed(left_out)}")
        gone = len(set(old.keys) - set(found.digests)) if old else 0
        facts = {**maker.identity(), "name": maker.run, "images": str(images.absolute())}
        facts |= {"max_pixels": maker.framing.max_pixels, "network": maker.framing.network}
        facts |= {"index": index, "left_out": [one._asdict() for one in left_out]}
        facts |= known_by(maker.fitted, {each.name: each.facts for each in maker.extractors})
        digests = [found.digests[key] for key in rows]
        unchanged = old and (old.keys, old.digests) == (list(rows), digests) and facts.items() <= old.facts.items()
        if unchanged and (out / RUNS).is_file():
            recall = old.facts[RECALL]
        else:
            vectors = np.stack(list(rows.values()))
            place = part / short(maker.identity())
            banks = {each.name: KeptBank(place / each.name, digests, each.facts) for each in maker.extractors}
            for name, bank in banks.items() if old else ():
                bank.keep(
                    old.banks[name], [row for row, digest in enumerate(old.digests) if digest in known], old.digests
                )
            given = facts, maker.runs, maker.fitted
            recall = write_gallery(part / "whole", list(rows), digests, vectors, *given, banks)
            shutil.move(part / FILES, part / "whole" / FILES)
            _swap(part / "whole", out)
        shutil.rmtree(part)
    return UpdateSummary(len(rows), embedded, gone, left_out, recall)


def write_gallery(
    folder: Path,
    keys: list[str],
    digests: list[str],
    vectors: np.ndarray,
    facts: dict[str, Any],
    runs: Sequence[tuple[Path, RunSpec]],
    fitted: FittedRanking,
    banks: Mapping[str, "KeptBank"] = {},
) -> float | None:
    """Write the files of a gallery into `folder` and return the index's recall, None where it is exact.

    keys: sorted, a row each. vectors: (N, D) unit float32. facts: what gallery.json holds beside count, recall and the
    runs' pretrained backbones; `index` is the resolved component. runs: folder and spec of each run behind the vectors.
    fitted: what queries are ranked by. banks: the local features of the images, by name.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = build_index(vectors, facts["index"])
    recall = None if facts["index"]["name"] == EXACT else measured_recall(made, vectors, RECALL_AT)
    with replacing(folder / VECTORS) as temporary:
        np.save(temporary, vectors)
    write_index(made, folder / INDEX)
    table = pl.DataFrame({"key": keys, "sha256": digests, "row": np.arange(len(keys))}, schema=KEYS.columns)
    write_table(table, folder / TABLE, KEYS)
    _write_runs(folder / RUNS, runs)
    write_text(folder / RANKING, fitted.text())
    for name, bank in banks.items():
        assemble(bank.place, pl.Series(keys), bank.digests, bank_files(folder / LOCAL / name), bank.facts)
    facts = {**facts, "count": len(keys), "dim": vectors.shape[1], RECALL: recall}
    facts |= {"backbones": [spec.model.backbone for _, spec in runs], "version": components.version()}
    write_text(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return recall


@dataclass(frozen=True)
class KeptBank:
    """Local features that a gallery is to hold: the folder in which they are kept, the digest of each image, by which
    they are, and what decides them.
    """

    place: Path
    digests: list[str]
    facts: dict[str, Any]

    def keep(self, bank: Bank, rows: Sequence[int], digests: list[str] | None = None) -> None:
        """Keep those of some rows of a bank. digests: of all its rows, by default its own."""
        known = bank.digests if digests is None else digests
        for start in range(0, len(rows), KEPT):
            some = rows[start : start + KEPT]
            keep_features(self.place, [known[row] for row in some], [bank.of(row) for row in some])


def bank_files(folder: Path) -> BankFiles:
    """Return the files of a bank of local features in its folder."""
    return BankFiles(**{name: folder / file for name, file in BANK_FILES.items()})


def open_gallery(folder: Path) -> Gallery:
    """Return the gallery in a folder. Raises ReidflowError where there is none or its files do not fit together."""
    out = folder.absolute()
    # Between the two renames of an update the old gallery is still beside it.
    place = out if (out / FACTS).is_file() or not (_beside(out, "old") / FACTS).is_file() else _beside(out, "old")
    if not (place / FACTS).is_file():
        raise ReidflowError(
            f"{folder}: there is no gallery here. Make one with: reidflow index --run ... --out {folder}"
        )
    try:
        facts = json.loads((place / FACTS).read_text())
        keys, index = read_table(place / TABLE, KEYS), read_index(place / INDEX)
        vectors = np.load(place / VECTORS, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise ReidflowError(f"{folder}: a damaged gallery ({error}). Rebuild it with --rebuild.") from error
    if not len(keys) == len(vectors) == index.ntotal == facts["count"]:
        raise ReidflowError(
            f"{folder}: its files do not fit together ({len(keys)} keys, {len(vectors)} vectors, {index.ntotal} in the "
            "index). Rebuild it with --rebuild."
        )
    fitted = read_ranking(place / RANKING)
    banks = {name: _open_bank(place / LOCAL / name, keys["key"]) for name in map(local_bank_id, fitted.matchers)}
    return Gallery(keys["key"].to_list(), keys["sha256"].to_list(), vectors, index, facts, fitted, banks)


def _open_bank(folder: Path, keys: pl.Series) -> Bank:
    """Return the local features of a gallery's images. Raises ReidflowError where they are not there, or of others."""
    try:
        bank = Bank(folder)
        whole = bank.rows["image"].to_list() == keys.to_list()
    except (OSError, ValueError, EOFError, ReidflowError) as error:
        raise ReidflowError(
            f"{folder}: not there, or damaged ({error}). Rebuild the gallery with --rebuild."
        ) from error
    if not whole:
        raise ReidflowError(f"{folder}: local features of other images than the gallery's. Rebuild it with --rebuild.")
    return bank


def _write_runs(path: Path, runs: Sequence[tuple[Path, RunSpec]]) -> None:
    """Write the spec and the weights of each run into an archive, the same bytes for the same runs."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for number, (folder, spec) in enumerate(runs):
            archive.writestr(zipfile.ZipInfo(f"{number}/{SPEC}"), dumps(spec.plain()))
            weights = zipfile.ZipInfo(f"{number}/{WEIGHTS}")
            with (folder / WEIGHTS).open("rb") as source, archive.open(weights, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


@contextmanager
def unpacked_runs(folder: Path) -> Iterator[list[Path]]:
    """Yield the folders of the runs that a gallery holds, each with its spec and weights. Raises ReidflowError."""
    out = folder.absolute()
    place = out if (out / FACTS).is_file() else _beside(out, "old")
    try:
        archive = zipfile.ZipFile(place / RUNS)
    except FileNotFoundError as error:
        raise ReidflowError(
            f"{folder / RUNS}: not there, so new images cannot be embedded as those of the gallery were. Make the gallery "
            "again with `reidflow index`, or copy all of its folder."
        ) from error
    except (OSError, zipfile.BadZipFile) as error:
        raise ReidflowError(
            f"{folder / RUNS}: not readable ({error}). Copy the gallery again, or rebuild it."
        ) from error
    with archive, tempfile.TemporaryDirectory(prefix="reidflow-") as name:
        numbers = sorted({int(entry.split("/")[0]) for entry in archive.namelist()})
        for number in numbers:
            for file in (SPEC, WEIGHTS):
                archive.extract(f"{number}/{file}", name)
        yield [Path(name) / str(number) for number in numbers]


def check_maker(facts: dict[str, Any], maker: ImageEmbedder, folder: Path) -> None:
    """Raise ReidflowError where a gallery was made otherwise than the vectors that are to be compared with it."""
    wanted = maker.identity()
    names = {"run": "another run", "frame": "another frame", "size": "images of another size", "code": "other code"}
    names |= {"levels": "another range of values", "masks": "masks of another network"}
    versions = other_versions(facts.get(LOCAL, {}), wanted.get(LOCAL, {}))
    names |= {LOCAL: f"local features by {versions}" if versions else "other local features"}
    differing = [text for key, text in names.items() if facts.get(key) != wanted.get(key)]
    if differing:
        raise ReidflowError(
            f"{folder}: made with {' and '.join(differing)} (it says {facts.get('name')}, the command says {maker.run}), and "
            "such vectors cannot be compared. Choose another folder with --out, or rebuild this one with --rebuild."
        )


def listed(left_out: list[LeftOut]) -> str:
    """Return a line for each image that is left out."""
    return "\n".join(f"  {one.key} ({one.reason}: {one.detail})" for one in left_out)


def _embed_missing(
    found: ImageFiles,
    known: dict[str, np.ndarray],
    maker: ImageEmbedder,
    place: Path,
    progress: Callable[[int, int], None] | None,
) -> tuple[int, list[LeftOut]]:
    """Add the vectors of bytes not known yet to `known`; return how many were embedded, and the images left out.

    Each block is kept in `place` as soon as it is there, its local features in a folder for each bank.
    """
    known.update(_kept(place))
    first: dict[str, str] = {}
    alike: dict[str, list[str]] = {}
    for key, sha in found.digests.items():
        name = key if sha == UNREADABLE else first.setdefault(sha, key)
        alike.setdefault(name, []).append(key)
    missing = [key for key in alike if found.digests[key] not in known]
    embedded, left_out = 0, []
    for block in maker.known(found, missing):
        digests = [found.digests[key] for key in block.keys]
        if digests:
            # An image whose vector is kept has local features, too, wherever a kill comes.
            for name, features in block.features.items():
                keep_features(place / name, digests, features)
            keep(place, digests, block.vectors[:, None])
        known.update(zip(digests, block.vectors, strict=True))
        embedded += len(digests)
        left_out += [LeftOut(key, one.reason, one.detail) for one in block.left_out for key in alike[one.key]]
        if progress:
            progress(embedded + len(left_out), len(missing))
    return embedded, sorted(left_out)


def _kept(place: Path) -> dict[str, np.ndarray]:
    """Return what an update that was killed had embedded: digest -> vector."""
    by_file: dict[Path, dict[str, int]] = {}
    for digest, (path, row) in stored(place).items():
        by_file.setdefault(path, {})[digest] = row
    found: dict[str, np.ndarray] = {}
    for path, rows in by_file.items():
        vectors = np.load(path)["features"][:, 0]
        found.update({digest: vectors[row] for digest, row in rows.items()})
    return found


def _check_places(images: Path, out: Path) -> None:
    inside = images.is_dir() and out.resolve().is_relative_to(images.resolve())
    if inside:
        raise ReidflowError(f"{out}: is inside the folder of images. Choose a folder outside {images} for --out.")
    others = sorted(path.name for path in out.iterdir() if path.name not in NAMES) if out.is_dir() else []
    if others or out.is_file():
        raise ReidflowError(
            f"{out}: contains files that do not belong to a gallery ({others[0] if others else 'it is a file'}). Choose an empty or "
            "new folder for --out."
        )


def _usable_old(out: Path, maker: ImageEmbedder, rebuild: bool) -> Gallery | None:
    if rebuild or not (out / FACTS).is_file():
        return None
    old = open_gallery(out)
    check_maker(old.facts, maker, out)
    return old


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f".{out.name}.{what}")


def _swap(whole: Path, out: Path) -> None:
    """Replace the old gallery by the new one; in between, the old one is beside it."""
    old = _beside(out, "old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    whole.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _recover(out: Path) -> None:
    """Bring back the gallery that a kill left beside its place."""
    old = _beside(out, "old")
    if old.exists() and not (out / FACTS).is_file():
        shutil.rmtree(out, ignore_errors=True)
        old.rename(out)
