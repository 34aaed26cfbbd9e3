"""The page of an experiment as a reader meets it: sorted by hand, on a telephone, without a network."""

import pytest
from selenium.webdriver.common.keys import Keys

from reidflow.pages import browse
from reidflow.pages.page import SCRIPT, Opening, write_page
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
        write_page(
            Opening("planted", "Planted"), Block("", ["arm", "value"], rows), [], "", {}, tmp_path / "planted.html"
        )
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
    chromium.run("document.querySelector('thead button').focus()")
    chromium.driver.switch_to.active_element.send_keys(Keys.TAB)
    chromium.driver.switch_to.active_element.send_keys(key)
    assert chromium.run(CELLS, table, 1) == ["3", "2", "1"]
    assert chromium.run(MARKED, table) == [[1, "descending"]]


UNFOLD = "document.getElementById('unfold').click()"


def test_all_figures_show(chromium, page):
    chromium.open(page)
    chromium.run(UNFOLD)
    sizes = chromium.run("return [...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.alt])")
    assert len(sizes) == 6
    for complete, natural, shown, words in sizes:
        assert complete and natural > 300 and shown > 400 and words
    assert chromium.faults() == []


def test_permalinks_unfold_what_they_lead_to(chromium, page):
    chromium.open(page)
    anchors = chromium.run("return [...new Set([...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash))]")
    anchors += chromium.run(
        "return [...document.querySelectorAll('section[id^=table-], main details details')].map(e => '#' + e.id)"
    )
    assert len(anchors) > 12 and {
        "#section-limits",
        "#section-motivation-and-design",
        "#table-all-columns-scores",
    } <= set(anchors)
    for anchor in anchors:
        chromium.open(page.with_name(f"{page.name}"))
        chromium.run("location.hash = arguments[0]", anchor)
        target = chromium.wait(anchor)
        seen = "return [arguments[0].checkVisibility(), arguments[0].getBoundingClientRect().top]"
        visible, top = chromium.run(seen, target)
        assert visible and -5 <= top < 900, anchor
        closed = "return [...document.querySelectorAll('.part[open]')].every(part => part.contains(arguments[0]))"
        assert chromium.run(closed, target), anchor
    chromium.driver.get(f"{page.as_uri()}#table-all-columns-scores")
    assert chromium.run("return document.querySelector('#table-all-columns-scores td').checkVisibility()")
    assert chromium.faults() == []


def test_a_link_that_was_followed_unfolds_again(chromium, page):
    chromium.open(page)
    link, part = (chromium.all(selector)[0] for selector in (".contents a", ".part"))
    for _ in range(2):
        chromium.run("arguments[0].click()", link)
        chromium.wait(".part[open]")
        chromium.run("arguments[0].open = false", part)


def test_the_only_scripts_are_the_projects(chromium, page):
    chromium.open(page)
    scripts = "return [...document.scripts].filter(script => !script.type).map(script => script.textContent)"
    assert chromium.run(scripts) == [SCRIPT.read_text(), browse.SCRIPT.read_text()]
    assert chromium.run("return document.querySelectorAll('iframe, object, embed, form, link, base').length") == 0


@pytest.mark.parametrize("width", [360, 390, 800, 1440])
def test_tables_and_figures_scroll_but_never_the_page(chromium, page, width):
    chromium.open(page, width)
    chromium.run(UNFOLD)
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert chromium.run("return Math.min(...[...document.images].map(i => i.clientWidth))") >= 500
    assert chromium.run("return parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 12


LONG = "An arm with some more words than one would like, which says what was expected and why it matters here. "
ARMS = [f"database_augmentation_{place}" for place in range(20)]


@pytest.fixture
def crowded(tmp_path):
    """A page with twenty arms, a tall figure, and texts as long as those of the demo."""
    cells = [[arm, "0.514 ± 0.015", "-0.147", "[-0.221, -0.072]", "inconclusive", "yes"] for arm in ARMS]
    formats = ["text", "spread", "signed", "interval", "verdict", "yes_no"]
    heads = ["arm", "balanced mAP", "difference", "interval", "verdict", "ties"]
    table = Block("Result", heads, cells, [f"Meaning of {head}." for head in heads], formats)
    opening = Opening(
        "crowded", LONG[:90], "demo", LONG * 2, LONG * 4, "no", f"{LONG * 8}\n\n{LONG * 9}", "stale", [LONG] * 9, ARMS
    )
    (tmp_path / "arms.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 648 1200' width='648pt'/>")
    parts = "".join(f"## Part {place}\n\n- {LONG}\n\n" for place in range(15))
    out = tmp_path / "crowded.html"
    write_page(
        opening,
        table,
        [table],
        parts,
        {"arms": tmp_path / "arms.svg"},
        out,
        baseline=ARMS[14],
        siblings=["one", "crowded", "two"],
    )
    return out


BOXES = """
return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect())
  .map(box => [box.left, box.top, box.right, box.bottom])
"""


@pytest.mark.parametrize("which", ["page", "crowded"])
@pytest.mark.parametrize(("width", "height", "rows"), [(1440, 900, 11), (390, 844, 3)])
def test_the_first_screen_answers(chromium, request, which, width, height, rows):
    chromium.open(request.getfixturevalue(which), width, height)
    selectors = ["h1", ".answer, .hypothesis, .text-block"]
    selectors += ["#figure-arms"] if width == 1440 else []
    verdicts = chromium.run(BOXES, ".result tbody .verdict")[:rows]
    assert len(verdicts) == (min(rows, 11) if which == "crowded" else min(rows, len(verdicts)))
    for left, top, right, bottom in [*verdicts, *(box for part in selectors for box in chromium.run(BOXES, part))]:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert chromium.faults() == []


@pytest.mark.parametrize("quantities", [2, 3])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_every_quantity_shows_its_verdict_without_scrolling_sideways(chromium, tmp_path, quantities, width, height):
    kinds = ["number", "signed", "interval", "verdict"]
    cells = ["0.368", "-0.147", "[-0.221, -0.072]", "inconclusive"]
    heads = ["mAP with queries on random", "difference", "interval", "verdict"]
    rows = [[arm, *cells * quantities, "yes"] for arm in ARMS]
    table = Block("", ["arm", *heads * quantities, "ties"], rows, [], ["text", *kinds * quantities, "yes_no"])
    write_page(Opening("q", "Which?", answer=LONG * 3), table, [], "", {}, tmp_path / "page.html", baseline=ARMS[14])
    chromium.open(tmp_path / "page.html", width, height)
    verdicts = chromium.run(BOXES, ".result tbody .verdict")
    assert len(verdicts) == 8 * quantities
    assert all(0 <= left < right <= width for left, _, right, _ in verdicts)
    assert all(bottom <= height for *_, bottom in verdicts[: quantities * (8 if width == 1440 else 4)])
    tops = chromium.run(
        "return [...document.querySelectorAll('.result tbody tr')[0].cells].map(c => [...c.classList].pop())"
    )
    assert tops[1:-1] == [
        f"g{group + 1}" if kind != "inconclusive" else kind for group in range(quantities) for kind in cells
    ]
    for place in range(quantities):
        boxes = [chromium.run(BOXES, f"tbody tr:first-child .g{place + 1}.{kind}")[0] for kind in ("value", *kinds[2:])]
        assert boxes[0][3] <= boxes[1][1] + 1
    chromium.all(".result thead button")[1].click()
    assert chromium.run("return document.querySelector('.result th[aria-sort]').ariaSort") == "descending"
    assert chromium.faults() == []


def test_folded_a_page_has_at_most_three_screens(chromium, crowded):
    chromium.open(crowded, 1440, 900)
    assert chromium.run("return document.documentElement.scrollHeight") <= 3 * 900


def test_further_arms_unfold_and_the_baseline_is_always_there(chromium, crowded):
    chromium.open(crowded)
    visible = "return [...document.querySelectorAll('.result tbody tr')].filter(r => r.checkVisibility()).map(r => r.cells[0].textContent)"
    assert chromium.run(visible) == [*ARMS[:10], ARMS[14]]
    chromium.run("document.querySelector('label[for=all-rows]').click()")
    assert chromium.run(visible) == ARMS


def test_the_whole_interpretation_is_one_click_away(chromium, crowded):
    chromium.open(crowded, 390, 844)
    before = chromium.run(BOXES, "#interpretation")[0]
    chromium.run("document.querySelector('#interpretation summary').click()")
    after = chromium.run(BOXES, "#interpretation")[0]
    assert before[3] - before[1] < 160 < after[3] - after[1]
    assert chromium.run("return document.querySelectorAll('#interpretation p').length") >= 2


def test_meanings_of_columns_show_from_keyboard_and_touch(chromium, crowded):
    chromium.open(crowded, 390, 844)
    for place in (0, 4):
        chromium.run("document.querySelectorAll('.result thead button')[arguments[0]].focus()", place)
        bubble = chromium.wait("#meaning:not([hidden])")
        assert bubble.text == ["Meaning of arm.", "", "", "", "Meaning of verdict."][place]
        left, top, right, bottom = chromium.run(BOXES, "#meaning")[0]
        assert left >= 0 and right <= 390 and top >= 0 and bottom <= 844
    chromium.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert chromium.run("return document.getElementById('meaning').hidden")


def test_a_printed_page_is_unfolded(chromium, crowded):
    chromium.open(crowded)
    states = "return [...document.querySelectorAll('.part')].map(part => part.open)"
    chromium.run("dispatchEvent(new Event('beforeprint'))")
    assert set(chromium.run(states)) == {True}
    chromium.run("dispatchEvent(new Event('afterprint'))")
    assert set(chromium.run(states)) == {False}


def test_arms_keep_their_names_in_one_piece(chromium, tmp_path):
    name = "database_augmentation_narrow"
    parts = [Block("", ["arm", *(f"column_{place}" for place in range(12))], [[name, *["0.123 ± 0.456"] * 12]])]
    write_page(Opening("names", "Names"), parts[0], parts, "", {}, tmp_path / "names.html")
    chromium.open(tmp_path / "names.html")
    chromium.run("document.querySelector('.part').open = true")
    lines = "const r = document.createRange(); r.selectNodeContents(document.querySelector('.part tbody th'));"
    assert chromium.run(f"{lines} return r.getClientRects().length") == 1


def test_every_page_opens_without_a_complaint(chromium, tiny):
    pages = sorted((tiny.results / "pages").glob("*.html"))
    assert [path.stem for path in pages] == ["leaderboard", "review", "tiny_backbones", "tiny_losses"]
    for page in pages[2:]:
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
