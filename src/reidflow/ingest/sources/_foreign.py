"""What a file is that was taken for a table, and what makes a table of it."""

import json
import re
import unicodedata
from pathlib import Path

from reidflow.ingest.sources._sniff import is_image, kind_of
from reidflow.spec.errors import ReidflowError

_CSV = "Save the table as CSV with UTF-8 encoding, or as Parquet."
_FOR_TABLES = {
    "ole": f"an old Excel workbook. {_CSV}",
    "gzip": "compressed with gzip. Unpack it with gunzip.",
    "bzip2": "compressed with bzip2. Unpack it with bunzip2.",
    "xz": "compressed with xz. Unpack it with unxz.",
    "zstd": "compressed with Zstandard. Unpack it with unzstd.",
    "7z": "a 7z archive. Unpack it.",
    "rar": "a RAR archive. Unpack it.",
    "arrow": f"an Arrow (Feather) file. {_CSV}",
    "sqlite": f"a database of SQLite. {_CSV}",
    "hdf5": f"an HDF5 file. {_CSV}",
    "numpy": f"an array of NumPy. {_CSV}",
    "pdf": f"a PDF. {_CSV}",
    "pickle": f"a Python pickle, which is never read, since reading one executes code. {_CSV}",
    "lfs": "a pointer of Git LFS, not the file. Run `git lfs pull` there.",
    "annex": "a pointer of git-annex, not the file. Run `git annex get` for it.",
}
_INSIDE_ZIP = {
    b"xl/": f"an Excel workbook. {_CSV}",
    b"opendocument.spreadsheet": f"an OpenDocument spreadsheet. {_CSV}",
    b".npy": f"arrays of NumPy. {_CSV}",
}
# Encodings by the letters that text in them holds; the likeliest decodes into most of these.
_ENCODINGS = {
    "WINDOWS-1252": ("cp1252", "äöüßÄÖÜéèêëàâáíìîïóòôúùûñçãõåæøœÉÁÓÑÇÅØ"),
    "MACINTOSH": ("mac_roman", "äöüßÄÖÜéèêëàâáíìîïóòôúùûñçãõåæøœÉÁÓÑÇÅØ"),
    "WINDOWS-1250": ("cp1250", "ąćęłńóśźżŁŚŻáčďéěíňřšťúůýžČŘŠŽőű"),
    "WINDOWS-1251": ("cp1251", "".join(map(chr, range(0x410, 0x450)))),
    "KOI8-R": ("koi8_r", "".join(map(chr, range(0x430, 0x450)))),
    "CP932": ("cp932", ""),
    "GB18030": ("gb18030", ""),
    "CP949": ("cp949", ""),
}
_SCRIPTS = {"CP932": ("HIRAGANA", "KATAKANA", "CJK"), "GB18030": ("CJK",), "CP949": ("HANGUL",)}


def text_of(data: bytes, path: Path) -> str:
    """Return the text of a table: UTF-8, or UTF-16 that says so. Raises ReidflowError that says what another file is."""
    kind = kind_of(data)
    what = _FOR_TABLES.get(kind)
    if kind == "zip":
        what = next((what for mark, what in _INSIDE_ZIP.items() if mark in data), "a zip archive. Unpack it.")
    if what:
        raise ReidflowError(f"{path}: this is {what}")
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _encoded(data, path, error.start) from error
    _require_table(text, path)
    return text


def _encoded(data: bytes, path: Path, start: int) -> ReidflowError:
    """Return the error for text that is not UTF-8. start: the first byte that is not."""
    line = data[:start].count(b"\n") + 1
    if b"\0" in data or is_image(data[:32]):
        return ReidflowError(f"{path}: no text, hence no table in UTF-8. Name the table. {_CSV}")
    likely = max(_ENCODINGS, key=lambda name: _fit(data, name))
    if _fit(data, likely) <= 0:
        return ReidflowError(f"{path}, line {line}: not UTF-8. {_CSV}")
    raw = data.split(b"\n")[line - 1].decode(_ENCODINGS[likely][0], "replace").strip()
    shown = raw if len(raw) <= 60 else f"{raw[:60]}…"
    return ReidflowError(
        f"{path}, line {line}: not UTF-8. In {likely} it reads '{shown}'. {_CSV} If it reads well: "
        f"iconv -f {likely} -t UTF-8 {path.name} > utf8-{path.name}"
    )


def _fit(data: bytes, name: str) -> float:
    """Return how well bytes read in an encoding: letters of its languages against anything else."""
    codec, letters = _ENCODINGS[name]
    try:
        text = data[:100_000].decode(codec)
    except UnicodeDecodeError as error:
        if error.start < min(len(data), 100_000) - 4:
            return -1e9
        text = data[: error.start].decode(codec)
    total = 0.0
    for before, c, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if c.isascii():
            continue
        beside = [one for one in (before, after) if one.isalpha()]
        if name in _SCRIPTS:
            good = unicodedata.name(c, "").startswith(_SCRIPTS[name])
            total += -3 if not good or any(one.isascii() for one in beside) else 1.5
            total += 2 if unicodedata.name(c, "").startswith(("HIRAGANA", "KATAKANA")) else 0
        elif name in ("WINDOWS-1251", "KOI8-R"):
            total += 2 if c in letters and not any(one.isascii() for one in beside) else -3
        else:
            total += (3 if c in letters else -2) - 2.5 * sum(not one.isascii() for one in beside)
    return total


def _require_table(text: str, path: Path) -> None:
    """Raise ReidflowError for text that is marked up or nested rather than a table."""
    start = text.lstrip()[:1]
    if start == "<":
        page = re.match(r"\s*<(!doctype html|html)", text, re.IGNORECASE)
        what = (
            "a web page, perhaps an error or a login. Download the table again"
            if page
            else "XML. Write its rows as a CSV"
        )
        raise ReidflowError(f"{path}: this is {what}.")
    if start and start in "[{":
        kind = _json_kind(text)
        if kind:
            raise ReidflowError(f"{path}: this is {kind.format(path=path, stem=path.with_suffix(''))}")


_JSON_KINDS = {
    "list": "JSON. Write it as a table:\n"
    "  python -c \"import polars; polars.read_json('{path}', infer_schema_length=None).write_parquet('{stem}.parquet')\"",
    "lines": "JSON lines. Write them as a table:\n"
    "  python -c \"import polars; polars.read_ndjson('{path}', infer_schema_length=None).write_parquet('{stem}.parquet')\"",
    "coco": "JSON as COCO writes it. Use its source: `source: {{name: coco, path: {path}}}`.",
    "megadetector": "JSON of MegaDetector. Name it under dataset, beside a source of the images: `detections: {{path: {path}}}`.",
    "other": "JSON, but no list of rows. Write its rows as a CSV: a line that names the columns, and one for each image.",
}


def _json_kind(text: str) -> str | None:
    """Return what to do with JSON, a format of `path` and `stem`; None for other text."""
    try:
        content = json.loads(text)
    except ValueError:
        try:
            return _JSON_KINDS["lines"] if isinstance(json.loads(text.split("\n", 1)[0]), dict) else None
        except ValueError:
            return None
    if isinstance(content, list):
        return _JSON_KINDS["list" if content and all(isinstance(one, dict) for one in content) else "other"]
    if "annotations" in content and "images" in content:
        return _JSON_KINDS["coco"]
    if "detection_categories" in content:
        return _JSON_KINDS["megadetector"]
    return _JSON_KINDS["lines" if "\n" not in text.strip() and "path" in content else "other"]
