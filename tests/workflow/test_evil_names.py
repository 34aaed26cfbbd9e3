"""Names that attack a shell, a spreadsheet, a browser, LaTeX or a path pass through all tables and harm nothing."""

import csv
import re
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from conftest import Project, checkout, shared
from PIL import Image

from reidflow.spec import yaml

LONG = "n" * 300
IDENTITIES = [
    '=HYPERLINK("http://localhost/"&A1,"open")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'; touch pwned # \"$(touch pwned)`touch pwned`",
    "../../../outside",
    "a/b|c\\d{e}%s{wildcards.experiment}_$*[x](javascript:alert(1))",
    "line\nbreak\ttab\x00\x1b[31m",
    "\u0646\u0645\u0631 \u202egnp.exe \U0001f406 e\u0301",
    LONG,
]
ARMS = [
    "<script>alert(2)</script>|b&c",
    "=1+1\nsecond line\t{arm} %s ~ ^ # \\input{x} $x$",
    f"../../escaped {LONG}",
]
BASELINE = "'base' \"line\" $(touch pwned) \U0001f406 e\u0301 \u202eRTL"
TITLE = "=1+1 <script>alert(3)</script> | {title} \\end{table} %s\nline"
# What a file system allows in a file's name.
FILES = [
    "{n} 'single' \"double\" $(touch pwned) `touch pwned`.png",
    "={n}{{wildcards.bank}}%s.png",
    "-rf {n} <img src=x onerror=alert(4)>.png",
    "{n}\nline\t|*&;\U0001f406e\u0301\u202e.png",
    "~{n}" + "f" * 200 + ".png",
]
EXPERIMENT = {
    "question": "=Q <script>alert(5)</script> | {question} \\end{table} %s",
    "motivation": "<img src=x onerror=alert(6)> {motivation}",
    "hypothesis": "[x](javascript:alert(7)) | $x$ \\input{/etc/passwd}",
    "varies": ["model.head"],
    "baseline": BASELINE,
    "arms": {BASELINE: {"why": "<script>alert(8)</script>"}}
    | {name: {"why": f"=why | {name}", "model": {"head": {"dim": 4 + n}}} for n, name in enumerate(ARMS)},
    "interpretation": [
        {"dataset": TITLE, "held": "yes", "text": "<script>alert(9)</script> [x](javascript:alert(1)) ![x](http://x/y)"}
    ],
}
CONFIG = {
    "title": TITLE,
    "scale": "<b onclick=alert(1)>scale</b>",
    "results": "results-evil",
    "dataset": {"source": {"name": "table", "path": "data {x} 'y'/table.parquet", "group": "group"}, "frame": "squash"},
    "groups": {"phash_distance": None, "edited": 0.1},
    "split": {"name": "closed_set", "train": 0.4, "val": 0.3, "test": 0.3},
    "protocol": {
        "model": {"backbone": {"name": "small", "family": "resnet"}, "size": 32, "head": {"dim": 8}},
        "loss": "cross_entropy",
        "sampler": "shuffled",
        "optimizer": "adamw",
        "scheduler": "constant",
        "epochs": 2,
    },
    "seeds": [0, 1],
    "experiments": ["evil"],
}


def photographs(folder: Path) -> None:
    """Write five photographs of each identity under evil names, each a sighting of its own, and the table that names them."""
    rng, rows = np.random.Generator(np.random.PCG64(0)), []
    folder.mkdir()
    for number, identity in enumerate(IDENTITIES):
        for place, pattern in enumerate(FILES):
            name = pattern.format(n=number)
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            pixels[:, : 2 * number + 1] = 20 * number
            Image.fromarray(pixels).save(folder / name)
            rows.append({"path": name, "identity": identity, "group": f"=g <script>|\n{{x}} {identity} {place}"})
    pl.DataFrame(rows).write_parquet(folder / "table.parquet")


@pytest.fixture(scope="module")
def evil(tmp_path_factory) -> Project:
    """A run of all tables on such names, in a folder that holds nothing but the project and its data."""

    def make(folder):
        project = Project(checkout(folder / "a" / "b"), "config/evil.yaml", "results-evil")
        photographs(project.folder / "data {x} 'y'")
        (project.folder / "config" / "evil.yaml").write_text(yaml.dumps(CONFIG))
        (project.folder / "config" / "experiments" / "evil.yaml").write_text(yaml.dumps(EXPERIMENT))
        before = written(folder)
        outcome = project.run("--", "all_tables")
        (project.results / "outside.txt").write_text("\n".join(sorted(written(folder) - before)))
        return Project(folder, "a/b/config/evil.yaml", "a/b/results-evil"), outcome

    made = shared(tmp_path_factory, "evil", make)
    made.results = made.folder / "a" / "b" / "results-evil"
    return made


def written(folder: Path) -> set[str]:
    """Return the files below a folder, but for the results and what Snakemake and libraries keep."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return {name for name in found if not re.match(r"a/b/(results-evil|\.snakemake|\.cache)/|.*__pycache__", name)}


def test_nothing_is_written_outside_the_results_and_every_file_has_a_plain_short_name(evil):
    assert (evil.results / "outside.txt").read_text() == ""
    below = [path.relative_to(evil.results) for path in evil.results.rglob("*")]
    assert len(below) > 100
    for path in below:
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,120}", part) for part in path.parts), path


def test_parquet_keeps_every_name_exactly(evil):
    manifest = pl.read_parquet(evil.results / "data" / "manifest.parquet")
    assert pl.read_parquet(evil.results / "data" / "quarantine.parquet").height == 0
    assert {Path(name).name for name in manifest["path"]} == {f.format(n=n) for n in range(12) for f in FILES}
    assert set(manifest["identity"]) == {unicodedata.normalize("NFC", name) for name in IDENTITIES}
    assert set(pl.read_parquet(evil.results / "tables" / "evil.parquet")["arm"]) == {BASELINE, *ARMS}


class Page(HTMLParser):
    """What of a page could act: its elements that run or fetch, its handlers and its addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.acting, self.text = 0, [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.scripts += tag == "script" and given.get("type") != "application/json"
        address = str(given.get("src") or given.get("href") or "")
        # A link leads where the author of the interpretation says, or to another page, once it is clicked.
        allowed = ("#", "http://", "https://", "../index.html") if tag == "a" else ("data:image/",)
        page = tag == "a" and re.fullmatch(r"[\w-]+\.html", address)
        foreign = bool(address) and not page and not address.startswith(allowed)
        if tag in ("iframe", "object", "embed", "link") or foreign or any(key.startswith("on") for key in given):
            self.acting.append((tag, attributes))

    def handle_data(self, data):
        self.text += data


def test_no_name_becomes_an_element_of_a_page(evil):
    pages = sorted((evil.results / "pages").glob("*.html"))
    assert pages
    for path in pages:
        page = Page(path.read_text())
        own = 2 if path.stem == "evil" else 1
        assert page.scripts == own, "the page's own: that of its tables, and that of its queries"
        assert page.acting == []
        if path.stem != "review":
            assert "<script>alert(2)</script>" in page.text, "the arm's name is shown as text"


def test_no_figure_holds_a_script(evil):
    figures = sorted(evil.results.rglob("*.svg"))
    assert figures
    for path in figures:
        for element in ElementTree.parse(path).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "a", "foreignObject"), path
            assert not any(key.startswith("on") or "javascript:" in value for key, value in element.items()), path


def test_no_cell_of_a_csv_file_is_a_formula_and_every_row_is_whole(evil):
    files = sorted((evil.results / "tables").glob("*.csv"))
    assert files
    for path in files:
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        assert {len(row) for row in rows} == {len(rows[0])}, path
        for cell in (cell for row in rows for cell in row):
            assert not re.match(r"[=+@\t\r]|-(?![\d.])", cell), (path, cell)


def test_tables_in_markdown_are_whole_and_hold_no_html(evil):
    files = sorted(evil.results.rglob("*.md"))
    assert len(files) >= 3
    for path in files:
        lines = path.read_text().split("\n")
        for before, line in pairwise(lines):
            if before.startswith("|") and line.startswith("|"):
                assert cells(before) == cells(line), (path, line)
        bare = re.sub(r"\\.", " ", path.read_text())
        assert not re.search(r"<(script|img|b)\b", bare), path


def cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))


def test_latex_holds_no_command_and_no_broken_row(evil):
    text = (evil.results / "tables" / "evil.tex").read_text()
    assert r"\input" not in text and text.count(r"\end{table}") == text.count(r"\begin{table}")
    plain = re.sub(r"\\[\\{}$&#%_]", "", text)
    assert plain.count("{") == plain.count("}")
    assert not re.search(r"[#%^~]", plain)
    columns = text.replace(r"p{0.6\linewidth}", "p")
    for body in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", columns, re.DOTALL):
        for row in (row for row in body[1].split("\n") if row and row != r"\hline"):
            assert len(re.findall(r"(?<!\\)&", row)) == len(body[0]) - 1, row


def test_no_text_for_readers_holds_a_control_character(evil):
    for suffix in ("*.md", "*.tex", "*.html"):
        paths = list(evil.results.rglob(suffix))
        assert paths, suffix
        for path in paths:
            odd = {c for c in path.read_text() if unicodedata.category(c) == "Cc" and c not in "\n\t"}
            assert not odd, (path, odd)
