"""What jobs and the main process do on a cluster before anything else."""

import os
import stat

import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.store import gpus, invocation


@pytest.fixture
def environment(monkeypatch):
    names = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")
    for name in (*names, invocation.MAIN, invocation.GENERATION, gpus.GPUS):
        # What the functions set is undone only where it was set before.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def pretend(name, folder, environment, body):
    """Put a command of that name first on the path."""
    command = folder / name
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environment.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_job_that_waited_while_a_newer_run_began_does_not_start(tmp_path, environment):
    environment.setenv(invocation.GENERATION, "old")
    invocation.generation_file(tmp_path).write_text("new")
    with pytest.raises(ReidflowError, match="a newer run of the pipeline owns"):
        invocation.prepare_job(tmp_path, same_machine=False)


def test_a_job_of_the_current_run_starts(tmp_path, environment):
    environment.setenv(invocation.GENERATION, "new")
    invocation.generation_file(tmp_path).write_text("new")
    invocation.prepare_job(tmp_path, same_machine=False)


def test_a_job_without_a_card_of_its_own_sees_none(environment):
    environment.setenv("SLURM_JOB_ID", "7")
    gpus.hide_unassigned()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "" and gpus.without_gpu()


@pytest.mark.parametrize("given", [{"SLURM_JOB_ID": "7", "SLURM_STEP_GPUS": "1"}, {}])
def test_a_job_with_a_card_or_outside_a_cluster_sees_what_it_saw(given, environment):
    for name, value in given.items():
        environment.setenv(name, value)
    gpus.hide_unassigned()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(("told", "cards"), [("gpu:a100:4(S:0-1)", 1), ("(null)", 0), ("shard:2", 0)])
def test_the_cluster_is_asked_for_cards_and_not_the_login_machine(told, cards, tmp_path, environment):
    pretend("sinfo", tmp_path, environment, f"echo '{told}'")
    assert gpus.requested_gpus("auto", cluster=True, main=True) == cards
    pretend("sinfo", tmp_path, environment, "exit 1")
    assert gpus.requested_gpus("auto", cluster=True, main=False) == cards, (
        "a job has to say what the main process found"
    )


def test_a_device_that_is_named_is_not_looked_for(tmp_path, environment):
    pretend("sinfo", tmp_path, environment, "exit 1")
    assert gpus.requested_gpus("cuda", cluster=True, main=True) == 1
    assert gpus.requested_gpus("cpu", cluster=True, main=True) == 0


def test_a_cluster_that_forgets_jobs_before_they_are_asked_after_is_refused(tmp_path, environment):
    pretend(
        "scontrol", tmp_path, environment, "echo 'MessageTimeout          = 10 sec\nMinJobAge               = 120 sec'"
    )
    with pytest.raises(ReidflowError, match=r"after 120 seconds.*200 are needed.*slurm-status-command: sacct"):
        invocation.require_job_memory("squeue")
    invocation.require_job_memory("sacct")


def test_a_cluster_that_knows_finished_jobs_long_enough_or_does_not_tell_is_used(tmp_path, environment, capsys):
    pretend("scontrol", tmp_path, environment, "echo 'MinJobAge               = 300 sec'")
    invocation.require_job_memory("squeue")
    assert not capsys.readouterr().err
    pretend("scontrol", tmp_path, environment, "exit 1")
    invocation.require_job_memory("squeue")
    assert "scontrol show config failed" in capsys.readouterr().err
