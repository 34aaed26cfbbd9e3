"""COCO files of several makers, and tables of Wildbook."""

import json
from pathlib import Path

import pytest
from made_images import encoded, picture

from reidflow.ingest.listing import Reading, reread
from reidflow.ingest.sources import coco, wildbook, wildlife_datasets
from reidflow.spec.errors import ReidflowError

PNG = encoded(picture(160, 120))
CORNERS = [10, 20, 50, 20, 50, 80, 10, 80]
OUTLINE = [10, 20, 50, 30, 30, 80]
BOX = [10, 20, 40, 60]


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(PNG)
    return tmp_path


def saved(root: Path, annotations: list[dict], images: list[dict], categories: list[dict] | None = None) -> str:
    for number, one in enumerate(annotations):
        one.setdefault("id", number)
        one.setdefault("category_id", 1)
    content = {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": categories or [{"id": 1, "name": "x"}],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return str(root / "annotations.json")


def opened(root: Path, path: str, *fields: str, **parameters) -> list[tuple]:
    listing = coco.open_source(path=path, images=str(root / "images"), **parameters)
    assert not listing.faults
    return [tuple(getattr(row, field) for field in fields) for row in sorted(listing.rows, key=lambda row: row.row)]


def test_an_export_of_wildbook_gives_names_boxes_viewpoints_and_dates(root):
    images = [
        {"id": 1, "file_name": "a.jpg", "uuid": "u", "date_captured": "2019-04-05T10:11:12"},
        {"id": 2, "file_name": "b.jpg", "date_captured": "NA"},
        {"id": 3, "file_name": "c.jpg"},
    ]
    annotations = [
        {"image_id": 1, "bbox": BOX, "segmentation": [CORNERS], "viewpoint": "left", "individual_ids": [7], "name": "Zoe",
         "individual_uuid": "u-7", "theta": 0.0, "iscrowd": 0},
        {"image_id": 1, "bbox": [80, 20, 40, 60], "segmentation": [CORNERS], "viewpoint": "right", "name": None,
         "individual_uuid": None, "individual_ids": []},
        {"image_id": 2, "bbox": BOX, "segmentation": [OUTLINE], "viewpoint": "left", "name": "____"},
    ]  # fmt: skip
    path = saved(root, annotations, images)
    assert opened(root, path, "path", "identity", "box", "segmentation", "flank", "time") == [
        ("a.jpg", "Zoe", tuple(BOX), None, "left", "2019-04-05T10:11:12"),
        ("a.jpg", None, (80, 20, 40, 60), json.dumps([CORNERS]), "right", "2019-04-05T10:11:12"),
        ("b.jpg", None, tuple(BOX), json.dumps([OUTLINE]), "left", None),
    ]
    assert coco.open_source(path=path, images=str(root / "images")).ignored == {".jpg": 1}


def test_annotations_of_one_photograph_without_boxes_are_cut_to_their_outlines(root):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    annotations = [
        {"image_id": 1, "bbox": [80, 20, 40, 60], "segmentation": [], "name": "Zoe"},
        {"image_id": 1, "bbox": [], "segmentation": [CORNERS], "name": "Ada"},
        {"image_id": 2, "segmentation": [CORNERS], "name": "Ada"},
    ]
    path = saved(root, annotations, images)
    assert opened(root, path, "identity", "box") == [("Zoe", (80, 20, 40, 60)), ("Ada", tuple(BOX)), ("Ada", None)]


def test_camera_traps_of_lila_give_site_time_and_sequence(root):
    images = [
        {"id": "x", "file_name": "a.jpg", "location": 12, "datetime": "2015-06-03 10:11:12", "seq_id": "s9", "frame_num": 1,
         "camera": "c1", "individual": "leo"},
        {"id": "y", "file_name": "b.jpg", "location": "12", "datetime": "2015-06-03 10:11:13", "seq_id": "s9", "individual": "mia"},
    ]  # fmt: skip
    path = saved(root, [{"image_id": "x"}, {"image_id": "y", "bbox": None}], images, [{"id": 1, "name": "leopard"}])
    assert opened(root, path, "identity", "site", "time", "group", "camera", "box") == [
        ("leo", "12", "2015-06-03T10:11:12", "s9", "c1", None),
        ("mia", "12", "2015-06-03T10:11:13", "s9", None, None),
    ]


@pytest.mark.parametrize(
    ("unlabelled", "expected"),
    [
        (None, [("leo", "train"), (None, None), (None, None)]),
        (["mia"], [("leo", "train"), (None, None), (None, None)]),
        (["unknown"], [("leo", "train"), (None, None), (None, None)]),
        (["!unknown"], [("leo", "train"), ("Unknown", "test"), (None, None)]),
        ([], [("leo", "train"), ("Unknown", "test"), ("____", "test")]),
    ],
)
def test_what_means_nobody_in_these_formats_is_kept_where_the_config_says_so(root, unlabelled, expected):
    names = zip(("a.jpg", "b.jpg", "c.jpg"), ("leo", "Unknown", "____"), ("train", "test", "test"), strict=True)
    made = [
        ({"id": file, "file_name": file}, {"image_id": file, "name": who, "split": role}) for file, who, role in names
    ]
    path = saved(root, [one for _, one in made], [image for image, _ in made])
    reading = Reading(unlabelled=unlabelled)
    found = reread(coco.open_source(path=path, images=str(root / "images")), reading)
    assert [(row.identity, row.role) for row in found.rows] == expected
    assert found.notes == (["dataset.unlabelled: no label is 'mia'."] if unlabelled == ["mia"] else [])
    lines = ["image_id,identity,path,split", "0,leo,a.jpg,train", "1,Unknown,b.jpg,test"]
    (root / "images" / "metadata.csv").write_text("\n".join(lines) + "\n")
    found = reread(wildlife_datasets.open_source(path=str(root / "images" / "metadata.csv")), reading)
    assert [(row.identity, row.role) for row in found.rows] == expected[:2]


def test_identities_are_attributes_or_categories_by_name(root):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    annotations = [
        {"image_id": 1, "bbox": BOX, "segmentation": {"counts": "abc", "size": [120, 160]}, "category_id": 5,
         "attributes": {"ear_tag": 81, "orientation": "left", "occluded": False}},
        {"image_id": 2, "bbox": BOX, "category_id": 6, "attributes": {"ear_tag": 82.0}},
        {"image_id": 2, "bbox": BOX, "category_id": 6, "attributes": {"ear_tag": 83}, "iscrowd": 1},
    ]  # fmt: skip
    path = saved(root, annotations, images, [{"id": 5, "name": "Leo"}, {"id": 6, "name": "Mia"}])
    assert opened(root, path, "identity", "flank", identity="attributes.ear_tag") == [("81", "left"), ("82", None)]
    assert opened(root, path, "identity", "box", "segmentation", identity="category", boxes=False, masks=False) == [
        ("Leo", None, None),
        ("Mia", None, None),
    ]
    assert opened(root, path, "identity", identity="attributes.ear_tag", category="Mia") == [("82",)]
    with pytest.raises(
        ReidflowError, match=r"keys of annotations are image_id, bbox.*attributes.ear_tag.*write 'category'"
    ):
        coco.open_source(path=path, images=str(root / "images"))
    with pytest.raises(ReidflowError, match=r"no annotation is of the category .Lea.\. The categories are Leo, Mia"):
        coco.open_source(path=path, images=str(root / "images"), category="Lea")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("\x1f\x8b", "compressed"),
        ("\xfd7zXZ", "compressed"),
        ("[]", "no list 'images'"),
        ('{"images": [{"file": "a.jpg", "detections": []}]}', "no list 'annotations'.*'dataset.detections'"),
        ('{"images": [], "annotations": [{"image_id": 3}]}', "1 of 1 annotations belong to no image"),
        ('{"images": [{"id": [3], "file_name": "a"}], "annotations": [{"image_id": [3]}]}', "1 of 1 annotations belong"),
        ('{"images": [{"id": 3, "file_name": "a.jpg"}], "annotations": [{"image_id": 3, "name": "x", "bbox": [1, 2]}]}',
         "boxes are not four numbers"),
    ],
)  # fmt: skip
def test_files_of_another_form_are_named(root, content, message):
    (root / "x.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ReidflowError, match=message):
        coco.open_source(path=str(root / "x.json"), images=str(root / "images"))


def test_a_table_of_wildbook_gives_an_image_per_medium(root):
    (root / "export.csv").write_text(
        "Encounter.mediaAsset0,Annotation0.ViewPoint,Name0.value,Annotation0.bbox,Annotation0.MatchAgainst,Encounter.mediaAsset1,"
        "Annotation1.ViewPoint,Annotation1.bbox,Annotation1.MatchAgainst,Encounter.year,Encounter.month,Encounter.day,"
        "Encounter.hour,Encounter.minutes,Encounter.locationID,Occurrence.occurrenceID\n"
        'a.jpg,left,Zoe,"[10, 20, 40, 60]",true,b.jpg,right,,true,2019,4,5,10,7,Mpala,occ1\n'
        'c.jpg,left,,"[1, 2, 3, 4]",true,a.jpg,,,false,2020.0,11,,,,,\n'
    )
    listing = wildbook.open_source(path=str(root / "export.csv"), images=str(root / "images"))
    assert {
        row.image: (row.identity, row.flank, row.time, row.site, row.group, row.row) for row in listing.rows
    } == {
        "a.jpg#10,20,40,60": ("Zoe", "left", "2019-04-05T10:07", "Mpala", "occ1", 1),
        "b.jpg": ("Zoe", "right", "2019-04-05T10:07", "Mpala", "occ1", 1),
        "c.jpg#1,2,3,4": (None, "left", "2020-11", None, "row 2", 2),
    }  # fmt: skip
    assert listing.ignored == {"(not matched against)": 1}
    whole = wildbook.open_source(path=str(root / "export.csv"), images=str(root / "images"), boxes=False)
    assert {row.image for row in whole.rows} == {"a.jpg", "b.jpg", "c.jpg"}


def test_a_sheet_for_bulk_import_is_read_and_another_table_is_named(root):
    (root / "sheet.csv").write_text("Encounter.mediaAsset0,Encounter.individualID,Encounter.year\nA.jpg,Zoe,2019\n")
    (root / "images" / "A.jpg").write_bytes(PNG)
    (row,) = wildbook.open_source(path=str(root / "sheet.csv"), images=str(root / "images")).rows
    assert (row.identity, row.time, row.group, row.box) == ("Zoe", "2019", "row 1", None)
    for text, message in (("path,identity\nA.jpg,Zoe\n", "not a table of Wildbook"),
                          ("Encounter.mediaAsset0\nA.jpg\n", "no column names individuals")):  # fmt: skip
        (root / "sheet.csv").write_text(text)
        with pytest.raises(ReidflowError, match=message):
            wildbook.open_source(path=str(root / "sheet.csv"), images=str(root / "images"))
