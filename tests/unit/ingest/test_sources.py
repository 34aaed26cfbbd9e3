import dataclasses
import os
import re
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from made_images import encoded, picture, rgba

from reidflow.ingest.demo.settings import DemoSettings
from reidflow.ingest.listing import Listing
from reidflow.ingest.rawdigest import snapshot
from reidflow.ingest.sources import demo, folder, jaguar, table
from reidflow.spec.components import parameters, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import loads

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
PNG = encoded(picture())


def write(path: Path, content: bytes | str = PNG) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def labels(listing: Listing) -> dict[str, str | None]:
    return {row.image: row.identity for row in listing.rows}


def reasons(listing: Listing) -> dict[str, str]:
    return {fault.image: fault.reason for fault in listing.faults}


def test_a_folder_lists_an_identity_per_folder_and_counts_the_rest(tmp_path):
    for name in ("leo/1.png", "leo/sub/1.png", "mia/1.png", "mia/photo", "mia/2.txt"):
        write(tmp_path / name)
    for name in ("README", "mia/notes.txt", "mia/.DS_Store", "mia/Thumbs.db", "labels.csv", "leo/P1"):
        write(tmp_path / name, "P1 is the first place")
    listing = folder.open_source(path=str(tmp_path))
    assert labels(listing) == {
        "leo/1.png": "leo",
        "leo/sub/1.png": "leo",
        "mia/1.png": "mia",
        "mia/2.txt": "mia",
        "mia/photo": "mia",
    }
    assert listing.ignored == {"(no suffix)": 2, ".csv": 1, ".db": 1, ".ds_store": 1, ".txt": 1}
    assert [row.image for row in listing.rows] == sorted(labels(listing))


def test_a_file_named_like_an_image_is_listed_whatever_it_holds(tmp_path):
    write(tmp_path / "leo" / "1.JPG", "no image")
    assert labels(folder.open_source(path=str(tmp_path))) == {"leo/1.JPG": "leo"}


def test_an_image_in_no_identity_folder_has_no_label(tmp_path):
    write(tmp_path / "leo" / "1.png")
    write(tmp_path / "stray.png")
    assert reasons(folder.open_source(path=str(tmp_path))) == {"stray.png": "no_identity"}


def test_masks_of_a_folder_are_found_by_name_or_stem(tmp_path):
    for name in ("photos/leo/1.jpg", "photos/leo/2.png", "photos/mia/1.jpg", "photos/mia/3.jpg"):
        write(tmp_path / name)
    for name in ("masks/leo/1.png", "masks/leo/2.png", "masks/leo/2.bmp", "masks/mia/1.jpg.png"):
        write(tmp_path / name)
    listing = folder.open_source(path=str(tmp_path), images="photos", masks="masks")
    assert {row.image: row.mask for row in listing.rows} == {
        "photos/leo/1.jpg": "masks/leo/1.png",
        "photos/leo/2.png": "masks/leo/2.png",
        "photos/mia/1.jpg": "masks/mia/1.jpg.png",
        "photos/mia/3.jpg": None,
    }
    assert set(labels(listing).values()) == {"leo", "mia"}


def test_marked_masks_are_found_in_their_own_folder_and_beside_their_images(tmp_path):
    for name in ("leo/1.jpg", "leo/10.jpg", "mia/a.jpg"):
        write(tmp_path / "apart" / "photos" / name)
        write(tmp_path / "photos" / name)
    for name in ("leo/1_mask.png", "leo/mask_10.png", "mia/a-seg.png", "mia/b_mask.png"):
        write(tmp_path / "apart" / "masks" / name)
    for name in ("leo/1_mask.png", "leo/10.jpg_Mask.png", "mia/a_segmentation.png"):
        write(tmp_path / "photos" / name)
    apart = folder.open_source(path=str(tmp_path / "apart"), images="photos", masks="masks")
    assert [row.mask for row in apart.rows] == ["masks/leo/1_mask.png", "masks/leo/mask_10.png", "masks/mia/a-seg.png"]
    with pytest.raises(ReidflowError, match=r"3 of 6 files.*`masks: photos`"):
        folder.open_source(path=str(tmp_path), images="photos")
    beside = folder.open_source(path=str(tmp_path), images="photos", masks="photos")
    expected = ["photos/leo/1_mask.png", "photos/leo/10.jpg_Mask.png", "photos/mia/a_segmentation.png"]
    assert [row.mask for row in beside.rows] == expected


@pytest.mark.parametrize("masks", ["masks", "photos"])
def test_masks_of_other_names_are_an_error_whose_remedy_works(tmp_path, masks):
    write(tmp_path / "photos" / "leo" / "1.jpg")
    write(tmp_path / "masks" / "1.png")
    with pytest.raises(ReidflowError, match="with `_mask` before"):
        folder.open_source(path=str(tmp_path), images="photos", masks=masks)
    write(tmp_path / masks / "leo" / "1_mask.png")
    listing = folder.open_source(path=str(tmp_path), images="photos", masks=masks)
    assert listing.rows[0].mask == f"{masks}/leo/1_mask.png"


def test_a_mask_folder_among_the_identities_is_no_identity(tmp_path):
    write(tmp_path / "leo" / "1.png")
    write(tmp_path / "masks" / "leo" / "1.png")
    listing = folder.open_source(path=str(tmp_path), masks="masks/")
    assert labels(listing) == {"leo/1.png": "leo"}
    assert listing.rows[0].mask == "masks/leo/1.png"


def test_sub_folders_become_groups_on_request(tmp_path):
    for name in ("leo/s1/a.png", "leo/b.png", "mia/s1/a.png"):
        write(tmp_path / name)
    groups = {row.image: row.group for row in folder.open_source(path=str(tmp_path), groups=True).rows}
    assert groups == {"leo/s1/a.png": "leo/s1", "leo/b.png": None, "mia/s1/a.png": "mia/s1"}


def test_names_in_two_unicode_forms_are_one_identity(tmp_path):
    name = "Café"
    write(tmp_path / unicodedata.normalize("NFC", name) / "1.png")
    write(tmp_path / unicodedata.normalize("NFD", name) / "2.png")
    assert set(labels(folder.open_source(path=str(tmp_path))).values()) == {unicodedata.normalize("NFC", name)}


def test_a_file_name_that_is_not_utf8_is_quarantined(tmp_path):
    write(tmp_path / "leo" / "1.png")
    with open(os.fsencode(tmp_path) + b"/leo/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(PNG)
    assert reasons(folder.open_source(path=str(tmp_path))) == {"leo/\\udcff.png": "unreadable"}


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(ReidflowError, match="no image"):
        folder.open_source(path=str(tmp_path))


@pytest.fixture
def tabled(tmp_path) -> Path:
    for name in ("x/1.png", "x/2.png", "y/1.png", "m/1.png", "odd name, really.png"):
        write(tmp_path / name)
    return tmp_path


def test_a_table_names_columns_of_its_own(tabled):
    write(
        tabled / "t.csv",
        "﻿file;who;m;seen;body side;when;role\n"
        "x/1.png;  Leo ;m/1.png;s1;left;2026:05:31 12:00:00;Query\n"
        'y/1.png;Mia;;;;2026-05-31;gallery\n"odd name, really.png";Leo;;;;;\n',
    )
    listing = table.open_source(
        path=str(tabled / "t.csv"),
        image="file",
        identity="who",
        mask="m",
        group="seen",
        flank="body side",
        time="when",
        side="role",
    )
    rows = {row.image: row for row in listing.rows}
    first = rows["x/1.png"]
    assert (first.identity, first.mask, first.group, first.flank) == ("Leo", "m/1.png", "s1", "left")
    assert (first.time, first.side, first.row) == ("2026-05-31T12:00:00", "query", 1)
    second = rows["y/1.png"]
    assert (second.mask, second.group, second.flank, second.time, second.side) == (
        None,
        None,
        None,
        "2026-05-31",
        "gallery",
    )
    assert rows["odd name, really.png"].row == 3
    assert listing.ignored == {".png": 1}
    assert listing.tables == {"t.csv": snapshot(tabled, tabled.parent / "c.json").files["t.csv"]}


def test_parquet_is_known_by_its_content_and_numbers_stay_whole(tabled):
    frame = pl.DataFrame({"path": ["x/1.png", "x/2.png", "y/1.png"], "identity": [7.0, None, 12.0], "g": [1, 2, None]})
    frame.write_parquet(tabled / "t.csv")
    listing = table.open_source(path=str(tabled / "t.csv"), group="g")
    assert labels(listing) == {"x/1.png": "7", "y/1.png": "12"}
    assert reasons(listing) == {"x/2.png": "no_identity"}
    assert [row.group for row in listing.rows] == ["1", None]


def test_labels_that_look_like_numbers_keep_their_zeros(tabled):
    write(tabled / "t.csv", "path,identity\nx/1.png,007\nx/2.png,NA\n")
    assert labels(table.open_source(path=str(tabled / "t.csv"))) == {"x/1.png": "007", "x/2.png": "NA"}


def test_bad_rows_of_a_table_get_their_reasons(tabled):
    write(tabled / ".hidden.png")
    (tabled / "dangling.png").symlink_to("nothing")
    write(
        tabled / "t.csv",
        "path,identity\nx/1.png,Leo\nx/none.png,Leo\nx/2.png,  \n,Leo\n.hidden.png,Leo\ndangling.png,Leo\n"
        "./x//1.png,Leo\ny/1.png,Leo\ny/1.png,Mia\n",
    )
    listing = table.open_source(path=str(tabled / "t.csv"))
    assert labels(listing) == {"x/1.png": "Leo"}
    assert sorted((fault.row, fault.reason) for fault in listing.faults) == [
        (2, "missing"),
        (3, "no_identity"),
        (4, "missing"),
        (5, "missing"),
        (6, "missing"),
        (7, "duplicate_id"),
        (8, "duplicate_id"),
        (9, "duplicate_id"),
    ]
    several = "Several animals in one photograph need a box each (`bbox` of the source table)"
    differing = f"the labels differ: 'Leo' in row 8, 'Mia' in row 9. {several}"
    assert [fault.detail for fault in listing.faults if fault.row in (8, 9)] == [differing] * 2


def test_backslashes_absolute_paths_and_stray_blanks_are_understood(tabled):
    write(tabled / "t.csv", f"path,identity\nx\\1.png,a\n{tabled}/x/2.png,b\n y/1.png ,c\n")
    assert labels(table.open_source(path=str(tabled / "t.csv"))) == {"x/1.png": "a", "x/2.png": "b", "y/1.png": "c"}


def test_a_named_mask_must_be_there(tabled):
    write(tabled / "t.csv", "path,identity,mask\nx/1.png,a,m/9.png\nx/2.png,a,m/1.png\n")
    listing = table.open_source(path=str(tabled / "t.csv"), mask="mask")
    assert reasons(listing) == {"x/1.png": "missing"}
    assert "its mask" in listing.faults[0].detail


def test_a_table_may_lie_outside_the_folder_of_the_images(tabled):
    write(tabled.parent / "labels" / "t.csv", "path,identity\nx/1.png,a\n")
    listing = table.open_source(path=str(tabled.parent / "labels" / "t.csv"), images=str(tabled))
    assert labels(listing) == {"x/1.png": "a"}
    files = snapshot(listing.root, tabled.parent / "c.json", listing.extra).files
    assert listing.tables == {"/t.csv": files["/t.csv"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,identify\n", "Did you mean 'identify'"),
        (b"path,identity\nx/1.png,a,b\nx/2.png,a\n", "row 1: 3 values"),
        (b"path,identity,path\n", "'path' occurs twice"),
        (b"", "empty"),
        (b"path,identity\n", "no rows"),
        (b"path,identity\nx/1.png,J\xf6rg\n", "line 2: not UTF-8"),
        (b'path,identity\n"x/1.png,a\n', "not readable as CSV"),
        (b"PAR1nonsense", "not readable as Parquet"),
    ],
)
def test_a_damaged_table_is_named_with_the_place(tabled, content, message):
    write(tabled / "t.csv", content)
    with pytest.raises(ReidflowError, match=message) as caught:
        table.open_source(path=str(tabled / "t.csv"))
    assert "t.csv" in str(caught.value)


def test_names_of_rows_as_r_writes_them_need_the_header_that_the_message_gives(tabled):
    write(tabled / "t.csv", rows := "path,identity\n1,x/1.png,a\n2,x/2.png,b\n")
    with pytest.raises(ReidflowError, match="Write a name for the first column") as caught:
        table.open_source(path=str(tabled / "t.csv"))
    header = str(caught.value).split("'")[1]
    write(tabled / "t.csv", rows.replace("path,identity", header))
    assert labels(table.open_source(path=str(tabled / "t.csv"))) == {"x/1.png": "a", "x/2.png": "b"}


def test_roles_in_other_words_are_read_by_the_line_that_the_message_gives(tabled):
    write(tabled / "t.csv", "path,identity,r\nx/1.png,a,0\nx/2.png,b,1\n")
    with pytest.raises(ReidflowError, match="the role '0' is none") as caught:
        table.open_source(path=str(tabled / "t.csv"), role="r")
    line = re.search(r"(roles: {.*}) in", str(caught.value))[1]
    found = table.open_source(path=str(tabled / "t.csv"), role="r", **loads(line))
    assert [row.role for row in found.rows] == ["train", "test"]


def test_all_roles_and_sides_that_make_no_sense_are_reported_at_once(tabled):
    write(tabled / "t.csv", "path,identity,r,s\nx/1.png,a,tset,query\nx/2.png,a,,both\n")
    with pytest.raises(ReidflowError, match=r"(?s)2 errors.*row 1.*tset.*row 2.*both"):
        table.open_source(path=str(tabled / "t.csv"), role="r", side="s")


@pytest.mark.parametrize("doubled", [True, False])
def test_the_jaguar_layout_is_read_doubled_or_not(tmp_path, doubled):
    for part, name in (
        ("train", "a.png"),
        ("train", "b.png"),
        ("test", "q.png"),
        ("test", "g.png"),
        ("train", "c.png"),
    ):
        write(tmp_path / part / part / name if doubled else tmp_path / part / name)
    write(tmp_path / "train.csv", "filename,ground_truth\na.png,Ti\nb.png,\nz.png,Ti\n")
    write(tmp_path / "test.csv", "row_id,query_image,gallery_image\n0,q.png,g.png\n1,g.png,q.png\n2,q.png,h.png\n")
    write(tmp_path / "meta.csv", "filename,sighting,flank\na.png,s1,left\n")
    listing = jaguar.open_source(path=str(tmp_path), metadata="meta.csv", group="sighting")
    train, test = ("train/train", "test/test") if doubled else ("train", "test")
    assert labels(listing) == {f"{train}/a.png": "Ti", f"{test}/q.png": None, f"{test}/g.png": None}
    assert reasons(listing) == {
        f"{train}/b.png": "no_identity",
        f"{train}/z.png": "missing",
        f"{test}/h.png": "missing",
    }
    assert [row.group for row in listing.rows if row.identity] == ["s1"]
    assert {row.flank for row in listing.rows} == {None}
    assert listing.ignored == {".png": 1}
    assert set(listing.tables) == {"train.csv", "test.csv", "meta.csv"}


def test_the_jaguar_layout_needs_its_tables_and_columns(tmp_path):
    write(tmp_path / "train" / "a.png")
    with pytest.raises(ReidflowError, match=r"no train\.csv"):
        jaguar.open_source(path=str(tmp_path))
    write(tmp_path / "train.csv", "filename,ground_truth\na.png,Ti\n")
    assert len(jaguar.open_source(path=str(tmp_path)).rows) == 1
    with pytest.raises(ReidflowError, match="Set 'metadata' to its path"):
        jaguar.open_source(path=str(tmp_path), group="sighting")
    with pytest.raises(ReidflowError, match=r"'meta\.csv', which does not exist"):
        jaguar.open_source(path=str(tmp_path), metadata="meta.csv")
    write(tmp_path / "meta.csv", "filename,sighting\na.png,1\na.png,2\n")
    with pytest.raises(ReidflowError, match=r"row 2: 'a\.png' has two different rows"):
        jaguar.open_source(path=str(tmp_path), metadata="meta.csv", group="sighting")


def test_the_demo_source_takes_the_settings_of_the_generator():
    known = {name: default for name, (_, _, default) in parameters("source", "demo").items()}
    assert known.pop("path") == ""
    assert known == {field.name: field.default for field in dataclasses.fields(DemoSettings)}
    with pytest.raises(ReidflowError, match="does not exist yet"):
        demo.open_source(**{k: v for k, v in resolve("source", "demo").items() if k != "name"})


def test_the_demo_is_listed_with_its_sightings(tmp_path):
    write(tmp_path / "train" / "train" / "a.png", encoded(rgba()))
    write(tmp_path / "train.csv", "filename,ground_truth\na.png,Ti\n")
    write(tmp_path / "meta.csv", "filename,sighting,flank,time\na.png,s1,left,2026-05-31T12:00:00\n")
    row = demo.open_source(path=str(tmp_path)).rows[0]
    assert (row.identity, row.group, row.flank, row.time) == ("Ti", "s1", "left", "2026-05-31T12:00:00")


@pytest.mark.skipif(not (SHARED / "orl").is_dir(), reason="the ORL faces are not at ../shared/data/orl")
def test_real_faces_in_folders_are_listed():
    listing = folder.open_source(path=str(SHARED / "orl"))
    assert len(listing.rows) == 400
    assert len(set(labels(listing).values())) == 40
    assert listing.faults == []
    assert listing.ignored["(no suffix)"] == 1


@pytest.mark.skipif(not (SHARED / "nyala40").is_dir(), reason="the nyala are not at ../shared/data/nyala40")
def test_real_animals_in_the_jaguar_layout_are_listed():
    listing = jaguar.open_source(path=str(SHARED / "nyala40"), metadata="meta.csv", group="sighting", flank="flank")
    labelled = [row for row in listing.rows if row.identity]
    assert (len(listing.rows), len(labelled), len({row.identity for row in labelled})) == (376, 263, 40)
    assert all(row.group and row.flank in ("left", "right") for row in labelled)
    assert (listing.faults, listing.ignored) == ([], {".csv": 1})
