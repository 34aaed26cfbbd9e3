"""Whatever a cluster does to jobs and daemons, the tables are those of an undisturbed run, and no run is lost.

Faults share runs of the workflow where they hit different jobs, so that none hides another.
"""

import signal
import time
from dataclasses import dataclass, field

import pytest
from clustered import EDITED, HEAD, IMAGES, Clustered, Run, kill, script_of, trained_twice, variable


@dataclass
class Disturbed:
    """A run of the workflow that faults hit: what it made, its jobs, and observations on the way."""

    project: Clustered
    run: Run
    seen: dict = field(default_factory=dict)

    def attempts(self, what: str) -> list[dict[str, str]]:
        return self.seen["jobs"][what]

    def states(self, what: str) -> list[str]:
        return [job["state"] for job in self.attempts(what)]


def finished(disturbed: Disturbed) -> Disturbed:
    disturbed.run.finish()
    rules = (HEAD, f"{IMAGES}_1", f"{IMAGES}_2", "rule_scores")
    disturbed.seen["jobs"] = {rule: disturbed.run.jobs(rule) for rule in rules}
    return disturbed


def assert_as_if_nothing_happened(disturbed: Disturbed, undisturbed: dict[str, bytes]) -> None:
    assert disturbed.run.status == 0, disturbed.run.text
    assert disturbed.project.tables() == undisturbed
    assert not trained_twice(disturbed.project)


def node_state(node) -> str:
    return node.call("sinfo", "-h", "-N", "-o", "%T").strip()


@pytest.fixture(scope="module")
def jobs_and_daemons(tiny, tmp_path_factory):
    """The head job is killed, one job on images cancelled; the other one outlives three daemons and a drained node."""
    node = tiny.node
    project = tiny.edited(tmp_path_factory.mktemp("faults") / "project")
    with project.started(EDITED) as run:
        disturbed = Disturbed(project, run)
        lasting = run.job(f"{IMAGES}_2")
        pid = run.script(lasting)
        kill(pid, signal.SIGSTOP)
        disturbed.seen["GPU"] = variable(pid, "CUDA_VISIBLE_DEVICES")
        head = run.script(run.job(HEAD))
        disturbed.seen["no GPU"] = variable(head, "CUDA_VISIBLE_DEVICES")
        kill(head)
        cancelled = run.job(f"{IMAGES}_1")
        run.script(cancelled)
        node.call("scancel", cancelled["id"])
        for daemon in ("slurmdbd", "slurmctld", "slurmd"):
            before = node.pid(daemon)
            node.stop(daemon)
            time.sleep(3)
            node.start(daemon)
            disturbed.seen[daemon] = (before, node.pid(daemon), script_of(project.folder, lasting["id"]))
        node.call("scontrol", "update", f"NodeName={node.host}", "State=DRAIN", "Reason=test")
        kill(pid, signal.SIGCONT)
        run.wait("the drained node is left alone", lambda: node_state(node) == "drained")
        disturbed.seen["waiting"] = run.wait("a job waits", lambda: [j for j in run.jobs() if j["state"] == "PENDING"])
        node.call("scontrol", "update", f"NodeName={node.host}", "State=RESUME")
        yield finished(disturbed)


def test_a_killed_process_is_retried(jobs_and_daemons, undisturbed):
    assert jobs_and_daemons.states(HEAD) == ["FAILED", "COMPLETED"]
    assert_as_if_nothing_happened(jobs_and_daemons, undisturbed)


def test_a_cancelled_job_is_retried(jobs_and_daemons, undisturbed):
    assert jobs_and_daemons.states(f"{IMAGES}_1") == ["CANCELLED", "COMPLETED"]
    assert_as_if_nothing_happened(jobs_and_daemons, undisturbed)


@pytest.mark.parametrize("daemon", ["slurmdbd", "slurmctld", "slurmd"])
def test_a_job_outlives_a_restart_of(daemon, jobs_and_daemons, undisturbed):
    before, after, script = jobs_and_daemons.seen[daemon]
    assert before and after and before != after and script, "the daemon was not restarted while the job ran"
    assert jobs_and_daemons.states(f"{IMAGES}_2") == ["COMPLETED"]
    assert_as_if_nothing_happened(jobs_and_daemons, undisturbed)


def test_a_drained_node_that_is_resumed_takes_the_waiting_jobs(jobs_and_daemons, undisturbed):
    assert jobs_and_daemons.seen["waiting"]
    assert_as_if_nothing_happened(jobs_and_daemons, undisturbed)


def test_a_job_sees_the_gpu_it_was_given_and_a_head_run_sees_none(jobs_and_daemons):
    assert jobs_and_daemons.seen["GPU"] in ("0", "1")
    assert jobs_and_daemons.seen["no GPU"] == ""


@pytest.fixture(scope="module")
def limits(tiny, tmp_path_factory):
    """One job on images stands still until its time is over; the head job has too little memory at first."""
    project = tiny.edited(tmp_path_factory.mktemp("limits") / "project", ", minutes: 1, memory_mb: 800")
    with project.started(EDITED) as run:
        kill(run.script(run.job(f"{IMAGES}_1")), signal.SIGSTOP)
        yield finished(Disturbed(project, run))


def test_a_job_over_its_time_limit_is_retried_with_more_time(limits, undisturbed):
    attempts = limits.attempts(f"{IMAGES}_1")
    assert limits.states(f"{IMAGES}_1")[0] == "TIMEOUT" and limits.states(f"{IMAGES}_1")[-1] == "COMPLETED"
    assert [job["limit"] for job in attempts[:2]] == ["1:00", "2:00"]
    assert_as_if_nothing_happened(limits, undisturbed)


def test_a_job_out_of_memory_is_retried_with_more_memory(limits, undisturbed):
    attempts = limits.attempts(HEAD)
    assert limits.states(HEAD)[0] == "FAILED" and limits.states(HEAD)[-1] == "COMPLETED"
    assert [job["memory"] for job in attempts[:2]] == ["800M", "1600M"]
    words = ("failed to map segment", "Cannot allocate memory", "MemoryError", "not enough memory")
    assert any(word in limits.run.text for word in words)
    assert_as_if_nothing_happened(limits, undisturbed)


@pytest.fixture(scope="module")
def killed(tiny, tmp_path_factory):
    """The submitting Snakemake is killed while its jobs train, and started again while they still do."""
    project = tiny.edited(tmp_path_factory.mktemp("killed") / "project")
    with project.started(EDITED) as first:
        orphan = first.job(f"{IMAGES}_1")
        pid = first.script(orphan)
        kill(pid, signal.SIGSTOP)
        kill(first.main.pid)
        first.main.wait(timeout=60)
        with project.started(EDITED) as second:
            second.job(f"{IMAGES}_1")
            kill(pid, signal.SIGCONT)
            disturbed = finished(Disturbed(project, second))
            disturbed.seen["orphan"] = next(job for job in first.jobs() if job["id"] == orphan["id"])
            yield disturbed


def test_a_killed_main_process_continues_where_it_stopped_though_its_jobs_still_run(killed, undisturbed):
    assert killed.seen["orphan"]["state"] == "FAILED", "it published over a newer run"
    assert killed.states(f"{IMAGES}_1") == ["COMPLETED"]
    assert_as_if_nothing_happened(killed, undisturbed)
