"""Killed at any moment and started again, the workflow ends with the same tables and repeats no finished run."""

import json
import random
import subprocess
import time

from conftest import LONGEST, Project, checkout
from kills import disturb

TABLE = "results-tiny/tables/tiny_losses.parquet"


def started(project):
    """Start what makes `TABLE` and return its main process once the first sweep runs."""
    before = project.chatter()
    main = subprocess.Popen(
        project.command("--", TABLE),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + LONGEST
    while main.poll() is None and time.monotonic() < deadline:
        if any("rule sweep" in said for path, said in project.chatter().items() if path not in before):
            return main
        time.sleep(0.05)
    main.kill()
    raise AssertionError("the workflow ended before its first sweep, or hung")


def test_kills_at_random_moments_change_no_byte_of_a_table(tiny, tmp_path):
    project = Project(checkout(tmp_path / "project"))
    assert disturb(project, random.Random(1), kills=2, longest=14)
    assert project.tables() == tiny.tables()


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    project.edit("config/experiments/tiny_losses.yaml", "{name: arcface}", "{name: arcface, margin: 0.2}")
    first = started(project)
    second = project.run()
    text = first.communicate(timeout=LONGEST)[0]
    assert second.status == 1 and "another run of the pipeline is active here" in second.text
    assert first.returncode == 0, text


def test_an_orphan_of_an_older_run_does_not_publish(tiny, tmp_path):
    """A job that outlives its main process (as on a cluster) keeps its runs and overwrites no newer result."""
    project = tiny.copy(tmp_path / "project")
    project.edit("config/experiments/tiny_losses.yaml", "{name: arcface}", "{name: arcface, margin: 0.2}")
    main = started(project)
    (project.results / ".generation").write_text("a newer run")
    text = main.communicate(timeout=LONGEST)[0]
    assert main.returncode != 0 and "a newer run of the pipeline owns" in text
    outcome = project.run("--", TABLE)
    assert outcome.status == 0, outcome.text
    keys = [line["key"] for line in project.log() if line["action"] == "trained"]
    assert len(keys) == len(set(keys))


def test_code_that_changes_after_planning_is_not_run(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    loss = project.folder / "src/reidflow/training/losses/arcface.py"
    with loss.open("a") as file:
        file.write("\nEDITED = 1\n")
    main = started(project)
    with loss.open("a") as file:
        file.write("\nEDITED = 2\n")
    text = main.communicate(timeout=LONGEST)[0]
    assert main.returncode != 0 and "the code changed after planning" in text
    outcome = project.run("--", TABLE)
    assert outcome.status == 0 and len(outcome.trained) == 4, outcome.text


def progress(project, known=()):
    """Wait for an unfinished run that has a checkpoint; return its key and its progress so far."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for folder in (project.results / ".store" / "work").glob("*"):
            if folder.name not in known and (folder / "checkpoint.pt").is_file():
                return folder.name, [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
        time.sleep(0.05)
    raise AssertionError("no training wrote a checkpoint")


FROM_IMAGES = "results-tiny/experiments/tiny_backbones/metrics.parquet"


def killed_in_training(project, known=()):
    """Start the workflow, kill it while it trains from images, and return the run's key and progress."""
    main = subprocess.Popen(
        project.command("--", FROM_IMAGES),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return progress(project, known)
    finally:
        main.kill()
        main.wait(timeout=60)


def test_a_killed_training_resumes_and_an_edited_one_starts_at_the_first_epoch(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    project.edit(
        "config/experiments/tiny_backbones.yaml",
        "baseline: frozen",
        "baseline: frozen\nseeds: [0]\nprotocol: {epochs: 24}",
    )
    key, _ = killed_in_training(project)
    with (project.folder / "src/reidflow/training/losses/cross_entropy.py").open("a") as file:
        file.write("\nEDITED = True\n")
    other, fresh = killed_in_training(project, known=[key])
    assert other != key and fresh[0]["epoch"] == 1
    project.edit("src/reidflow/training/losses/cross_entropy.py", "\nEDITED = True\n", "")
    outcome = project.run("--", FROM_IMAGES)
    assert outcome.status == 0, outcome.text
    assert key in {line["key"] for line in outcome.trained}
    log = (project.results / "logs/train/tiny_backbones-1.log").read_text()
    assert f"{key}: resuming after epoch" in log, log
