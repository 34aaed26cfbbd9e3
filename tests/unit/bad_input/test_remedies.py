"""What a message about a table or its paths says to do is done here, and helps."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bad_cases import good_folder, write

from reidflow.ingest.build import Outputs, ingest
from reidflow.ingest.listing import Listing, Reading, reread
from reidflow.spec.components import call, resolve
from reidflow.spec.config import Dataset
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.yaml import loads

IDENTITIES = {"leo/1.png": "Jörg", "mia/1.png": "Mia"}
NAMES = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    good_folder(tmp_path / "data")
    return tmp_path / "data"


def listed(path: str | Path, **keys: Any) -> Listing:
    dataset = Dataset(source={"name": "table", "path": str(path), **keys})
    return reread(call("source", dataset.source), Reading.of(dataset.model_dump()))


def identities(listing: Listing) -> dict[str, str | None]:
    return {row.image: row.identity for row in listing.rows}


def message_of(path: Path, **keys: Any) -> str:
    """Return the error of ingest on a table."""
    with pytest.raises(ReidflowError) as caught:
        out = Outputs(*(path.parent.parent / name for name in NAMES))
        ingest(
            listed(path, **keys), out, frame=resolve("frame", "pad"), size=8, max_bad_share=0, max_pixels=999, workers=1
        )
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '[{"path": "leo/1.png", "identity": "Jörg"},\n {"path": "mia/1.png", "identity": "Mia", "box": [1]}]',
        '{"path": "leo/1.png", "identity": "Jörg"}\n{"path": "mia/1.png", "identity": "Mia"}\n',
    ],
    ids=["a list", "lines"],
)
def test_json_becomes_a_table_by_the_command_that_is_named(data, content):
    write(data / "t.json", content)
    command = message_of(data / "t.json").splitlines()[1].strip()
    program = re.fullmatch(r'python -c "(.*)"', command)[1]
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert identities(listed(data / "t.parquet")) == IDENTITIES


@pytest.mark.parametrize("content", ['{"images": [], "annotations": []}', '{"detection_categories": {}, "images": []}'])
def test_json_of_other_tools_is_named_with_lines_of_a_config(data, content):
    write(data / "t.json", content)
    keys = loads(re.search(r"`(.*)`", message_of(data / "t.json"))[1])
    dataset = Dataset(**{"source": {"name": "folder", "path": "data"}, **keys})
    assert str(data / "t.json") in (dataset.source["path"], dataset.detections and dataset.detections.path)


@pytest.mark.skipif(shutil.which("iconv") is None, reason="iconv is not installed")
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "Jörg"),
        ("mac_roman", "Zoë"),
        ("cp1250", "Łukasz"),
        ("cp1251", "Луна"),
        ("cp932", "はなこ"),
        ("gb18030", "老虎"),
    ],
)
def test_another_encoding_is_named_and_converted_by_the_command(data, encoding, name):
    write(data / "t.csv", f"path,identity\nleo/1.png,{name}\nmia/1.png,Mia\n".encode(encoding))
    message = message_of(data / "t.csv")
    assert f"leo/1.png,{name}" in message
    subprocess.run(message[message.index("iconv") :], shell=True, check=True, timeout=60, cwd=data)
    assert identities(listed(data / "utf8-t.csv")) == {**IDENTITIES, "leo/1.png": name}


def test_lines_above_the_names_of_the_columns_are_removed_or_the_names_added(data):
    write(data / "t.csv", "Jaguars\n\npath,identity\nleo/1.png,Jörg\nmia/1.png,Mia\n")
    number = int(re.search(r"line (\d+) seems", message_of(data / "t.csv"))[1])
    lines = (data / "t.csv").read_text().splitlines(keepends=True)
    write(data / "t.csv", "".join(lines[number - 1 :]))
    assert identities(listed(data / "t.csv")) == IDENTITIES
    write(data / "t.csv", "".join(lines[number:]))
    header = re.search(r"e\.g\. '(.*)'", message_of(data / "t.csv"))[1]
    write(data / "t.csv", header + "\n" + "".join(lines[number:]))
    assert identities(listed(data / "t.csv")) == IDENTITIES


def table(data: Path, *names: str) -> Path:
    lines = [f"{name},{identity}" for name, identity in zip(names, IDENTITIES.values(), strict=True)]
    return write(data / "t.csv", "\n".join(["path,identity", *lines]) + "\n")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("/mnt/other/data/leo/1.png", "/mnt/other/data/mia/1.png"), "paths of another machine"),
        ((r"C:\Users\other\leo\1.png", r"D:\mia\1.png"), "paths of another machine"),
        (("file:///scratch/leo/1.png", "~/data/mia/1.png"), "paths of another machine"),
        (("data/leo/1.png", "./data/mia/1.png"), "begin with folders above"),
        (("LEO/1.PNG", "Mia/1.png"), "differ from those of the files in capitals"),
        (("leo/1", "Mia/1"), "lack the suffix"),
    ],
)
def test_names_that_mean_one_file_each_are_read_with_one_note(data, names, said):
    listing = listed(table(data, *names))
    assert identities(listing) == IDENTITIES
    (note,) = listing.notes
    assert said in note and note.startswith("2 file names ") and names[0] in note


def test_names_in_doubt_are_left_out(data):
    write(data / "LEO" / "1.png")
    write(data / "mia" / "1.jpg")
    listing = listed(table(data, "Leo/1.png", "mia/1"))
    assert not listing.rows and [fault.reason for fault in listing.faults] == ["missing"] * 2
    write(data / "mia" / "3.jpg.png")
    listing = listed(table(data, "leo/1.png", "mia/3.jpg"))
    assert [fault.path for fault in listing.faults] == ["mia/3.jpg"]
    listing = listed(table(data, "/mnt/a/2.png/leo/1.png", "/mnt/b/leo/1.png"))
    assert not listing.rows


def test_a_missing_file_is_named_once_with_a_close_name_and_the_folder_that_holds_them(data):
    path = table(data.parent, "leo/1.png", "mia/1.png")
    message = message_of(path)
    assert "  2 x missing: the file does not exist, e.g. row 1, leo/1.png (no file 'leo/1.png' in " in message
    assert "did you mean 'data/leo/1.png'?" in message and message.count("no file") == 1
    keys = loads(re.search(r"`(images: .*?)`", message)[1])
    assert identities(listed(path, **keys)) == IDENTITIES


def test_paths_that_lead_outside_are_named_once_with_the_folder_that_holds_them(data):
    write(data.parent / "labels" / "notes.txt", "")
    for names in (("../data/leo/1.png", "../data/mia/1.png"), (f"{data}/leo/1.png", f"{data}/mia/1.png")):
        path = table(data.parent / "labels", *names)
        message = message_of(path)
        assert "1 error" in message and "row 1: " in message and "2 rows are like this one" in message
        keys = loads(re.search(r"`(images: .*?)`", message)[1])
        assert identities(listed(path, **keys)) == IDENTITIES


def test_a_path_that_is_wrong_is_followed_by_one_that_is_right(data):
    table(data, "leo/1.png", "mia/1.png")
    for wrong in ("Data/T.csv", "data/t", "dat/t.csv"):
        with pytest.raises(ReidflowError, match="there is no file or folder") as caught:
            listed(wrong)
        assert identities(listed(re.search("Did you mean '(.*?)'", str(caught.value))[1])) == IDENTITIES
    assert identities(listed(loads(re.search(r"`(path: .*)`", message_of(data))[1])["path"])) == IDENTITIES
    with pytest.raises(ReidflowError, match="is not a folder") as caught:
        call("source", resolve("source", {"name": "folder", "path": "data/t.csv"}))
    assert identities(listed(loads(re.search(r"`(\{.*\})`", str(caught.value))[1])["path"])) == IDENTITIES


def test_blank_labels_are_marked_by_the_line_that_is_named(data):
    path = write(data / "t.csv", "path,identity\nleo/1.png,\nmia/1.png,Mia\n")
    keys = loads(re.search(r"`(unlabelled: .*?)`", message_of(path))[1])
    dataset = Dataset(source={"name": "table", "path": str(path)}, **keys)
    found = reread(call("source", dataset.source), Reading.of(dataset.model_dump()))
    assert identities(found) == {"leo/1.png": None, "mia/1.png": "Mia"}


def test_an_error_in_many_places_is_one_paragraph_with_their_number():
    problems = Problems()
    for arm in range(30):
        problems.add(f"losses.yaml, arm 'm{arm}'", "loss 'arcfase' is unknown.", "Did you mean 'arcface'?")
    problems.add("losses.yaml", "no baseline.", "Name one.")
    with pytest.raises(ReidflowError) as caught:
        problems.raise_if_any("the config")
    assert str(caught.value).startswith("the config: 31 errors\n\nlosses.yaml, arm 'm0': loss 'arcfase' is unknown.")
    assert "Also in 29 other places: losses.yaml, arm 'm1';" in str(caught.value)
    assert str(caught.value).count("arcfase") == 1 and str(caught.value).count("\n\n") == 2
