"""The workflow as a module of another one, from a folder and from a Git host."""

import os
import subprocess
import sys

import pytest
from conftest import LONGEST, checkout

SNAKEFILE = """
configfile: "config/config.yaml"

module reidflow:
    snakefile:
        {place}
    config:
        config

use rule * from reidflow

onstart:
    print("its own start")
"""
TAG = "v0.1.0"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository of the project, with a tag."""
    folder = checkout(tmp_path_factory.mktemp("hub") / "owner" / "reidflow")
    who = ("-c", "user.name=reidflow", "-c", "user.email=reidflow@localhost")
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "All"], ["tag", TAG]):
        subprocess.run(["git", *command], cwd=folder, check=True, timeout=60, capture_output=True)
    return folder


@pytest.fixture
def user(tmp_path, project):
    """A folder as `snakedeploy` makes one: a config and a Snakefile; none of the project's own experiments is in it."""
    (tmp_path / "config").mkdir()
    (tmp_path / "workflow").mkdir()
    (tmp_path / "config/config.yaml").write_text((project / "config/tiny.yaml").read_text())
    return tmp_path


def snakemake(folder, *arguments, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("REIDFLOW_", "PYTHONPATH"))}
    kept |= {"XDG_CACHE_HOME": str(folder / ".cache"), **environment}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=kept, timeout=LONGEST)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_module_in_a_folder_writes_beside_the_snakefile_that_uses_it(user, project):
    (user / "workflow/Snakefile").write_text(SNAKEFILE.format(place=f'"{project}/workflow/Snakefile"'))
    before = sorted(project.iterdir())
    assert "leaderboard" in snakemake(user, "-n")
    printed = snakemake(user, "--", "results-tiny/data/split.parquet")
    assert "its own start" in printed
    # The session began, too: a results folder without an owner would accept outdated results.
    assert (user / "results-tiny/.generation").is_file()
    assert (user / "results-tiny/data/split.parquet").is_file()
    assert sorted(project.iterdir()) == before


def test_a_module_may_be_given_a_part_of_the_config(user, project):
    text = (user / "config/config.yaml").read_text()
    (user / "config/config.yaml").write_text("mine:\n" + "".join(f"  {line}\n" for line in text.splitlines()))
    written = SNAKEFILE.format(place=f'"{project}/workflow/Snakefile"').replace(
        "        config\n", '        config["mine"]\n'
    )
    (user / "workflow/Snakefile").write_text(written)
    assert "draw_demo" in snakemake(user, "-n", "--", "results-tiny/data/split.parquet")


def test_a_module_on_a_git_host_is_whole(user, project):
    place = f'github("owner/reidflow", path="workflow/Snakefile", tag="{TAG}")'
    (user / "workflow/Snakefile").write_text(SNAKEFILE.format(place=place))
    local = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{project.parent.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }
    # Processes of this rule import the script that they were started from: it must be a file here.
    snakemake(user, "--", "results-tiny/data/truth.parquet", **local)
    assert (user / "results-tiny/data/truth.parquet").is_file()
