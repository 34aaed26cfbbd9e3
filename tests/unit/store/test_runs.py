"""Finished runs are stored once, complete and checked; a failed one keeps its work."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.store import published
from reidflow.store.runs import DONE, EMBEDDINGS, LARGE, WEIGHTS, WHOLE, RunStore, verified
from reidflow.store.tables import Contract, read_table, write_table

SCORED = frozenset({WEIGHTS})


def make(content):
    def fill(work, out):
        (out / "result.txt").write_text(content)

    return fill


def test_a_stored_run_is_restored_and_never_made_again(tmp_path):
    store = RunStore(tmp_path)
    folder, restored = store.get_or_make("ab12", make("one"))
    assert not restored and (folder / "result.txt").read_text() == "one"
    folder, restored = store.get_or_make("ab12", make("two"))
    assert restored and (folder / "result.txt").read_text() == "one"


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_run_is_made_again(tmp_path, damage):
    store = RunStore(tmp_path)
    path = store.get_or_make("ab12", make("one"))[0] / "result.txt"
    path.chmod(0o644)
    path.unlink() if damage == "missing" else path.write_text({"truncated": "o", "changed": "eno"}[damage])
    folder, restored = store.get_or_make("ab12", make("two"))
    assert not restored and (folder / "result.txt").read_text() == "two"


def flip(path, keep_times):
    """Change one byte of a file."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    if keep_times:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_whoever_reads_a_damaged_run_sets_it_aside_and_says_so_until_it_is_made_again(tmp_path, damage):
    store = RunStore(tmp_path)
    folder, _ = store.get_or_make("ab12", make("one"))
    assert verified(folder, "result.txt").read_text() == "one" and store.damaged(["ab12"]) == []
    path = folder / "result.txt"
    path.unlink() if damage == "missing" else flip(path, keep_times=False)
    for _ in range(2):
        with pytest.raises(ReidflowError, match=f"{path}: not as it was stored. The run has been set aside"):
            verified(folder, "result.txt")
        assert not store.has("ab12") and store.damaged(["cd34", "ab12"]) == ["ab12"]
    assert store.get_or_make("ab12", make("one")) == (folder, False)
    assert verified(folder, "result.txt").read_text() == "one" and store.damaged(["ab12"]) == []


def test_runs_that_were_edited_are_found_without_reading_the_others(tmp_path, monkeypatch):
    store = RunStore(tmp_path)
    for key in ("ab12", "cd34", "ef56"):
        store.get_or_make(key, make(key))
    flip(store.folder("ab12") / "result.txt", keep_times=False)
    os.utime(store.folder("cd34") / "result.txt")
    assert store.damaged(["ab12", "cd34", "ef56", "gone"]) == ["ab12"]
    monkeypatch.setattr(RunStore, "_intact", None)
    assert store.damaged(["cd34", "ef56"]) == []


def test_a_failed_run_leaves_its_work_and_nothing_in_the_store(tmp_path):
    store = RunStore(tmp_path)

    def fail(work, out):
        (work / "checkpoint").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.get_or_make("ab12", fail)
    assert not store.has("ab12") and (store.work("ab12") / "checkpoint").read_text() == "half"
    store.get_or_make("ab12", lambda work, out: (work / "checkpoint").rename(out / "seen") and None)
    assert store.has("ab12") and not store.work("ab12").exists()


def test_a_run_that_turns_out_to_be_another_one_is_stored_as_that(tmp_path):
    store = RunStore(tmp_path)

    def shorter(work, out):
        make("shorter")(work, out)
        return "cd34"

    folder, restored = store.get_or_make("ab12", shorter)
    assert not restored and folder == store.folder("cd34") and (folder / "result.txt").read_text() == "shorter"
    assert store.has("cd34") and not store.has("ab12") and not store.work("ab12").exists()
    store.get_or_make("ab12", lambda work, out: make("differs")(work, out) or "cd34")
    assert (folder / "result.txt").read_text() == "shorter"


def test_stored_files_cannot_be_written_by_accident(tmp_path):
    folder, _ = RunStore(tmp_path).get_or_make("ab12", make("one"))
    assert (folder / "result.txt").stat().st_mode & 0o222 == 0


def test_two_processes_make_one_run_once(tmp_path):
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from reidflow.store.runs import RunStore
        def make(work, out):
            with open({str(tmp_path / "made")!r}, "a") as file:
                file.write("x")
            time.sleep(0.5)
            (out / "a").write_text("a")
        RunStore({str(tmp_path / "store")!r}).get_or_make("ab12", make)
    """)
    both = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [p.wait(timeout=120) for p in both] == [0, 0]
    assert (tmp_path / "made").read_text() == "x"


def test_trained_and_restored_runs_are_noted_as_used_with_the_time_of_their_use(tmp_path, monkeypatch):
    store = RunStore(tmp_path)

    def used(key, make):
        monkeypatch.setattr(published, "_USED", {})
        store.get_or_make(key, make)
        return published._USED

    assert used("ab12", make("one")) == {published.RUNS: {"ab12"}}
    os.utime(store.folder("ab12"), (0, 0))
    assert used("ab12", make("two")) == {published.RUNS: {"ab12"}}
    assert store.folder("ab12").stat().st_mtime > 0
    assert used("ef56", lambda work, out: make("shorter")(work, out) or "cd34") == {published.RUNS: {"cd34"}}


def make_large(work, out):
    (out / "history.parquet").write_text("history")
    for name in LARGE:
        (out / name).write_text(name)


def fail(work, out):
    raise AssertionError("made again")


@pytest.mark.parametrize("without", [LARGE, SCORED])
def test_files_that_nobody_needs_are_not_stored_and_a_request_for_them_makes_the_run_again_once(tmp_path, without):
    store = RunStore(tmp_path)
    folder, _ = store.get_or_make("ab12", make_large, without)
    assert {path.name for path in folder.iterdir()} == {DONE, "history.parquet", *LARGE} - without
    assert store.has("ab12", without) and not store.has("ab12")
    assert store.get_or_make("ab12", fail, without) == (folder, True)
    assert store.get_or_make("ab12", make_large) == (folder, False)
    assert all((folder / name).read_text() == name for name in LARGE)
    for needed in (WHOLE, SCORED, LARGE):
        assert store.has("ab12", needed) and store.get_or_make("ab12", fail, needed) == (folder, True)
    assert {path.name for path in folder.iterdir()} == {DONE, "history.parquet", *LARGE}


def test_a_run_with_embeddings_alone_satisfies_those_who_score_it(tmp_path):
    store = RunStore(tmp_path)
    store.get_or_make("ab12", make_large, LARGE)
    assert not store.has("ab12", SCORED)
    folder, restored = store.get_or_make("ab12", make_large, SCORED)
    assert not restored and (folder / EMBEDDINGS).exists() and not (folder / WEIGHTS).exists()


def test_a_run_stays_as_it_is_until_the_missing_files_are_made(tmp_path):
    store = RunStore(tmp_path)
    folder, _ = store.get_or_make("ab12", make_large, LARGE)

    def interrupted(work, out):
        make_large(work, out)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.get_or_make("ab12", interrupted)
    assert store.has("ab12", LARGE) and not store.has("ab12")
    assert store.get_or_make("ab12", fail, LARGE)[1] and (folder / "history.parquet").read_text() == "history"


@pytest.mark.parametrize("damaged", [DONE, "history.parquet"])
def test_a_damaged_run_is_made_again_with_the_files_that_it_had(tmp_path, damaged):
    """Whoever needed its weights has finished, and would not request them again."""
    store = RunStore(tmp_path)
    folder, _ = store.get_or_make("ab12", make_large)
    (folder / damaged).chmod(0o644)
    (folder / damaged).write_text("cut")
    assert store.get_or_make("ab12", make_large, LARGE) == (folder, False)
    assert store.has("ab12") and (folder / WEIGHTS).read_text() == WEIGHTS


def test_a_damaged_run_without_large_files_is_made_again_without_them(tmp_path):
    store = RunStore(tmp_path)
    folder, _ = store.get_or_make("ab12", make_large, LARGE)
    (folder / "history.parquet").unlink()
    assert store.get_or_make("ab12", make_large, LARGE) == (folder, False)
    assert {path.name for path in folder.iterdir()} == {DONE, "history.parquet"}


def test_a_trial_that_ends_as_a_whole_stored_run_takes_nothing_from_it(tmp_path):
    store = RunStore(tmp_path)
    store.get_or_make("cd34", make_large)
    store.get_or_make("ab12", lambda work, out: make_large(work, out) or "cd34", LARGE)
    assert store.has("cd34")


def test_one_process_that_needs_all_files_and_one_that_does_not_end_with_all_of_them(tmp_path):
    program = textwrap.dedent(f"""
        import sys
        from reidflow.store.runs import LARGE, RunStore
        def make(work, out):
            for name in [*LARGE, "history.parquet"]:
                (out / name).write_text(name)
        store = RunStore({str(tmp_path)!r})
        for _ in range(20):
            folder, _ = store.get_or_make("ab12", make, frozenset(LARGE) if sys.argv[1] == "slim" else frozenset())
            assert sys.argv[1] == "slim" or all((folder / name).exists() for name in LARGE)
    """)
    both = [subprocess.Popen([sys.executable, "-c", program, needs]) for needs in ("slim", "whole")]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert RunStore(tmp_path).has("ab12") and not (tmp_path / "work" / "ab12").exists()


def test_vectors_are_stored_exactly_and_in_fewer_bytes_than_they_have(tmp_path):
    """A dictionary of numbers that hardly recur would take half as much again."""
    vectors = np.random.default_rng(0).standard_normal((600, 128)).astype(np.float32)
    columns = {"image": pl.String, "stage": pl.String, "vector": pl.List(pl.Float32)}
    values = {
        "image": [f"{i}.png" for i in range(600)],
        "stage": ["initial", "final"] * 300,
        "vector": vectors.tolist(),
    }
    contract, path = Contract("vectors", columns), tmp_path / "vectors.parquet"
    write_table(pl.DataFrame(values, schema=columns), path, contract)
    assert np.array_equal(np.stack(read_table(path, contract)["vector"].to_numpy()), vectors)
    assert path.stat().st_size < vectors.nbytes
    write_table(read_table(path, contract), tmp_path / "again.parquet", contract)
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()
