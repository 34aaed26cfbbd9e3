"""The code digest sees what changes a result and nothing else."""

import os
import subprocess
import sys
import textwrap

import pytest

from reidflow.spec import code, components
from reidflow.spec.errors import ReidflowError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small package called `reidflow` with the shapes of import that the real one has."""
    package = tmp_path / "src" / "reidflow"
    files = {
        "reidflow/__init__.py": "",
        "reidflow/loop.py": "from reidflow.metric import score\n\ndef train():\n    from reidflow import late\n    return score\n",
        "reidflow/metric.py": "from . import helper\n\ndef score(x):\n    '''Doc.'''\n    return x + 1  # note\n",
        "reidflow/helper.py": "VALUE = 1\n",
        "reidflow/late.py": "VALUE = 2\n",
        "reidflow/store/__init__.py": "",
        "reidflow/store/files.py": "VALUE = 3\n",
        "reidflow/losses/__init__.py": "",
        "reidflow/losses/arcface.py": "from ._common import SHARED\n",
        "reidflow/losses/triplet.py": "X = 1\n",
        "reidflow/losses/_common.py": "SHARED = 1\n",
    }
    for name, text in files.items():
        path = package.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(components, "SOURCE_ROOT", package.parent)
    monkeypatch.setattr(code, "SOURCE_ROOT", package.parent)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "users"), *sys.path])
    forget()
    yield package
    monkeypatch.undo()
    forget()


def forget():
    code.forget()
    components.find_module.cache_clear()


def change(path, text):
    path.write_text(text)
    code.forget()


ROOTS = ("reidflow.loop", "reidflow.losses.arcface")


def test_follows_absolute_relative_and_late_imports_and_parents(project):
    assert set(code.closure(*ROOTS)) == {
        "reidflow/__init__.py",
        "reidflow/loop.py",
        "reidflow/metric.py",
        "reidflow/helper.py",
        "reidflow/late.py",
        "reidflow/losses/__init__.py",
        "reidflow/losses/arcface.py",
        "reidflow/losses/_common.py",
    }


@pytest.mark.parametrize("name", ["loop.py", "metric.py", "helper.py", "late.py", "losses/_common.py", "__init__.py"])
def test_a_change_of_meaning_anywhere_in_the_closure_changes_the_digest(project, name):
    before = code.digest(*ROOTS)
    path = project / name
    change(path, path.read_text() + "\nMORE = 1\n")
    assert code.digest(*ROOTS) != before


def test_comments_docstrings_and_layout_do_not_count(project):
    before = code.digest(*ROOTS)
    text = "# new\nfrom . import helper\n\n\n\ndef score(\n    x,\n):\n    '''Another.'''\n    return (x + 1)\n"
    change(project / "metric.py", text)
    assert code.digest(*ROOTS) == before


def test_other_components_and_new_files_do_not_count(project):
    before = code.digest(*ROOTS)
    change(project / "losses" / "triplet.py", "X = 2\n")
    change(project / "losses" / "circle.py", "X = 2\n")
    assert code.digest(*ROOTS) == before


def test_orchestration_counts_for_jobs_but_not_for_runs(project):
    change(project / "loop.py", "from reidflow.store.files import VALUE\n")
    job, run = code.digest("reidflow.loop"), code.run_digest("reidflow.loop")
    change(project / "store" / "files.py", "VALUE = 4\n")
    assert code.digest("reidflow.loop") != job
    assert code.run_digest("reidflow.loop") == run


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("line", ["from .parts import A", "from mine.lab import parts", "import mine.lab.parts"])
def test_a_users_component_outside_the_package_is_followed(line, marked, project, tmp_path):
    users = tmp_path / "users" / "mine" / "lab"
    users.mkdir(parents=True)
    if marked:
        (users.parent / "__init__.py").write_text("")
        (users / "__init__.py").write_text("")
    (users / "loss.py").write_text(f"{line}\nimport numpy\n")
    (users / "parts.py").write_text("A = 1\n")
    components.find_module.cache_clear()
    before = code.digest("mine.lab.loss")
    change(users / "parts.py", "A = 2\n")
    assert code.digest("mine.lab.loss") != before


@pytest.mark.parametrize(("root", "late"), [("reidflow.spec.code", "reidflow.spec.seeds"), ("lab.loss", "lab.seeds")])
def test_a_module_imported_by_a_name_computed_at_run_time_is_found_out(root, late, tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "loss.py").write_text("")
    (tmp_path / "lab" / "seeds.py").write_text("")
    program = f"""
        import importlib, sys
        from reidflow.spec import code
        importlib.import_module({root!r})
        roots = ("reidflow.spec.code", {root!r})
        assert code.unseen(*roots) == [], code.unseen(*roots)
        importlib.import_module("".join({list(late)}))
        assert [path.rsplit("/", 1)[1] for path in code.unseen(*roots)] == ["seeds.py"], code.unseen(*roots)
    """
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, env=environment, timeout=600)


def test_a_component_of_an_installed_package_may_import_what_it_likes(tmp_path):
    package = tmp_path / "site-packages" / "lab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "loss.py").write_text("from lab import parts\n")
    (package / "parts.py").write_text("")
    program = (
        "import lab.loss; from reidflow.spec import code; assert code.unseen('reidflow.spec.code', 'lab.loss') == []"
    )
    environment = {**os.environ, "PYTHONPATH": f"{package.parent}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=600)


def test_component_folders_have_empty_init_files():
    for package, _ in components.KINDS.values():
        path = components.SOURCE_ROOT.joinpath(*package.split("."), "__init__.py")
        assert path.read_text() == "", f"{path}: a re-export would put every component into every digest"


def test_of_the_planning_only_seeds_decide_numbers_of_a_run():
    decides = {path for path in code.closure("reidflow.training.loop") if not path.startswith(code.ORCHESTRATION)}
    assert {path for path in decides if path.startswith("reidflow/spec/")} == {
        "reidflow/spec/__init__.py",
        "reidflow/spec/seeds.py",
    }


@pytest.mark.parametrize("script", ["train", "search", "choose"])
def test_what_ranks_trains_nothing_again(script):
    ranks = ("evaluation/fusion.py", "evaluation/runs.py", "evaluation/ranked_points.py", "matching/")
    assert not [path for path in code.closure(f"workflow/scripts/{script}.py") if any(one in path for one in ranks)]


def test_a_data_file_among_the_roots_counts_byte_by_byte(project):
    template = project / "page.md.j2"
    template.write_text("one")
    root = "src/reidflow/page.md.j2"
    before = code.digest("reidflow.loop", root)
    assert "reidflow/page.md.j2" in code.closure("reidflow.loop", root)
    change(template, "one ")
    assert code.digest("reidflow.loop", root) != before
    template.unlink()
    code.forget()
    with pytest.raises(ReidflowError, match="no file"):
        code.digest(root)
