"""Queries and the map on a page, browsed: filters agree with the data, and each thumbnail is that of its image."""

import io

import numpy as np
import pytest
from browsed import COLOURS, COUNT, UNMATCHED, WRONG, browsed_page, identity, name, planted
from PIL import Image
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from reidflow.tables.text import one_line

FILES = "return [...document.querySelectorAll('#browse .query .sought .thumb')].map(e => e.title)"
BASE, NEW = WRONG
NAMES = [one_line(name(n)) for n in range(COUNT)]


@pytest.fixture
def page(chromium, tmp_path):
    """The page, unfolded on a screen that is too low for the map."""
    chromium.open(browsed_page(tmp_path), 1200, 300)
    assert chromium.run("return document.querySelectorAll('#browse *').length") < 80
    chromium.all("#browse summary")[0].click()
    chromium.wait("#browse .query")
    return chromium


def pick(chromium, kind, text):
    Select(chromium.all(f"[data-filter={kind}]")[0]).select_by_visible_text(text)


def shown(chromium):
    """Return the images of all queries that are shown, after as many clicks on the button for more as there are."""
    while (more := chromium.all("[data-action=more]")[0]).is_displayed():
        more.click()
    return [NAMES.index(found) for found in chromium.run(FILES)]


def colour(chromium, element):
    """Return the mean colour of the middle of an element on the screen."""
    picture = np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB"), dtype=float)
    height, width = picture.shape[:2]
    return picture[height // 4 : -height // 4, width // 4 : -width // 4].mean(axis=(0, 1))


def nearest(seen):
    return int(np.argmin([np.abs(seen - np.array(each)).sum() for each in COLOURS]))


def hover(chromium, image, kind="mouse"):
    chromium.run("document.querySelector('#browse .map').scrollIntoView({ block: 'center' })")
    point = planted()["arms"][0]["points"][image]
    box = chromium.run(
        "const b = document.querySelector('#browse .map svg').getBoundingClientRect(); return [b.x, b.y, b.width]"
    )
    x, y = ((value + 1.06) / 2.12 * box[2] for value in (point[0], -point[1]))
    actions = ActionBuilder(chromium.driver, mouse=PointerInput(kind, kind), duration=0)
    actions.pointer_action.move_to_location(round(box[0] + x), round(box[1] + y))
    actions.perform()
    return actions


def test_all_queries_are_shown_the_lowest_ap_first(page):
    aps = {n: ap for n, ap, _ in planted()["arms"][0]["queries"]}
    found = shown(page)
    assert sorted(found) == list(range(COUNT))
    assert [aps[n] for n in found] == [*sorted(ap for ap in aps.values() if ap is not None), None]
    assert page.faults() == []


@pytest.mark.parametrize("arm", WRONG)
def test_filters_agree_with_the_data(page, arm):
    pick(page, "arm", arm)
    for outcome, wanted in (
        ("right", set(range(COUNT)) - WRONG[arm] - {UNMATCHED}),
        ("wrong", WRONG[arm] - {UNMATCHED}),
        ("no match in the gallery", {UNMATCHED}),
    ):
        pick(page, "outcome", outcome)
        assert set(shown(page)) == wanted
        assert page.all("#browse .count")[0].text == f"{len(wanted)} of {COUNT} queries"
    pick(page, "outcome", "right or wrong")
    pick(page, "identity", "cy")
    assert set(shown(page)) == {n for n in range(COUNT) if identity(n) == 2}
    pick(page, "outcome", "wrong")
    assert set(shown(page)) == {n for n in WRONG[arm] if identity(n) == 2}
    faded = page.run("return document.querySelectorAll('#browse .map .faded').length")
    assert faded == COUNT - 1 - len(set(shown(page)))
    page.all("[data-action=reset]")[0].click()
    assert len(shown(page)) == COUNT and page.faults() == []


def test_each_thumbnail_shows_its_image_and_each_mark_its_verdict(page):
    pick(page, "order", "by identity")
    for item in page.all("#browse .query")[:3]:
        query = NAMES.index(item.find_element("css selector", ".sought .thumb").get_dom_attribute("title"))
        assert nearest(colour(page, item.find_element("css selector", ".sought .thumb"))) == query
        wanted = planted()["arms"][0]["queries"][query][2]
        found = item.find_elements("css selector", ".found li")
        assert [nearest(colour(page, each.find_element("css selector", ".thumb"))) for each in found] == [
            n for n, _ in wanted
        ]
        rights = [identity(n) == identity(query) for n, _ in wanted]
        assert [each.get_dom_attribute("class") for each in found] == [
            "right" if right else "wrong" for right in rights
        ]
        assert ["\u2713" in each.text for each in found] == rights
        assert [
            each.text.endswith(f"{similarity:.2f}") for each, (_, similarity) in zip(found, wanted, strict=True)
        ] == [True] * 10


@pytest.mark.parametrize("width", [1440, 390])
def test_pointing_at_the_map_shows_the_image_and_a_click_its_query(page, width):
    page.resize(width, 900)
    pick(page, "arm", NEW)
    pick(page, "arm", BASE)
    for image in (0, 17, 29):
        actions = hover(page, image)
        tip = page.wait("#browse .tip:not([hidden])")
        assert f"photos/{image:02d}.jpg" in tip.text
        assert nearest(colour(page, tip.find_element("css selector", ".thumb"))) == image
        box = page.run(
            "return [arguments[0].getBoundingClientRect().left, arguments[0].getBoundingClientRect().right]", tip
        )
        assert box[0] >= 0 and box[1] <= width
    actions.pointer_action.click()
    actions.perform()
    assert shown(page) == [29]
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.faults() == []


def test_a_tap_shows_the_image_and_the_next_one_its_query(page):
    page.resize(390, 844)
    for wanted in (COUNT, 1):
        actions = hover(page, 17, "touch")
        actions.pointer_action.click()
        actions.perform()
        assert "photos/17.jpg" in page.wait("#browse .tip:not([hidden])").text
        assert len(shown(page)) == wanted
    assert page.faults() == []


def test_the_map_is_walked_from_the_keyboard(page):
    chart = page.all("#browse .map svg")[0]
    chart.send_keys(Keys.ARROW_RIGHT)
    first = page.wait("#browse .tip:not([hidden]) .file").text
    chart.send_keys(Keys.ARROW_LEFT)
    second = page.wait("#browse .tip:not([hidden]) .file").text
    images = [int(found[7:9]) for found in (first, second)]
    points = planted()["arms"][0]["points"]
    assert points[images[1]][0] < points[images[0]][0] and points[images[1]][1] == points[images[0]][1]
    chart.send_keys(Keys.ENTER)
    assert shown(page) == [images[1]]
    chart.send_keys(Keys.ESCAPE)
    assert len(shown(page)) == COUNT and page.faults() == []


def test_hostile_names_are_text(page):
    assert len(shown(page)) == COUNT
    assert page.run("return window.hit") is None
    assert page.run("return document.querySelectorAll('#browse img, #browse b b').length") == 0
    assert page.faults() == []
