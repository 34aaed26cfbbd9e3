"""The tiny config goes through SLURM in few jobs, and GPUs are assigned as they are requested."""

import itertools

from clustered import Clustered, checkout


def spans(node) -> dict[str, dict]:
    """Return job -> its GPUs and when it got and released them, as slurmd recorded."""
    found = {}
    for line in (node.folder / "gpus.log").read_text().splitlines():
        event, job, gpus, moment = line.split()
        found.setdefault(job, {"gpus": gpus})[event] = float(moment)
    return found


def overlapping(having: list[dict]) -> list[tuple[dict, dict]]:
    return [
        (one, other)
        for one, other in itertools.combinations(having, 2)
        if one["gpus"] == other["gpus"] and one["began"] < other["ended"] and other["began"] < one["ended"]
    ]


def test_all_tables_come_out_and_each_run_was_trained_once(tiny):
    keys = [line["key"] for line in tiny.log() if line["action"] == "trained"]
    assert keys and len(keys) == len(set(keys))
    assert {"tiny_losses.parquet", "tiny_backbones.findings.md", "leaderboard.parquet"} <= set(tiny.tables())
    assert (tiny.results / "pages/tiny_losses.html").is_file()


def test_small_jobs_are_submitted_together(tiny):
    jobs = tiny.first.jobs()
    assert 8 <= len(jobs) <= 12, jobs
    assert all(job["state"] == "COMPLETED" for job in jobs), jobs


def test_jobs_on_images_request_a_gpu_and_head_runs_none(tiny):
    requested = {job["rule"]: job["gpus"] for job in tiny.first.jobs()}
    with_gpu = {rule for rule, gpus in requested.items() if "gpu" in gpus}
    assert with_gpu == {
        "rule_features_features",
        "rule_backbones_installed",
        "rule_train_wildcards_tiny_backbones_1",
        "rule_train_wildcards_tiny_backbones_2",
    }, requested


def test_no_gpu_is_assigned_to_two_jobs_at_once(tiny, node):
    recorded = spans(node)
    having = [recorded[job["id"]] for job in tiny.first.jobs() if recorded[job["id"]]["gpus"] != "-"]
    assert len(having) == 4 and {job["gpus"] for job in having} == {"0", "1"}
    assert not overlapping(having)
    shared = [{**job, "gpus": "0"} for job in having]
    assert overlapping(shared), "no two jobs had GPUs at the same time: the test shows nothing"


def test_memory_and_time_are_requested_by_rule(tiny):
    requested = {job["rule"]: (job["memory"], job["limit"]) for job in tiny.first.jobs()}
    assert requested["rule_train_wildcards_tiny_backbones_1"] == ("6000M", "1:00:00")
    assert requested["rule_heads-tiny_backbones_train"] == ("1500M", "1:00:00")
    assert requested["rule_leaderboard"] == ("2000M", "15:00")


def test_a_second_command_submits_nothing(tiny: Clustered):
    with tiny.started() as run:
        run.finish()
    assert run.status == 0 and "Nothing to be done" in run.text and not run.jobs(), run.text


class Forgetful(Clustered):
    """A project on a SLURM that says it forgets finished jobs after two minutes."""

    @property
    def environment(self) -> dict[str, str]:
        mine = super().environment
        return {**mine, "PATH": f"{self.folder}/bin:{mine['PATH']}"}


def test_a_slurm_that_forgets_finished_jobs_too_soon_gets_no_jobs(node, tmp_path):
    project = Forgetful(checkout(tmp_path / "project"), node)
    scontrol = project.folder / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text("#!/bin/sh\necho 'MinJobAge = 120 sec'\n")
    scontrol.chmod(0o755)
    with project.started() as run:
        run.finish()
    assert run.status and "slurm-status-command: sacct" in run.text and not run.jobs(), run.text
