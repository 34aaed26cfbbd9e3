"""The commands of the README and the docs do what they say."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

from reidflow.spec import plan
from reidflow.spec.yaml import loads

PAGES = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md"))]


def blocks(language):
    """Return (page, text) of every fenced block of a language."""
    return [
        (page, text)
        for page in PAGES
        for text in re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    """A checkout whose demo is the tiny one, made already, and whose environment is the one that runs the tests."""
    folder = tiny.copy(tmp_path_factory.mktemp("readme") / "project").folder
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    shutil.copy2(folder / "config" / "tiny.yaml", folder / "config" / "config.yaml")
    for number, source in enumerate(sorted((tiny.results / "data/demo/train/train").iterdir())):
        place = folder / "data" / "people" / f"person {number // 12}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)
    return folder


def run(command, folder):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("REIDFLOW_", "PYTHONPATH", "MAKE"))}
    # The environment exists already, with the code of another folder: SETUP keeps make from building it again.
    kept |= {"SETUP": "", "PYTHONPATH": str(folder / "src")}
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, env=kept, timeout=600)


SCRIPTS = dict.fromkeys(text.strip() for _, text in blocks("sh"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_commands_of_a_block_work(folder, script):
    board = folder / "results-tiny" / "tables" / "leaderboard.md"
    board.unlink(missing_ok=True)
    done = run(f"set -e\n{script}", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    if "all_tables" in script or script in ("make tables", ".venv/bin/snakemake"):
        assert board.is_file()


def test_the_config_for_own_images_is_one_that_the_demo_s_config_takes():
    text = next(text for _, text in blocks("yaml") if "# people.yaml" in text)
    made = plan.make([ROOT / "config" / "config.yaml"], loads(text), root=ROOT)
    assert made.config.dataset.source["name"] == "folder" and "demo" not in made.config.scale


def test_make_test_calls_the_tests(folder):
    assert "pytest" in run("make -n test", folder).stdout


def test_make_alone_lists_the_targets(folder):
    done = run("make", folder)
    assert all(f"make {target}" in done.stdout for target in ("setup", "tables", "test", "lint"))


def test_the_experiment_of_the_readme_is_whole(folder):
    text = next(text for page, text in blocks("yaml") if page == "README.md" and "varies" in text)
    (folder / "config" / "experiments" / "margins.yaml").write_text(text)
    (folder / "margins.yaml").write_text("experiments: [margins]\n")
    command = ".venv/bin/snakemake --configfile config/config.yaml margins.yaml --cores 1 -n -- all_tables"
    assert run(command, folder).returncode == 0


def test_the_component_of_the_docs_can_be_used(folder):
    text = next(text for page, text in blocks("python") if page == "docs/extending.md")
    (folder / "src/reidflow/training/losses/power_triplet.py").write_text(text)
    command = (
        ".venv/bin/python -c \"import sys; sys.path.insert(0, 'src'); from reidflow.spec.components import resolve; "
        "print(resolve('loss', {'name': 'power_triplet', 'power': 3}))\""
    )
    assert "'power': 3.0" in run(command, folder).stdout


def test_every_file_that_the_pages_name_is_there():
    found = [
        (page, name)
        for page in PAGES
        for pattern in (r"`((?:config|docs|benchmarks|src)/[\w./-]+)`", r"\]\((docs/[\w./-]+)\)")
        for name in re.findall(pattern, (ROOT / page).read_text())
        if "power_triplet" not in name
    ]
    assert len(found) > len(PAGES)
    for page, name in found:
        assert (ROOT / name).exists(), f"{page} names {name}, which is not there"
