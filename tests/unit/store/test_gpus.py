"""Jobs on one machine lease GPUs of their own. The GPUs are simulated: a lease needs only their names."""

import itertools
import os
import subprocess
import sys
import textwrap
import time

import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.store import activity
from reidflow.store.gpus import FOLDER, allowed_gpus, gpu_names, lease, lock_folder


class Holder:
    """A process that leases one of the GPUs 0 and 1 and keeps it until it is killed."""

    def __init__(self, folder):
        program = textwrap.dedent(f"""
            import sys
            from pathlib import Path
            from reidflow.store.gpus import lease
            print(lease(["0", "1"], Path({str(folder)!r}), 0.02)[0], flush=True)
            sys.stdin.read()
        """)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen([sys.executable, "-c", program], text=True, **pipes)

    def gpu(self):
        return self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=60)


def test_jobs_get_gpus_of_their_own_and_a_dead_holders_gpu_is_taken_over(tmp_path):
    holders = [Holder(tmp_path) for _ in range(2)]
    gpus = [holder.gpu() for holder in holders]
    assert sorted(gpus) == ["0", "1"]
    late = Holder(tmp_path)
    said = late.process.stderr.readline()
    assert "waiting for one of the GPUs 0 (process " in said and str(holders[0].process.pid) in said
    holders[0].kill()
    assert late.gpu() == gpus[0]
    for holder in (holders[1], late):
        holder.kill()
    device, descriptor = lease(["0", "1"], tmp_path)
    os.close(descriptor)
    assert device == "0"


def test_many_jobs_take_turns_and_no_two_ever_share_a_gpu(tmp_path):
    # Each prints when it gets a GPU and when it is about to release it: the times of one GPU must not overlap.
    program = textwrap.dedent(f"""
        import os, time
        from pathlib import Path
        from reidflow.store.gpus import lease
        for _ in range(8):
            gpu, descriptor = lease(["a", "b"], Path({str(tmp_path)!r}) / "locks", 0.001)
            start = time.monotonic_ns()
            time.sleep(0.003)
            print(gpu, start, time.monotonic_ns(), flush=True)
            os.close(descriptor)
    """)
    (tmp_path / "locks").mkdir()
    jobs = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(4)
    ]
    held = [line.split() for job in jobs for line in job.communicate(timeout=120)[0].splitlines()]
    assert len(held) == 32
    for gpu in "ab":
        times = sorted((int(start), int(end)) for name, start, end in held if name == gpu)
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(times))


def test_a_lock_file_that_was_cleaned_away_meanwhile_is_not_relied_on(tmp_path, monkeypatch):
    lock, real = tmp_path / "0.lock", os.open
    opened = []

    def cleaned(path, *arguments):
        descriptor = real(path, *arguments)
        if not opened:
            lock.unlink()
        opened.append(path)
        return descriptor

    monkeypatch.setattr(os, "open", cleaned)
    _, descriptor = lease(["0"], tmp_path, 0.01)
    assert os.fstat(descriptor).st_ino == lock.stat().st_ino
    os.close(descriptor)


def test_gpus_have_the_same_name_whatever_else_a_job_sees():
    whole = gpu_names(["aa", "bb"], {})
    assert gpu_names(["bb"], {"CUDA_VISIBLE_DEVICES": "1"}) == whole[1:]
    assert gpu_names(["bb"], {"CUDA_VISIBLE_DEVICES": "GPU-b"}) == whole[1:]
    # Under SLURM with device constraints every job sees its GPU as 0.
    assert gpu_names(["bb"], {"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "1"}) == whole[1:]


def test_parts_of_a_divided_gpu_have_names_of_their_own():
    parts = "MIG-11,MIG-GPU-aa/2/0"
    assert gpu_names(["aa", "aa"], {"CUDA_VISIBLE_DEVICES": parts}) == parts.split(",")
    assert gpu_names(["aa", "aa"], {}) == ["0", "1"]


def test_a_part_of_a_gpu_named_by_its_path_can_be_leased(tmp_path):
    _, descriptor = lease(["MIG-GPU-aa/2/0"], tmp_path)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"CUDA_VISIBLE_DEVICES": "3, 5"}, ["3", "5"]),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_GPUS": "2,3"}, ["2", "3"]),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_GPUS": "2,3,6,7", "SLURM_STEP_GPUS": "6,7"}, ["6", "7"]),
        ({}, ["0", "1"]),
    ],
)
def test_without_uuids_gpus_are_named_as_the_scheduler_or_the_user_names_them(environment, names):
    assert gpu_names(["", ""], environment) == names


def test_a_job_that_sees_all_gpus_takes_those_that_slurm_assigned():
    assert allowed_gpus(4, {"SLURM_JOB_GPUS": "2,3"}) == [2, 3]
    assert allowed_gpus(1, {"SLURM_JOB_GPUS": "3", "CUDA_VISIBLE_DEVICES": "0"}) == [0]
    assert allowed_gpus(2, {"SLURM_JOB_GPUS": "1,3", "CUDA_VISIBLE_DEVICES": "1,3"}) == [0, 1]
    assert allowed_gpus(2, {"SLURM_JOB_GPUS": "2,3"}) == [0, 1]
    assert allowed_gpus(2, {}) == [0, 1]


def test_the_folder_of_locks_does_not_follow_a_jobs_own_tmpdir(tmp_path, monkeypatch):
    usual = lock_folder({})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert lock_folder({}) == usual and usual.stat().st_mode & 0o777 == 0o700
    assert lock_folder({FOLDER: str(tmp_path / "of" / "mine")}) == tmp_path / "of" / "mine"


@pytest.mark.parametrize("how", ["a link", "a file", "writable by all", "of somebody else"])
def test_a_planted_folder_of_locks_is_refused(tmp_path, monkeypatch, how):
    monkeypatch.setattr("reidflow.store.gpus.SHARED", tmp_path)
    folder = tmp_path / f"reidflow-gpus-{os.getuid()}"
    if how == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif how == "a file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777 if how == "writable by all" else 0o700)
    if how == "of somebody else":
        monkeypatch.setattr(os, "getuid", lambda: 4242)
        folder.rename(tmp_path / "reidflow-gpus-4242")
    with pytest.raises(ReidflowError, match="another user may have made it"):
        lock_folder({})


def test_a_job_that_waits_for_a_gpu_says_so_in_its_activity(tmp_path):
    activity_file = tmp_path / ".store" / "jobs" / "x.json"
    holder = Holder(tmp_path)
    other = Holder(tmp_path)
    assert {holder.gpu(), other.gpu()} == {"0", "1"}
    program = textwrap.dedent(f"""
        from pathlib import Path
        from reidflow.store import activity
        from reidflow.store.gpus import lease
        with activity.job(Path({str(tmp_path)!r}), "x", "features", ["features.npy"]):
            lease(["0", "1"], Path({str(tmp_path)!r}), 0.01)
            print(Path({str(activity_file)!r}).read_text(), flush=True)
    """)
    waiting = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    for _ in range(2000):
        if activity_file.exists() and '"waiting": "a GPU"' in activity_file.read_text():
            break
        time.sleep(0.01)
    else:
        waiting.kill()
        pytest.fail("its file never said that it waits")
    other.kill()
    assert '"waiting": ""' in waiting.communicate(timeout=60)[0]
    assert not activity_file.exists()
    holder.kill()


def test_activity_that_cannot_be_written_disturbs_no_job(tmp_path):
    (tmp_path / ".store").write_text("no folder")
    with activity.job(tmp_path, "x", "train", ["experiments/losses/runs/runs-0.json"]):
        assert activity.experiment() == "losses"
        activity.run(tmp_path / ".store" / "work", arm="arcface")
    assert activity.experiment() == ""
