"""What the main process and jobs check before anything else, here and on a cluster."""

import inspect
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobRateLimiter, JobScheduler
from snakemake.settings.types import MaxJobsPerTimespan

from reidflow.spec.errors import ReidflowError
from reidflow.store import gpus, invocation, published
from reidflow.store.locks import hold

RESULTS = Path("results")


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


def test_a_job_that_was_assigned_no_gpu_sees_none(environment):
    environment.setenv("SLURM_JOB_ID", "7")
    gpus.hide_unassigned()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "" and gpus.without_gpu()


@pytest.mark.parametrize("given", [{"SLURM_JOB_ID": "7", "SLURM_STEP_GPUS": "1"}, {}])
def test_a_job_with_a_gpu_or_outside_a_cluster_sees_the_same_gpus(given, environment):
    for name, value in given.items():
        environment.setenv(name, value)
    gpus.hide_unassigned()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(("listed", "count"), [("gpu:a100:4(S:0-1)", 1), ("(null)", 0), ("shard:2", 0)])
def test_gpus_are_looked_for_in_the_cluster_and_not_in_the_login_machine(listed, count, tmp_path, environment):
    pretend("sinfo", tmp_path, environment, f"echo '{listed}'")
    assert gpus.requested_gpus("auto", cluster=True, main=True) == count
    pretend("sinfo", tmp_path, environment, "exit 1")
    assert gpus.requested_gpus("auto", cluster=True, main=False) == count, "a job inherits what the main process found"


def test_a_configured_device_is_not_looked_for(tmp_path, environment):
    pretend("sinfo", tmp_path, environment, "exit 1")
    assert gpus.requested_gpus("cuda", cluster=True, main=True) == 1
    assert gpus.requested_gpus("cpu", cluster=True, main=True) == 0


def test_a_cluster_that_forgets_jobs_before_they_are_polled_is_refused(tmp_path, environment):
    pretend(
        "scontrol", tmp_path, environment, "echo 'MessageTimeout          = 10 sec\nMinJobAge               = 120 sec'"
    )
    with pytest.raises(ReidflowError, match=r"after 120 seconds.*200 are needed.*slurm-status-command: sacct"):
        invocation.require_job_memory("squeue")
    invocation.require_job_memory("sacct")


def test_a_cluster_that_remembers_jobs_long_enough_or_does_not_answer_is_used(tmp_path, environment, capsys):
    pretend("scontrol", tmp_path, environment, "echo 'MinJobAge               = 300 sec'")
    invocation.require_job_memory("squeue")
    assert not capsys.readouterr().err
    pretend("scontrol", tmp_path, environment, "exit 1")
    invocation.require_job_memory("squeue")
    assert "scontrol show config failed" in capsys.readouterr().err


@pytest.fixture
def started(environment, tmp_path):
    """A project whose pipeline has run once."""
    environment.chdir(tmp_path)
    environment.setattr(sys, "argv", ["snakemake"])
    invocation.prepare_main(RESULTS)
    os.close(invocation.begin(RESULTS))
    return environment


def test_lost_records_of_snakemake_are_detected(started):
    invocation.prepare_main(RESULTS)
    invocation.owner_file(RESULTS).unlink()
    with pytest.raises(ReidflowError, match=r"rm -r results/\[!\.\]\*"):
        invocation.prepare_main(RESULTS)


def test_each_invocation_becomes_the_owner_and_fences_off_the_former_one(started):
    former = os.environ[invocation.GENERATION]
    invocation.require_current(RESULTS)
    invocation.prepare_main(RESULTS)
    invocation.require_current(RESULTS.with_name("others"))
    os.close(invocation.begin(RESULTS))
    started.setenv(invocation.GENERATION, former)
    with pytest.raises(ReidflowError, match="a newer run of the pipeline owns"):
        invocation.require_current(RESULTS)


def test_what_killed_processes_left_is_removed_at_the_beginning(started):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    left = RESULTS / f".tmp-{child}@{os.uname().nodename}-table.parquet"
    left.touch()
    os.close(invocation.begin(RESULTS))
    assert not left.exists()


def test_a_second_invocation_is_refused_but_a_dry_run_is_not(started):
    held = hold(RESULTS / invocation.LOCK)
    with pytest.raises(ReidflowError, match="another run of the pipeline is active here"):
        invocation.prepare_main(RESULTS)
    with pytest.raises(ReidflowError, match="another run of the pipeline is active here"):
        invocation.begin(RESULTS)
    started.setattr(sys, "argv", ["snakemake", "-n"])
    invocation.prepare_main(RESULTS)
    os.close(held)


@pytest.mark.parametrize(("options", "removed"), [(["-n"], False), (["-j2", "--cores", "2"], True)])
def test_damaged_results_are_removed_but_not_by_a_dry_run(started, options, removed, capsys):
    path = RESULTS / "table.md"
    path.write_text("numbers")
    published.record(RESULTS, [path])
    path.write_text("edited!")
    started.setattr(sys, "argv", ["snakemake", *options])
    assert invocation.remove_damaged(RESULTS) == [path] and path.exists() is not removed
    assert f"{path}: changed or truncated since it was written" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-n", "--dry-run", "-qn", "--report=report.html", "--lint"])
def test_a_dry_run_is_recognised(option, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["snakemake", option, "all_tables"])
    assert invocation.is_dry_run()
    monkeypatch.setattr(sys, "argv", ["snakemake", "--nolock", "--cores", "2"])
    assert not invocation.is_dry_run()


def test_an_orphan_dies_with_the_main_process(tmp_path):
    child = textwrap.dedent("""
        import time
        from reidflow.store.invocation import die_with_main
        die_with_main()
        print("ready", flush=True)
        time.sleep(60)
    """)
    main = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    orphan = subprocess.Popen(
        [sys.executable, "-c", child],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, invocation.MAIN: str(main.pid)},
    )
    assert orphan.stdout.readline() == "ready\n"
    main.kill()
    main.wait(timeout=60)
    assert orphan.wait(timeout=30) == 143


def test_touch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["snakemake", "--touch"])
    with pytest.raises(ReidflowError, match="--touch is refused"):
        invocation.prepare_main(tmp_path)


@pytest.mark.parametrize(
    ("targets", "until", "expected"),
    [((), (), published.ALL), (("b", "a"), (), "a b"), ((), ("train",), "--until train")],
)
def test_the_jobs_of_an_invocation_are_on_record_under_its_target(tmp_path, monkeypatch, targets, until, expected):
    monkeypatch.chdir(tmp_path)
    jobs = [SimpleNamespace(output=["results/a", "results/b"]), SimpleNamespace(output=[])]
    settings = SimpleNamespace(targets=set(targets), until=set(until), omit_from=set(), batch=None)
    workflow = SimpleNamespace(dag_settings=settings, dag=SimpleNamespace(jobs=jobs, needrun=lambda job: True))
    invocation.record(RESULTS, [tmp_path / "config" / "config.yaml", "/elsewhere.yaml"], workflow)
    (found,) = published.invocations(RESULTS)
    assert found.configfiles == ["config/config.yaml", "/elsewhere.yaml"], "a moved project finds its config again"
    name = published.entry_name(["results/b", "results/a"])
    assert (found.jobs, found.pending) == ({expected: [name]}, [name])


@pytest.fixture
def scheduler(monkeypatch):
    """A scheduler that may start two jobs in 50 ms, with the project's timers."""
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation)
    invocation.limit_scheduling()
    made = JobScheduler.__new__(JobScheduler)
    made.job_rate_limiter = JobRateLimiter(MaxJobsPerTimespan(2, "50ms"))
    made._open_jobs = threading.Semaphore(0)
    return made


def test_passes_of_the_scheduler_begin_no_other_while_the_rate_of_jobs_is_under_its_limit(scheduler):
    scheduler.job_rate_limiter.register_jobs(1)
    before = threading.active_count()
    for _ in range(5):
        scheduler._schedule_reevalutation(0.05)
    assert threading.active_count() == before


def test_where_the_limit_holds_jobs_back_one_pass_follows_and_the_end_does_not_wait_for_it(scheduler):
    for _ in range(2):  # a second time after the first
        scheduler.job_rate_limiter.register_jobs(2)
        before = set(threading.enumerate())
        for _ in range(5):
            scheduler._schedule_reevalutation(0.05)
        (timer,) = set(threading.enumerate()) - before
        assert timer.daemon and scheduler._open_jobs.acquire(timeout=60)
        timer.join(timeout=60)
        assert not scheduler._open_jobs.acquire(blocking=False)
        scheduler.job_rate_limiter._jobs.clear()


def test_snakemake_s_scheduler_still_begins_passes_with_the_method_that_is_replaced():
    """A canary for the name of the method and for where it is called."""
    assert "self._schedule_reevalutation(self.job_rate_limiter.timespan)" in inspect.getsource(JobScheduler.schedule)
    assert "self._open_jobs.release()" in inspect.getsource(JobScheduler._schedule_reevalutation)
