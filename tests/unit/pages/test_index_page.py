import base64
import hashlib
import json
import re

import pytest

from reidflow.pages.index import Entry, first_sentence, write_index, write_leaderboard
from reidflow.tables.layout import Block

EVIL = "<script>alert(1)</script>"
ANSWER = {
    "answer": "**arc\\_face** is better than softmax by 0.05 [0.01, 0.09]. The others are not.",
    "held": "partly",
    "best": {"arm": EVIL, "id_map": 0.71236, "ties": ["a", "b"]},
    "interpretation": "stale",
}


@pytest.fixture
def results(tmp_path):
    """Results in which `one` is finished, and `two` has an answer of former times alone."""
    for path in ("pages/one.html", "tables/one.findings.md", "tables/one.csv", "pages/leaderboard.html"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    for name in ("one", "two"):
        (tmp_path / "experiments" / name).mkdir(parents=True)
        (tmp_path / "experiments" / name / "answer.json").write_text(json.dumps(ANSWER))
    return tmp_path


def index(results, *states, doing=""):
    entries = [
        Entry(name, f"Which {name}? {EVIL}", state)
        for name, state in zip(("one", "two", "three"), states, strict=False)
    ]
    write_index(results, "demo", "demo scale", entries, doing)
    return (results / "index.html").read_text()


def articles(page):
    return dict(re.findall(r'<article id="(\w+)">(.*?)</article>', page, re.DOTALL))


def test_an_experiment_has_its_question_answer_best_arm_and_state(results):
    found = articles(index(results, "done", "running", "waiting"))
    one = found["one"]
    assert "Which one?" in one and "<strong>arc_face</strong> is better than softmax" in one
    assert "The hypothesis held in part." in one and "balanced mAP 0.712; 2 other arms tie with it" in one
    assert 'class="state stale">stale interpretation<' in one
    assert 'class="state running">running<' in found["two"]
    assert 'class="state waiting">waiting<' in found["three"] and "Best arm" not in found["three"]


def test_links_lead_to_what_is_there_and_to_nothing_else(results):
    found = articles(index(results, "done", "done"))
    assert set(re.findall(r'href="(.*?)"', found["one"])) == {
        "pages/one.html",
        "tables/one.findings.md",
        "tables/one.csv",
    }
    assert "href" not in found["two"]
    (results / "pages/leaderboard.html").unlink()
    assert "leaderboard" not in index(results, "done")


def test_names_are_text(results):
    assert EVIL not in index(results, "done", "failed")


def test_it_reloads_itself_only_while_something_is_going_on(results):
    running = index(results, "running", doing="3 of 9 jobs are done.")
    assert 'http-equiv="refresh"' in running and "3 of 9 jobs are done." in running and "data-written" in running
    final = index(results, "done", "failed", "not finished")
    assert "refresh" not in final and "data-written" not in final
    assert "3 experiments: 1 stale interpretation, 1 failed, 1 not finished." in final


def test_a_finished_index_is_the_same_whenever_it_is_written(results, monkeypatch):
    before = index(results, "done")
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert index(results, "done") == before


def board(results):
    block = Block("Group A", ["arm", "experiment"], [["x", "one"], [EVIL, "two"]], ["An arm.", ""])
    write_leaderboard("Leaderboard", "demo", "Ranks.", [(block, ["Comparable."])], ["one"], results / "pages/lead.html")
    return (results / "pages/lead.html").read_text()


def test_the_leaderboard_sorts_and_leads_to_pages(results):
    page = board(results)
    assert '<table class="sortable">' in page and '<a href="one.html">one</a>' in page and "two.html" not in page
    assert 'href="../index.html"' in page and "Comparable." in page and EVIL not in page


@pytest.mark.parametrize("write", [board, lambda results: index(results, "running", doing="now.")])
def test_only_the_script_of_the_page_may_run(results, write):
    page = write(results)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (ANSWER["answer"], "arc_face is better than softmax by 0.05 [0.01, 0.09]."),
        ("One sentence", "One sentence"),
        ("A vs. b, and `c`. Then D.", "A vs. b, and c."),
    ],
)
def test_the_first_sentence_of_an_answer_is_plain_text(answer, sentence):
    assert first_sentence(answer) == sentence
