"""The part of a page in which queries are browsed: its data arrive whole, its names stay text, its scripts are allowed."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from browsed import EVIL, IDENTITIES, browsed, browsed_page, planted

from reidflow.pages.page import Opening, write_page
from reidflow.tables.layout import Block


class Parsed(HTMLParser):
    """Elements with their attributes, and the content of each script."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self.policy = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append([dict(attrs).get("type"), ""])
        if dict(attrs).get("http-equiv"):
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1][1] += data


@pytest.fixture
def page(tmp_path):
    return browsed_page(tmp_path).read_text()


def test_the_data_arrive_whole_and_hostile_names_stay_text(page):
    parsed = Parsed(page)
    (data,) = [json.loads(text) for kind, text in parsed.scripts if kind == "application/json"]
    wanted = planted()
    assert data["arms"][1]["arm"] == "new <b>"
    for key in ("queries", "points"):
        assert [arm[key] for arm in data["arms"]] == [arm[key] for arm in wanted["arms"]]
    assert [identity for _, identity in data["images"]] == [identity for _, identity in wanted["images"]]
    assert data["identities"][0] == IDENTITIES[0] and data["identities"][1].startswith("</script><script>")
    assert "\u202e" not in page and "\u2028" not in page
    assert [tag for tag, _ in parsed.found].count("script") == 3 and "img" not in [tag for tag, _ in parsed.found]
    assert not any(key.startswith("on") for _, attributes in parsed.found for key in attributes)


def test_the_policy_allows_the_pages_scripts_and_no_other(page):
    parsed = Parsed(page)
    executed = [text for kind, text in parsed.scripts if kind is None]
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in executed}
    assert len(executed) == 2 and set(re.findall(r"'sha256-([^']+)'", parsed.policy)) == digests
    assert parsed.policy.startswith("default-src 'none'; img-src data:;")
    assert set(re.findall(r"url\(([^;]+);", page)) == {"data:image/jpeg"}


def test_a_page_without_runs_has_nothing_to_browse(tmp_path):
    assert browsed(tmp_path, arms=[]) is None
    write_page(Opening("which", "Which?"), Block("", ["arm"], []), [], "", {}, tmp_path / "page.html", browsed=None)
    assert 'id="browse"' not in (tmp_path / "page.html").read_text()


def test_how_many_of_the_queries_are_shown_is_said(tmp_path):
    for of, words in ((30, "All 30 queries of the test images"), (5000, "30 of 5000 queries, taken in turn")):
        write_page(
            Opening("which", "Which?"),
            Block("", ["arm"], []),
            [],
            "",
            {},
            tmp_path / "page.html",
            browsed=browsed(tmp_path, of=of),
        )
        assert words in (tmp_path / "page.html").read_text()
    assert EVIL not in (tmp_path / "page.html").read_text()
