"""Projects whose workflow runs on the one-node SLURM, and what SLURM did with their jobs."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from one_node import OneNode

_SPEC = importlib.util.spec_from_file_location("projects", Path(__file__).parents[1] / "workflow/conftest.py")
projects = importlib.util.module_from_spec(_SPEC)
sys.modules["projects"] = projects
_SPEC.loader.exec_module(projects)
checkout = projects.checkout

# What the faults disturb: one job on features and two on images, then their scores.
EDITED = "results-tiny/tables/tiny_backbones.parquet"
HEAD, IMAGES = "rule_heads-tiny_backbones", "rule_train_wildcards_tiny_backbones"
# Seconds; only a hang takes as long, also on a busy machine.
LONGEST = 1200


class Clustered(projects.Project):
    """A copy of the project whose jobs go to SLURM."""

    def __init__(self, folder: Path, node: OneNode) -> None:
        super().__init__(folder)
        self.node = node

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: self.node.environment[name] for name in ("SLURM_CONF", "PATH")}
        kept = {name: value for name, value in super().environment.items() if not name.startswith(("SLURM_", "CUDA_"))}
        return {**kept, **ours, "OMP_NUM_THREADS": "1"}

    def edited(self, folder: Path, compute: str = "") -> "Clustered":
        """Return a copy in which the runs of one experiment must be trained again, as quickly as possible."""
        project = Clustered(self.copy(folder).folder, self.node)
        project.edit(
            "config/experiments/tiny_backbones.yaml", "baseline: frozen", "baseline: frozen\nprotocol: {epochs: 5}"
        )
        project.edit("config/tiny.yaml", "runs_per_job: 1", f"runs_per_job: 1{compute}")
        return project

    def run_here(self) -> "projects.Outcome":
        """Build what the faults disturb, without SLURM."""
        return self.run("--", EDITED)

    @contextmanager
    def started(self, *targets: str):
        """Start the workflow with the cluster's profile; end what is left of it afterwards."""
        options = ["--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2"]
        command = [sys.executable, "-m", "snakemake", *options, "--configfile", self.config, "--", *targets]
        log = self.folder / f"main-{time.time_ns()}.log"
        with log.open("w") as stream:
            main = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=stream, stderr=subprocess.STDOUT
            )
        run = Run(self, main, log)
        try:
            yield run
        finally:
            if main.poll() is None:
                main.send_signal(signal.SIGINT)
                main.wait(60)


@dataclass
class Run:
    """A started main process, and the jobs that it submitted to SLURM."""

    project: Clustered
    main: subprocess.Popen
    log: Path

    @property
    def text(self) -> str:
        logs = [path for path in self.project.folder.glob("slurm_logs/**/*.log") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in (self.log, *logs))

    @property
    def status(self) -> int:
        return self.main.returncode

    def finish(self) -> None:
        self.main.wait(timeout=LONGEST)

    def jobs(self, what: str = "") -> list[dict[str, str]]:
        """Return SLURM's jobs whose rules begin with `what`, in order of submission."""
        name = re.search(r"SLURM run ID: (\S+)", self.log.read_text())
        if not name:
            return []
        fields = {"id": "JobID", "state": "State", "rule": "comment", "gpus": "tres-per-job", "memory": "MinMemory"}
        fields["limit"] = "TimeLimit"
        columns = ",".join(f"{field}:|" for field in fields.values())
        lines = self.project.node.call("squeue", "-h", "--states=all", f"--name={name[1]}", "-O", columns).splitlines()
        rows = [dict(zip(fields, line.split("|"), strict=False)) for line in lines]
        return sorted((row for row in rows if row["rule"].startswith(what)), key=lambda row: int(row["id"]))

    def wait(self, what: str, ready: Callable[[], object]) -> object:
        """Return what `ready` returns once it is true; fail when the main process ends before, or after a long time."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            if found := ready():
                return found
            assert self.main.poll() is None, f"the workflow ended before {what}:\n{self.text}"
            time.sleep(0.2)
        raise AssertionError(f"waited too long for {what}:\n{self.text}")

    def script(self, job: dict[str, str]) -> int:
        """Return the process of a job's script once it trains."""
        return self.wait(f"{job['rule']} runs", lambda: script_of(self.project.folder, job["id"]))

    def job(self, what: str) -> dict[str, str]:
        """Return the first job of a rule, once SLURM has it."""
        return self.wait(f"{what} is submitted", lambda: (self.jobs(what) or [None])[0])


def script_of(folder: Path, job: str) -> int | None:
    """Return the process that executes a script of the workflow for a job of SLURM's."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = (entry / "cwd").readlink().is_relative_to(folder)
            trains = inside and ".snakemake/scripts" in (entry / "cmdline").read_text()
            if trains and f"SLURM_JOB_ID={job}" in (entry / "environ").read_text().split("\0"):
                return int(entry.name)
        except OSError:
            continue
    return None


def variable(pid: int, name: str) -> str | None:
    """Return a variable of a process's environment."""
    variables = dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in line)
    return variables.get(name)


def kill(pid: int, how: int = signal.SIGKILL) -> None:
    os.kill(pid, how)


def trained_twice(project: Clustered) -> list[str]:
    """Return the runs that were trained more than once."""
    keys = [line["key"] for line in project.log() if line["action"] == "trained"]
    return [key for key in set(keys) if keys.count(key) > 1]
