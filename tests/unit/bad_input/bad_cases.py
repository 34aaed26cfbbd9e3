"""Running a case of the corpus: planned and read as by the first job, before anything is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from bad_files import picture, saved

from reidflow.ingest.build import Outputs, Raw, ingest
from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.ingest.rawdigest import dataset_paths, snapshot
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

NAMES = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
GOOD = saved(picture())


@dataclass(frozen=True)
class Case:
    """A bad input. `lay` puts it into an empty folder and returns the config's `dataset.source`.

    `said`: parts of the output, in which {data} stands for the folder: of the error message where ingest stops; where single
    images are at fault, of their lines in the quarantine (`image: reason: detail`), one part for each.
    """

    what: str
    lay: Callable[[Path], dict[str, Any]]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """The tables and arrays that ingest wrote."""

    manifest: pl.DataFrame
    quarantined: list[str]
    pixels: np.ndarray


def write(path: Path, content: bytes | str = GOOD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def good_folder(data: Path) -> dict[str, Any]:
    """Lay down four good images of two animals."""
    for name in ("leo/1.png", "leo/2.png", "mia/1.png", "mia/2.png"):
        write(data / name)
    return {"name": "folder", "path": str(data)}


def read(data: Path, out: Path, source: dict[str, Any], **changes) -> Read:
    """Plan with a data set and read it, as the pipeline does before anything else. Raises ReidflowError."""
    root, extra = dataset_paths(source)
    planned = Raw(snapshot(root, out / "raw.json", extra).digest, out / "raw.json")
    paths = Outputs(*(out / name for name in NAMES))
    settings = {"max_bad_share": 0.9, "max_pixels": 10**6, "workers": 2, "frame": {"name": "squash"}, "size": 8}
    ingest(call("source", resolve("source", source)), paths, raw=planned, **(settings | changes))
    rows = read_table(paths.quarantine, QUARANTINE).iter_rows(named=True)
    lines = [f"{row['image']}: {row['reason']}: {row['detail']}" for row in rows]
    return Read(read_table(paths.manifest, MANIFEST), lines, np.load(paths.images))


def check_stops(case: Case, data: Path, out: Path, **changes) -> None:
    """Check that a case ends in an error that says what the case promises, and that nothing was written."""
    data.mkdir(exist_ok=True)
    source = case.lay(data)
    with pytest.raises(ReidflowError) as caught:
        read(data, out, source, **changes)
    check_said(case.said, str(caught.value), data)
    assert not (out / "manifest.parquet").exists()


def check_quarantined(case: Case, data: Path, out: Path) -> None:
    """Check that exactly the promised images are left out, each with its reason, and that others are kept."""
    data.mkdir(exist_ok=True)
    found = read(data, out, case.lay(data))
    assert len(found.quarantined) == len(case.said), found.quarantined
    for said, line in zip(case.said, found.quarantined, strict=True):
        check_said((said,), line, data)
    assert len(found.manifest) >= 2 and found.manifest["image"].is_unique().all()


def check_said(parts: tuple[str, ...], text: str, data: Path) -> None:
    for part in parts:
        assert part.replace("{data}", str(data)) in text, text


def of_cases(cases: list[Case]):
    """Return the mark that runs a test for each case, named by `what`."""
    return pytest.mark.parametrize("case", cases, ids=[case.what for case in cases])
