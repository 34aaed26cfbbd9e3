"""A path that leads nowhere, outside the data set or to no file: what stops, what is left out, and what is fine."""

import os
import socket
from pathlib import Path

import pytest
from bad_cases import Case, check_quarantined, check_stops, good_folder, of_cases, read, write

from reidflow.retrieval.image_files import find_images
from reidflow.spec.errors import ReidflowError


def table(data: Path, *rows: str, **keys) -> dict:
    """Lay down four good photographs and a table of two of them and of what else it is to name."""
    good_folder(data)
    write(data / "t.csv", "\n".join(["path,identity,mask", "leo/1.png,Leo,", "mia/1.png,Mia,", *rows]))
    return {"name": "table", "path": str(data / "t.csv"), "mask": "mask", **keys}


def link(place: Path, target: Path | str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def names(*rows: str):
    return lambda data: table(data, *rows)


def linking(place: str, target: str):
    """Return a layer of good photographs with a link; ../outside is a file beside the data set, ../others a folder."""

    def lay(data):
        write(data.parent / "outside.png")
        write(data.parent / "others" / "1.png")
        link(data / place, target)
        return good_folder(data)

    return lay


def linked_table(data):
    write(data.parent / "t.csv", "path,identity\nleo/1.png,Leo\n")
    link(data / "t.csv", "../t.csv")
    return {**good_folder(data), "name": "table", "path": str(data / "t.csv")}


def through_a_link(data):
    write(data.parent / "outside.png")
    link(data / "away", "..")
    return table(data, "away/outside.png,Leo,")


def at(**source):
    return lambda data: {**good_folder(data), **{key: value.format(data=data) for key, value in source.items()}}


def beside_a_table(images: str):
    return lambda data: table(data, images=images.format(data=data))


def a_pipe_as_data_set(data):
    os.mkfifo(data / "pipe")
    return {"name": "folder", "path": str(data / "pipe")}


def jaguar(file: str):
    def lay(data):
        write(data / "train" / "1.png")
        write(data / "train.csv", f"filename,ground_truth\n1.png,Leo\n{file},Mia\n")
        return {"name": "jaguar", "path": str(data)}

    return lay


def locked_folder(data):
    good_folder(data)
    (data / "leo").chmod(0)
    return {"name": "folder", "path": str(data)}


def locked_table(data):
    source = table(data)
    (data / "t.csv").chmod(0)
    return source


REMEDY = "Copy the files into the dataset, and name them there."
TRUSTED = "write under dataset: `links: follow`. Else copy the files into the data set, or remove the links."

STOPS = [
    Case("a table with .. in a path", names("../outside.png,Leo,"), ("t.csv, row 3", "'../outside.png' leads", REMEDY)),
    Case(
        "a table with .. in the middle of a path",
        names("leo/../../outside.png,Leo,"),
        ("t.csv, row 3: 'leo/../../outside.png' leads outside the dataset {data}, to ", "/outside.png.", REMEDY),
    ),
    Case(
        "a table with an absolute path",
        names("leo/2.png,Leo,", "/etc/passwd,Leo,"),
        ("t.csv, row 4: '/etc/passwd' leads outside the dataset {data}, to /etc/passwd", REMEDY),
    ),
    Case(
        "a mask outside",
        names("leo/2.png,Leo,../mask.png"),
        ("t.csv, row 3: its mask: '../mask.png' leads outside the dataset {data}", REMEDY),
    ),
    Case(
        "several paths that lead outside, reported at once",
        names("../a.png,Leo,", "../b.png,Leo,"),
        ("1 error", "row 3: '../a.png'", "2 rows are like this one. "),
    ),
    Case("a train.csv with ..", jaguar("../../1.png"), ("train.csv, row 2: 'train/../../1.png' leads outside", REMEDY)),
    Case("a train.csv with an absolute path", jaguar("/etc/passwd"), ("row 2: '/etc/passwd' leads outside", REMEDY)),
    Case(
        "a link to a file outside",
        linking("leo/9.png", "../../outside.png"),
        ("{data}: a link leads out of the data set, e.g. 'leo/9.png' to ", "/outside.png. ", TRUSTED),
    ),
    Case(
        "a link to a folder outside",
        linking("leo/more", "../../others"),
        ("{data}: a link leads out of the data set, e.g. 'leo/more' to ", "/others. ", TRUSTED),
    ),
    Case(
        "a link to the whole disk",
        linking("leo/more", "/"),
        ("{data}: a link leads out of the data set, e.g. 'leo/more' to /. ", TRUSTED),
    ),
    Case(
        "a table's path through a link to the outside",
        through_a_link,
        ("{data}: a link leads out of the data set, e.g. 'away' to ", TRUSTED),
    ),
    Case(
        "a table that is a link to the outside",
        linked_table,
        ("{data}: a link leads out of the data set, e.g. 't.csv' to ", TRUSTED),
    ),
    Case(
        "a link to a folder that holds it",
        linking("leo/again", ".."),
        ("{data}/leo/again: the link 'leo/again' leads to a folder that contains it. Remove it.",),
    ),
    Case(
        "a path that is not there",
        at(path="{data}/nowhere"),
        (
            "data source 'folder': there is no file or folder '{data}/nowhere'",
            "Correct 'path', or fetch the data first.",
        ),
    ),
    Case("no path at all", at(path=""), ("there is no file or folder '' (looked from ", "Correct 'path'")),
    Case("a photograph instead of a folder", at(path="{data}/leo/1.png"), ("'{data}/leo/1.png' is not a folder. Set",)),
    Case(
        "a path below a file", at(path="{data}/leo/1.png/more"), ("there is no file or folder '{data}/leo/1.png/more'",)
    ),
    Case(
        "a pipe instead of a folder",
        a_pipe_as_data_set,
        ("'{data}/pipe' is not a folder. Set 'path' to the data set's folder",),
    ),
    Case("the home of nobody", at(path="~no-such-user/data"), ("'path' cannot be accessed", "~no-such-user/data")),
    Case("a path too long for any disk", at(path="x" * 5000), ("'path' cannot be accessed (File name too long): xxx",)),
    Case("a path with a zero in it", at(path="a\0b"), ("there is no file or folder", "Correct 'path'")),
    Case(
        "a folder instead of a table",
        at(name="table"),
        ("{data}: a folder, where a CSV or Parquet file is needed. Correct 'path'.",),
    ),
    Case(
        "no folder of the photographs beside a table",
        beside_a_table("{data}/nowhere"),
        ("data source 'table': there is no file or folder '{data}/nowhere'", "Correct 'images'"),
    ),
    Case(
        "a file as the folder of the photographs",
        beside_a_table("{data}/leo/1.png"),
        ("'{data}/leo/1.png' is not a folder. Set 'images' to the images' folder.",),
    ),
    Case(
        "the identities' folder outside",
        at(images="../others"),
        (
            "{data}: 'images' names the folder '../others', which holds no file. Correct 'images', a folder of the dataset",
        ),
    ),
    Case("the masks' folder outside", at(masks="/etc"), ("'masks' names the folder '/etc', which holds no file",)),
    Case("a folder that may not be read", locked_folder, ("{data}/leo: this folder of the dataset cannot be read",)),
    Case("a table that may not be read", locked_table, ("t.csv: this table cannot be read (Permission denied)",)),
]


def a_pipe(data):
    os.mkfifo(data / "9.jpg")
    return table(data, "9.jpg,Leo,")


def a_pipe_in_a_folder(data):
    (data / "leo").mkdir()
    os.mkfifo(data / "leo" / "9.jpg")
    return good_folder(data)


def a_socket(data):
    here = Path.cwd()
    (data / "leo").mkdir()
    os.chdir(data / "leo")  # the name of a socket may have 108 letters
    socket.socket(socket.AF_UNIX).bind("9.jpg")
    os.chdir(here)
    return good_folder(data)


def a_folder_called_jpg(data):
    write(data / "x.jpg" / "inside.png")
    return table(data, "x.jpg,Leo,")


def a_circle(data):
    link(data / "leo" / "8.png", "9.png")
    link(data / "leo" / "9.png", "8.png")
    return good_folder(data)


def not_utf8(data):
    good_folder(data)
    Path(os.fsdecode(os.fsencode(data / "leo") + b"/\xff.png")).write_bytes(b"")
    return {"name": "folder", "path": str(data)}


def locked_photograph(data):
    source = good_folder(data)
    (data / "leo" / "2.png").chmod(0)
    return source


NOWHERE = "missing: the link is broken or circular"
LEFT_OUT = [
    Case("a photograph that may not be read", locked_photograph, ("leo/2.png: unreadable: 'leo/2.png': Permission",)),
    Case("a pipe in a table", a_pipe, ("9.jpg: unreadable: '9.jpg' is a pipe, not a file",)),
    Case("a pipe in a folder", a_pipe_in_a_folder, ("leo/9.jpg: unreadable: 'leo/9.jpg' is a pipe, not a file",)),
    Case("a socket in a folder", a_socket, ("leo/9.jpg: unreadable: 'leo/9.jpg' is a socket, not a file",)),
    Case("a folder called x.jpg", a_folder_called_jpg, ("x.jpg: missing: 'x.jpg' is a folder, not an image",)),
    Case("a link to nothing", linking("leo/9.png", "nothing"), (f"leo/9.png: {NOWHERE}",)),
    Case("links in a circle", a_circle, (f"leo/8.png: {NOWHERE}", f"leo/9.png: {NOWHERE}")),
    Case(
        "a name that is not UTF-8", not_utf8, ("leo/\\udcff.png: unreadable: the file's name is not UTF-8: rename it",)
    ),
    Case(
        "a row of a file that is not there", names("leo/7.png,Leo,"), ("leo/7.png: missing: no file 'leo/7.png' in ",)
    ),
    Case("a row of a hidden file", names(".git/1.png,Leo,"), (".git/1.png: missing: hidden files are not part of a",)),
    Case(
        "a row of a mask that is not there", names("leo/2.png,Leo,m.png"), ("leo/2.png: missing: its mask: no file 'm",)
    ),
]

CASES = [*STOPS, *LEFT_OUT]


@pytest.fixture
def nobody_special(monkeypatch, tmp_path):
    """Have a file or folder without a mode refuse to be read, as it does unless one is the superuser."""

    def checked(function):
        def look(path, *arguments, **keys):
            place = Path(path)
            if place.exists() and not place.is_symlink() and not place.stat().st_mode & 0o777:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments, **keys)

        return look

    monkeypatch.setattr(os, "scandir", checked(os.scandir))
    monkeypatch.setattr(Path, "read_bytes", checked(Path.read_bytes))
    monkeypatch.setattr(Path, "open", checked(Path.open))
    yield
    if (tmp_path / "data" / "leo").is_dir():
        (tmp_path / "data" / "leo").chmod(0o755)  # so that it can be removed


@of_cases(STOPS)
def test_a_wrong_path_stops_with_file_and_remedy(case, tmp_path, nobody_special):
    check_stops(case, tmp_path / "data", tmp_path / "out")


@of_cases(LEFT_OUT)
def test_a_file_that_cannot_be_had_is_left_out_with_its_reason(case, tmp_path, nobody_special):
    check_quarantined(case, tmp_path / "data", tmp_path / "out")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere", "nowhere: no such file or folder (looked from "),
        ("x" * 5000, "cannot be read (File name too long). Correct the path."),
        ("locked.png", "locked.png: cannot be read (Permission denied). Correct the path."),
        ("texts", "texts: no image is in this folder. Name the folder that holds them, at any depth."),
    ],
    ids=["not there", "too long", "not to be read", "without images"],
)
def test_images_that_are_to_be_searched_or_ask_and_cannot_be_had_are_named(tmp_path, nobody_special, place, said):
    write(tmp_path / "locked.png").chmod(0)
    write(tmp_path / "texts" / "notes.txt", "no image")
    with pytest.raises(ReidflowError) as caught:
        find_images(tmp_path / place)
    assert said in str(caught.value)


@pytest.mark.parametrize("target", ["1.png", "../mia/1.png", "{data}/mia/1.png"])
def test_a_link_inside_the_data_set_is_followed(tmp_path, target):
    data = tmp_path / "data"
    link(data / "leo" / "9.png", target.format(data=data))
    found = read(data, tmp_path / "out", good_folder(data))
    assert "leo/9.png" in found.manifest["image"].to_list() and not found.quarantined


def test_the_data_set_itself_may_be_a_link(tmp_path):
    good_folder(tmp_path / "disk" / "real")
    link(tmp_path / "data", "disk/real")
    link(tmp_path / "data" / "leo" / "9.png", "1.png")
    found = read(tmp_path / "data", tmp_path / "out", {"name": "folder", "path": str(tmp_path / "data")})
    assert len(found.manifest) == 5 and not found.quarantined


@pytest.mark.parametrize("top", ["data", "disk/real"])
def test_absolute_paths_into_the_data_set_are_understood_by_either_of_its_names(tmp_path, top):
    source = table(tmp_path / "disk" / "real", f"{tmp_path / top}/leo/2.png,Leo,")
    link(tmp_path / "data", "disk/real")
    found = read(tmp_path / "data", tmp_path / "out", {**source, "path": str(tmp_path / "data" / "t.csv")})
    assert found.manifest["path"].to_list() == ["leo/1.png", "leo/2.png", "mia/1.png"]
