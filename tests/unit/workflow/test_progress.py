"""Progress by the events that Snakemake logs, and the index that follows it."""

import json
import logging
import re
import threading
import time
from pathlib import Path

import pytest
from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake_interface_logger_plugins.common import LogEvent

from reidflow.spec import plan as plans
from reidflow.workflow.progress import DONE, FAILED, RUNNING, WAITING, Job, Progress, RunLog, Work, attach, runs_of

ROOT = Path(__file__).parents[3]


def event(kind, message="", **facts):
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
    record.__dict__.update({**({"event": kind} if kind else {}), **facts})
    return record


def jobs():
    return {
        1: Job("split", "", 10.0),
        2: Job("train", "tiny_losses", 40.0, threads=2, runs=4),
        3: Job("page", "tiny_losses", 10.0),
        4: Job("page", "tiny_backbones", 10.0),
    }


@pytest.fixture
def progress(tmp_path, monkeypatch):
    """A run of four jobs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    found = Progress(plans.make([ROOT / "config/tiny.yaml"], root=ROOT))
    found.work = Work(jobs(), 2)
    yield found
    found.close()


def states(progress):
    page = (progress.results / "index.html").read_text()
    return re.findall(r'class="state \w+">(.*?)<', page), "refresh" in page


def test_an_experiment_is_in_the_state_of_its_jobs():
    work = Work(jobs(), 2)
    assert [work.state(name) for name in ("tiny_losses", "tiny_backbones", "other")] == [WAITING, WAITING, DONE]
    work.begin(2, 0.0)
    assert work.state("tiny_losses") == RUNNING
    work.end(2, 1.0)
    assert work.state("tiny_losses") == WAITING
    work.end(3, 1.0, FAILED)
    assert work.state("tiny_losses") == FAILED
    work.begin(3, 2.0)  # another attempt
    work.end(3, 3.0)
    assert work.state("tiny_losses") == DONE and work.count(DONE) == 2


def test_the_time_left_is_the_work_over_the_cores_at_the_pace_of_the_jobs_so_far():
    work = Work(jobs(), 2)
    assert work.left(0.0) == (10 + 2 * 40 + 10 + 10) / 2
    work.begin(2, 0.0)
    assert work.left(30.0) == (10 + 2 * 10 + 10 + 10) / 2
    work.end(2, 240.0)
    # 60 seconds as expected beforehand, and 40 that lasted 240.
    assert work.left(240.0) == pytest.approx(30 / 2 * (60 + 240) / (60 + 40))
    # One job alone takes its own time, however many cores there are.
    assert Work({1: Job("train", "a", 40.0)}, 8).left(0.0) == 40.0
    assert Work({1: Job("train", "a", None), 2: Job("x", "", None), 3: Job("y", "", 1.0)}, 1).left(0.0) is None


def test_events_of_snakemake_move_the_jobs(progress):
    progress.emit(event(LogEvent.JOB_INFO, jobid=1))
    progress.emit(event(LogEvent.JOB_INFO, jobid=2))
    progress.emit(event(LogEvent.JOB_FINISHED, job_id=1))
    progress.emit(event(LogEvent.JOB_ERROR, jobid=2))
    progress.emit(event(LogEvent.JOB_INFO, jobid=99))
    assert [job.state for job in progress.work.jobs.values()] == [DONE, FAILED, WAITING, WAITING]


def test_the_index_names_what_is_done_failed_and_unfinished_at_the_end(progress):
    progress.page("tiny_losses").parent.mkdir(parents=True)
    progress._write_index()
    assert states(progress) == (["waiting", "waiting"], True)
    for number in (1, 2, 3):
        progress.emit(event(LogEvent.JOB_FINISHED, job_id=number))
    progress.page("tiny_losses").touch()
    progress.close()
    assert progress.outcome == FAILED and states(progress) == (["done", "not finished"], False)


def test_interrupted_jobs_have_not_failed(progress):
    progress.emit(event(LogEvent.JOB_INFO, jobid=2))
    progress.emit(event(None, "Terminating processes on user request, this might take some time."))
    progress.emit(event(LogEvent.JOB_ERROR, jobid=2))
    progress.close()
    assert progress.outcome == "interrupted" and states(progress) == (["not finished", "not finished"], False)


def test_with_nothing_to_do_an_index_that_was_never_finished_is(progress):
    progress.page("tiny_losses").parent.mkdir(parents=True)
    progress._write_index()  # as a killed run leaves it
    progress.page("tiny_losses").touch()
    progress.work = None
    progress.emit(event(None, NOTHING_TO_BE_DONE_MSG))
    progress.close()
    assert states(progress) == (["done", "not made"], False)
    before = (progress.results / "index.html").stat().st_mtime_ns
    progress.close()
    assert (progress.results / "index.html").stat().st_mtime_ns == before


def test_the_index_follows_a_run_by_itself(progress, monkeypatch):
    monkeypatch.setattr("reidflow.workflow.progress.TICK", 0.01)
    seen = []
    progress.watchers.append(seen.append)
    progress._thread = threading.Thread(target=progress._follow, daemon=True)
    progress._thread.start()
    progress.emit(event(LogEvent.JOB_INFO, jobid=4))
    deadline = time.monotonic() + 30
    while not (progress.results / "index.html").exists() or states(progress)[0] != ["waiting", "running"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    progress.close()
    assert seen and not progress._thread


def test_an_index_that_cannot_be_written_stops_nothing(progress, monkeypatch, caplog):
    Path("results-tiny").write_text("a file where the folder should be")
    progress.emit(event(LogEvent.JOB_INFO, jobid=1))
    progress._write_index()
    progress._write_index()
    assert len([line for line in caplog.messages if "cannot be written" in line]) == 1


def test_each_run_counts_once_and_only_since_the_run_began(tmp_path):
    log = tmp_path / ".store" / "log.jsonl"
    log.parent.mkdir()
    line = {"action": "trained", "experiment": "a", "arm": "x", "key": "1"}
    log.write_text(json.dumps(line) + "\n")
    runs = RunLog(tmp_path)
    assert runs.count() == 0
    with log.open("a") as file:
        file.write("".join(json.dumps({**line, **more}) + "\n" for more in ({}, {}, {"key": "2"}, {"experiment": "b"})))
        file.write('{"half')
    assert runs.count() == 3
    with log.open("a") as file:
        file.write('": 1}\n')
    assert runs.count() == 4


def test_runs_and_trials_are_counted_by_the_params_of_jobs():
    study = {"experiment": "hpo", "name": "tpe", "trials": 8, "finalists": 2, "sweep_seeds": [0, 1, 2]}
    given = [{"runs": [["a", 0], ["a", 1]]}, {"specs": [["a", {}]]}, {"runs": {"part": [1, 2]}}, {"study": study}]
    assert runs_of([*given, {"study": study}, {"title": "demo"}]) == 2 + 1 + 2 + 8 + 2 * 3


def test_a_command_that_only_reads_has_no_progress(monkeypatch):
    monkeypatch.setattr("reidflow.workflow.progress.state", "")
    assert attach(plans.make([ROOT / "config/tiny.yaml"], root=ROOT), reads=True) is None
