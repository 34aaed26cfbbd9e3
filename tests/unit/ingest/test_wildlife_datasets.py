"""Tables of wildlife-datasets: each set's own columns, values and types, as pandas exports them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_images import encoded, picture

from reidflow.ingest.decode import decode
from reidflow.ingest.sources import wildlife_datasets
from reidflow.spec.errors import ReidflowError

PNG = encoded(picture(160, 120))
NAN = float("nan")
POLYGON = [10.0, 20.0, 50.0, 20.0, 50.0, 80.0, 10.0, 80.0]
RUNS = {"counts": [0, 60, 19140], "size": [120, 160]}


@dataclass
class Set:
    """Columns as a set's `create_catalogue` makes them, and the facts that rows must have, by field of a row."""

    columns: dict[str, list]
    facts: dict[str, list]
    parameters: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("csv", "parquet")


SETS = {
    # File names and folders alone: dozens of sets.
    "NyalaData": Set(
        {"image_id": [0, 1], "identity": [7, 12], "path": ["a/1.png", "b/2.png"], "orientation": ["left", "right"]},
        {"identity": ["7", "12"], "flank": ["left", "right"], "box": [None, None], "role": [None, None]},
    ),
    "CTai": Set(
        {"image_id": [0, 1], "identity": ["Kuba", "unknown"], "path": ["a/1.png", "b/2.png"], "age": [3.5, NAN],
         "age_group": ["Adult", None], "gender": ["Male", None]},
        {"identity": ["Kuba", None]},
    ),
    "MacaqueFaces": Set(
        {"image_id": [0, 1], "identity": ["Dan", "Judd"], "path": ["a/1.png", "b/2.png"],
         "date": ["2014-07-03", "2015-07-14"], "category": ["Good", "Random"]},
        {"time": ["2014-07-03", "2015-07-14"]},
    ),
    # Boxes: lists of floats, of numpy, of integers; several entries of one photograph.
    "BristolGorillas2020": Set(
        {"image_id": ["x", "y"], "identity": ["afia", "jock"], "path": ["a/1.png", "a/1.png"],
         "bbox": [[10, 20, 30, 40], [80, 20, 30, 40]], "original_split": ["train", "valid"]},
        {"box": [(10, 20, 30, 40), (80, 20, 30, 40)], "role": ["train", "val"]},
    ),
    "AAUZebraFish": Set(
        {"image_id": ["x", "y"], "identity": [1, 2], "path": ["a/1.png", "b/2.png"],
         "bbox": [np.array([10, 20, 30, 40]), np.array([11, 20, 30, 40])], "orientation": ["right", "left"],
         "video": [0, 1], "turning": [True, False]},
        {"box": [(10, 20, 30, 40), (11, 20, 30, 40)], "group": ["0", "1"], "flank": ["right", "left"]},
    ),
    "ATRW": Set(
        {"image_id": ["x", "y"], "identity": [3.0, 4.0], "path": ["a/1.png", "b/2.png"],
         "bbox": [None, [10.0, 20.0, 30.0, 40.5]], "keypoints": [[1, 2, 0, 3, 4, 1], None],
         "original_split": ["train", "test"]},
        {"box": [None, (10, 20, 30, 40.5)], "role": ["train", "test"]},
    ),
    "StripeSpotter": Set(
        {"image_id": ["x", "y"], "identity": ["Zed", "unknown"], "path": ["a/1.png", "b/2.png"],
         "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]], "date": ["2011-03-02", NAN], "orientation": ["left", "right"]},
        {"box": [(1, 2, 3, 4), (5, 6, 7, 8)], "time": ["2011-03-02", None], "identity": ["Zed", None]},
    ),
    "AnimalCLEF2025 turtles": Set(
        {"image_id": [0, 1], "identity": ["t1", "t2"], "path": ["a/1.png", "b/2.png"],
         "bbox": ["[1.0, 2.0, 3.0, 4.0]", None], "date": ["2012-05-01 10:11:12", None]},
        {"box": [(1, 2, 3, 4), None], "time": ["2012-05-01T10:11:12", None]},
    ),
    # Segmentations: flat polygons, run lengths, files; boxes around them where there are none.
    "NDD20": Set(
        {"image_id": [0, 1], "identity": ["d1", "unknown"], "path": ["a/1.png", "a/1.png"],
         "segmentation": [np.array(POLYGON), np.array([60.0, 10, 90, 10, 90, 40, 60, 40])], "orientation": ["above", "below"],
         "out_of_focus": [NAN, True], "species": ["BND", "WBD"]},
        {"box": [(10, 20, 40, 60), (60, 10, 30, 30)], "drawn": [2400, 900], "flank": ["above", "below"]},
        kinds=("csv",),
    ),
    "BelugaID": Set(
        {"image_id": [0, 1], "identity": ["b1", "b2"], "path": ["a/1.png", "b/2.png"],
         "bbox": [[10.0, 20.0, 40.0, 60.0], [0.0, 0.0, 9.0, 9.0]], "segmentation": [POLYGON, NAN],
         "date": ["2017-07-13 10:11:12", "2018-07-13 10:11:12"], "orientation": ["top", None],
         "species": ["beluga_whale", "beluga_whale"]},
        {"box": [(10, 20, 40, 60), (0, 0, 9, 9)], "drawn": [2400, None], "time": ["2017-07-13T10:11:12", "2018-07-13T10:11:12"]},
    ),
    "SeaTurtleID2022": Set(
        {"image_id": [1, 2], "identity": ["t001", "t002"], "path": ["a/1.png", "b/2.png"],
         "bbox": [[0.0, 0.0, 1.0, 60.0], None], "segmentation": [RUNS, None], "date": ["2010-07-11", "2011-07-11"],
         "original_split": ["train", "test"], "orientation": ["left", None]},
        {"box": [(0, 0, 1, 60), None], "drawn": [60, None], "role": ["train", "test"]},
    ),
    "CzechLynx": Set(
        {"image_id": [0, 1], "identity": ["lynx_1", "lynx_2"], "path": ["a/1.png", "b/2.png"], "encounter": [4, 5],
         "location": ["beskydy", "sumava"], "trap_id": ["trap_12", "trap_3"], "cell_code": ["x", "y"],
         "segmentation": [RUNS, RUNS], "date": ["2015-06-03", "2016-06-03"], "original_split": ["train", "test"]},
        {"group": ["4", "5"], "site": ["beskydy", "sumava"], "camera": ["trap_12", "trap_3"],
         "box": [(0, 0, 1, 60), (0, 0, 1, 60)]},
    ),
    "SMALST": Set(
        {"image_id": [0, 1], "identity": ["a", "b"], "path": ["a/1.png", "b/2.png"],
         "segmentation": ["bgsub/1.png", "bgsub/2.png"]},
        {"mask": ["bgsub/1.png", "bgsub/2.png"], "box": [None, None]},
    ),
    # Splits and times in other words.
    "AnimalCLEF2025": Set(
        {"image_id": [0, 1], "identity": ["LynxID2025_lynx_37", NAN], "path": ["a/1.png", "b/2.png"],
         "date": [NAN, "2009-08-10"], "orientation": ["right", "left"], "species": ["lynx", NAN],
         "split": ["database", "query"], "dataset": ["LynxID2025", "LynxID2025"]},
        {"identity": ["LynxID2025_lynx_37", None], "role": [None, None], "side": [None, None]},
    ),
    "queries and a database beside training": Set(
        {"image_id": [0, 1, 2], "identity": ["l1", "l2", "l2"], "path": ["a/1.png", "b/2.png", "b/2.png"],
         "bbox": [[10, 20, 30, 40], [80, 20, 30, 40], [10, 20, 30, 40]], "split": ["train", "query", "database"]},
        {"role": ["train", "test", "test"], "side": [None, "query", "gallery"]},
    ),
    "AnimalCLEF2025, its split named": Set(
        {"image_id": [0, 1], "identity": ["l1", NAN], "path": ["a/1.png", "b/2.png"], "split": ["database", "query"]},
        {"role": ["test", None], "side": ["gallery", "query"]},
        {"role": "split"},
    ),
    "WildlifeReID-10k": Set(
        {"identity": ["ATRW_1", "ATRW_2"], "path": ["a/1.png", "b/2.png"], "date": [NAN, "2017.0"],
         "orientation": [NAN, "left"], "species": ["tiger", "tiger"], "split": ["train", "test"], "dataset": ["ATRW", "ATRW"]},
        {"role": ["train", "test"], "time": [None, "2017"]},
    ),
    "unknown animals of a given split": Set(
        {"image_id": [0, 1], "identity": ["a", "unknown"], "path": ["a/1.png", "b/2.png"], "split": ["train", "test"]},
        {"role": ["train", None]},
    ),
    "MultiCamCows2024": Set(
        {"image_id": ["x", "y"], "identity": [5, 6], "path": ["a/1.png", "b/2.png"], "date": ["2023-9-3", "2023-10-12"]},
        {"time": ["2023-09-03", "2023-10-12"]},
    ),
    "dates of EXIF": Set(
        {"image_id": [0, 1], "identity": ["a", "b"], "path": ["a/1.png", "b/2.png"], "date": ["-1", "2015-06-03"]},
        {"time": [None, "2015-06-03"]},
    ),
    "dates as such": Set(
        {"image_id": [0, 1], "identity": ["a", "b"], "path": ["a/1.png", "b/2.png"],
         "date": [pd.Timestamp("2015-06-03 10:11:12"), pd.NaT]},
        {"time": ["2015-06-03T10:11:12", None]},
    ),
    "years": Set(
        {"image_id": [0, 1], "identity": ["a", "b"], "path": ["a/1.png", "b/2.png"], "date": [2015, 2016]},
        {"time": ["2015", "2016"]},
    ),
    "position": Set(
        {"image_id": [0, 1], "identity": ["a", "b"], "path": ["a\\1.png", "b\\2.png"], "position": ["left", "right"]},
        {"flank": ["left", "right"], "path": ["a/1.png", "b/2.png"]},
    ),
    "SealID": Set(
        {"image_id": ["x", "y"], "identity": [1, 2], "path": ["a/1.png", "b/2.png"], "original_split": ["train", "val"],
         "original_split_reid": ["database", "query"]},
        {"role": ["train", "val"], "side": [None, None]},
    ),
    "CHIRP": Set(
        {"image_id": [0, 1], "identity": ["j1", "j2"], "path": ["a/1.png", "b/2.png"], "date": ["2021-04-05", "2022-04-05"],
         "observation_id": [8, 9], "territory": ["North", "South"], "split-closed_set": ["Train", "Test"]},
        {"group": ["8", "9"], "site": ["North", "South"], "role": ["train", "test"]},
        {"role": "split-closed_set"},
    ),
    "columns of another name": Set(
        {"image_id": [0, 1], "name": ["a", "b"], "file": ["a/1.png", "b/2.png"]},
        {"identity": ["a", "b"]},
        {"image": "file", "identity": "name"},
    ),
    "crops as they are": Set(
        {"image_id": [0, 1], "identity": ["a", "b"], "path": ["a/1.png", "b/2.png"], "bbox": [[1, 2, 3, 4], [1, 2, 3, 4]],
         "segmentation": [POLYGON, POLYGON], "video": [1, 2]},
        {"box": [None, None], "segmentation": [None, None], "group": [None, None]},
        {"boxes": False, "masks": False, "group": None},
    ),
}  # fmt: skip


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("a/1.png", "b/2.png", "bgsub/1.png", "bgsub/2.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(PNG)
    return tmp_path


def exported(columns: dict[str, list], root: Path, kind: str = "csv") -> str:
    frame, path = pd.DataFrame(columns), root / f"metadata.{kind}"
    frame.to_csv(path) if kind == "csv" else frame.to_parquet(path)
    return str(path)


def seen(row, name: str) -> Any:
    """Return a fact of a row; `drawn` is the number of pixels of its mask."""
    if name != "drawn":
        return getattr(row, name)
    if row.segmentation is None:
        return None
    photo = decode(PNG, None, max_pixels=10**6, polygons=row.segmentation)
    return round(photo.foreground * 160 * 120)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", SETS)
def test_tables_of_the_sets_are_read_as_they_are(root, name, kind):
    given = SETS[name]
    if kind not in given.kinds:
        pytest.skip("Parquet has no column of this kind")
    path = exported(given.columns, root, kind)
    listing = wildlife_datasets.open_source(path=path, images=str(root / "set"), **given.parameters)
    assert not listing.faults
    rows = sorted(listing.rows, key=lambda row: row.row)
    assert {fact: [seen(row, fact) for row in rows] for fact in given.facts} == given.facts
    assert [Path(file).name for file in listing.extra] == [f"metadata.{kind}"]


def test_arrays_that_pandas_cut_short_are_named_and_the_remedy_works(root):
    outline = np.tile([1.0, 2.0, 30.0, 40.0, 50.0, 6.0], 300)
    columns = {"identity": ["a"], "path": ["a/1.png"], "segmentation": [outline]}
    path = exported(columns, root)
    with pytest.raises(
        ReidflowError, match=r"1 of 1 segmentations are cut short .* row 1: .* Export the table as Parquet"
    ):
        wildlife_datasets.open_source(path=path, images=str(root / "set"))
    for kind, remedy in (("parquet", outline), ("csv", list(map(float, outline)))):
        path = exported(columns | {"segmentation": [remedy]}, root, kind)
        (row,) = wildlife_datasets.open_source(path=path, images=str(root / "set")).rows
        assert row.box == (1, 2, 49, 38) and len(json.loads(row.segmentation)) == 1800
    path = exported(columns, root)
    assert wildlife_datasets.open_source(path=path, images=str(root / "set"), masks=False, boxes=False).rows


def test_a_set_without_files_and_one_without_rows_are_errors(root):
    path = exported({"identity": [1, 2], "path": [NAN, NAN], "split_original": ["train", "test"]}, root)
    with pytest.raises(ReidflowError, match="blank throughout"):
        wildlife_datasets.open_source(path=path, images=str(root / "set"))
    path = exported({"identity": [], "path": []}, root)
    with pytest.raises(ReidflowError, match="no rows"):
        wildlife_datasets.open_source(path=path, images=str(root / "set"))
    with pytest.raises(ReidflowError, match="where a CSV or Parquet file is needed"):
        wildlife_datasets.open_source(path=str(root / "set"))


def test_a_damaged_segmentation_costs_one_entry(root):
    broken = ["[[1, 2], 3]", json.dumps(POLYGON)]
    path = exported({"identity": ["a", "b"], "path": ["a/1.png", "b/2.png"], "segmentation": broken}, root)
    rows = wildlife_datasets.open_source(path=path, images=str(root / "set")).rows
    assert [row.box for row in rows] == [None, (10, 20, 40, 60)]
