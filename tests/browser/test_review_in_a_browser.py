"""Pairs answered by keyboard and mouse: what is saved is what was answered, and a later visit goes on from there."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from reviewed import COLOURS, LABELS, NAMES, PAIRS, review_page
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from reidflow.ingest.review import COLUMNS, read


@pytest.fixture
def page(chromium, tmp_path):
    found = chromium.open(review_page(tmp_path, tmp_path.as_posix()))
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    chromium.driver.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    found.folder, found.downloads = tmp_path, downloads
    return found


def press(page, *keys):
    for key in keys:
        ActionChains(page.driver).send_keys(key).perform()


def count(page):
    return page.all("#review .count")[0].text


def on_screen(page):
    """Return which two images are on the screen, by their colours."""
    found = []
    for photo in page.all("#review .photo"):
        picture = np.asarray(Image.open(io.BytesIO(photo.screenshot_as_png)).convert("RGB"), dtype=float)
        middle = picture[10:-10, 10:-10].mean(axis=(0, 1))
        found.append(int(np.argmin([np.abs(middle - np.array(colour)).sum() for colour in COLOURS])))
    return tuple(found)


def saved(page):
    page.all("[data-action=save]")[0].click()
    file = page.downloads / page.all("[data-action=save]")[0].text.removeprefix("Save ")
    WebDriverWait(page.driver, 20).until(lambda driver: file.exists() and file.stat().st_size)
    text = file.read_bytes().decode("utf-8-sig")
    return file, list(csv.reader(io.StringIO(text)))


def row(number, answer):
    image, other, _ = PAIRS[number]
    return [NAMES[image], NAMES[other], answer, LABELS[image], LABELS[other]]


def test_answers_by_keyboard_are_saved_and_read_back(page):
    assert count(page).startswith("Pair 1 of 3. 0 answered")
    seen = []
    for key in "231":
        seen.append(on_screen(page))
        press(page, key)
    # The first image was called different: it is compared with the identity that it resembles.
    assert count(page).startswith("Pair 4 of 4. 3 answered, 1 different")
    seen.append(on_screen(page))
    press(page, "2")
    assert count(page).startswith("Pair 5 of 5.")
    press(page, "1")
    assert seen == [pair[:2] for pair in PAIRS[:4]] and "All are answered" in count(page)
    file, (header, *rows) = saved(page)
    assert tuple(header) == COLUMNS
    assert rows == [row(n, a) for n, a in enumerate(["different", "unsure", "same", "different", "same"])]
    answers = [(one.image, one.other, one.answer) for one in read([str(file)])]
    assert answers == [tuple(row[:3]) for row in rows if row[2] != "unsure"]
    assert page.run("return window.hit") is None and page.faults() == []


def test_a_later_visit_goes_on_and_an_answer_can_be_changed(page):
    press(page, "2", "1")
    page.driver.refresh()
    assert count(page).startswith("Pair 3 of 4. 2 answered, 1 different")
    press(page, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    pressed = page.all("#review [aria-pressed=true]")
    assert [button.get_dom_attribute("data-answer") for button in pressed] == ["different"]
    page.all("[data-answer=same]")[0].click()
    assert count(page).startswith("Pair 2 of 3. 2 answered, 0 different")
    _, (_, *rows) = saved(page)
    assert rows == [row(0, "same"), row(1, "same")]
    page.all("[data-action=clear]")[0].click()
    page.driver.switch_to.alert.accept()
    assert count(page).startswith("Pair 1 of 3. 0 answered") and not page.all("[data-action=save]")[0].is_enabled()
    assert page.faults() == []


def test_every_photograph_and_button_has_a_name_and_a_phone_shows_all(page):
    page.resize(390, 844)
    names = [photo.accessible_name for photo in page.all("#review .photo")]
    assert names == ["In question: labelled a, a/1.png", "Compared with: labelled a, a/2.png"]
    assert all(button.accessible_name.strip() for button in page.all("#review button"))
    assert page.run("return document.documentElement.scrollWidth") <= 390
    assert page.faults() == []
