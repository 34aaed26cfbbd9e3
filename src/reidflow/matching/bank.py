"""The bank of local features: those of every image of a data set, on disk, one image after another."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.features.shards import keep, stored
from reidflow.ingest.listing import Listing, Row
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.squares import Squares
from reidflow.matching.features import Features, Gallery, Matcher, of_length_one
from reidflow.models import available
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.determinism import deterministic
from reidflow.spec import code, components
from reidflow.spec.canonical import canonical, short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import runs_network
from reidflow.spec.shards import rows_of
from reidflow.store import published
from reidflow.store.atomic import replacing, write_text
from reidflow.store.tables import Contract, read_table, write_table

ROWS = Contract(
    "rows of a bank of local features",
    {"image": pl.String, "features": pl.String, "first": pl.Int64, "count": pl.Int64},
)
"""One row per image of the manifest. features: the digest of its square and mask; first, count: its rows of the arrays."""

FILES = {"rows": "rows.parquet", "points": "points.npy", "descriptors": "descriptors.npy", "digest": "local.json"}
"""Output of the rule -> file of a bank's folder."""

GONE = ""
"""In place of the digest of an image whose file cannot be read any more."""
KEPT = 128  # images of a file of the store


@dataclass(frozen=True)
class BankFiles:
    """The files of a bank, by the names of FILES."""

    rows: Path
    points: Path
    descriptors: Path
    digest: Path


@dataclass(frozen=True)
class BankJob:
    """What makes a bank of local features, or a shard of it.

    Attributes:
        listing: the images' files.
        manifest: the images, as ingest wrote it.
        squares: how they are read.
        matcher: its resolved component.
        store: the folder of the run store.
        device: a torch device.
        workers: threads, which change no feature.
    """

    listing: Listing
    manifest: pl.DataFrame
    squares: Squares
    matcher: dict[str, Any]
    store: Path
    device: str
    workers: int

    def make(self, out: BankFiles, digests: Sequence[str] | None = None, *, required: bool = False) -> None:
        """Write the bank, or an empty one that says why its features are unavailable.

        digests: of the images, where shards have kept their features before; what the store lost since, such as a damaged
        file, is extracted again. required: nothing can be compared without the features: ReidflowError where they are
        unavailable.
        """
        if self.unavailable:
            return without_features(self.unavailable, required, self.manifest["image"], out)
        if digests is None or not {*digests} - {GONE} <= stored(self.place).keys():
            digests = self.kept(slice(None))
        assemble(self.place, self.manifest["image"], digests, out, self.facts)

    def make_shard(self, shard: list[int], out: Path) -> None:
        """Keep the features of a shard of the images, and write what `make` of all takes. shard: its number, and how many."""
        digests = [] if self.unavailable else self.kept(rows_of(shard, self.manifest.height))
        write_text(out, json.dumps(digests) + "\n")

    @cached_property
    def unavailable(self) -> str | None:
        """Why no features can be extracted: their weights or a package are missing. None where nothing is."""
        try:
            self._extract  # noqa: B018
        except MissingWeightsError as error:
            return f"matcher '{self.matcher['name']}': {error}"
        except ModuleNotFoundError as error:
            return (
                f"matcher '{self.matcher['name']}': the package '{error.name}' is not installed. Install all that reidflow "
                "needs: .venv/bin/pip install -e . (a matcher of your own may need more)."
            )
        return None

    @cached_property
    def place(self) -> Path:
        """The folder of the store that keeps features whose bits are decided by the same things."""
        return self.store / published.LOCAL / short(canonical(self.facts), length=32)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What decides the features of a square and its mask."""
        return facts_of(self.matcher, self._extract, self.device)

    @cached_property
    def _extract(self) -> Matcher:
        return build_matcher(self.matcher, self.device)

    def kept(self, rows: slice) -> list[str]:
        """Return the digest of square and mask of each image, after making sure that the store keeps its features.

        An image whose file is gone, or cannot be used any more, has no features. Raises ReidflowError where a file is
        another one than ingest read.
        """
        published.note_use(published.LOCAL, self.place.name)
        known, digests = set(stored(self.place)), []
        images = self.manifest[rows].select("image", "sha256").rows()
        files = {row.image: row for row in self.listing.rows}

        def one(image: tuple[str, str]) -> tuple[str, Features | None]:
            square = self._square(files.get(image[0]), *image)
            if square is None:
                return GONE, None
            pixels, mask = square
            digest = row_digest(pixels, mask)
            if digest in known:
                return digest, None
            return digest, self._extract(pixels[None], mask[None])[0]

        for start in range(0, len(images), KEPT):
            part = one_thread_each(self.device, self.workers, one, images[start : start + KEPT])
            new = {digest: features for digest, features in part if features is not None}
            if new:
                keep_features(self.place, list(new), list(new.values()))
            known |= new.keys()
            digests += [digest for digest, _ in part]
            print(f"{len(digests)} of {len(images)} images", flush=True)
        gone = [image for (image, _), digest in zip(images, digests, strict=True) if digest == GONE]
        if gone:
            print(
                f"Note: {len(gone)} images have no local features: their files cannot be read any more, e.g. {gone[0]}."
            )
        return digests

    def _square(self, row: Row | None, image: str, planned: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return pixels and mask of an image; None where its file is gone. Raises ReidflowError where it is another."""
        read: dict[str, str] = {}
        try:
            square = self.squares.read(row, read) if row else None
        except UnusableError:
            square = None
        if row and read.get(row.path, planned) != planned:
            raise ReidflowError(
                f"{self.squares.root / row.path}: the data changed since they were read into the image store ('{image}'). Let "
                "the copying or editing finish, then run the same command again."
            )
        return (np.array(square.pixels), square.mask) if square else None


def without_features(reason: str, required: bool, images: pl.Series, out: BankFiles) -> None:
    """Write the files of a bank whose features are unavailable: no features, and the reason.

    Raises ReidflowError where nothing can be compared without them.
    """
    if required:
        raise ReidflowError(f"{reason} A baseline is ranked by these features.")
    write_table(
        pl.DataFrame({"image": images, "features": GONE, "first": 0, "count": 0}, schema=ROWS.columns), out.rows, ROWS
    )
    np.save(out.points, np.zeros((0, 2), np.float32))
    np.save(out.descriptors, np.zeros((0, 0), np.float16))
    write_text(out.digest, json.dumps({"unavailable": reason, **available.installed()}, indent=1) + "\n")


def facts_of(matcher: dict[str, Any], extract: Matcher, device: str) -> dict[str, Any]:
    """Return what decides the features of a square and its mask. matcher: a resolved component; extract: as built of it."""
    return {
        "matcher": matcher,
        "code": code.run_digest(components.module_name("matcher", matcher["name"])),
        "versions": getattr(extract, "versions", {}),
        "device": device.split(":")[0] if runs_network(matcher) else "cpu",
    }


def row_digest(pixels: np.ndarray, mask: np.ndarray) -> str:
    """Return the digest of a square, (S, S, 3) and (S, S) uint8: what its features are kept under."""
    return hashlib.sha256(pixels.tobytes() + mask.tobytes()).hexdigest()


def build_matcher(matcher: dict[str, Any], device: str) -> Matcher:
    """Return the matcher of a resolved component on a torch device. Raises ReidflowError where a package is missing."""
    return components.call("matcher", matcher, *([device] if runs_network(matcher) else []))


@contextmanager
def single_threaded(device: str) -> Iterator[None]:
    """Run the body with one thread for each image: bits of features then depend on no number of threads."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with deterministic(1, device):
            yield
    finally:
        cv2.setNumThreads(before)


def one_thread_each(device: str, workers: int, function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
    """Return what a function makes of each item, by several threads of one thread each; on a GPU one item after the other."""
    with single_threaded(device), ThreadPoolExecutor(workers if device == "cpu" else 1) as pool:
        return list(pool.map(function, *columns))


class Bank:
    """An opened bank of local features, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self.facts = json.loads((folder / FILES["digest"]).read_text())
        if reason := self.facts.get("unavailable"):
            raise ReidflowError(f"{folder}: no local features. {reason}")
        self.rows = read_table(folder / FILES["rows"], ROWS)
        self.points = np.load(folder / FILES["points"], mmap_mode="r")
        self.descriptors = np.load(folder / FILES["descriptors"], mmap_mode="r")
        self.first, self.count = (self.rows[name].to_numpy() for name in ("first", "count"))
        self.digests = self.rows["features"].to_list()
        if not len(self.points) == len(self.descriptors) == self.count.sum():
            raise ReidflowError(
                f"{folder}: the files of this bank of local features do not belong together. Remove the folder, then run the "
                "pipeline again."
            )

    @property
    def decided(self) -> dict[str, Any]:
        """What decides its features: `facts_of` them."""
        return {key: self.facts[key] for key in ("matcher", "code", "versions", "device")}

    def of(self, row: int) -> Features:
        """Return the features of an image, by its row of the manifest, float32."""
        part = slice(self.first[row], self.first[row] + self.count[row])
        return Features(np.array(self.points[part]), of_length_one(self.descriptors[part]))

    def together(self, rows: np.ndarray, groups: np.ndarray) -> Gallery:
        """Return the features of images, float16 descriptors, as one gallery. groups: codes of the images."""
        owners = np.repeat(np.arange(len(rows)), self.count[rows])
        starts = np.cumsum(self.count[rows]) - self.count[rows]
        places = np.arange(len(owners)) - starts[owners] + self.first[rows][owners]
        return Gallery(np.asarray(self.points[places]), np.asarray(self.descriptors[places]), owners, len(rows), groups)


class ExtendedBank(Bank):
    """A bank with further images behind its own: those that it was last given."""

    def __init__(self, bank: Bank) -> None:
        self.own, self.facts, self.first = bank, bank.facts, bank.first
        self.extend([], [])

    def extend(self, features: Sequence[Features], digests: Sequence[str]) -> None:
        """Replace the further images. features: of these; digests: a text for each that identifies it."""
        self.more, self.digests = features, [*self.own.digests, *digests]
        self.count = np.concatenate([self.own.count, [len(one.points) for one in features]]).astype(np.int64)

    def of(self, row: int) -> Features:
        """Return the features of an image, float32, its descriptors as exact as a bank holds them."""
        if row < len(self.own.count):
            return self.own.of(row)
        points, descriptors = self.more[row - len(self.own.count)]
        return Features(points, of_length_one(descriptors.astype(np.float16)))

    def together(self, rows: np.ndarray, groups: np.ndarray) -> Gallery:
        """Return the features of images of the bank itself, as `Bank.together`."""
        return self.own.together(rows, groups)


def keep_features(place: Path, digests: Sequence[str], features: Sequence[Features]) -> None:
    """Keep the features of images in a folder, under a digest of each, for `assemble`."""
    keep(place, digests, _records(features))


def _records(features: Sequence[Features]) -> np.ndarray:
    """Return features as records (n, K) of point and descriptor: K is the most that an image has, others end in NaN."""
    kind = [("point", "<f4", 2), ("descriptor", "<f2", features[0].descriptors.shape[1])]
    records = np.zeros((len(features), max(len(one.points) for one in features)), kind)
    records["point"] = np.nan
    for row, one in zip(records, features, strict=True):
        row["point"][: len(one.points)] = one.points
        row["descriptor"][: len(one.points)] = one.descriptors
    return records


def assemble(place: Path, images: pl.Series, digests: Sequence[str], out: BankFiles, facts: dict[str, Any]) -> None:
    """Write a bank of the features that a folder keeps, one of its files at a time: memory does not grow with the images."""
    found, wanted = stored(place), {}
    for index, digest in enumerate(digests):
        if digest != GONE:
            source, row = found[digest]
            wanted.setdefault(source, []).append((index, row))
    count, dim = np.zeros(len(digests), np.int64), 0
    for source, pairs in wanted.items():
        records = _read(source)
        dim = records["descriptor"].shape[2]
        for index, row in pairs:
            count[index] = (~np.isnan(records["point"][row, :, 0])).sum()
    first = np.cumsum(count) - count
    total = hashlib.sha256()
    for name, dtype, width in (("point", "<f4", 2), ("descriptor", "<f2", dim)):
        target = out.points if name == "point" else out.descriptors
        with replacing(target) as temporary, temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": dtype, "fortran_order": False, "shape": (int(count.sum()), width)}
            )
            start, step = file.tell(), np.dtype(dtype).itemsize * width
            file.truncate(start + int(count.sum()) * step)
            for source, pairs in wanted.items():
                values = _read(source)[name]
                for index, row in pairs:
                    file.seek(start + int(first[index]) * step)
                    file.write(np.ascontiguousarray(values[row, : count[index]]).tobytes())
        with target.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    rows = pl.DataFrame({"image": images, "features": list(digests), "first": first, "count": count})
    write_table(rows, out.rows, ROWS)
    summary = {
        "digest": hashlib.sha256(total.digest() + canonical(rows.rows()).encode()).hexdigest(),
        "count": len(digests),
        "dim": dim,
        "median": float(np.median(count)) if len(count) else 0.0,
        "empty": int((count == 0).sum()),
        **facts,
    }
    write_text(out.digest, json.dumps(summary, indent=1) + "\n")


def _read(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as content:
        return content["features"]
