"""What a person sees: lines in a pipe, from the events of a recorded run; everything as Snakemake shows it otherwise."""

import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from reidflow.commands.screen import EVERY, Screen
from reidflow.spec import plan as plans
from reidflow.workflow import progress as progresses
from reidflow.workflow.progress import Job, Progress, Work
from snakemake_logger_plugin_reidflow import LogHandler

ROOT = Path(__file__).parents[3]
PLAIN = {"dryrun": False, "quiet": None, "verbose": False, "debug_dag": False, "printshellcmds": False}


def record(message, level=logging.INFO, event=None, **facts):
    found = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    found.__dict__.update({**({"event": event} if event else {}), **facts})
    return found


@pytest.fixture
def progress(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Progress(plans.make([ROOT / "config/tiny.yaml"], root=ROOT))
    found.log_file = ".snakemake/log/now.log"
    monkeypatch.setattr(progresses, "current", found)
    monkeypatch.setattr(progresses, "state", "running")
    yield found
    found.close()


@pytest.fixture
def handler(progress):
    """The plugin as Snakemake makes it, writing to `handler.stream`."""
    stream = io.StringIO()
    made = LogHandler(SimpleNamespace(**PLAIN, nocolor=True, stdout=False), None)
    made._plain = ColorizingTextHandler(True, stream)
    made.setFormatter(DefaultFormatter(set(), True))
    made.stream = stream
    return made


def begin(handler, progress):
    """Begin a run of two jobs."""
    handler.handle(record("Assuming unrestricted shared filesystem usage."))
    handler.handle(record("Workflow has started!", event=LogEvent.WORKFLOW_STARTED))
    handler.handle(record("Building DAG of jobs..."))
    progress.work = Work({1: Job("train", "tiny_losses", 40.0, runs=4), 2: Job("page", "tiny_backbones", 20.0)}, 2)
    progress.runs = 4


def said(handler):
    return handler.stream.getvalue().splitlines()


def answer(progress, name, text):
    path = progress.results / "experiments" / name / "answer.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"answer": text}))


def test_a_run_is_a_few_lines_that_end_with_what_to_open(handler, progress):
    begin(handler, progress)
    (tick,) = progress.watchers
    tick(0.0)
    answer(progress, "tiny_losses", "**arcface** is better. More follows.")
    (progress.results / "pages").mkdir()
    for name in progress.plan.experiments:
        progress.page(name).write_text("")
    for number, job in progress.work.jobs.items():
        started = record(f"Rule: {job.rule}", event=LogEvent.JOB_INFO, jobid=number)
        ended = record("Finished", event=LogEvent.JOB_FINISHED, job_id=number)
        for event in (started, ended):
            progress.handle(event)
            handler.handle(event)
    handler.handle(record("Complete log(s): x"))
    handler.close()
    handler.close()
    lines = said(handler)
    assert lines[:2] == [
        "2 of 2 experiments to make: 2 jobs, 4 runs, about 40 s on 2 cores.",
        "Pages appear in results-tiny/index.html; Snakemake's own messages are in .snakemake/log/now.log",
    ]
    assert sorted(lines[2:4]) == [
        "tiny_backbones: finished  results-tiny/pages/tiny_backbones.html",
        "tiny_losses: arcface is better.  results-tiny/pages/tiny_losses.html",
    ]
    assert lines[4].startswith("Done in ") and lines[4].endswith(
        "2 of 2 experiments are finished. Open results-tiny/index.html"
    )
    assert len(lines) == 5 and "refresh" not in (progress.results / "index.html").read_text()


def test_what_is_wrong_with_the_data_is_said_once_when_they_are_split(handler, progress):
    begin(handler, progress)
    progress.work = Work({1: Job("split", "", 1.0), 2: Job("train", "tiny_losses", 40.0)}, 2)
    folder = progress.results / "data"
    folder.mkdir(parents=True)
    facts = {"count": 9, "quarantined": {"truncated": 2, "empty_mask": 1}, "notes": ["Luna and luna may be one."]}
    (folder / "images.json").write_text(json.dumps(facts))
    (folder / "audit.json").write_text(json.dumps({"straddling_times": 3, "straddling_bytes": 0, "leaks": True}))
    (tick,) = progress.watchers
    tick(0.0)
    assert not any(line.startswith("data: ") for line in said(handler))
    progress.handle(record("Finished", event=LogEvent.JOB_FINISHED, job_id=1))
    tick(1.0)
    tick(2.0)
    notes = [
        "9 images; 3 cannot be used (2 truncated, 1 empty mask; see data/quarantine.parquet).",
        "Luna and luna may be one.",
        "WARNING: the split leaks. In several roles are times (3); see data/audit.json.",
    ]
    assert [line for line in said(handler) if line.startswith("data: ")] == [f"data: {note}" for note in notes]
    progress.close()
    page = (progress.results / "index.html").read_text()
    assert all(f'<p class="data">{note}</p>' in page for note in notes)


def test_an_experiment_without_a_page_is_not_finished(handler, progress):
    begin(handler, progress)
    for number in progress.work.jobs:
        progress.handle(record("Finished", event=LogEvent.JOB_FINISHED, job_id=number))
    handler.handle(record("Complete log(s): x"))
    handler.close()
    assert "0 of 2 experiments are finished" in said(handler)[-1]


def test_what_is_running_is_said_at_least_every_minute(handler, progress):
    begin(handler, progress)
    (tick,) = progress.watchers
    tick(0.0)
    progress.handle(record("", event=LogEvent.JOB_INFO, jobid=1))
    screen = handler._screen
    before, screen._said = len(said(handler)), 1000.0
    tick(1000.0 + EVERY - 1)
    assert len(said(handler)) == before
    screen._said = 1000.0
    tick(1000.0 + EVERY)
    (line,) = said(handler)[before:]
    assert line.endswith("Running: train tiny_losses") and EVERY <= 59
    assert "0 of 2 jobs, 0 of 4 runs, 0 of 2 experiments done; about" in line


def test_the_error_of_a_job_is_shown_in_full(handler, progress, tmp_path):
    begin(handler, progress)
    (tmp_path / "job.log").write_text("first line\nERROR: what went wrong\n")
    facts = {"rule_name": "train", "rule_msg": None, "jobid": 1, "input": [], "output": ["x"], "log": ["job.log"]}
    facts |= {"conda_env": None, "shellcmd": None, "aux": {}, "indent": False}
    failed = record("Error in rule train", logging.ERROR, LogEvent.JOB_ERROR, **facts)
    progress.handle(failed)
    handler.handle(failed)
    handler.close()
    text = handler.stream.getvalue()
    assert "Error in rule train:" in text and "log: job.log" in text and "ERROR: what went wrong" in text
    last = said(handler)[-1]
    assert last.startswith("Stopped after") and "train tiny_losses failed" in last and ".snakemake/log/now.log" in last
    assert last.endswith("The same command continues from here. Open results-tiny/index.html")


def test_an_interrupted_run_says_so_and_calls_no_job_failed(handler, progress):
    begin(handler, progress)
    stop = record("Terminating processes on user request, this might take some time.")
    failed = record("Error in rule train", logging.ERROR, LogEvent.JOB_ERROR, jobid=1)
    for event in (stop, failed):
        progress.handle(event)
        handler.handle(event)
    handler.close()
    lines = said(handler)
    assert lines[0].startswith("Terminating") and not any("Error" in line for line in lines)
    assert lines[-1].startswith("Interrupted after") and "failed" not in lines[-1]


def test_nothing_to_do_is_one_line(handler, progress):
    begin(handler, progress)
    progress.work = None
    done = record(NOTHING_TO_BE_DONE_MSG)
    progress.handle(done)
    handler.handle(done)
    handler.close()
    assert said(handler) == [f"{NOTHING_TO_BE_DONE_MSG} Open results-tiny/index.html"]


def test_warnings_and_errors_before_the_run_are_shown_at_once(handler, progress):
    handler.handle(record("Building DAG of jobs..."))
    handler.handle(record("The config cannot be used: 1 error", logging.ERROR))
    assert said(handler) == ["The config cannot be used: 1 error"]


@pytest.mark.parametrize("option", PLAIN)
def test_other_output_than_that_of_a_run_is_snakemakes(progress, option):
    made = LogHandler(SimpleNamespace(**{**PLAIN, option: True}, nocolor=True, stdout=False), None)
    made._plain = ColorizingTextHandler(True, io.StringIO())
    made.setFormatter(DefaultFormatter(set(), True))
    made.handle(record("Workflow has started!", event=None))
    assert made._plain.stream.getvalue() == "Workflow has started!\n"


def test_a_command_that_only_reads_says_all_that_snakemake_says(handler, monkeypatch):
    handler.handle(record("first"))
    assert not said(handler)
    monkeypatch.setattr(progresses, "state", "reading")
    handler.handle(record("second"))
    assert said(handler) == ["first", "second"]


def test_what_is_kept_is_shown_at_the_end_of_a_command_that_never_began(handler):
    handler.handle(record("Unlocked working directory."))
    handler.close()
    assert said(handler) == ["Unlocked working directory."]


def test_a_cluster_shows_the_name_of_its_jobs(handler, progress):
    begin(handler, progress)
    handler.handle(record("SLURM run ID: 12-34"))
    handler.handle(record("Job 3 has been submitted"))
    assert said(handler) == ["SLURM run ID: 12-34"]
    assert isinstance(handler._screen, Screen)
