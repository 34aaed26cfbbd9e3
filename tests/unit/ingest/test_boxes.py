import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_images import blob, encoded, picture, rgba
from PIL import Image

from reidflow.ingest.boxes import covered, parse
from reidflow.ingest.build import Outputs, ingest
from reidflow.ingest.decode import decode
from reidflow.ingest.frames import mask_box, pad
from reidflow.ingest.framing import cut, scale_for
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.sources import table
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

REPORTED = Path(__file__).resolve().parent / "reported"
NAMES = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
LIMIT = 10**7


def run(listing, out: Path, **changes) -> Outputs:
    settings = {"frame": {"name": "pad"}, "size": 16, "max_bad_share": 0.5, "max_pixels": LIMIT, "workers": 2}
    outputs = Outputs(*(out / name for name in NAMES))
    ingest(listing, outputs, **(settings | changes))
    return outputs


def notes(listing, out: Path) -> list[str]:
    return json.loads(run(listing, out).digest.read_text()).get("notes", [])


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2.5, 30, 40]",
        "(1, 2.5, 30, 40)",
        "1,2.5,30,40",
        "1 2.5 30 40",
        "1; 2.5; 30; 40",
        "[ 1.   2.5 30.  40. ]",
        "array([1. , 2.5, 30. , 40. ])",
        "np.array([1., 2.5, 30., 40.], dtype=float32)",
        "[np.float64(1.0), np.float64(2.5), np.int64(30), np.int64(40)]",
        "tensor([1.0000, 2.5000, 30.0000, 40.0000], device='cuda:0')",
        "{'xmin': 1, 'ymin': 2.5, 'xmax': 31, 'ymax': 42.5}",
        '{"x": 1, "y": 2.5, "width": 30, "height": 40}',
        "{'left': 1, 'top': 2.5, 'w': 30, 'h': 40}",
        "1e0,25e-1,30,40",
        "['1', '2.5', '30', '40']",
    ],
)
def test_a_box_is_read_as_people_write_it(text):
    assert parse(text) == (1.0, 2.5, 30.0, 40.0)


def test_corners_become_width_and_height_and_blanks_are_the_whole_photograph():
    assert parse("1,2,31,42", corners=True) == parse("{'xmin': 1, 'ymin': 2, 'xmax': 31, 'ymax': 42}", corners=True)
    assert parse("1,2,31,42", corners=True) == (1, 2, 30, 40)
    assert parse('{"x": 1, "y": 2, "w": 30, "h": 40}', corners=True) == (1, 2, 30, 40)
    blank = (None, "", " nan", "None", "[]", "[nan, nan, nan, nan]", "[None, None, None, None]")
    assert [parse(text) for text in blank] == [None] * len(blank)


@pytest.mark.parametrize(
    "text", ["1,2,3", "a,b,c,d", "[1,2,3,nan]", "[1,2,3,inf]", "__import__('os')", "{'x': 1}", "{"]
)
def test_anything_else_is_no_box(text):
    with pytest.raises((ValueError, SyntaxError)):
        parse(text)


def test_a_box_is_rounded_as_pillow_crops_and_clipped_to_the_photograph():
    image = Image.fromarray(picture())
    for box in ((1.4, 2.6, 10.2, 7.7), (0.5, 1.5, 3, 3), (30, 20, 10, 10)):
        left, top, width, height = box
        part = covered(box, False, 40, 30)
        assert (
            np.asarray(image.crop((left, top, left + width, top + height)))
            == picture()[part[1] : part[3], part[0] : part[2]]
        ).all()
    assert covered((-5, -5, 15, 100), False, 40, 30) == (0, 0, 10, 30)
    assert covered((0.25, 0.5, 0.5, 0.5), True, 40, 30) == (10, 15, 30, 30)
    assert [covered(box, False, 40, 30) for box in ((40, 0, 5, 5), (0, -9, 5, 9), (3, 3, 0, 5), (3, 3, -2, 5))] == [
        None
    ] * 4


def test_the_frame_sees_the_crop_alone():
    box = (6, 4, 20, 16)
    crop = rgba()[4:20, 6:26]
    part, alone = (
        decode(encoded(rgba()), None, max_pixels=LIMIT, box=box),
        decode(encoded(crop), None, max_pixels=LIMIT),
    )
    assert (part.width, part.height, part.bounds, part.box) == (20, 16, alone.bounds, (6, 4, 26, 20))
    assert part.foreground == alone.foreground
    for frame in (pad.box, mask_box.box):
        pixels = [cut(photo, frame(photo.width, photo.height, photo.bounds), 16) for photo in (part, alone)]
        assert (pixels[0][0] == pixels[1][0]).all() and (pixels[0][1] == pixels[1][1]).all()


def test_a_mask_file_is_of_the_whole_photograph():
    whole = decode(encoded(picture()), encoded(blob()), max_pixels=LIMIT, box=(3, 4, 20, 20))
    assert (np.asarray(whole.mask) == blob()[4:24, 3:23]).all()
    with pytest.raises(UnusableError, match="empty_mask"):
        decode(encoded(picture()), encoded(blob()), max_pixels=LIMIT, box=(30, 4, 8, 20))


def test_a_crop_of_a_large_jpeg_is_decoded_no_larger_than_needed():
    data = encoded(picture(1600, 1200), "JPEG", quality=92)
    box = (301, 203, 801, 601)
    small = decode(data, None, max_pixels=LIMIT, box=box, wanted=lambda w, h, b: scale_for(pad.box(w, h, b), 64))
    whole = decode(data, None, max_pixels=LIMIT, box=box)
    assert small.colours.width < whole.colours.width == 801 == small.width
    pixels = [cut(photo, pad.box(801, 601, None), 64)[0].astype(int) for photo in (small, whole)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 1


def test_boxes_are_of_the_upright_photograph():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = encoded(np.ascontiguousarray(np.rot90(picture())), "PNG", exif=exif)
    photo = decode(stored, None, max_pixels=LIMIT, box=(30, 5, 10, 20))
    assert (np.asarray(photo.colours) == picture()[5:25, 30:40]).all()


def test_a_box_of_a_photograph_on_its_side_is_refused_with_the_reason():
    with pytest.raises(UnusableError, match="EXIF rotation applied"):
        decode(encoded(picture()), None, max_pixels=LIMIT, box=(5, 32, 10, 7))
    with pytest.raises(UnusableError) as caught:
        decode(encoded(picture()), None, max_pixels=LIMIT, box=(50, 50, 10, 7))
    assert "EXIF" not in caught.value.detail


def test_each_row_with_a_box_is_an_image_of_its_own(tmp_path):
    data = shutil.copytree(REPORTED / "two_animals", tmp_path / "data")
    out = run(table.open_source(path=str(data / "meta.csv")), tmp_path / "out", size=160)
    manifest = read_table(out.manifest, MANIFEST)
    assert manifest.height == 8 and manifest["path"].n_unique() == 4
    summary = json.loads(out.digest.read_text())
    assert (summary["quarantined"], summary["boxes"]) == ({}, 8)
    assert set(manifest["box"]) == {"0,0,160,120", "160,0,160,120"}
    assert set(manifest.select("width", "height").iter_rows()) == {(160, 120)}
    for row, pixels in zip(manifest.iter_rows(named=True), np.load(out.images), strict=True):
        left = int(row["box"].split(",")[0])
        with Image.open(data / row["path"]) as photograph:
            expected = np.asarray(photograph.convert("RGB").crop((left, 0, left + 160, 120)))
        assert (pixels[20:140] == expected).all()


@pytest.fixture
def photograph(tmp_path) -> Path:
    (tmp_path / "p.png").write_bytes(encoded(picture()))
    return tmp_path


def test_a_box_beside_the_photograph_is_quarantined_with_both_sizes(photograph):
    (photograph / "t.csv").write_text(
        "path,identity,x,y,w,h\np.png,a,0,0,20,20\np.png,b,40,0,9,9\np.png,c,30,20,99,99\n"
    )
    listing = table.open_source(path=str(photograph / "t.csv"), bbox=["x", "y", "w", "h"])
    out = run(listing, photograph / "out")
    assert read_table(out.manifest, MANIFEST)["box"].to_list() == ["0,0,20,20", "30,20,10,10"]
    bad = pl.read_parquet(out.quarantine).row(0, named=True)
    assert (bad["reason"], bad["row"], bad["image"]) == ("box", 2, "p.png#40,0,9,9")
    assert "40, 0, 9, 9" in bad["detail"] and "40 x 30" in bad["detail"]


def test_relative_boxes_corners_and_lists_in_parquet_give_the_same_crop(photograph):
    boxes = {"pixels": [10.0, 15.0, 20.0, 15.0], "shares": [0.25, 0.5, 0.5, 0.5], "corners": [10.0, 15.0, 30.0, 30.0]}
    table_of = {name: [box] for name, box in boxes.items()}
    pl.DataFrame({"path": ["p.png"], "identity": ["a"], **table_of}).write_parquet(photograph / "t.parquet")
    settings = {"pixels": {}, "shares": {"relative": True}, "corners": {"corners": True}}
    found = set()
    for name, given in settings.items():
        listing = table.open_source(path=str(photograph / "t.parquet"), bbox=name, **given)
        out = run(listing, photograph / name)
        found.add((read_table(out.manifest, MANIFEST)["box"][0], out.images.read_bytes()))
    assert len(found) == 1 and found.pop()[0] == "10,15,20,15"


def test_four_columns_may_have_decimal_commas(photograph):
    (photograph / "t.csv").write_text("path;identity;x;y;w;h\np.png;a;1,5;2;3,25;4\n")
    listing = table.open_source(path=str(photograph / "t.csv"), bbox=["x", "y", "w", "h"])
    assert listing.rows[0].box == (1.5, 2, 3.25, 4)


@pytest.mark.parametrize(
    ("box", "relative", "remedy", "right"),
    [
        ("0.25,0.2,0.5,0.5", False, "write relative: true", True),
        ("10,6,20,15", True, "remove relative: true", False),
    ],
)
def test_boxes_of_another_unit_are_refused_with_a_remedy_that_works(photograph, box, relative, remedy, right):
    (photograph / "t.csv").write_text(f'path,identity,bbox\np.png,Leo,"{box}"\n')
    path = str(photograph / "t.csv")
    with pytest.raises(ReidflowError, match=remedy):
        run(table.open_source(path=path, relative=relative), photograph)
    out = run(table.open_source(path=path, relative=right), photograph)
    assert read_table(out.manifest, MANIFEST)["box"].to_list() == ["10,6,20,15"]


def test_all_texts_that_are_no_boxes_are_one_error_whose_remedy_works(photograph):
    rows = "".join(f'p.png,a,"{"1,2,3" if i % 2 else "1,2,3,4"}"\n' for i in range(10))
    (photograph / "t.csv").write_text("path,identity,bbox\n" + rows)
    with pytest.raises(ReidflowError, match="5 of 10 boxes") as caught:
        table.open_source(path=str(photograph / "t.csv"))
    assert "row 2: '1,2,3'" in str(caught.value) and "[10, 20, 80, 60]" in str(caught.value)
    assert "bbox: null" in str(caught.value)
    assert [row.box for row in table.open_source(path=str(photograph / "t.csv"), bbox=None).rows] == [None]


def test_boxes_that_are_corners_are_noted_with_the_remedy_and_others_that_are_clipped_without(photograph):
    (photograph / "t.csv").write_text('path,identity,bbox\np.png,a,"2,3,30,20"\np.png,b,"20,15,40,30"\n')
    path = str(photograph / "t.csv")
    said = notes(table.open_source(path=path), photograph / "out")
    assert len(said) == 1 and said[0].startswith("1 of 2 boxes reach outside") and "corners: true" in said[0]
    assert "p.png#20,15,40,30" in said[0]
    assert notes(table.open_source(path=path, corners=True), photograph / "remedy") == []
    (photograph / "t.csv").write_text('path,identity,bbox\np.png,a,"2,3,30,20"\np.png,b,"20,15,19,30"\n')
    said = notes(table.open_source(path=path), photograph / "clipped")
    assert len(said) == 1 and "corners" not in said[0]
    (photograph / "t.csv").write_text('path,identity,bbox\np.png,a,"-1,0,41.5,31"\n')
    assert notes(table.open_source(path=path), photograph / "rounded") == []
