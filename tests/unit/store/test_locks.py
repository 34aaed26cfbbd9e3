"""Locks serialise processes, name their holder and die with it."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.store.locks import hold, is_held, try_lock


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
    process.wait(timeout=60)
    os.close(hold(tmp_path / "lock"))


def test_a_held_lock_is_seen_by_others_and_waited_for_by_nobody_who_only_tries(tmp_path):
    lock = tmp_path / "locks" / "run"
    assert not is_held(lock) and not lock.exists(), "looking makes no file"
    with try_lock(lock) as mine:
        assert mine and is_held(lock)
        with try_lock(lock) as other:
            assert not other
    assert not is_held(lock)


def test_who_waits_names_the_holder(tmp_path):
    program = f"from reidflow.store.locks import locked\nwith locked({str(tmp_path / 'lock')!r}): print('held')"
    held = hold(tmp_path / "lock")
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    waiting = subprocess.Popen([sys.executable, "-c", program], text=True, **pipes)
    assert f"held by process {os.getpid()} on" in waiting.stderr.readline()
    os.close(held)
    assert waiting.communicate(timeout=60)[0] == "held\n"
