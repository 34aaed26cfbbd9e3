"""The ledger detects damaged results, and nothing else."""

import os
import time
from pathlib import Path

from reidflow.store import published
from reidflow.store.atomic import write_text


def test_truncated_and_edited_files_are_damaged_but_not_touched_or_deleted_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    files = [results / f"{name}.txt" for name in "abcd"]
    for path in files:
        write_text(path, "content")
    published.record(results, files)
    assert published.damaged(results) == []
    cut, edited, touched, deleted = files
    cut.write_text("con")
    edited.write_text("CONTENT")
    os.utime(touched, (time.time() + 5, time.time() + 5))
    deleted.unlink()
    assert published.damaged(results) == [cut, edited]
    write_text(cut, "content")
    write_text(edited, "content")
    assert published.damaged(results) == []


def test_a_file_that_another_job_wrote_again_is_not_damaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    one, both = results / "one", results / "both"
    results.mkdir()
    for path in (one, both):
        path.write_text("first")
    published.record(results, [one, both])
    both.write_text("second")
    published.record(results, [both])
    assert published.damaged(results) == []
    one.write_text("by hand")
    both.write_text("by hand")
    assert set(published.damaged(results)) == {one, both}


def test_a_file_that_was_found_unchanged_is_not_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    write_text(results / "table.md", "numbers")
    published.record(results, [results / "table.md"])
    assert published.damaged(results) == []

    def read(path):
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(published, "_checksum", read)
    assert published.damaged(results) == []
