"""Killed at any moment and started again, the workflow ends with the same tables and repeats no finished run."""

import random
import subprocess

from conftest import Project, checkout
from kills import disturb


def test_kills_at_random_moments_change_no_byte_of_a_table(tiny, tmp_path):
    project = Project(checkout(tmp_path / "project"))
    assert disturb(project, random.Random(1), kills=4, longest=14) > 0
    assert project.tables() == tiny.tables()


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    project.edit("config/experiments/tiny_losses.yaml", "{name: arcface}", "{name: arcface, margin: 0.2}")
    first = subprocess.Popen(
        project.command(),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in first.stdout:
        if "rule sweep" in line:
            break
    second = project.run()
    text = first.communicate()[0]
    assert second.status == 1 and "another run of the pipeline is active here" in second.text
    assert first.returncode == 0, text


def test_an_orphan_of_an_older_run_does_not_publish(tiny, tmp_path):
    """A job that outlives its main process (as on a cluster) keeps its runs and overwrites no newer result."""
    project = tiny.copy(tmp_path / "project")
    project.edit("config/experiments/tiny_losses.yaml", "{name: arcface}", "{name: arcface, margin: 0.2}")
    main = subprocess.Popen(
        project.command("--nolock"),
        cwd=project.folder,
        env={**project.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in main.stdout:
        if "rule sweep" in line:
            break
    (project.results / ".generation").write_text("a newer run")
    text = main.communicate()[0]
    assert main.returncode != 0 and "a newer run of the pipeline owns" in text
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    keys = [line["key"] for line in project.log() if line["action"] == "trained"]
    assert len(keys) == len(set(keys))


def test_code_that_changes_after_planning_is_not_run(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    loss = project.folder / "src/reidflow/training/losses/arcface.py"
    with loss.open("a") as file:
        file.write("\nEDITED = 1\n")
    main = subprocess.Popen(
        project.command(),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in main.stdout:
        if line.startswith(("Building DAG", "Using shell", "Provided cores")):
            break
    with loss.open("a") as file:
        file.write("\nEDITED = 2\n")
    text = main.communicate()[0]
    assert main.returncode != 0 and "the code changed after planning" in text
    outcome = project.run()
    assert outcome.status == 0 and len(outcome.trained) == 4
