"""An invalid table stops ingest with file, row and remedy; an invalid row is left out with its reason."""

import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bad_cases import Case, check_quarantined, check_stops, good_folder, of_cases, read, write

PHOTOGRAPHS = {"path": ["leo/1.png", "leo/2.png", "mia/1.png"], "identity": ["Leo", "Leo", "Mia"]}


def table(content: str | bytes, name: str = "t.csv", **keys: Any):
    """Return a layer of good images with a table of the given content."""

    def lay(data: Path) -> dict[str, Any]:
        good_folder(data)
        write(data / name, content)
        return {"name": "table", "path": str(data / name), **keys}

    return lay


def rows(*lines: str, header: str = "path,identity", **keys: Any):
    return table("\n".join([header, "leo/1.png,Leo" + "," * (header.count(",") - 1), *lines]), **keys)


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({**PHOTOGRAPHS, **columns}).write_parquet(buffer)
    return buffer.getvalue()


def jaguar(metadata: str):
    def lay(data: Path) -> dict[str, Any]:
        write(data / "train" / "1.png")
        write(data / "train.csv", "filename,ground_truth\n1.png,Leo\n")
        write(data / "meta.csv", metadata)
        return {"name": "jaguar", "path": str(data), "metadata": "meta.csv", "group": "seen"}

    return lay


UTF8 = "Save the table as CSV with UTF-8 encoding"
STOPS = [
    Case("no bytes", table(b""), ("t.csv: the table is empty. Its first line must name the columns.",)),
    Case("blank lines alone", table("\n\n\n"), ("t.csv: the table is empty.",)),
    Case(
        "a header and no rows",
        table("path,identity\n"),
        ("t.csv: the table has no rows. It needs one per image.",),
    ),
    Case(
        "a missing column",
        table("path,identify\nleo/1.png,Leo\n"),
        (
            "t.csv: there is no column 'identity'. Did you mean 'identify'? The columns are: path, identify.",
            "Rename one",
        ),
    ),
    Case(
        "a column that the config names and nobody wrote",
        rows("leo/2.png,Leo", group="sighting"),
        ("t.csv: there is no column 'sighting'. The columns are: path, identity.", "or name another in the config."),
    ),
    Case(
        "blanks between the columns",
        table("path identity\nleo/1.png Leo\n"),
        (
            "t.csv: there is no column 'path'",
            "The columns are: path identity. Columns are separated by comma, semicolon,",
        ),
    ),
    Case(
        "a column twice",
        rows(header="path,identity,path"),
        ("t.csv: the column 'path' occurs twice. Rename or remove one of them.",),
    ),
    Case(
        "columns without names",
        rows(header="path,identity,,"),
        ("t.csv: 2 columns have no name. Name or remove them.",),
    ),
    Case(
        "a row with a value too many",
        rows("leo/2.png,Leo", "mia/1.png,Mia, the elder"),
        ("t.csv, row 3: 3 values under 2 column names. Quote values that hold a ','.",),
    ),
    Case("a row with a value too few", rows("leo/2.png"), ("t.csv, row 2: 1 values under 2 column names.",)),
    Case(
        "a quote that never closes",
        rows("leo/2.png,Leo", '"mia/1.png,Mia', "mia/2.png,Mia"),
        ("t.csv, row 3: not readable as CSV", "A quote opens there and never closes: correct the file."),
    ),
    Case(
        "text behind a quote",
        rows('"leo/2.png"!,Leo'),
        ("t.csv, row 2: not readable as CSV", "Look at its quotes: correct the file."),
    ),
    Case(
        "Latin-1",
        table("path,identity\nleo/1.png,Jörg\n".encode("latin-1")),
        (f"t.csv, line 2: not UTF-8. In WINDOWS-1252 it reads 'leo/1.png,Jörg'. {UTF8}",),
    ),
    Case(
        "an Excel workbook",
        table(b"PK\x03\x04\x14\0xl/workbook.xml", "t.xlsx"),
        (f"t.xlsx: this is an Excel workbook. {UTF8}",),
    ),
    Case("a zip archive", table(b"PK\x03\x04\x14\0", "t.zip"), ("t.zip: this is a zip archive. Unpack it.",)),
    Case(
        "a web page",
        table("<!DOCTYPE html><p>Please log in"),
        ("t.csv: this is a web page", "Download the table again"),
    ),
    Case("XML", table("<?xml version='1.0'?><rows/>"), ("t.csv: this is XML. Write its rows as a CSV.",)),
    Case(
        "a COCO file",
        table('{"images": [], "annotations": []}'),
        ("t.csv: this is JSON as COCO writes it. Use its source",),
    ),
    Case("JSON of something else", table('{"a": 1}'), ("t.csv: this is JSON, but no list of rows.",)),
    Case("a pointer of Git LFS", table("version https://git-lfs.github.com/spec/v1\n"), ("Run `git lfs pull` there.",)),
    Case(
        "a title above the names of the columns",
        table("Whales of 2015\n\npath,identity\nleo/1.png,Leo\n"),
        ("t.csv: the first line, 'Whales of 2015', names no columns, as line 3 seems to do: 'path,identity'.",),
    ),
    Case(
        "no names of the columns",
        table("leo/1.png,Leo\nmia/1.png,Mia\n"),
        ("the first line, 'leo/1.png,Leo', is a row of the table", "Write these above it, e.g. 'path,identity'."),
    ),
    Case(
        "many rows with a value too few",
        rows(*["leo/2.png"] * 40),
        ("t.csv, row 2: 1 values under 2 column names. 40 rows are like this one. Quote",),
    ),
    Case(
        "a column in other capitals",
        table("Path,identity\nleo/1.png,Leo\n"),
        ("t.csv: there is no column 'path'. Did you mean 'Path'?",),
    ),
    Case("a compressed table", table(b"\x1f\x8b\x08\0"), ("t.csv: this is compressed with gzip.",)),
    Case(
        "an image",
        lambda data: {**good_folder(data), "name": "table", "path": str(data / "leo" / "1.png")},
        ("1.png: no text, hence no table in UTF-8.",),
    ),
    Case(
        "a Parquet that is not one",
        table(b"PAR1 and then nothing", "t.parquet"),
        ("t.parquet: not readable as Parquet (", "Write the file again."),
    ),
    Case("a Parquet cut short", table(parquet()[:-40], "t.parquet"), ("t.parquet: not readable as Parquet (",)),
    Case(
        "lists where labels should be",
        table(parquet(who=[["Leo"], ["Leo"], ["Mia"]]), "t.parquet", identity="who"),
        ("t.parquet: the column 'who' is not text (List(String)). Name another column, or write it as text.",),
    ),
    Case(
        "a side that is none",
        rows("leo/2.png,Leo,left", header="path,identity,role", side="role"),
        ("t.csv, row 2: the side 'left' is neither query nor gallery. Correct it, or leave it blank.",),
    ),
    Case(
        "a hundred errors of one kind, of which one is shown",
        rows(*["leo/2.png,Leo,then"] * 100, header="path,identity,seen", side="seen"),
        ("1 error\n\n", "row 2: the side 'then' is neither query nor gallery. 100 rows are like this one. Correct it"),
    ),
    Case(
        "metadata that contradict themselves",
        jaguar("filename,seen\n1.png,s1\n1.png,s2\n"),
        ("meta.csv, row 2: '1.png' has two different rows. Remove one.",),
    ),
    Case(
        "metadata without their column",
        jaguar("filename,sighting\n1.png,s1\n"),
        ("meta.csv: there is no column 'seen'",),
    ),
]

DIFFER = "duplicate_id: the labels differ: 'Leo' in row 2, 'Mia' in row 3"
LEFT_OUT = [
    Case(
        "one image with two identities: neither is believed",
        rows("leo/2.png,Leo", "leo/2.png,Mia", "mia/1.png,Mia"),
        (f"leo/2.png: {DIFFER}", f"leo/2.png: {DIFFER}"),
    ),
    Case(
        "a row twice",
        rows("leo/2.png,Leo", "./leo/2.png,Leo"),
        ("leo/2.png: duplicate_id: row 2 names the same file",),
    ),
    Case("a blank identity", rows("leo/2.png,  ", "mia/1.png,Mia"), ("leo/2.png: no_identity: the label is blank",)),
    Case(
        "a null identity",
        table(parquet(identity=["Leo", None, "Mia"]), "t.parquet"),
        ("leo/2.png: no_identity: the label is blank",),
    ),
    Case(
        "an identity that is no number among numbers",
        table(parquet(identity=[7.0, float("nan"), 12.0]), "t.parquet"),
        ("leo/2.png: no_identity: the label is blank",),
    ),
    Case(
        "a group without an identity",
        rows("leo/2.png,,s1", "mia/1.png,Mia,s1", header="path,identity,seen", group="seen"),
        ("leo/2.png: no_identity: the label is blank",),
    ),
    Case("a row without a file", rows(",Leo", "mia/1.png,Mia"), (": missing: the row names no file",)),
]

CASES = [*STOPS, *LEFT_OUT]


@of_cases(STOPS)
def test_a_bad_table_stops_with_file_row_and_remedy(case, tmp_path):
    check_stops(case, tmp_path / "data", tmp_path / "out")


@of_cases(LEFT_OUT)
def test_a_bad_row_is_left_out_with_its_reason_and_the_others_are_kept(case, tmp_path):
    check_quarantined(case, tmp_path / "data", tmp_path / "out")


UNUSUAL = {
    "Excel's own first line": table("sep=;\r\npath;identity\r\nleo/1.png;007\r\nmia/1.png;010\r\n"),
    "the same in quotes, with a tab": table('"sep=\t"\npath\tidentity\nleo/1.png\t007\nmia/1.png\t010\n'),
    "an invisible character in the name of a column": table("path,identity\u200b\nleo/1.png,007\nmia/1.png,010\n"),
    "UTF-16": table("path\tidentity\nleo/1.png\t007\nmia/1.png\t010\n".encode("utf-16")),
    "cells and rows that a spreadsheet left empty": table("path,identity\nleo/1.png,007,,\nmia/1.png,010,,\n,,,\n,\n"),
    "a byte order mark": table("\ufeffpath,identity\nleo/1.png,007\nmia/1.png,010\n"),
    "line ends of Windows": table("path,identity\r\nleo/1.png,007\r\nmia/1.png,010\r\n"),
    "line ends of old Macs": table("path,identity\rleo/1.png,007\rmia/1.png,010\r"),
    "semicolons": table("path;identity\nleo/1.png;007\nmia/1.png;010\n"),
    "tabs": table("path\tidentity\nleo/1.png\t007\nmia/1.png\t010\n"),
    "blank lines": table("path,identity\n\nleo/1.png,007\n\n\nmia/1.png,010\n\n"),
    "stray blanks and backslashes": table("path, identity\n leo\\1.png , 007\nmia\\1.png,010 \n"),
    "quotes": table('"path","identity"\n"leo/1.png","007"\n"mia/1.png","010"\n'),
    "a CSV called .parquet": table("path,identity\nleo/1.png,007\nmia/1.png,010\n", "t.parquet"),
    "a Parquet called .csv": table(parquet(identity=["007", "007", "010"])),
    "a column of vectors that nobody asks for": table(parquet(identity=["007", "007", "010"], vector=[[0.5]] * 3)),
}


@pytest.mark.parametrize("lay", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_table_is_read_and_its_labels_keep_their_zeros(lay, tmp_path):
    found = read(tmp_path / "data", tmp_path / "out", lay(tmp_path / "data"))
    identities = dict(found.manifest.select("image", "identity").iter_rows())
    assert (identities["leo/1.png"], identities["mia/1.png"], found.quarantined) == ("007", "010", [])
