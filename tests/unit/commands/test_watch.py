"""What `reidflow watch` shows of files that other processes write, finish and remove meanwhile."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reidflow.commands import watch
from reidflow.commands.watch import (
    SILENT,
    STARTING,
    STOPPED,
    TRAINING,
    WAITING,
    Counts,
    finished_trials,
    headline,
    last_line,
    look,
    plain,
)
from reidflow.spec import plan
from reidflow.store import activity
from reidflow.store.locks import hold
from reidflow.training.progress import Progress

ROOT = Path(__file__).parents[3]
KEY = "ab" * 16


@pytest.fixture(scope="module")
def made():
    return plan.make([ROOT / "config" / "tiny.yaml"], root=ROOT)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results-tiny" / ".store"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def training(store):
    """A run that a living process (this one) trains, after two of its four epochs."""
    with activity.job(store.parent, "job", "train", ["results-tiny/experiments/tiny_losses/runs/runs-0.json"]):
        work = store / "work" / KEY
        activity.run(work, arm="arcface", spec={"seed": 1, "epochs": 4})
        progress = Progress(work, 4, 0)
        progress.note(1, 2.5, 0.25)
        progress.note(2, 1.5, 0.5)
        locks = [hold(store / "locks" / name) for name in (KEY, "job")]
        yield work
        for lock in locks:
            os.close(lock)


def only(store):
    runs, _ = look(store)
    assert len(runs) == 1
    return runs[0]


def test_a_training_is_shown_with_what_it_is_and_how_far(store, training):
    run = only(store)
    assert (run.run, run.seed, run.epoch, run.of) == ("tiny_losses/arcface", 1, 2, 4)
    assert (run.loss, run.val, run.state) == (1.5, 0.5, TRAINING)
    assert run.where == f"{os.uname().nodename}:{os.getpid()}" and run.left is not None
    assert look(store)[1] == []  # its job is not listed beside it
    shown = plain("results-tiny", *look(store), []).splitlines()
    assert shown[0].endswith("1 in training, 0 other jobs.")
    assert shown[3].split()[:7] == ["tiny_losses/arcface", "1", "2", "of", "4", "1.5000", "0.5000"]


def test_a_half_written_line_is_passed_over(store, training):
    with (training / "progress.jsonl").open("a") as file:
        file.write('{"epoch": 3, "of": 4, "loss": 1.')
    assert only(store).epoch == 2


def test_the_last_line_is_found_in_a_long_file_and_in_a_damaged_one(tmp_path):
    path = tmp_path / "progress.jsonl"
    lines = [json.dumps({"epoch": epoch, "of": 9000}) for epoch in range(9000)]
    path.write_text("\n".join(lines) + "\n")
    assert last_line(path) == {"epoch": 8999, "of": 9000}
    path.write_bytes(b'{"epoch": 1}\n\x00\x00\xff\n[]\n')
    assert last_line(path) == {"epoch": 1}
    assert last_line(tmp_path / "none") == {}


def test_a_run_whose_process_died_is_shown_as_stopped(store):
    work = store / "work" / KEY
    activity.run(work, arm="arcface", spec={"seed": 1, "epochs": 4})
    (store / "locks").mkdir()
    (store / "locks" / KEY).touch()
    assert only(store).state == STOPPED
    assert "Nothing is running. 1 stopped" in headline("r", *look(store), [])


def aged(folder, seconds):
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_run_that_gave_no_sign_for_long_is_marked_but_long_epochs_are_no_reason(store, training):
    aged(training, 62)
    run = only(store)
    assert run.state == SILENT and run.age >= 61
    with (training / "progress.jsonl").open("a") as file:
        file.write('{"epoch": 3, "of": 4, "loss": 1.0, "val": 0.5, "seconds_left": 100.0}\n')
    aged(training, 62)
    run = only(store)
    assert run.state == TRAINING and run.left == pytest.approx(38, abs=1)


def test_ages_are_told_by_the_clock_of_the_disk(store, training, monkeypatch):
    hour_ahead = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: hour_ahead)
    assert only(store).age < 60


def test_a_run_that_waits_for_a_card_or_has_not_begun_says_so(store, training):
    (training / "progress.jsonl").unlink()
    assert only(store).state == STARTING
    with activity.waiting("a GPU"):
        run = only(store)
        assert run.state == WAITING and run.waiting == "a GPU"
        assert "waiting for a GPU" in plain("r", [run], [], [])


def test_a_run_of_former_versions_and_one_that_vanishes_are_no_trouble(store, monkeypatch):
    (store / "work" / KEY).mkdir(parents=True)
    (store / "work" / KEY / "progress.jsonl").write_text('{"epoch": 1, "of": 4, "loss": null, "val": null}\n')
    gone = store / "work" / ("cd" * 16)
    monkeypatch.setattr(watch, "_inside", lambda folder: [store / "work" / KEY, gone])
    run = only(store)
    assert run.run == KEY[:12] and run.seed is None and run.loss is None


def test_jobs_that_train_nothing_stand_beside_those_on_a_cluster_with_their_number(store, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    lock = hold(store / "locks" / "bank")
    with activity.job(store.parent, "bank", "features", ["a/features.npy", "a/features.json"]):
        (job,) = look(store)[1]
        assert (job.job, job.what) == ("features", "a/features.npy and 1 more")
        assert job.where == f"{os.uname().nodename}, SLURM 4711"
        os.close(lock)
        assert look(store)[1] == []  # killed: its file is left, its lock is not


def test_trials_and_finalists_are_called_so(store):
    activity.run(store / "work" / KEY, study="tpe", trial=7, spec={"seed": 1007})
    assert only(store).run == "tpe/trial 7"
    activity.run(store / "work" / KEY, study="tpe", spec={"seed": 100})
    assert only(store).run == "tpe/a finalist"


def test_it_works_before_there_is_anything(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert watch.watch(made, once=True, interval=1) == 0
    assert "results-tiny/: 0 of 16 runs are done. Nothing is running." in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_interrupting_the_live_view_ends_it_cleanly(made, store, training, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(time, "sleep", interrupted)
    assert watch.watch(made, once=False, interval=1) == 0


def test_a_wider_grid_is_counted(made, store):
    counts = {count.experiment: count for count in Counts(made).now()}
    assert counts["tiny_losses"].needed == 3 * 2 + 3 * 2 and counts["tiny_backbones"].needed == 4


def test_trials_are_read_from_a_journal_whose_last_line_is_torn(tmp_path):
    line = json.dumps({"op_code": 8, "user_attr": {"outcome": {"state": "pruned", "run": "abc"}}})
    (tmp_path / "journal.log").write_text('{"op_code": 0}\n' + line + "\n" + line[:40])
    assert finished_trials(tmp_path / "journal.log") == ["abc"] and not finished_trials(tmp_path / "none")


def test_neither_watching_nor_collecting_imports_what_takes_seconds(tmp_path):
    program = (
        "import sys; from reidflow.cli import main; import reidflow.commands.gc, reidflow.commands.plan\n"
        f"status = [main(['--configfile', {str(ROOT / 'config' / 'tiny.yaml')!r}, *a]) for a in (['watch'], ['gc'])]\n"
        "heavy = {'torch', 'timm', 'faiss', 'optuna', 'skimage', 'kornia'} & set(sys.modules)\n"
        "print('status', status, 'heavy', heavy)"
    )
    (tmp_path / "config").symlink_to(ROOT / "config")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "status [0, 0] heavy set()" in done.stdout, done.stdout + done.stderr
