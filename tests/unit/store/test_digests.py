"""Code that one process has parsed is loaded by the next, but parsed again where the file has changed."""

import json

import pytest

from reidflow.spec import code, syntax
from reidflow.store import digests

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
    first = code.digest(ROOT)
    digests.save_parsed_code()
    fresh(monkeypatch)
    monkeypatch.setattr(syntax, "read", never)
    digests.load_parsed_code()
    assert code.digest(ROOT) == first and code.news() is None


def test_a_file_that_changed_is_read_again(file, monkeypatch):
    first = code.digest(ROOT)
    digests.save_parsed_code()
    fresh(monkeypatch)
    file.write_text("A = 2\n")
    digests.load_parsed_code()
    changed = code.digest(ROOT)
    assert changed != first
    fresh(monkeypatch)
    assert code.digest(ROOT) == changed


@pytest.mark.parametrize("broken", ["", "{", None])
def test_notes_that_are_cut_short_or_of_another_reader_are_not_believed(file, monkeypatch, broken):
    first = code.digest(ROOT)
    digests.save_parsed_code()
    notes = json.loads(digests.PARSED.read_text())
    notes["reader"] += " "
    notes["files"] = {content: ["0" * 64, []] for content in notes["files"]}
    digests.PARSED.write_text(json.dumps(notes) if broken is None else broken)
    fresh(monkeypatch)
    digests.load_parsed_code()
    assert code.digest(ROOT) == first


def test_where_nothing_can_be_noted_planning_goes_on(file, monkeypatch):
    code.digest(ROOT)
    monkeypatch.setattr(digests, "write_text", lambda path, text: (_ for _ in ()).throw(OSError("read-only")))
    digests.save_parsed_code()
    assert not digests.PARSED.exists()
