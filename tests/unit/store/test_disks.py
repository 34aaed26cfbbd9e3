"""Full, read-only and failing disks: what is reported, and what is not lost."""

import errno
import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.store import runs
from reidflow.store.atomic import append_line, remove_orphaned, replacing, write_text
from reidflow.store.disk import explained, explanation
from reidflow.store.job import LogFile
from reidflow.store.runs import RunStore, remove_former_arms, write_readable


@contextmanager
def files_up_to(size):
    """Let no file of this process grow beyond `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "MB are free. Make room there."),
        (errno.EDQUOT, "have the quota raised"),
        (errno.EROFS, "its file system is read-only. Make it writable"),
        (errno.EACCES, "Correct its permissions"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_a_disk_error_names_the_file_and_the_remedy(tmp_path, number, words):
    path = tmp_path / "tables" / "losses.parquet"
    with pytest.raises(ReidflowError) as said, explained(tmp_path):
        raise OSError(number, os.strerror(number), str(path))
    assert str(said.value).startswith(f"{path}: ") and words in str(said.value)
    assert "finished training runs are kept" in str(said.value)


def test_other_errors_keep_their_traceback(tmp_path):
    with pytest.raises(FileNotFoundError), explained(tmp_path):
        (tmp_path / "absent").read_text()
    assert explanation(ReidflowError("column 'a': No space left on device"), tmp_path) is None


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("weights.safetensors", lambda path: path.write_bytes(bytes(100_000))),
        ("features.npy", lambda path: np.save(path, np.zeros(20_000))),
        ("shard.npz", lambda path: np.savez(path, a=np.random.default_rng(0).random(20_000))),
        (
            "table.parquet",
            lambda path: pl.DataFrame({"a": np.random.default_rng(0).random(50_000)}).write_parquet(path),
        ),
    ],
)
def test_whatever_writes_a_file_that_does_not_fit_names_it_and_leaves_the_old_one(tmp_path, name, write):
    path = tmp_path / name
    path.write_bytes(b"old")
    with files_up_to(10_000), pytest.raises(OSError) as refused, replacing(path) as temporary:
        write(temporary)
    assert refused.value.filename == str(path) and explanation(refused.value, tmp_path).startswith(f"{path}: ")
    assert [file.name for file in tmp_path.iterdir()] == [name] and path.read_bytes() == b"old"


def test_a_line_is_appended_wholly_or_not_at_all(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, "first")
    with path.open("ab") as file:
        file.write(b"torn by a ki")
    append_line(path, "second")
    assert path.read_text() == "first\nsecond\n"
    with files_up_to(path.stat().st_size + 10), pytest.raises(OSError, match=r"log\.jsonl"):
        append_line(path, "x" * 100)
    assert path.read_text() == "first\nsecond\n"


def test_only_temporary_files_of_dead_processes_are_removed(tmp_path):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    host = os.uname().nodename
    names = [f".tmp-{child}@{host}-a.json", f".tmp-{os.getpid()}@{host}-b.json", f".tmp-{child}@elsewhere-c.json"]
    for folder in (tmp_path, tmp_path / "runs"):
        folder.mkdir(exist_ok=True)
        for name in (*names, "kept.json"):
            (folder / name).touch()
    remove_orphaned(tmp_path, skip=frozenset({"runs"}))
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], "kept.json", "runs"}
    assert len(list((tmp_path / "runs").iterdir())) == 4


def test_a_killed_writers_file_is_recognised_and_removed(tmp_path):
    child = os.fork()
    if not child:
        with replacing(tmp_path / "table.parquet"):
            os._exit(9)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 1
    remove_orphaned(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_that_cannot_be_read_just_now_is_not_discarded(tmp_path, monkeypatch):
    store = RunStore(tmp_path)
    store.get_or_make("ab12", lambda work, out: write_text(out / "result.json", "{}"))

    def fails(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patched, pytest.raises(OSError, match=r"result\.json"):
        patched.setattr(runs, "_checksum", fails)
        store.get_or_make("ab12", lambda work, out: None)
    assert store.get_or_make("ab12", lambda work, out: None)[1]


def test_what_a_run_left_when_it_was_killed_after_it_was_stored_is_cleared_away(tmp_path):
    store = RunStore(tmp_path)
    store.get_or_make("ab12", lambda work, out: write_text(out / "result.json", "{}"))
    write_text(store.work("ab12") / "checkpoint.pt", "weights")
    assert store.get_or_make("ab12", lambda work, out: None)[1] and not store.work("ab12").exists()


def no_link(*_, **__):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", ["hard", "symbolic", "none"])
def test_readable_folders_link_the_large_files_as_the_disk_allows_and_follow_the_seeds(tmp_path, monkeypatch, links):
    store, arm = RunStore(tmp_path / "store"), tmp_path / "arms" / "arm"

    def make(work, out):
        (out / "history.parquet").write_text("history")
        for name in runs.LARGE:
            (out / name).write_text(name)

    if links != "hard":
        monkeypatch.setattr(os, "link", no_link)
    if links == "none":
        monkeypatch.setattr(Path, "symlink_to", no_link)
    run, _ = store.get_or_make("ab12", make)
    write_readable(arm, {"seed-1": (run, {})})
    for _ in range(2):
        write_readable(arm, {"seed-0": (run, {"loss": "arcface"})})
    seed = arm / "seed-0"
    assert {path.name for path in seed.iterdir()} == {*runs.LARGE, "history.parquet", "run.yaml"}
    for name in runs.LARGE:
        assert (seed / name).read_text() == name and not (seed / name).stat().st_mode & 0o222
        assert (seed / name).samefile(run / name) == (links != "none")
        assert (seed / name).is_symlink() == (links == "symbolic")
    assert not (seed / "history.parquet").samefile(run / "history.parquet") and not (arm / "seed-1").exists()
    monkeypatch.undo()
    tmp_path.rename(moved := tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert all((moved / "arms" / "arm" / "seed-0" / name).read_text() == name for name in runs.LARGE)
    moved.rename(tmp_path)


def test_folders_of_former_arms_are_removed(tmp_path):
    for name in ("arcface", "triplet", "runs"):
        (tmp_path / name).mkdir()
    (tmp_path / "metrics.parquet").touch()
    remove_former_arms(tmp_path, ["arcface", "runs"])
    assert {path.name for path in tmp_path.iterdir()} == {"arcface", "runs", "metrics.parquet"}


def test_a_log_on_a_full_disk_continues_on_the_screen(tmp_path, capfd):
    full = LogFile(Path("/dev/full"))
    full.write(b"what comes next, ")
    (tmp_path / "file").write_text(json.dumps("no folder"))
    absent = LogFile(tmp_path / "file" / "job.log")
    absent.write(b"written all the same")
    assert full.lost and absent.lost
    said = capfd.readouterr().err
    assert "/dev/full: this log cannot be written (No space left on device)" in said
    assert "what comes next, " in said and said.endswith("written all the same")


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
