"""A full and a read-only disk: each is reported in a sentence, and nothing that was finished is lost or repeated.

The disks are mounted in a namespace of their own, which needs root or a kernel that lets users have one.
"""

import os
import subprocess

import pytest
from conftest import LONGEST

TRAINED = "results-tiny/experiments/tiny_losses/runs/runs-0.json"
# Room to begin and for some of the job's three runs (of 200 kB each), but not for all.
ROOM_KB = 1150


@pytest.fixture(scope="module")
def mounting(tmp_path_factory):
    """Return a function that runs a script of the shell where it may mount; skip where that is not permitted."""
    place, cache = tmp_path_factory.mktemp("mount"), tmp_path_factory.mktemp("cache")
    for flags in (["-m"], ["-Urm"]):
        enter = ["unshare", *flags, "bash", "-euc"]
        try:
            subprocess.run([*enter, f"mount -t tmpfs tmpfs {place}"], check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            continue
        return lambda project, script: subprocess.run(
            [*enter, script, "bash", *project.command()],
            cwd=project.folder,
            env={**project.environment, "XDG_CACHE_HOME": str(cache)},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
    pytest.skip("nothing can be mounted here: it needs root, or user namespaces (unshare -Urm)")


def test_on_a_full_disk_a_run_ends_with_a_sentence_and_continues_when_there_is_room(tiny, tmp_path, mounting):
    project = tiny.copy(tmp_path / "project")
    whole = (project.folder / TRAINED).read_bytes()
    (project.folder / TRAINED).unlink()
    before = len(project.log())
    done = mounting(
        project,
        f"""
        mv results-tiny kept; mkdir results-tiny; mount -t tmpfs -o size=1g tmpfs results-tiny
        cp -a kept/. results-tiny; rm -rf results-tiny/.store/runs
        used=$(df -k --output=used results-tiny | tail -1)
        mount -o remount,size=$((used + {ROOM_KB}))k results-tiny
        "$@" -- {TRAINED} > first.txt 2>&1 && exit 3
        wc -l < results-tiny/.store/log.jsonl > first.runs
        mount -o remount,size=1g results-tiny
        "$@" -- {TRAINED} > second.txt 2>&1
        rm -rf kept; cp -a results-tiny kept
        """,
    )
    first, second = ((project.folder / name).read_text() for name in ("first.txt", "second.txt"))
    assert done.returncode == 0, first + second + done.stderr
    assert "Traceback" not in first and "do not fit on its disk" in first and "Make room there" in first, first
    project.results = project.folder / "kept"
    trained = [line["key"] for line in project.log()[before:] if line["action"] == "trained"]
    assert before < int((project.folder / "first.runs").read_text()) < before + len(trained)
    assert len(trained) == len(set(trained)), "a finished run was trained again"
    assert (project.results / TRAINED.partition("/")[2]).read_bytes() == whole
    assert not [path for path in project.results.rglob("*") if path.name.startswith(".tmp-")]


@pytest.mark.parametrize("folder", ["results-tiny", "."])
def test_a_read_only_folder_is_reported_before_anything_runs(tiny, mounting, folder):
    done = mounting(
        tiny,
        f"""
        mount --bind "$PWD/{folder}" "$PWD/{folder}"; mount -o remount,bind,ro "$PWD/{folder}"
        cd "$PWD"; "$@"
        """,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 1 and "its file system is read-only. Make it writable" in text, text
    assert f"{os.sep}results-tiny: cannot be written" in text or "\nresults-tiny: cannot be written" in text, text
    assert "Traceback" not in text and "Building DAG" not in text, text
