"""Real runs of the workflow on a copy of the project, and what each of them did."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from reidflow.store.locks import locked

ROOT = Path(__file__).parents[2]
LONGEST = 1800  # seconds; only a hang takes as long, also on a busy machine
COPIED = ("Snakefile", "rules", "workflow", "src", "config", "profiles", "envs")


@dataclass
class Outcome:
    """What one command of Snakemake did: the jobs it executed, the runs it trained and restored."""

    status: int
    text: str
    jobs: list[tuple[str, str]]
    trained: list[dict]
    restored: list[dict]

    def of(self, rule: str) -> set[str]:
        """Return the wildcards (`experiment/arm`) of the executed jobs of a rule."""
        return {wildcards for name, wildcards in self.jobs if name == rule}

    @property
    def executed(self) -> list[tuple[str, str]]:
        """All jobs that make something, sorted."""
        return sorted(job for job in self.jobs if job[0] != "all_tables")


class Project:
    """A copy of the project in a folder of its own, in which Snakemake is run as a user would."""

    def __init__(self, folder: Path, config: str = "config/tiny.yaml", results: str = "results-tiny") -> None:
        self.folder, self.config, self.results = folder, config, folder / results

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--configfile", self.config, "--cores", "2", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REIDFLOW_")}
        own = {"PYTHONPATH": str(self.folder / "src"), "XDG_CACHE_HOME": str(self.folder / ".cache")}
        return {**kept, **own, "HF_HUB_OFFLINE": "1"}

    def chatter(self) -> dict[Path, str]:
        """Return what Snakemake itself said in each of its runs, which a screen shows in brief."""
        return {path: path.read_text() for path in sorted(self.folder.glob(".snakemake/log/*.log"))}

    def run(self, *arguments: str) -> Outcome:
        """Run Snakemake (by default all tables) and return what it did."""
        before, chatter = len(self.log()), self.chatter()
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=LONGEST,
        )
        text, log = done.stdout + done.stderr, self.log()[before:]
        by = {action: [line for line in log if line["action"] == action] for action in ("trained", "restored")}
        chatter = [said for path, said in self.chatter().items() if path not in chatter]
        jobs = executed("".join(chatter) or text)
        return Outcome(done.returncode, text, jobs, by["trained"], by["restored"])

    def plan(self, *arguments: str) -> str:
        """Return the output of `reidflow plan`."""
        command = [sys.executable, "-m", "reidflow.cli", "--configfile", self.config, "plan", *arguments]
        environment = {**self.environment, "PYTHONPATH": str(self.folder / "src")}
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=environment, timeout=LONGEST
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def planned(self) -> tuple[list[tuple[str, str]], dict]:
        """Return the jobs that `reidflow plan` foresees, named as in an `Outcome`, and the whole plan as JSON data."""
        found = json.loads(self.plan("--json"))
        named = [
            (job["rule"], [value for key, value in job["wildcards"].items() if key in ("experiment", "arm", "bank")])
            for job in found["job_list"]
        ]
        return sorted((rule, "/".join(values)) for rule, values in named), found

    def log(self) -> list[dict]:
        """Return the lines of the run store's log."""
        path = self.results / ".store" / "log.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def copy(self, folder: Path) -> "Project":
        """Return a copy, time stamps included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.config, self.results.name)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in a file of the copy."""
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name} no longer holds {old!r}: correct the test"
        path.write_text(text.replace(old, new))

    def tables(self) -> dict[str, bytes]:
        """Return the bytes of every result that holds no measured time."""
        found = sorted((self.results / "tables").glob("*.parquet")) + sorted(
            (self.results / "tables").glob("*findings.md")
        )
        return {path.name: path.read_bytes() for path in found if "efficiency" not in path.name}


def runs_of(project: Project, experiment: str, arm: str) -> list[dict]:
    """Return what the jobs say of an arm's reported runs: seed, key and spec of each."""
    files = sorted((project.results / "experiments" / experiment / "runs").glob("runs-*.json"))
    return [run for file in files for run in json.loads(file.read_text())["runs"] if run["arm"] == arm]


def executed(text: str) -> list[tuple[str, str]]:
    """Return (rule, wildcards joined by /) of the jobs that Snakemake says it executed."""
    jobs = []
    for block in re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", text, re.MULTILINE):
        wildcards = re.search(r"^    wildcards: (.*)$", block[1], re.MULTILINE)
        values = re.findall(r"(?:experiment|arm|bank)=([^,\n]+)", wildcards[1]) if wildcards else []
        jobs.append((block[0], "/".join(values)))
    return jobs


def checkout(folder: Path) -> Path:
    """Copy what a user has of the project into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def shared(tmp_path_factory, name: str, make) -> Project:
    """Return the project `name`, made once for all processes that run the tests: `make(folder)` runs in the first."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder, record = base / name, base / f"{name}.json"
    with locked(base / f"{name}.lock"):
        if not record.is_file():
            project, outcome = make(folder)
            assert outcome.status == 0, outcome.text
            record.write_text(json.dumps([project.config, project.results.name, asdict(outcome)]))
    config, results, outcome = json.loads(record.read_text())
    project = Project(folder, config, results)
    project.outcome = Outcome(**{**outcome, "jobs": [tuple(job) for job in outcome["jobs"]]})
    return project


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Project:
    """The tiny config, run once; tests work on copies."""

    def make(folder):
        project = Project(checkout(folder))
        return project, project.run()

    return shared(tmp_path_factory, "tiny", make)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory, tiny) -> Project:
    """The tiny project on a folder of photographs of its own (those of the demo), after a run that trained nothing."""

    def make(folder):
        project = tiny.copy(folder)
        shutil.move(project.results / "data" / "demo", folder / "photographs")
        (folder / "photographs" / "truth.parquet").unlink()
        project.edit(
            project.config,
            "{name: demo, identities: 6, images: 90, size: 96, seed: 0}",
            "{name: jaguar, path: photographs, metadata: meta.csv, group: sighting, flank: flank, time: time}",
        )
        return project, project.run()

    return shared(tmp_path_factory, "photographs", make)
