import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from reidflow.pages.page import SCRIPT, write_page
from reidflow.store.tables import Column
from reidflow.tables.columns import COLUMNS
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section

EVIL = "<img src=x onerror=alert(1)>\"' onload='x"
NAMES = ["base", "<script>alert(1)</script>", "Ünïcödé 🐆", "a\u202eb\x07", "50% <b>", "line\nbreak", "x" * 80]
FINDINGS = f"""# Findings

Which one?

## Answer

- better, {EVIL}
- ![picture](http://example.com/a.png) [bad](javascript:alert(1)) <script>alert(2)</script>

Figure: [arms](../figures/losses/arms.png)

## Again

- the same ([arms](../figures/losses/arms.png))

## Reliance

- shown ([reliance](../figures/losses/reliance.png))
"""


class Elements(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page(tmp_path: Path) -> str:
    (tmp_path / "arms.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    rows = [{"arm": name, "evil": 0.5, "verdict": "better"} for name in [*NAMES, EVIL]]
    evil = Column("evil", pl.Float64, EVIL, "number", f"Meaning {EVIL}.")
    write_page(
        f"Which {EVIL}?",
        EVIL,
        [(EVIL, EVIL)],
        [block(EVIL, rows, ["arm", evil, "verdict"]), block("More", [{"arm": "base"}], ["arm"])],
        FINDINGS,
        dict.fromkeys(("arms", EVIL, "reliance"), tmp_path / "arms.svg"),
        tmp_path / "page.html",
        baseline="base",
        sections=[
            Section("Reliance", [], [Block(EVIL, ["image", EVIL], [[EVIL, EVIL]])], {"reliance": EVIL}),
            Section("Says no more than its statements", [EVIL]),
            Section("Tables alone", tables=[Block("", ["x"], [["1"]])]),
        ],
    )
    return (tmp_path / "page.html").read_text()


def test_nothing_that_users_name_becomes_markup(page: str) -> None:
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    assert all(a["src"].startswith("data:image/svg+xml;base64,") for tag, a in elements.found if tag == "img")
    assert elements.text.count("<img src=x onerror=alert(1)>") >= 6
    assert "<script>alert(1)</script>" in elements.text


def test_nothing_is_fetched_from_outside(page: str) -> None:
    elements = Elements(page)
    assert not [tag for tag, _ in elements.found if tag in ("link", "iframe", "object", "embed", "base")]
    assert not re.search(r"url\(|@import", page)
    assert not any("javascript:" in a.get("href", "") for _, a in elements.found)
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_policy_lets_the_pages_own_script_run(page: str) -> None:
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_links_to_a_figure_lead_to_it_on_the_page(page: str) -> None:
    elements = Elements(page)
    assert "#figure-arms" in [a.get("href") for _, a in elements.found]
    assert "figure-arms" in [a.get("id") for _, a in elements.found]


def test_a_page_answers_first_and_shows_each_figure_once_where_it_is_first_referred_to(page: str) -> None:
    elements = Elements(page)
    order = ["<h1>", "<h2>Answer", "<table", 'id="figure-arms"', "<h2>Again", "<h2>Reliance", 'id="figure-reliance"']
    order += ["<h3>", 'id="figure--img', "<h2>Tables alone", "<h2>More", "<h2>How to read"]
    found = [page.index(part) for part in order]
    assert found == sorted(found)
    assert [a["id"] for tag, a in elements.found if tag == "figure"].count("figure-arms") == 1
    assert "Says no more" not in elements.text
    captions = [a["alt"] for tag, a in elements.found if tag == "img"]
    assert captions == ["Arms, and their differences from the baseline", EVIL, EVIL]


def test_the_caption_closes_the_page(page: str) -> None:
    caption = page[page.index("<h2>How to read these numbers") : page.index("<details>")]
    assert Elements(caption).text.split("\n")[2].strip() == EVIL * 2


def test_headings_carry_the_meaning_of_their_columns(page: str) -> None:
    titles = [a.get("title") for tag, a in Elements(page).found if tag == "button"]
    assert titles[:3] == [COLUMNS["arm"].meaning, f"Meaning {EVIL}.", COLUMNS["verdict"].meaning]
    assert f"Meaning {EVIL}." in Elements(page).text


def test_the_baseline_and_the_verdicts_are_marked(page: str) -> None:
    classes = [a.get("class") for tag, a in Elements(page).found if tag in ("tr", "td")]
    assert classes.count("baseline") == 2
    assert classes.count("better") == len(NAMES) + 1


DOM = """
class Cell { constructor(text) { this.textContent = text; this.ariaSort = null; } }
const rows = DATA.map(texts => ({ cells: texts.map(t => new Cell(t)) }));
const heads = HEADS.map(() => {
  const head = { ariaSort: null, clicks: [] };
  head.firstElementChild = { addEventListener: (_, f) => head.clicks.push(f) };
  return head;
});
const body = { rows, order: rows, append(...sorted) { this.order = sorted; } };
const table = { tBodies: [body], tHead: { rows: [{ cells: heads }] } };
const document = { querySelectorAll: () => [table] };
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script, and is not installed")
def test_columns_sort_as_numbers_where_they_are_and_a_third_click_restores() -> None:
    data = [["arm-10", "-0.100", "[+0.100, 1]"], ["arm-2", "\u2013", "\u2013"], ["arm-1", "+0.050", "[-0.200, 1]"]]
    data.append(["arm-3", "1,200", "[-0.300, 1]"])
    script = DOM.replace("DATA", json.dumps(data)).replace("HEADS", "[0, 1, 2]") + SCRIPT.read_text()
    script += """
const clicks = column => [0, 1, 2].map(() => { heads[column].clicks[0](); return body.order.map(r => r.cells[0].textContent); });
console.log(JSON.stringify([0, 1, 2].map(clicks)));
"""
    done = subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True, timeout=60)
    start = ["arm-10", "arm-2", "arm-1", "arm-3"]
    assert json.loads(done.stdout) == [
        [["arm-1", "arm-2", "arm-3", "arm-10"], ["arm-10", "arm-3", "arm-2", "arm-1"], start],
        [["arm-3", "arm-1", "arm-10", "arm-2"], ["arm-10", "arm-1", "arm-3", "arm-2"], start],
        [["arm-10", "arm-1", "arm-3", "arm-2"], ["arm-3", "arm-1", "arm-10", "arm-2"], start],
    ]
