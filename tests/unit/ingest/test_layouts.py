"""Layouts of which folders and file names tell more than the identity: sites, cameras, times, roles and sides."""

from pathlib import Path

import pytest
from made_images import encoded, picture

from reidflow.ingest.labels import viewpoint
from reidflow.ingest.listing import Reading, reread
from reidflow.ingest.sources import folder, jaguar, market1501, sop, table
from reidflow.spec import yaml
from reidflow.spec.components import names, resolve
from reidflow.spec.errors import ReidflowError

PNG = encoded(picture())


def write(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)
    return str(root)


def facts(listing, *fields: str) -> dict[str, tuple]:
    return {row.image: tuple(getattr(row, field) for field in fields) for row in listing.rows}


def test_depth_names_the_level_of_the_identity_and_the_site_above(tmp_path):
    path = write(tmp_path, "north/leo/1.jpg", "north/mia/s1/1.jpg", "south/leo/2.jpg", "south/stray.jpg")
    listing = folder.open_source(path=path, depth=2, groups=True)
    assert facts(listing, "identity", "site", "group") == {
        "north/leo/1.jpg": ("leo", "north", None),
        "north/mia/s1/1.jpg": ("mia", "north", "north/mia/s1"),
        "south/leo/2.jpg": ("leo", "south", None),
    }
    assert [(fault.image, fault.reason) for fault in listing.faults] == [("south/stray.jpg", "no_identity")]


def test_a_depth_that_no_image_has_is_an_error_with_an_example(tmp_path):
    path = write(tmp_path, "leo/1.jpg", "mia/1.jpg")
    with pytest.raises(ReidflowError, match=r"no image lies 2 folders deep, such as 'leo/1.jpg'"):
        folder.open_source(path=path, depth=2)


def test_a_pattern_reads_the_parts_of_a_path(tmp_path):
    path = write(tmp_path, "north/leo/c1_2015-06-03.jpg", "south/mia/c2_2016-01-31.JPG")
    listing = folder.open_source(path=path, pattern="{site}/{identity}/{camera}_{time}")
    assert facts(listing, "site", "identity", "camera", "time") == {
        "north/leo/c1_2015-06-03.jpg": ("north", "leo", "c1", "2015-06-03"),
        "south/mia/c2_2016-01-31.JPG": ("south", "mia", "c2", "2016-01-31"),
    }


def test_a_pattern_has_wildcards_expressions_joined_parts_and_masks(tmp_path):
    path = write(tmp_path, "im/north/x/leo-left-12.png", "im/south/y/z/leo-right-7.png", "mk/north/x/leo-left-12.png")
    listing = folder.open_source(
        path=path, images="im", masks="mk", pattern="{identity}/**/{identity}-{flank:left|right}-*"
    )
    assert facts(listing, "identity", "flank", "mask") == {
        "im/north/x/leo-left-12.png": ("north/leo", "left", "mk/north/x/leo-left-12.png"),
        "im/south/y/z/leo-right-7.png": ("south/leo", "right", None),
    }


def test_a_pattern_reads_roles_and_sides_off_folders(tmp_path):
    path = write(tmp_path, "train/leo/1.jpg", "valid/leo/2.jpg", "query/mia/1.jpg", "gallery/mia/2.jpg")
    listing = folder.open_source(path=path, pattern="{role}/{identity}/*")
    assert facts(listing, "identity", "role", "side") == {
        "train/leo/1.jpg": ("leo", "train", None),
        "valid/leo/2.jpg": ("leo", "val", None),
        "query/mia/1.jpg": ("mia", "test", "query"),
        "gallery/mia/2.jpg": ("mia", "test", "gallery"),
    }


def test_images_that_do_not_match_a_pattern_are_counted_and_shown(tmp_path):
    path = write(tmp_path, "leo/1.jpg", "leo/s1/2.jpg", "mia/s2/3.jpg", "top.jpg")
    message = (
        r"3 of 4 images do not match '\{identity\}/\*', such as 'leo/s1/2.jpg'. Its folders are 2 deep, those of the "
        r"pattern 1. Correct the pattern"
    )
    with pytest.raises(ReidflowError, match=message):
        folder.open_source(path=path, pattern="{identity}/*")
    # As the message advises: ** also crosses folders, and files that do not belong there are moved away.
    (tmp_path / "top.jpg").unlink()
    assert len(folder.open_source(path=path, pattern="{identity}/**").rows) == 3


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{idenity}/*", "part {idenity}. Did you mean {identity}?"),
        ("{site}/*", "no part {identity}"),
        ("{identity:[}/*", "no valid pattern"),
        ("{identity:(a|b)}/*", "(?:...)"),
    ],
)
def test_an_invalid_pattern_is_named(tmp_path, pattern, message):
    with pytest.raises(ReidflowError) as caught:
        folder.open_source(path=write(tmp_path, "a/1.jpg"), pattern=pattern)
    assert message in str(caught.value)


def test_a_group_without_capture_is_the_remedy_for_one_with_it(tmp_path):
    listing = folder.open_source(path=write(tmp_path, "a/1.jpg", "b/2.jpg"), pattern="{identity:(?:a|b)}/*")
    assert facts(listing, "identity") == {"a/1.jpg": ("a",), "b/2.jpg": ("b",)}


@pytest.fixture
def market(tmp_path) -> Path:
    write(
        tmp_path,
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_train/0002_c2s1_000301_01.jpg",
        "bounding_box_test/0003_c1s6_015971_02.jpg",
        "bounding_box_test/0000_c3s1_000076_04.jpg",
        "bounding_box_test/-1_c1s1_001926_00.jpg",
        "bounding_box_test/-1_c6s2_000001_00.jpg",
        "query/0003_c5s3_065187_00.jpg",
        "gt_bbox/0003_c5s3_065187_00.jpg",
    )
    (tmp_path / "bounding_box_test" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "readme.txt").write_text("Market-1501")
    return tmp_path


def test_market1501_gives_identity_camera_role_and_side(market):
    listing = market1501.open_source(path=str(market))
    assert facts(listing, "identity", "camera", "role", "side") == {
        "bounding_box_train/0002_c1s1_000451_03.jpg": ("0002", "1", "train", None),
        "bounding_box_train/0002_c2s1_000301_01.jpg": ("0002", "2", "train", None),
        "bounding_box_test/0003_c1s6_015971_02.jpg": ("0003", "1", "test", "gallery"),
        "bounding_box_test/0000_c3s1_000076_04.jpg": (None, "3", "test", "gallery"),
        "query/0003_c5s3_065187_00.jpg": ("0003", "5", "test", "query"),
    }
    assert not listing.faults
    assert listing.ignored == {".db": 1, ".jpg": 1, ".txt": 1, "(junk, label -1)": 2}


def test_junk_and_distractors_are_identities_where_there_are_none(market):
    listing = market1501.open_source(path=str(market), junk=None, distractors=None)
    assert {row.identity for row in listing.rows if row.side == "gallery"} == {"0003", "0000", "-1"}


MSMT = {
    "train": "train",
    "gallery": "test",
    "pattern": "**{identity:[0-9]{4}}_*_{camera:[0-9]{2}}_*",
    "distractors": None,
}


@pytest.mark.parametrize(
    ("train", "gallery", "query", "parameters"),
    [
        ("bounding_box_train/1_c2_f0046182.jpg", "bounding_box_test/0_c1_f0044158.jpg", "query/0_c5_f0046.jpg", {}),
        ("bounding_box_train/1_c2_10.png", "bounding_box_test/0_c1_1.png", "query/0_c5_6.png", {}),
        (
            "image_train/1_c2_00016450_0.jpg",
            "image_test/0_c1_00016450_0.jpg",
            "image_query/0_c5_00016450_0.jpg",
            {"train": "image_train", "gallery": "image_test", "query": "image_query"},
        ),
        ("train/0001/0001_000_02_a_0.jpg", "test/0000/0000_000_01_b_1.jpg", "query/0000_001_05_c_1.jpg", MSMT),
    ],
)
def test_layouts_like_market1501_need_parameters_alone(tmp_path, train, gallery, query, parameters):
    listing = market1501.open_source(path=write(tmp_path, train, gallery, query), **parameters)
    found = {
        image: (int(identity), int(camera), role, side)
        for image, (identity, camera, role, side) in facts(listing, "identity", "camera", "role", "side").items()
    }
    assert found == {
        train: (1, 2, "train", None),
        gallery: (0, 1, "test", "gallery"),
        query: (0, 5, "test", "query"),
    }


def test_equal_labels_of_training_and_test_are_two_identities_on_request(tmp_path):
    path = write(tmp_path, "train/0001_000_02_a.jpg", "test/0001_000_01_b.jpg", "query/0001_001_05_c.jpg")
    listing = market1501.open_source(path=path, **MSMT, separate=True)
    assert sorted(identity for (identity,) in facts(listing, "identity").values()) == ["0001", "0001", "train/0001"]


def test_a_missing_folder_and_a_foreign_name_are_errors(market):
    with pytest.raises(ReidflowError, match="'train' names the folder 'image_train', which holds no file"):
        market1501.open_source(path=str(market), train="image_train")
    write(market, "query/cat.jpg")
    with pytest.raises(ReidflowError, match=r"1 of 2 images do not match .* such as 'cat.jpg'"):
        market1501.open_source(path=str(market))


def test_products_are_listed_with_the_roles_of_the_two_lists(tmp_path):
    path = write(tmp_path, "bicycle_final/1_0.JPG", "bicycle_final/1_1.JPG", "chair_final/9_0.JPG", "spare.jpg")
    header = "image_id class_id super_class_id path\n"
    (tmp_path / "Ebay_train.txt").write_text(header + "1 1 1 bicycle_final/1_0.JPG\n2 1 1 bicycle_final/1_1.JPG\n")
    (tmp_path / "Ebay_test.txt").write_text(header + "59552 11319 3 chair_final/9_0.JPG\n")
    listing = sop.open_source(path=path)
    assert facts(listing, "identity", "role", "row") == {
        "bicycle_final/1_0.JPG": ("1", "train", 1),
        "bicycle_final/1_1.JPG": ("1", "train", 2),
        "chair_final/9_0.JPG": ("11319", "test", 1),
    }
    assert sorted(listing.tables) == ["Ebay_test.txt", "Ebay_train.txt"] and listing.ignored == {".jpg": 1}
    (tmp_path / "Ebay_train.txt").write_text("1 1 1 bicycle_final/1_0.JPG\n2 1 1 bicycle_final/1_1.JPG\n")
    assert facts(sop.open_source(path=path), "identity", "role", "row") == facts(listing, "identity", "role", "row")
    (tmp_path / "Ebay_test.txt").write_text(header + "59552 chair_final/9_0.JPG\n")
    with pytest.raises(ReidflowError, match=r"row 1: .* is not of the form"):
        sop.open_source(path=path)


@pytest.fixture
def listed(tmp_path) -> Path:
    write(tmp_path, *(f"{n}.jpg" for n in range(5)))
    rows = [
        "path,label,split,is_query,is_gallery,usage",
        "0.jpg,7,train,,,fit",
        "1.jpg,8,validation,True,False,query",
        "2.jpg,8,validation,0,1.0,Gallery",
        "3.jpg,8,validation,true,true,",
        "4.jpg,8,validation,no,0,",
    ]
    (tmp_path / "df.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_columns_of_queries_and_of_the_gallery_are_the_side_and_values_of_roles_are_mapped(listed):
    source = {"path": str(listed / "df.csv"), "identity": "label", "role": "split", "roles": {"validation": "test"}}
    listing = table.open_source(**source, query="is_query", gallery="is_gallery")
    assert facts(listing, "role", "side") == {
        "0.jpg": ("train", None),
        "1.jpg": ("test", "query"),
        "2.jpg": ("test", "gallery"),
        "3.jpg": ("test", None),
        "4.jpg": (None, None),
    }
    with pytest.raises(ReidflowError, match="Name both, or neither"):
        table.open_source(**source, query="is_query")
    with pytest.raises(ReidflowError, match=r"5 of 5 rows are neither true nor false, such as row 1 \('train', ''\)"):
        table.open_source(**source | {"role": None}, query="split", gallery="is_gallery")


def test_roles_that_name_a_side_give_both_and_a_role_can_mean_none(listed):
    listing = table.open_source(path=str(listed / "df.csv"), identity="label", role="usage", roles={"fit": None})
    assert facts(listing, "role", "side") == {
        "0.jpg": (None, None),
        "1.jpg": ("test", "query"),
        "2.jpg": ("test", "gallery"),
        "3.jpg": (None, None),
        "4.jpg": (None, None),
    }


def test_a_column_of_sides_has_the_words_of_a_column_of_roles_and_a_role_is_a_word(listed):
    path = listed / "df.csv"
    path.write_text(
        path.read_text().replace(",query\n", ",Probe\n").replace("Gallery", "database").replace(",fit", ",")
    )
    assert facts(table.open_source(path=str(path), identity="label", side="usage"), "side") == {
        "0.jpg": (None,),
        "1.jpg": ("query",),
        "2.jpg": ("gallery",),
        "3.jpg": (None,),
        "4.jpg": (None,),
    }
    with pytest.raises(ReidflowError, match="parameter 'roles': 1 is no role"):
        table.open_source(path=str(path), identity="label", role="usage", roles={"probe": 1})


def test_the_docs_have_a_line_for_each_source_that_a_config_takes():
    page = Path(__file__).parents[3].joinpath("docs", "your-images.md").read_text()
    lines = [line.strip() for line in page.splitlines() if line.startswith("source: {")]
    found = {resolve("source", yaml.loads(line)["source"])["name"] for line in lines}
    assert found == set(names("source")) - {"demo"}


def test_names_of_any_source_say_what_it_does_not(tmp_path):
    names = ["a_left_1.png", "a_R side_2.png", "b_3.png", "b_front_4.png"]
    write(tmp_path, *(f"train/train/{name}" for name in names))
    lines = "".join(f"{name},{name[0]}\n" for name in names)
    (tmp_path / "train.csv").write_text(f"filename,ground_truth\n{lines}")
    (tmp_path / "meta.csv").write_text(
        "filename,flank\na_left_1.png,\na_R side_2.png,\nb_3.png,\nb_front_4.png,Right\n"
    )
    source = jaguar.open_source(path=str(tmp_path), metadata="meta.csv", flank="flank")
    listing = reread(source, Reading(from_names="*_{flank}_*"))
    assert [row.flank for row in listing.rows] == ["right", "left", None, "right"]
    (note,) = [note for note in listing.notes if "from_names" in note]
    assert "3 of 4 file names match" in note and "2 have their flank from it (left 1, right 1)" in note
    assert "1 do not match, e.g. 'train/train/b_3.png'" in note
    (tmp_path / "t.csv").write_text(
        f"path,identity\n{''.join(f'train/train/{name},{name[0]}{chr(10)}' for name in names)}"
    )
    shown = reread(
        table.open_source(path=str(tmp_path / "t.csv")), Reading(from_names="{site}/{camera}/*_{time:[0-9]}")
    )
    assert {(row.site, row.camera, row.flank) for row in shown.rows} == {("train", "train", None)}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{flank:left|right}", r"none of 1 file names matches .* such as 'a/1.png'. A pattern without '/'"),
        ("*_{identity}", r"has a part \{identity\}. Parts are \{flank\}, \{camera\}"),
        ("*", r"has no part. Write \{flank\}, \{camera\}, \{site\}, \{group\}, \{time\}"),
        ("{flank:(}", "no valid pattern"),
    ],
)
def test_a_pattern_of_names_that_fits_none_is_an_error(tmp_path, pattern, message):
    listing = folder.open_source(path=write(tmp_path, "a/1.png"))
    with pytest.raises(ReidflowError, match=message):
        reread(listing, Reading(from_names=pattern))


def test_flanks_of_a_column_that_are_read_otherwise_than_written_are_listed(tmp_path):
    rows = [
        f"a/{number}.png,leo,{flank}"
        for number, flank in enumerate(("Left flank view", "left", "Right (R)", "Overview"))
    ]
    write(tmp_path, *(row.split(",")[0] for row in rows))
    for name, kept in (("t.csv", rows), ("plain.csv", rows[1:2])):
        (tmp_path / name).write_text("\n".join(["path,identity,flank", *kept]))
    found = {name: table.open_source(path=str(tmp_path / name), flank="flank") for name in ("t.csv", "plain.csv")}
    (note,) = (note for note in reread(found["t.csv"], Reading()).notes if "flanks" in note)
    assert note == (
        "3 of 4 spellings of flanks are read in another one, e.g. 'Left flank view' is left; 3 flanks: left 2, overview 1, right 1."
    )
    assert not any("flanks" in note for note in reread(found["plain.csv"], Reading()).notes)


def test_flanks_have_one_spelling():
    spelt = {
        "Left": "left",
        " left side": "left",
        "LEFT_FLANK": "left",
        "L": "left",
        "r": "right",
        "Back-Left": "backleft",
        "Left flank view": "left",
        "right_side_view": "right",
        "Right (R)": "right",
        "LeftSide": "left",
        "R side": "right",
        "Overview": "overview",
        "Underside": "underside",
    }
    assert {text: viewpoint(text) for text in spelt} == spelt
    assert [viewpoint(text) for text in ("side", "front", "unknown", "nan", "", None)] == [
        "side",
        "front",
        None,
        None,
        None,
        None,
    ]
