import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.store import invocation, published
from reidflow.store.atomic import replacing, write_text
from reidflow.store.locks import hold, locked
from reidflow.store.runs import RunStore


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


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_run_is_made_again(tmp_path, damage):
    store = RunStore(tmp_path)
    path = store.get_or_make("ab12", make("one"))[0] / "result.txt"
    path.chmod(0o644)
    path.write_text("o") if damage == "cut" else path.unlink()
    folder, restored = store.get_or_make("ab12", make("two"))
    assert not restored and (folder / "result.txt").read_text() == "two"


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
    assert [p.wait() for p in both] == [0, 0]
    assert (tmp_path / "made").read_text() == "x"


def test_a_lock_dies_with_its_holder(tmp_path):
    program = textwrap.dedent(f"""
        import time
        from reidflow.store.locks import hold
        hold({str(tmp_path / "lock")!r})
        print("held", flush=True)
        time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(ReidflowError, match=f"process {process.pid} on"):
        hold(tmp_path / "lock")
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.close(hold(tmp_path / "lock"))


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
    main.wait()
    assert orphan.wait(timeout=30) == 143


def test_an_older_generation_does_not_publish(tmp_path, monkeypatch):
    write_text(invocation.generation_file(tmp_path), "new")
    monkeypatch.setenv(invocation.GENERATION, "old")
    with pytest.raises(ReidflowError, match="a newer run"):
        invocation.require_current(tmp_path)
    monkeypatch.setenv(invocation.GENERATION, "new")
    invocation.require_current(tmp_path)


def test_lost_records_of_snakemake_are_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    monkeypatch.setattr(sys, "argv", ["snakemake"])
    monkeypatch.setenv(invocation.MAIN, "")
    monkeypatch.setenv(invocation.GENERATION, "")
    invocation.prepare_main(results)
    os.close(invocation.begin(results))
    invocation.prepare_main(results)
    invocation.owner_file(results).unlink()
    with pytest.raises(ReidflowError, match=r"rm -r results/\[!\.\]\*"):
        invocation.prepare_main(results)


def test_touch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["snakemake", "--touch"])
    with pytest.raises(ReidflowError, match="--touch is refused"):
        invocation.prepare_main(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_ledger_finds_cut_and_edited_files_but_not_touched_or_deleted_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    files = [results / f"{name}.txt" for name in "abcd"]
    for path in files:
        write_text(path, "content")
    published.record(results, files)
    assert published.damaged(results) == []
    cut, edited, touched, deleted = files
    cut.write_text("con")
    edited.write_text("CONTENT")
    os.utime(touched, (time.time() + 5, time.time() + 5))
    deleted.unlink()
    assert published.damaged(results) == [cut, edited]
    write_text(cut, "content")
    write_text(edited, "content")
    assert published.damaged(results) == []


def test_locked_serialises_and_says_whom_it_waits_for(tmp_path):
    with locked(tmp_path / "lock"):
        holder = (tmp_path / "lock").read_text()
    assert holder.startswith(f"process {os.getpid()} on") and json.dumps(holder)


def test_a_file_that_another_job_wrote_anew_is_sound(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    one, both = results / "one", results / "both"
    results.mkdir()
    for path in (one, both):
        path.write_text("first")
    published.record(results, [one, both])
    both.write_text("second")
    published.record(results, [both])
    assert published.damaged(results) == []
    one.write_text("by hand")
    both.write_text("by hand")
    assert set(published.damaged(results)) == {one, both}
