"""Kills a running workflow at random moments and looks at what is left: used by the test and by `make test-kills`."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from conftest import Project, checkout


def processes(folder: Path, among: str = "") -> list[int]:
    """Return the living processes (zombies aside) that work in `folder`, with `among` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            inside = (entry / "cwd").readlink().is_relative_to(folder)
            if state != "Z" and inside and among in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill_once(project: Project, moment: random.Random, longest: float) -> str | None:
    """Run the workflow and kill the main process, a job, or both after a random time; None if it ended before.

    Raises AssertionError when a process outlives the main process by a minute: one that is only starting up, on a busy
    machine, takes that long to look for it.
    """
    main = subprocess.Popen(
        project.command(),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    whom = moment.choice(["main", "job", "both"])
    try:
        main.wait(moment.uniform(0.5, longest))
        return None
    except subprocess.TimeoutExpired:
        pass
    jobs = processes(project.folder, ".snakemake/scripts")
    if whom != "main" and jobs:
        _kill(moment.choice(jobs))
    if whom != "job":
        _kill(main.pid)
    main.wait()
    deadline = time.monotonic() + 60
    while left := processes(project.folder):
        assert time.monotonic() < deadline, f"orphans {left} outlive the main process"
        time.sleep(0.05)
    return whom


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def disturb(project: Project, moment: random.Random, kills: int, longest: float) -> int:
    """Kill the workflow up to `kills` times, then let it finish; return how often it was killed."""
    done = 0
    while done < kills and kill_once(project, moment, longest):
        done += 1
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    keys = [line["key"] for line in project.log() if line["action"] == "trained"]
    assert len(keys) == len(set(keys)), "a finished run was trained again"
    left = [path for path in project.results.rglob(".tmp-*") if ".store" not in path.parts]
    assert not left, f"half files left: {left}"
    return done


def main() -> None:
    """Kill the tiny config `sys.argv[1]` times in all and compare every table with an undisturbed run's."""
    wanted, moment = int(sys.argv[1]), random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    with tempfile.TemporaryDirectory() as folder:
        reference = Project(checkout(Path(folder) / "reference"))
        start = time.monotonic()
        assert reference.run().status == 0
        length, kills, round_ = time.monotonic() - start, 0, 0
        while kills < wanted:
            project = Project(checkout(Path(folder) / f"round-{round_}"))
            kills += disturb(project, moment, min(5, wanted - kills), length / 2)
            assert project.tables() == reference.tables(), "the tables differ from an undisturbed run's"
            round_ += 1
            print(f"{kills} kills, tables identical, no run repeated, no orphan, no half file", flush=True)


if __name__ == "__main__":
    main()
