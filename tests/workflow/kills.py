"""Kill a running workflow at random moments and check what is left.

Used by tests, by `make test-kills` (the tiny config with a search, 50 kills) and by `make test-kills-demo` (one whole
run of a config, a kill every minute). Whatever is killed, the tables are those of an undisturbed run.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from conftest import Project, checkout

from reidflow.spec import yaml

SEARCH = "kills_search"
EVERYTHING = "everything at once"
# Part of a command line -> kind of process; the first that matches.
KINDS = {
    "bash -c": "shell",
    "/bin/sh -c": "shell",
    "resource_tracker": "helper",
    "spawn_main": "worker of a pool",
    ".search.py": "worker of a search",
    ".snakemake/scripts": "job",
    "--mode": "Snakemake of a job",
}
PATIENCE = 20  # seconds to wait for a process of the kind to be killed
LONGEST_WAIT = 1800  # seconds in which a disturbed run must have ended


def processes(folder: Path, among: str = "") -> list[int]:
    """Return the living processes (zombies aside) that work in `folder`, with `among` in their command line."""
    return [pid for pid, line in command_lines(folder).items() if among in line]


def command_lines(folder: Path) -> dict[int, str]:
    """Return the command line of each living process (zombies aside) that works in `folder`."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            inside = (entry / "cwd").readlink().is_relative_to(folder)
            if state != "Z" and inside:
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def kinds(folder: Path, main: int) -> dict[str, list[int]]:
    """Return the processes at work in `folder`: kind -> process numbers."""
    found: dict[str, list[int]] = {"main process": [main]}
    for pid, line in sorted(command_lines(folder).items()):
        kind = next((kind for mark, kind in KINDS.items() if mark in line), None)
        if pid != main and kind:
            found.setdefault(kind, []).append(pid)
    return found


def start(project: Project, log: Path | None = None) -> subprocess.Popen:
    """Start the workflow and return its main process."""
    with (log or Path(os.devnull)).open("ab") as stream:
        return subprocess.Popen(
            project.command(), cwd=project.folder, env=project.environment, stdout=stream, stderr=subprocess.STDOUT
        )


def victims(folder: Path, main: subprocess.Popen, moment: random.Random) -> tuple[str, list[int]]:
    """Return a random kind of process and one of that kind, waiting for one to appear; else one of any kind."""
    wanted = moment.choice(sorted({"main process", EVERYTHING, *KINDS.values()}))
    deadline = time.monotonic() + PATIENCE
    running = kinds(folder, main.pid)
    while wanted not in (*running, EVERYTHING) and main.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        running = kinds(folder, main.pid)
    if wanted == EVERYTHING:
        return wanted, [pid for group in running.values() for pid in group]
    kind = wanted if wanted in running else moment.choice(list(running))
    return kind, [moment.choice(running[kind])]


def kill_some(
    project: Project, moment: random.Random, wait: Callable[[], float], most: int, log: Path | None = None
) -> Counter:
    """Run the workflow and kill one of its processes (or all) every `wait()` seconds until it ends; return the kills by kind.

    At most `most` kills.
    Raises AssertionError when it failed though nothing was killed, when it hangs after a kill, and when a process
    outlives the main process by a minute: on a busy machine, one that is just starting takes that long to notice.
    """
    main, killed = start(project, log), Counter()
    while killed.total() < most:
        with suppress(subprocess.TimeoutExpired):
            main.wait(wait())
            break
        kind, chosen = victims(project.folder, main, moment)
        if main.poll() is not None:
            break
        for pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed[kind] += 1
        if main.pid in chosen:
            break
    assert main.wait(LONGEST_WAIT) == 0 or killed, f"the workflow failed, though nothing was killed: {log}"
    deadline = time.monotonic() + 60
    while left := processes(project.folder):
        assert time.monotonic() < deadline, f"orphans {left} outlive the main process"
        time.sleep(0.05)
    return killed


def finish(project: Project) -> None:
    """Let the workflow finish; raise AssertionError where a kill has left damage other than in the tables."""
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    keys = [line["key"] for line in project.log() if line["action"] == "trained"]
    assert len(keys) == len(set(keys)), "a finished run was trained again"
    left = [path for path in project.results.rglob(".tmp-*") if path.parent.name != "locks"]
    assert not left, f"half files left: {left}"
    work = list((project.results / ".store" / "work").glob("*"))
    assert not work, f"unfinished runs left: {work}"
    dry = project.run("-n")
    assert dry.status == 0 and not dry.jobs, dry.text
    # Snakemake would not notice that a file without a record is outdated.
    assert "provenance/metadata" not in dry.text and "corrupted" not in dry.text, dry.text


def disturb(project: Project, moment: random.Random, kills: int, longest: float) -> Counter:
    """Kill the workflow up to `kills` times, then let it finish; return the kills by kind."""
    done: Counter = Counter()
    while done.total() < kills:
        killed = kill_some(project, moment, lambda: moment.uniform(0.5, longest), kills - done.total())
        if not killed:
            break
        done += killed
        say(done)
    finish(project)
    return done


def searching(folder: Path) -> Project:
    """Return the tiny project with a search, and with pools of workers, in `folder`."""
    project = Project(checkout(folder))
    shutil.copy2(Path(__file__).parent / "experiments" / f"{SEARCH}.yaml", folder / "config" / "experiments")
    project.edit(project.config, "[tiny_losses, tiny_backbones]", f"[tiny_losses, tiny_backbones, {SEARCH}]")
    with (folder / project.config).open("a") as config:
        config.write("\ncompute: {workers: 2, search_workers: 2}\n")
    return project


def say(kills: Counter, wanted: int | None = None) -> None:
    """Print the kills by kind so far."""
    count = f"{kills.total()} of {wanted}" if wanted else f"{kills.total()}"
    text = ", ".join(f"{kind} {times}" for kind, times in sorted(kills.items()))
    print(f"{time.strftime('%H:%M:%S')} {count} kills ({text})", flush=True)


def undisturbed(folder: Path, make: Callable[[Path], Project], results: Path | None) -> tuple[dict[str, bytes], float]:
    """Return the tables of an undisturbed run, and its seconds; those of `results` where given."""
    if results:
        return Project(results.parent, results=results.name).tables(), 0.0
    project, begun = make(folder / "undisturbed"), time.monotonic()
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    length = time.monotonic() - begun
    print(f"undisturbed: {length:.0f} s, {len(project.tables())} tables, {len(outcome.trained)} runs", flush=True)
    return project.tables(), length


def compare(project: Project, wanted: dict[str, bytes]) -> None:
    """Raise AssertionError naming the tables of `project` that differ from those wanted."""
    found = project.tables()
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    assert wanted and not differing, f"{project.folder}: tables unlike those of an undisturbed run: {differing}"


def at_random(folder: Path, given: argparse.Namespace) -> None:
    """Kill the tiny config with a search `given.kills` times, a few times in each folder, and compare its tables."""
    moment, kills = random.Random(given.seed), Counter()
    wanted, length = undisturbed(folder, searching, given.reference)
    while kills.total() < given.kills:
        project = searching(folder / f"after-{kills.total()}")
        each = min(given.each, given.kills - kills.total())
        kills += disturb(project, moment, each, given.longest or max(length / 3, 20))
        compare(project, wanted)
        say(kills, given.kills)
        shutil.rmtree(project.folder)
    print("tables identical, no run repeated, no orphan, no half file, no record lost")


def at_intervals(folder: Path, given: argparse.Namespace) -> None:
    """Kill one whole run of a config at intervals until it has finished, and compare its tables."""

    def make(place: Path) -> Project:
        content = yaml.loads((checkout(place) / given.configfile).read_text())
        return Project(place, given.configfile, content.get("results", "results"))

    moment, kills = random.Random(given.seed), Counter()
    wanted, _ = undisturbed(folder, make, given.reference)
    project, wait, known = make(folder / "killed"), given.every, 0
    while killed := kill_some(project, moment, lambda seconds=wait: seconds, sys.maxsize, folder / "log"):
        kills += killed
        say(kills)
        # A job that takes longer than the interval would be repeated forever.
        done = sum(1 for pattern in (".store/runs/*/*", ".ledger/*") for _ in project.results.glob(pattern))
        wait, known = (given.every if done > known else wait * 1.5), done
    finish(project)
    compare(project, wanted)
    print(f"{len(wanted)} tables identical after {kills.total()} kills")


def main() -> None:
    """Run the command line; any damage is an AssertionError, and the folder is left for inspection."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="?", type=int, default=50, help="kills of the tiny config with a search (50)")
    parser.add_argument("--each", type=int, default=10, help="kills in one folder (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims (0)")
    parser.add_argument("--longest", type=float, help="seconds before a kill, at most (a third of a run)")
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="instead kill one whole run of a config at this interval"
    )
    parser.add_argument("--configfile", default="config/config.yaml", help="that config (config/config.yaml)")
    parser.add_argument("--reference", type=Path, help="results folder of an undisturbed run (made if not given)")
    given = parser.parse_args()
    given.reference = given.reference and given.reference.absolute()
    folder = Path(tempfile.mkdtemp(prefix="reidflow-kills-"))
    print(f"in {folder}", flush=True)
    (at_intervals if given.every else at_random)(folder, given)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
