"""The page of an experiment as a reader meets it: sorted by hand, on a telephone, without a network."""

import pytest
from selenium.webdriver.common.keys import Keys

from reidflow.pages import browse
from reidflow.pages.page import SCRIPT, write_page
from reidflow.tables.layout import Block

CELLS = "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)"
MARKED = "return [...arguments[0].querySelectorAll('[aria-sort]')].map(e => [e.cellIndex, e.getAttribute('aria-sort')])"


@pytest.fixture(scope="module")
def page(tiny):
    return tiny.results / "pages" / "tiny_losses.html"


@pytest.fixture
def planted(tmp_path):
    """Return a function that writes a page with one column of values."""

    def write(*values):
        rows = [[f"arm {place}", value] for place, value in enumerate(values)]
        write_page("Planted", "", [], [Block("", ["arm", "value"], rows)], "", {}, tmp_path / "planted.html")
        return tmp_path / "planted.html"

    return write


@pytest.mark.parametrize(
    ("given", "falling"),
    [
        (["9", "10", "-2", "1,000"], ["1,000", "10", "9", "-2"]),
        (["–", "0.2", "", "0.10"], ["0.2", "0.10", "–", ""]),
        (["−0.3", "+0.2", "0.000", "–"], ["+0.2", "0.000", "−0.3", "–"]),
        (["<0.001", "1.000", "0.020"], ["1.000", "0.020", "<0.001"]),
        (["[-0.1, +0.5]", "[+0.2, +0.3]", "–"], ["[+0.2, +0.3]", "[-0.1, +0.5]", "–"]),
        (["3e-4", "0.03", "0.003"], ["0.03", "0.003", "3e-4"]),
    ],
)
def test_numbers_sort_as_numbers_and_what_is_missing_comes_last(chromium, planted, given, falling):
    chromium.open(planted(*given))
    table, button = chromium.all("table")[0], chromium.all("thead button")[1]
    button.click()
    assert chromium.run(CELLS, table, 1) == falling
    button.click()
    there = [value for value in falling if value not in ("", "–")]
    assert chromium.run(CELLS, table, 1) == [*reversed(there), *(v for v in given if v in ("", "–"))]
    button.click()
    assert chromium.run(CELLS, table, 1) == given
    assert chromium.faults() == []


def test_words_sort_as_words(chromium, planted):
    chromium.open(planted("b", "a", "–", "arm 10", "arm 9"))
    table, button = chromium.all("table")[0], chromium.all("thead button")[1]
    button.click()
    assert chromium.run(CELLS, table, 1) == ["a", "arm 9", "arm 10", "b", "–"]
    button.click()
    assert chromium.run(CELLS, table, 1) == ["b", "arm 10", "arm 9", "a", "–"]


def test_every_column_of_every_table_sorts_and_says_so(chromium, page):
    chromium.open(page)
    tables = chromium.all("table.sortable")
    assert len(tables) >= 3
    for table in tables:
        rows = chromium.run("return [...arguments[0].tBodies[0].rows].map(row => row.textContent)", table)
        buttons = chromium.run("return [...arguments[0].tHead.querySelectorAll('button')]", table)
        for column, button in enumerate(buttons):
            chromium.run("arguments[0].click()", button)
            assert [place for place, _ in chromium.run(MARKED, table)] == [column]
        chromium.run("arguments[0].click(); arguments[0].click()", buttons[-1])
        for column, button in enumerate(buttons):
            orders = []
            for _ in range(3):
                chromium.run("arguments[0].click()", button)
                orders.append(chromium.run(MARKED, table))
            assert sorted(order[0][1] for order in orders[:2]) == ["ascending", "descending"]
            assert [order[0][0] for order in orders[:2]] == [column, column]
            assert orders[2] == []
            assert chromium.run("return [...arguments[0].tBodies[0].rows].map(row => row.textContent)", table) == rows
    assert chromium.faults() == []


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_tables_sort_from_the_keyboard(chromium, planted, key):
    chromium.open(planted("1", "3", "2"))
    table = chromium.all("table")[0]
    chromium.driver.switch_to.active_element.send_keys(Keys.TAB)
    chromium.driver.switch_to.active_element.send_keys(Keys.TAB)
    chromium.driver.switch_to.active_element.send_keys(key)
    assert chromium.run(CELLS, table, 1) == ["3", "2", "1"]
    assert chromium.run(MARKED, table) == [[1, "descending"]]


def test_all_figures_show(chromium, page):
    chromium.open(page)
    sizes = chromium.run("return [...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.alt])")
    assert len(sizes) == 5
    for complete, natural, shown, words in sizes:
        assert complete and natural > 300 and shown > 600 and words
    assert chromium.faults() == []


def test_links_lead_to_figures_of_the_page(chromium, page):
    chromium.open(page)
    links = chromium.all("a[href]")
    assert links
    assert {link.get_dom_attribute("href")[:8] for link in links} == {"#figure-"}
    for link in links:
        chromium.run("scrollTo(0, document.body.scrollHeight)")
        chromium.run("arguments[0].click()", link)
        target = chromium.all(link.get_dom_attribute("href"))[0]
        assert -5 <= chromium.run("return arguments[0].getBoundingClientRect().top", target) < 900


def test_the_only_scripts_are_the_projects(chromium, page):
    chromium.open(page)
    scripts = "return [...document.scripts].filter(script => !script.type).map(script => script.textContent)"
    assert chromium.run(scripts) == [SCRIPT.read_text(), browse.SCRIPT.read_text()]
    assert chromium.run("return document.querySelectorAll('iframe, object, embed, form, link, base').length") == 0


@pytest.mark.parametrize("width", [360, 800])
def test_a_narrow_screen_scrolls_tables_and_figures_but_not_the_page(chromium, page, width):
    chromium.open(page, width)
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert chromium.run("return Math.min(...[...document.images].map(i => i.clientWidth))") >= 600
    assert chromium.run("return parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 12


def test_arms_keep_their_names_in_one_piece(chromium, tmp_path):
    name = "database_augmentation_narrow"
    parts = [Block("", ["arm", *(f"column_{place}" for place in range(12))], [[name, *["0.123 ± 0.456"] * 12]])]
    write_page("Names", "", [], parts, "", {}, tmp_path / "names.html")
    chromium.open(tmp_path / "names.html")
    lines = "const r = document.createRange(); r.selectNodeContents(document.querySelector('tbody th'));"
    assert chromium.run(f"{lines} return r.getClientRects().length") == 1


def test_every_page_opens_without_a_complaint(chromium, tiny):
    pages = sorted((tiny.results / "pages").glob("*.html"))
    assert len(pages) == 2
    for page in pages:
        chromium.open(page)
        assert chromium.run("return document.images.length") >= 4
        assert chromium.faults() == []


@pytest.mark.parametrize(
    "content",
    [
        "<script>missing()</script>",
        "<script>console.error('fault')</script>",
        "<img src='https://example.org/picture.png'>",
        "<img src='absent.png'>",
        "<script>fetch('https://example.org/data')</script>",
        "<link rel='stylesheet' href='//example.org/style.css'>",
    ],
)
def test_faults_of_a_page_are_seen(chromium, tmp_path, content):
    (tmp_path / "faulty.html").write_text(f"<!doctype html><link rel='icon' href='data:,'>{content}<p>end")
    chromium.open(tmp_path / "faulty.html")
    chromium.run("return new Promise(done => setTimeout(done, 200))")
    assert chromium.faults()
