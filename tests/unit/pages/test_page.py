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

from reidflow.figures.kinds import TITLES
from reidflow.pages.page import SCRIPT, Opening, write_page
from reidflow.store.tables import Column
from reidflow.tables.columns import COLUMNS
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section

EVIL = "<img src=x onerror=alert(1)>\"' onload='x"
EVIL_ID = "figure--img-src-x-onerror-alert-1-onload-x"
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

- shown

Figure: [reliance](../figures/losses/reliance.png)

## The author's interpretation

- found in the opening
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
    first = block(EVIL, rows, ["arm", evil, "verdict"])
    write_page(
        Opening(
            "losses",
            f"Which {EVIL}?",
            EVIL,
            f"**one**, {EVIL}",
            EVIL,
            "partly",
            f"First {EVIL}\n\nSecond {EVIL}",
            "stale",
            [EVIL],
            [f"{EVIL}{place}" for place in range(8)],
        ),
        first,
        [first, block("More", [{"arm": "base"}], ["arm"])],
        FINDINGS,
        dict.fromkeys(("arms", EVIL, "reliance"), tmp_path / "arms.svg"),
        tmp_path / "page.html",
        caption=[(EVIL, EVIL), ("Said", "better, ")],
        baseline="base",
        sections=[
            Section("Reliance", [], [Block(EVIL, ["image", EVIL], [[EVIL, EVIL]])], {"reliance": EVIL}),
            Section("Says no more than its statements", [EVIL]),
            Section("Tables alone", tables=[Block("", ["x"], [["1"]])]),
        ],
        siblings=["before", "losses", "after"],
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
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert scripts == [SCRIPT.read_text()]
    policy = next(a["content"] for _, a in Elements(page).found if a.get("http-equiv") == "Content-Security-Policy")
    assert "script-src " + " ".join(f"'sha256-{digest}'" for digest in digests) + ";" in policy


def test_links_to_a_figure_lead_to_it_on_the_page(page: str) -> None:
    elements = Elements(page)
    assert "#figure-arms" in [a.get("href") for _, a in elements.found]
    assert "figure-arms" in [a.get("id") for _, a in elements.found]


def test_a_page_answers_first_and_folds_the_rest_in_the_order_of_the_findings(page: str) -> None:
    elements = Elements(page)
    first = ['class="answer"', 'id="hypothesis"', 'id="result"', "<table", 'id="interpretation"', 'id="figure-arms"']
    evidence = ['id="section-answer"', 'id="section-again"', 'id="section-reliance"', 'id="figure-reliance"', "<h3>"]
    rest = ("tables-alone", "all-columns", "further-figures", "how-to-read")
    order = ["<h1>", *first, 'class="contents"', *evidence, *(f'id="section-{part}"' for part in rest)]
    found = [page.index(part) for part in order]
    assert found == sorted(found)
    assert all("open" not in a for tag, a in elements.found if tag == "details")
    assert "Says no more" not in elements.text and "found in the opening" not in elements.text


def test_each_figure_stands_once_and_is_not_announced_where_it_stands(page: str) -> None:
    elements = Elements(page)
    assert [a["id"] for tag, a in elements.found if tag == "figure"] == ["figure-arms", "figure-reliance", EVIL_ID]
    assert [a["alt"] for tag, a in elements.found if tag == "img"] == [TITLES["arms"], EVIL, EVIL]
    assert "Figure:" not in elements.text


def test_permalinks_and_contents_lead_to_every_folded_section(page: str) -> None:
    found = Elements(page).found
    parts = [a["id"] for tag, a in found if tag == "details" and a.get("class") == "part"]
    links = [a["href"] for tag, a in found if tag == "a" and a["href"] in {f"#{part}" for part in parts}]
    assert len(parts) == len(set(parts)) == 7
    assert sorted(links) == sorted(2 * [f"#{part}" for part in parts])
    ids = [a["id"] for _, a in found if "id" in a]
    assert len(ids) == len(set(ids))


def test_a_page_leads_to_the_index_and_to_the_other_experiments(page: str) -> None:
    links = [a for tag, a in Elements(page).found if tag == "a"]
    pages = ["../index.html", "before.html", "after.html", "before.html", "after.html"]
    assert [a["href"] for a in links if a["href"].endswith(".html")] == pages
    assert [a["href"] for a in links if "rel" in a] == ["before.html", "after.html"]


def test_what_the_hypothesis_came_to_and_why_an_interpretation_is_stale_are_said(page: str) -> None:
    text = Elements(page).text
    assert "The hypothesis held in part:" in text and "(stale)" in text
    assert text.index(f"First {EVIL}") < text.index(f"Second {EVIL}") < text.index("The table has changed")


def test_long_lists_of_ties_are_folded(page: str) -> None:
    ties = page[page.index('class="ties"') : page.index("</details>", page.index('class="ties"'))]
    before, after = ties.split("<summary>and 3 more</summary>")
    assert before.count("onerror") == 5 and after.count("onerror") == 3


def test_notes_that_the_findings_give_are_not_repeated(page: str) -> None:
    notes = [
        text.strip()
        for text in re.findall(r"<d[td]>(.*?)</d[td]>", page[page.index('id="section-how-to-read"') :], re.DOTALL)
    ]
    assert len(notes) > 2 and "Said" not in notes


def test_headings_carry_the_meaning_of_their_columns(page: str) -> None:
    titles = [a.get("title") for tag, a in Elements(page).found if tag == "button"]
    assert titles[:3] == [COLUMNS["arm"].meaning, f"Meaning {EVIL}.", COLUMNS["verdict"].meaning]
    assert f"Meaning {EVIL}." in Elements(page).text


def test_the_baseline_and_the_verdicts_are_marked(page: str) -> None:
    classes = [a.get("class") for tag, a in Elements(page).found if tag in ("tr", "td")]
    assert classes.count("baseline") == 3
    assert classes.count("verdict g1 better") == 2 * (len(NAMES) + 1)


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
const document = { querySelectorAll: () => [table], getElementById: () => null, addEventListener() {} };
const addEventListener = () => {}, location = { hash: "" };
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
