"""What one process has read off the code is taken by the next, and never believed of a file that has changed."""

import json

import pytest

from reidflow.spec import code, syntax
from reidflow.store import parsed

ROOT = "mine.loss"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A user's component in an empty project, and caches as a new process has them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "loss.py").write_text("import json\nfrom . import parts\n")
    (tmp_path / "mine" / "parts.py").write_text("A = 1\n")
    fresh(monkeypatch)
    yield tmp_path / "mine" / "parts.py"
    monkeypatch.undo()
    fresh(monkeypatch)
    monkeypatch.undo()
    code.forget()


def fresh(monkeypatch):
    monkeypatch.setattr(code, "_parsed", {})
    monkeypatch.setattr(code, "_recalled", {})
    code.find_module.cache_clear()
    code.forget()


def never(source, path):
    raise AssertionError(f"{path} was read again")


def test_what_is_recalled_is_not_read_again_and_gives_the_same_digest(file, monkeypatch):
    told = code.digest(ROOT)
    parsed.keep()
    fresh(monkeypatch)
    monkeypatch.setattr(syntax, "read", never)
    parsed.recall()
    assert code.digest(ROOT) == told and code.news() is None


def test_a_file_that_changed_is_read_again(file, monkeypatch):
    told = code.digest(ROOT)
    parsed.keep()
    fresh(monkeypatch)
    file.write_text("A = 2\n")
    parsed.recall()
    changed = code.digest(ROOT)
    assert changed != told
    fresh(monkeypatch)
    assert code.digest(ROOT) == changed


@pytest.mark.parametrize("broken", ["", "{", None])
def test_notes_that_are_cut_short_or_of_another_reader_are_not_believed(file, monkeypatch, broken):
    told = code.digest(ROOT)
    parsed.keep()
    notes = json.loads(parsed.FILE.read_text())
    notes["reader"] += " "
    notes["files"] = {content: ["0" * 64, []] for content in notes["files"]}
    parsed.FILE.write_text(json.dumps(notes) if broken is None else broken)
    fresh(monkeypatch)
    parsed.recall()
    assert code.digest(ROOT) == told


def test_where_nothing_can_be_noted_planning_goes_on(file, monkeypatch):
    code.digest(ROOT)
    monkeypatch.setattr(parsed, "write_text", lambda path, text: (_ for _ in ()).throw(OSError("read-only")))
    parsed.keep()
    assert not parsed.FILE.exists()
