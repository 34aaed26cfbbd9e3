"""The index of the results and the leaderboard, on a desk and on a telephone."""

import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from reidflow.pages.index import Entry, write_index

LINKS = "return [...document.querySelectorAll('a[href]')].map(link => link.href)"


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["index.html", "pages/leaderboard.html"])
def test_a_page_fits_complains_of_nothing_and_leads_to_what_is_there(chromium, tiny, name, width):
    chromium.open(tiny.results / name, width)
    assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
    assert chromium.faults() == []
    targets = [Path(unquote(urlsplit(link).path)) for link in chromium.run(LINKS)]
    assert len(targets) > 2 and all(path.is_file() for path in targets), targets


def test_the_leaderboard_sorts_by_any_column(chromium, tiny):
    chromium.open(tiny.results / "pages" / "leaderboard.html")
    table, button = chromium.all("table.sortable")[0], chromium.all("thead button")[0]
    names = "return [...arguments[0].tBodies[0].rows].map(row => row.cells[0].textContent)"
    before = chromium.run(names, table)
    button.click()
    assert chromium.run(names, table) == sorted(before) != before


@pytest.mark.parametrize(("minutes", "shown"), [(1, False), (5, True)])
def test_an_index_that_is_no_longer_written_says_so(chromium, tmp_path, monkeypatch, minutes, shown):
    now = time.time()
    monkeypatch.setattr("reidflow.pages.index.time.time", lambda: now - 60 * minutes)
    write_index(tmp_path, "demo", "", [Entry("losses", "Which loss?", "running")], "3 of 9 jobs are done.")
    chromium.open(tmp_path / "index.html", 390)
    assert chromium.all("#silent")[0].is_displayed() == shown
    assert chromium.faults() == []
