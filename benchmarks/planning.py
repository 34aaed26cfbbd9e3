"""Planning compared with a bare Snakefile of as many jobs: `snakemake -n` and `reidflow plan`, before and after a run.

    python benchmarks/planning.py [--case single] [--case grouped] [--case demo] [--rounds 3]

Cases: `single`: 1,000 runs, half of them on images, each in a job of its own; `grouped`: the same runs in as many jobs
as by default; `demo`: the demo's config. The bare Snakefile has the same graph of jobs: as many rules, each job with as
many inputs and outputs and the same jobs before it, a script, a log, resources and a param, all constants. The results
"after a run" are empty files, marked as made by these jobs and recorded in the ledger of published files. Both sides are
measured in turn, each in a process of its own. Ratios are of CPU time.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from workflow import ROOT, copy

sys.path.insert(0, str(ROOT / "src"))
from reidflow.spec import yaml
from reidflow.store import published

ARMS = {"loss.margin": [round(0.05 * step, 2) for step in range(1, 11)], "loss.scale": list(range(8, 48, 4))}
EXPERIMENT = {
    "question": "How fast is planning?",
    "motivation": "Many runs.",
    "hypothesis": "As fast as without them.",
    "varies": ["loss"],
    "baseline": "margin 0.05 scale 8",
    "arms": {"margin {margin} scale {scale}": {"why": "One of many.", "each": ARMS}},
}
CASES = {
    "single": {"compute": {"runs_per_job": 1, "feature_runs_per_job": 1}},
    "grouped": {},
    "demo": None,
}
# `--touch` without its pause of 0.1 s per job, and without the flag, which the project refuses.
MARK = (
    "import sys; from snakemake.executors import touch; touch.Executor.SLEEPING_TIME = 0; "
    "from snakemake.cli import main; main([*sys.argv[1:], '--touch'])"
)
REIDFLOW = "import sys; sys.path.insert(0, 'src'); from reidflow.cli import main; sys.exit(main())"
PARAM = 4000  # characters


class Job(NamedTuple):
    """A job as a dry run lists it."""

    rule: str
    input: list[str]
    output: list[str]


class Side(NamedTuple):
    """A command, and the folder in which it is run."""

    folder: Path
    command: list[str]

    def dry_run(self) -> "Side":
        """Return its dry run."""
        return Side(self.folder, [*self.command, "-n"])


def main() -> None:
    """Make the projects of each case, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for case in given.case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            compare(case, Path(folder), given.rounds)


def compare(case: str, folder: Path, rounds: int) -> None:
    """Print the CPU and wall seconds of planning one case, beside its bare Snakefile, before and after a run."""
    project = copy(folder / "project")
    configfile = write_config(case, project)
    ours = Side(project, [sys.executable, "-m", "snakemake", "--configfile", configfile])
    plan = Side(project, [sys.executable, "-c", REIDFLOW, "--configfile", configfile, "plan"])
    jobs = jobs_of(timed(ours.dry_run())[2])
    bare = Side(
        bare_project(folder / "bare", jobs),
        [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy"],
    )
    sides = {"bare": bare.dry_run(), "dry run": ours.dry_run(), "reidflow plan": plan}
    for state in ("before a run", "after a run"):
        if state == "after a run":
            simulate_run(ours, jobs, Path("results"))
            simulate_run(bare, jobs_of(timed(bare.dry_run())[2]))
            if any("Nothing to be done" not in timed(side.dry_run())[2] for side in (ours, bare)):
                sys.exit("The simulated run is not recognised as one: measurements after it are meaningless.")
        taken = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                taken[name].append(timed(side)[:2])
        report(f"{case}, {len(jobs)} jobs, {state}", taken)


def report(what: str, taken: dict[str, list[tuple[float, float]]]) -> None:
    """Print the medians of one state. taken: side -> (CPU, wall) seconds of each round."""
    middle = {side: [statistics.median(column) for column in zip(*found, strict=True)] for side, found in taken.items()}
    for side, (cpu, wall) in middle.items():
        ratio = "" if side == "bare" else f", ratio {cpu / middle['bare'][0]:.2f} (wall {wall / middle['bare'][1]:.2f})"
        print(f"{what}: {side} {cpu:.2f} s CPU, {wall:.2f} s wall{ratio}", flush=True)


def write_config(case: str, project: Path) -> str:
    """Write the config of a case into the project; return its name there."""
    if CASES[case] is None:
        return "config/config.yaml"
    config = yaml.loads((ROOT / "config" / "config.yaml").read_text())
    kept = {key: config[key] for key in ("title", "dataset", "split", "protocol", "seeds", "sweep_seeds")}
    for name, trained in (("on_features", "head"), ("on_images", "all")):
        content = {**EXPERIMENT, "protocol": {"model": {"trainable": {"name": trained}}}}
        path = project / "config" / "experiments" / f"{name}.yaml"
        path.write_text(yaml.dumps(content))
    kept |= {"experiments": ["on_features", "on_images"], **CASES[case]}
    (project / "config" / "many.yaml").write_text(yaml.dumps(kept))
    return "config/many.yaml"


def jobs_of(listed: str) -> list[Job]:
    """Return the jobs that a dry run lists."""
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", listed, re.MULTILINE)
    return [Job(rule, paths(block, "input"), paths(block, "output")) for rule, block in blocks if rule != "all_tables"]


def paths(block: str, what: str) -> list[str]:
    """Return the inputs or outputs of a job as a dry run prints it."""
    found = re.search(rf"^    {what}: (.*)$", block, re.MULTILINE)
    return found[1].split(", ") if found else []


def bare_project(folder: Path, jobs: list[Job]) -> Path:
    """Write a Snakefile with the same graph of jobs, whose rules do nothing and have constant inputs."""
    folder.mkdir()
    (folder / "script.py").write_text("")
    rules: dict[str, list[Job]] = {}
    for job in jobs:
        rules.setdefault(job.rule, []).append(job)
    names = {
        path: f"out/{rule}/{number}/{place}"
        for rule, own in rules.items()
        for number, job in enumerate(own)
        for place, path in enumerate(job.output)
    }
    inputs = {
        rule: [[names[path] for path in job.input if path in names] for job in own] for rule, own in rules.items()
    }
    (folder / "inputs.json").write_text(json.dumps(inputs))
    text = ["import json", "INPUTS = json.load(open('inputs.json'))", f"PARAM = {'x' * PARAM!r}", "", "rule all:"]
    text += [f"    input: {list(names.values())!r}"]
    for rule, own in rules.items():
        outputs = ", ".join(repr(f"out/{rule}/{{i}}/{place}") for place in range(len(own[0].output)))
        text += [f"rule {rule}:", f"    input: lambda wildcards: INPUTS['{rule}'][int(wildcards.i)]"]
        text += [
            f"    output: {outputs}",
            f"    log: 'logs/{rule}-{{i}}.log'",
            "    params: job=lambda wildcards: PARAM",
        ]
        text += ["    resources: mem_mb=1500, runtime=60", "    script: 'script.py'"]
    (folder / "Snakefile").write_text("\n".join(text) + "\n")
    return folder


def simulate_run(side: Side, jobs: list[Job], results: Path | None = None) -> None:
    """Write empty files as if a side's jobs had made them. results: the folder of the ledger of published files."""
    for job in jobs:
        for path in job.output:
            (side.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (side.folder / path).touch()
    if results:
        os.chdir(side.folder)
        for job in jobs:
            published.record(results, [Path(path) for path in job.output])
    timed(Side(side.folder, [sys.executable, "-c", MARK, *side.command[3:]]))


def timed(side: Side) -> tuple[float, float, str]:
    """Run a command; return its CPU and wall seconds and its output. Exit when it fails."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen(side.command, cwd=side.folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(text)
    return used.ru_utime + used.ru_stime, wall, text


if __name__ == "__main__":
    main()
