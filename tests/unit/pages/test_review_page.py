"""The page of pairs to review needs nothing but itself, keeps names as text, and stays small."""

import json
import re

import numpy as np
import polars as pl
from reviewed import LABELS, NAMES, PAIRS, review_page
from test_browse import Parsed

from reidflow.curation.review import REVIEW
from reidflow.ingest.review import COLUMNS
from reidflow.pages.review import BYTES, write_review


def test_the_pairs_arrive_whole_and_hostile_names_stay_text(tmp_path):
    page = review_page(tmp_path).read_text()
    parsed = Parsed(page)
    (data,) = [json.loads(text) for kind, text in parsed.scripts if kind == "application/json"]
    assert sorted(map(tuple, data["images"])) == sorted(zip(NAMES, LABELS, strict=True))
    names = [name for name, _ in data["images"]]
    assert [(NAMES.index(names[i]), NAMES.index(names[j]), after) for i, j, after in data["pairs"]] == PAIRS
    assert tuple(data["columns"]) == COLUMNS and "\u202e" not in page
    assert len(parsed.scripts) == 2 and parsed.policy.startswith("default-src 'none'; img-src data:;")
    assert set(re.findall(r"url\(\"?([^;]+);", page)) == {"data:image/jpeg"} and "window.hit" not in re.sub(
        r"\\u003c.*", "", page
    )


def test_each_round_is_saved_to_a_file_of_its_own(tmp_path):
    def saved(digest="d1"):
        page = review_page(tmp_path, digest).read_text()
        (name,) = set(re.findall(r"review-[0-9a-f]{8}\.csv", page))
        assert f">Save {name}</button>" in page and f"{{review: {name}}}" in page
        return name

    assert saved() == saved() != saved("d2")


def test_as_many_images_as_there_may_be_fit_on_a_page(tmp_path):
    random = np.random.default_rng(0)
    smooth = np.kron(random.integers(0, 256, (600, 28, 28, 3), dtype=np.uint8), np.ones((1, 8, 8, 1), np.uint8))
    names = [f"{n}.png" for n in range(600)]
    rows = [(n, None, names[n], names[n + 300], "a", "a", 0.5) for n in range(300)]
    write_review(
        pl.DataFrame(rows, schema=REVIEW.columns, orient="row"),
        smooth,
        names,
        tmp_path / "p.html",
        subtitle="",
        digest="",
    )
    assert (tmp_path / "p.html").stat().st_size < 1.5 * BYTES


def test_without_pairs_the_page_says_so_and_runs_nothing(tmp_path):
    out = tmp_path / "review.html"
    write_review(REVIEW.empty(), np.zeros((1, 48, 48, 3), np.uint8), ["a"], out, subtitle="", digest="")
    page = out.read_text()
    assert "There is no pair to review" in page and "<script>" not in page
