"""Boxes of MegaDetector joined to the photographs of another source."""

import json
from pathlib import Path

import polars as pl
import pytest
from made_images import encoded, picture

from reidflow.ingest.build import Outputs, Raw, ingest, listing_of
from reidflow.ingest.rawdigest import dataset_paths, snapshot
from reidflow.spec.config import Dataset
from reidflow.spec.errors import ReidflowError

PNG = encoded(picture(160, 120))
CLASSES = {"1": "animal", "2": "person", "3": "vehicle"}


def animal(conf: float, *box: float, category: str = "1") -> dict:
    return {"category": category, "conf": conf, "bbox": list(box)}


ONE, LESS, FAINT = animal(0.9, 0.5, 0.25, 0.25, 0.5), animal(0.6, 0, 0, 0.5, 0.5), animal(0.1, 0, 0, 1, 1)
PERSON = animal(0.99, 0.1, 0.1, 0.1, 0.1, category="2")
FILES = {"leo/1.png": [LESS, ONE, PERSON], "leo/2.png": [FAINT, PERSON], "mia/1.png": [ONE], "mia/3.png": [LESS, ONE]}


@pytest.fixture
def root(tmp_path) -> Path:
    for name in FILES:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(PNG)
    return tmp_path


def written(root: Path, files: dict[str, list | None], name: str = "md.json") -> str:
    images = [{"file": file, "detections": some} for file, some in files.items()]
    (root / name).write_text(json.dumps({"info": {}, "detection_categories": CLASSES, "images": images}))
    return str(root / name)


def dataset(root: Path, path: str, source: dict | None = None, **detections) -> dict:
    source = source or {"name": "folder", "path": str(root / "set")}
    return Dataset(source=source, detections={"path": path, **detections}).model_dump(mode="json")


def boxes(listing) -> dict[str, tuple | None]:
    return {row.path: row.box and (row.box, row.relative) for row in listing.rows}


def test_the_most_confident_animal_is_the_image_and_what_was_not_found_is_whole(root):
    files = dict(list(FILES.items())[:3])
    listing = listing_of(dataset(root, written(root, files)), root)
    assert boxes(listing) == {
        "leo/1.png": ((0.5, 0.25, 0.25, 0.5), True),
        "leo/2.png": None,
        "mia/1.png": ((0.5, 0.25, 0.25, 0.5), True),
        "mia/3.png": None,
    }
    first, second, third = listing.notes
    assert first == "In 1 images the detector found nothing: the whole photograph is used."
    assert second.startswith("1 images are not in ") and third.startswith("In 1 images the detector found several")


def test_images_without_a_detection_are_quarantined_on_request(root):
    path = written(root, FILES | {"mia/1.png": None})
    listing = listing_of(dataset(root, path, without="quarantine", confidence=0.7), root)
    assert set(boxes(listing)) == {"leo/1.png", "mia/3.png"}
    assert {fault.image: fault.reason for fault in listing.faults} == dict.fromkeys(
        ["leo/2.png", "mia/1.png"], "no_detection"
    )


def test_each_animal_of_an_unlabelled_photograph_is_an_image_on_request(root):
    source = {"name": "query_gallery", "path": str(root / "set"), "train": "leo", "query": "mia", "gallery": "ada"}
    (root / "set" / "ada").mkdir()
    (root / "set" / "ada" / "5.png").write_bytes(PNG)
    (root / "set" / "leo" / "x").mkdir()
    (root / "set" / "leo" / "1.png").rename(root / "set" / "leo" / "x" / "1.png")
    (root / "set" / "leo" / "2.png").unlink()
    path = written(root, {"leo/x/1.png": [LESS, ONE], "mia/1.png": [ONE], "mia/3.png": [LESS, ONE], "ada/5.png": []})
    listing = listing_of(dataset(root, path, source, several="each"), root)
    assert sorted(row.image for row in listing.rows) == [
        "ada/5.png",
        "leo/x/1.png#0.5,0.25,0.25,0.5",
        "mia/1.png#0.5,0.25,0.25,0.5",
        "mia/3.png#0,0,0.5,0.5",
        "mia/3.png#0.5,0.25,0.25,0.5",
    ]


def test_boxes_that_the_data_have_are_kept(root):
    (root / "t.csv").write_text('path,identity,bbox\nleo/1.png,leo,"[1,2,3,4]"\nmia/1.png,mia,\n')
    source = {"name": "table", "path": str(root / "t.csv"), "images": str(root / "set"), "bbox": "bbox"}
    listing = listing_of(dataset(root, written(root, FILES), source), root)
    assert boxes(listing) == {"leo/1.png": ((1, 2, 3, 4), False), "mia/1.png": ((0.5, 0.25, 0.25, 0.5), True)}


@pytest.mark.parametrize("prefix", ["", "set/", "/mnt/survey/2020/", "D:\\survey\\"])
def test_files_are_found_from_other_folders_on(root, prefix):
    files = {prefix + name.replace("/", "\\" if "\\" in prefix else "/"): some for name, some in FILES.items()}
    listing = listing_of(dataset(root, written(root, {"elsewhere/leo/9.png": [ONE], **files})), root)
    assert sum(box is not None for box in boxes(listing).values()) == 3


def test_images_sorted_into_folders_after_detection_are_found_by_name_where_names_are_unique(root):
    for number, name in enumerate(FILES):
        (root / "set" / name).rename(root / "set" / name.replace(".png", f"-{number}.png"))
    files = {f"flat/{Path(name).stem}-{number}.png": [ONE] for number, name in enumerate(FILES)}
    assert None not in boxes(listing_of(dataset(root, written(root, files)), root)).values()
    with pytest.raises(ReidflowError, match=r"none of its 4 files, such as 'flat/x0.png', is an image of the dataset"):
        listing_of(dataset(root, written(root, {f"flat/x{n}.png": [ONE] for n in range(4)})), root)


def test_the_list_of_pytorch_wildlife_is_read(root):
    detections = [{"category": "animal", "confidence": 0.93, "bbox": [10, 20, 40.5, 80]}]
    (root / "md.json").write_text(json.dumps([{"file": "leo/1.png", "detections": detections}]))
    listing = listing_of(dataset(root, str(root / "md.json")), root)
    assert boxes(listing)["leo/1.png"] == ((10, 20, 30.5, 60), False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [{"file_name": "a"}], "annotations": []}', "it is not a file of detections"),
        ('{"images": [], "detection_categories": {"1": "fox"}}', "no category 'animal'. Its categories are fox"),
        ('{"images": [], "detection_categories": ["animal"]}', "'detection_categories' are no mapping"),
        ('{"images": [{"file": "a", "detections": [{"category": "1", "conf": 1, "bbox": [1, 2]}]}]}', "'a' is damaged"),
    ],
)
def test_other_files_are_named(root, content, message):
    (root / "md.json").write_text(content)
    with pytest.raises(ReidflowError, match=message):
        listing_of(dataset(root, str(root / "md.json")), root)


@pytest.mark.parametrize("place", ["md.json", "set/md.json"])
def test_detections_are_part_of_the_data_and_cut_the_images(root, place):
    path = written(root, FILES, place)
    given = dataset(root, path)
    where, extra = dataset_paths(given["source"], path)
    digest = snapshot(where, root / "raw.json", extra).digest
    out = Outputs(
        *(root / name for name in ("manifest", "quarantine", "images.npy", "masks.npy", "images.json", "rejected"))
    )

    def run():
        ingest(listing_of(given, root), out, frame={"name": "squash"}, size=16, max_bad_share=0.0, max_pixels=10**6,
               workers=1, raw=Raw(digest, root / "raw.json"))  # fmt: skip

    run()
    found = dict(pl.read_parquet(out.manifest).select("path", "box").iter_rows())
    assert found["mia/1.png"] == "80,30,40,60" and found["leo/2.png"] is None
    written(root, FILES | {"mia/1.png": [LESS]}, place)
    with pytest.raises(ReidflowError, match="the data changed"):
        run()
    assert snapshot(where, root / "raw.json", extra).digest != digest


def test_a_missing_file_of_detections_is_named_while_planning(root):
    with pytest.raises(ReidflowError, match=r"dataset.detections: there is no file"):
        dataset_paths({"name": "folder", "path": str(root / "set")}, str(root / "none.json"))


def test_two_files_of_one_name_outside_the_dataset_are_named_and_one_can_be_renamed(root):
    (root / "meta").mkdir()
    (root / "meta" / "md.json").write_text("path,identity\nleo/1.png,leo\nmia/1.png,mia\n")
    source = {"name": "table", "path": str(root / "meta" / "md.json"), "images": str(root / "set")}
    path = written(root, FILES)
    with pytest.raises(ReidflowError, match="have one name"):
        dataset_paths(source, path)
    assert len(dataset_paths(source, written(root, FILES, "boxes.json"))[1]) == 2
