"""Render the demo: a folder in the layout of the jaguar competition, and a table of everything planted in it."""

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from reidflow.ingest.demo.noise import generator
from reidflow.ingest.demo.plan import Photograph, counts, habitat_of, photographs
from reidflow.ingest.demo.scene import photograph, resized
from reidflow.ingest.demo.settings import DemoSettings
from reidflow.ingest.demo.studio import render, renders
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.store.processes import map_in_order
from reidflow.store.tables import Contract, write_table

TRUTH = Contract(
    "truth of the demo",
    {
        "image": pl.String,
        "identity": pl.String,
        "flank": pl.String,
        "burst": pl.String,
        "time": pl.String,
        "habitat": pl.String,
        "site": pl.String,
        "home": pl.Boolean,
        "light": pl.String,
        "occluder": pl.String,
        "duplicate_of": pl.String,
        "alteration": pl.String,
        "defect": pl.String,
    },
    nullable=frozenset({"occluder", "duplicate_of", "alteration", "defect"}),
)
FILED_AGAIN = ("same_bytes", "recompressed", "same_pixels")
CHUNK = 16


def draw(folder: Path, settings: DemoSettings, workers: int = 1) -> None:
    """Render the data set of `settings` into `folder`, which is complete afterwards or untouched.

    Writes `train.csv` (filename, ground_truth), `train/train/*.png` (RGBA; the colours under alpha 0 are the habitat),
    `meta.csv` (filename, sighting, flank, time: what a data set may know about itself) and `truth.parquet` (all that
    was planted; `image` is the path relative to `folder`). The bits depend on `settings` alone, not on `workers`.
    Copies with the same bytes, the same pixels or another compression are filed under a sighting of their own in
    `meta.csv`, as if submitted twice, so that only their pixels reveal them; `burst` in the truth is that of the
    original. With renders, `gallery/*.png` and `gallery.csv` (filename, ground_truth) hold each animal in a second
    style; the other files and the truth are the same with and without them. Raises ReidflowError if `folder` holds
    other files.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "truth.parquet").is_file():
        raise ReidflowError(f"{folder}: holds files that are not the demo's. Choose an empty or a new folder.")
    drawing, former = (folder.with_name(f".{folder.name}.{what}") for what in ("drawing", "former"))
    for leftover in (drawing, former):
        shutil.rmtree(leftover, ignore_errors=True)
    (drawing / "train" / "train").mkdir(parents=True)
    rows = []
    tasks = ((drawing, settings, chunk) for chunk in _chunks(settings))
    for part in map_in_order(_draw_chunk, tasks, workers):
        rows.extend(part)
    _write_tables(drawing, rows)
    if settings.renders:
        (drawing / "gallery").mkdir()
        tasks = ((drawing, settings, identity) for identity in range(settings.identities))
        listed = [row for part in map_in_order(_draw_renders, tasks, workers) for row in part]
        write_text(drawing / "gallery.csv", _csv(("filename", "ground_truth"), listed))
    # After a power cut the folder must not be there without its files.
    os.sync()
    # Moved before it is removed: a kill during removal would leave a folder that is not recognised as a demo.
    if folder.is_dir():
        folder.replace(former)
    drawing.replace(folder)
    shutil.rmtree(former, ignore_errors=True)


def _chunks(settings: DemoSettings) -> Iterator[list[Photograph]]:
    """Yield the photographs in the order of their files, at most CHUNK together, all of one animal."""
    first, earlier = 1, 0
    for identity, (files, copies) in enumerate(zip(*counts(settings), strict=True)):
        planned = photographs(settings, identity, first, int(files), int(copies), earlier)
        yield from (planned[i : i + CHUNK] for i in range(0, len(planned), CHUNK))
        first, earlier = first + int(files), earlier + int(copies)


def _draw_chunk(folder: Path, settings: DemoSettings, chunk: list[Photograph]) -> list[tuple]:
    """Write the files of some photographs and their copies; return their rows of the truth and their sightings."""
    rows = []
    for plan in chunk:
        pixels = photograph(settings, plan)
        original = encoded(pixels)
        name = _file_name(settings, plan.image)
        _write(folder, name, original)
        rows.append(_row(settings, plan, name, None, None))
        for number, alteration in plan.copies:
            copy = _file_name(settings, number)
            random = generator(settings.seed, "copy", plan.identity, plan.burst.number, plan.frame, alteration)
            _write(folder, copy, altered(pixels, original, alteration, random))
            rows.append(_row(settings, plan, copy, name, alteration))
    return rows


def _draw_renders(folder: Path, settings: DemoSettings, identity: int) -> list[tuple[str, str]]:
    """Write the renders of an animal; return the name and the identity of each file."""
    digits = max(4, len(str(settings.identities * settings.renders)))
    rows = []
    for plan in renders(settings, identity):
        name = f"gallery_{plan.image:0{digits}d}.png"
        (folder / "gallery" / name).write_bytes(encoded(render(settings, plan)))
        rows.append((name, _name(settings, identity)))
    return rows


def _name(settings: DemoSettings, identity: int) -> str:
    return f"J{identity + 1:0{max(2, len(str(settings.identities)))}d}"


def _write(folder: Path, name: str, data: bytes) -> None:
    (folder / "train" / "train" / name).write_bytes(data)


def _file_name(settings: DemoSettings, number: int) -> str:
    return f"train_{number:0{max(4, len(str(settings.images)))}d}.png"


def _row(settings: DemoSettings, plan: Photograph, name: str, original: str | None, alteration: str | None) -> tuple:
    """Return the sighting of a file, its name, and its row of the truth."""
    burst, digits = plan.burst, max(2, len(str(settings.identities)))
    identity = _name(settings, plan.identity)
    event = f"{identity}-{burst.number + 1:03d}"
    truth = (
        f"train/train/{name}",
        identity,
        burst.flank,
        event,
        plan.time.isoformat(),
        habitat_of(burst.site),
        f"site-{burst.site + 1:0{digits}d}",
        burst.site == plan.identity,
        burst.light,
        burst.occluder,
        original and f"train/train/{original}",
        alteration,
        plan.defect,
    )
    return f"{event}b" if alteration in FILED_AGAIN else event, name, truth


def _write_tables(folder: Path, rows: list[tuple]) -> None:
    truth = pl.DataFrame([row[2] for row in rows], schema=TRUTH.columns, orient="row")
    write_text(folder / "train.csv", _csv(("filename", "ground_truth"), [(name, row[1]) for _, name, row in rows]))
    meta = [(name, sighting, row[2], row[4]) for sighting, name, row in rows]
    write_text(folder / "meta.csv", _csv(("filename", "sighting", "flank", "time"), meta))
    write_table(truth, folder / "truth.parquet", TRUTH)


def _csv(header: tuple[str, ...], rows: list[tuple]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def encoded(pixels: np.ndarray, level: int = 1) -> bytes:
    """Return RGBA `pixels` (height, width, 4) uint8 as the bytes of a PNG file; a higher `level` is smaller."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def altered(pixels: np.ndarray, original: bytes, alteration: str, random: np.random.Generator) -> bytes:
    """Return the PNG bytes of a copy of `pixels`, whose own file holds the bytes `original`."""
    height, width = pixels.shape[:2]
    match alteration:
        case "same_bytes":
            return original
        case "same_pixels":
            return encoded(pixels, 6)
        case "recompressed":
            return encoded(_recompressed(pixels, int(random.integers(45, 80))))
        case "resized":
            share = random.uniform(0.6, 0.85)
            return encoded(resized(pixels, round(width * share), round(height * share)))
        case "cropped":
            top, bottom = (round(height * random.uniform(0.02, 0.07)) for _ in range(2))
            left, right = (round(width * random.uniform(0.02, 0.07)) for _ in range(2))
            return encoded(pixels[top : height - bottom, left : width - right].copy())
        case "brightness":
            gain = random.choice((random.uniform(0.72, 0.88), random.uniform(1.12, 1.3)))
            bright = np.clip(pixels[..., :3] * gain + 0.5, 0, 255).astype(np.uint8)
            return encoded(np.dstack([bright, pixels[..., 3]]))
    raise ValueError(f"unknown alteration '{alteration}'")


def _recompressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., :3].copy()).save(buffer, "JPEG", quality=quality)
    return np.dstack([np.asarray(Image.open(buffer)), pixels[..., 3]])
