"""Time and memory of every rule for drawn data sets of growing size, and how they grow: the figures of docs/scale.md.

Run: python benchmarks/scale.py --folder FOLDER [--images 3000 10000 30000 100000] [--cores 2] [--memory-gb 8]

Each data set has ten photographs of an individual, in groups of two, and goes through a whole run: ingest, groups,
split, features of a small random network, `losses` with three arms and one seed, evaluation, tables and page. Results
stay in FOLDER, where a second call measures only what is not measured yet; without --images it prints the table.

CPU seconds and memory are those of a job's processes together, read from /proc five times a second. Memory is the peak of
what is resident, pages of mapped files included. No process may allocate more than --memory-gb.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from workflow import copy

SIDE, OF_EACH, OF_GROUP = 72, 10, 2
PERIOD = 0.2
PLANNING, STARTING = "(main process)", "(short-lived)"

CONFIG = """
title: drawn, {count} images
scale: random network
results: results
dataset:
  source: {{name: table, path: {data}/labels.csv, image: path, identity: identity, group: sighting}}
  frame: {{name: squash}}
split: {{name: closed_set, train: 0.5, val: 0.2, test: 0.3, seed: 0}}
protocol:
  model:
    backbone: {{name: small, family: efficientnet}}
    size: 64
    head: {{dim: 64}}
  loss: {{name: cross_entropy}}
  sampler: {{name: pk, identities: 32, images: 4}}
  optimizer: {{name: adamw, learning_rate: 0.003}}
  scheduler: {{name: cosine}}
  epochs: 3
seeds: [0]
sweep_seeds: [100]
experiments: [losses]
overrides:
  losses:
    tuned: {{optimizer.learning_rate: [0.003, 0.01]}}
    protocol: {{sampler: {{name: pk, identities: 32, images: 4}}}}
    arms:
      cosface: null
      subcenter_arcface: null
      proxy_anchor: null
      contrastive: null
      supcon: null
      circle: null
      multi_similarity: null
"""


def main() -> None:
    """Draw, run and measure what is missing; print the table and the slopes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, nargs="*", default=[])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory-gb", type=float, default=8.0)
    given = parser.parse_args()
    for count in given.images:
        measured = given.folder / f"{count}.json"
        if not measured.is_file():
            data = draw(given.folder / f"data-{count}", count)
            figures = run(data, given.folder / f"run-{count}", count, given.cores, given.memory_gb)
            measured.write_text(json.dumps(figures, indent=1) + "\n")
    files = sorted(given.folder.glob("*.json"), key=lambda file: int(file.stem))
    print(table({int(file.stem): json.loads(file.read_text()) for file in files}))


def draw(folder: Path, count: int) -> Path:
    """Draw `count` JPEG images and their labels into a folder; return it. An individual is a smooth random pattern."""
    labels = folder / "labels.csv"
    if labels.is_file():
        return folder
    rows = ["path,identity,sighting"]
    for individual in range(math.ceil(count / OF_EACH)):
        random = np.random.Generator(np.random.PCG64(individual))
        coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        pattern = np.asarray(coarse.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
        name = f"animal-{individual:06d}"
        place = folder / "images" / name
        place.mkdir(parents=True, exist_ok=True)
        for number in range(min(OF_EACH, count - individual * OF_EACH)):
            if number % OF_GROUP == 0:
                top, left, light = random.integers(0, SIDE, 2).tolist() + random.integers(-40, 41, 1).tolist()
            seen = pattern[top : top + SIDE, left : left + SIDE] + light + random.integers(-9, 10, (SIDE, SIDE, 1))
            Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)).save(place / f"{number}.jpg", quality=85)
            rows.append(f"images/{name}/{number}.jpg,{name},{name}-{number // OF_GROUP}")
    labels.write_text("\n".join(rows) + "\n")
    return folder


def run(data: Path, folder: Path, count: int, cores: int, memory_gb: float) -> dict[str, dict[str, float]]:
    """Return rule -> seconds, cpu, peak_mb and jobs of a whole run in `folder`."""
    copy(folder)
    (folder / "scale.yaml").write_text(CONFIG.format(count=count, data=data.resolve()))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--configfile",
        "scale.yaml",
        "--cores",
        str(cores),
        "--",
        "all_tables",
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder.resolve() / "src")}
    most = int(memory_gb * 2**30)
    with (folder / "screen.txt").open("w") as screen:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=screen,
            stderr=screen,
            env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)),
        )
        watched = Watch(process.pid)
        while process.poll() is None:
            watched.look()
            time.sleep(PERIOD)
    if process.returncode:
        sys.exit(f"{screen.name}:\n" + Path(screen.name).read_text()[-4000:])
    figures = watched.figures()
    for name in ("(dry run, first)", "(dry run)"):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*command[:-2], "-n", "--quiet", "all", *command[-2:]], cwd=folder, env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures[name] = {"seconds": time.perf_counter() - start, "cpu": cpu, "peak_mb": 0.0, "jobs": 1}
    return figures


class Watch:
    """Watches the jobs of a Snakemake process: the trees of its children, by the rule that each names."""

    def __init__(self, main: int) -> None:
        self.main = main
        self.rule_of: dict[int, str] = {}
        self.seen: dict[int, dict[str, float]] = {}

    def look(self) -> None:
        """Take a sample of all jobs."""
        now, children, facts = time.monotonic(), defaultdict(list), {}
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and (found := _process(entry.name)):
                facts[int(entry.name)] = found
                children[found["parent"]].append(int(entry.name))
        if self.main in facts:
            self._keep(self.main, PLANNING, now, [facts[self.main]], waited=False)
        for job in children[self.main]:
            tree = _tree(job, children)
            rule = self.rule_of.get(job) or next(filter(None, map(_rule, tree)), STARTING)
            self._keep(job, rule, now, [facts[pid] for pid in tree])

    def _keep(self, job: int, rule: str, now: float, tree: list[dict[str, float]], waited: bool = True) -> None:
        known = self.seen.setdefault(job, {"start": now, "cpu": 0.0, "peak_mb": 0.0})
        known["end"] = now
        known["cpu"] = max(known["cpu"], sum(each["cpu"] + waited * each["waited"] for each in tree))
        resident = max(sum(each["resident_mb"] for each in tree), max(each["peak_mb"] for each in tree))
        known["peak_mb"] = max(known["peak_mb"], resident)
        if rule != STARTING:
            self.rule_of[job] = rule

    def figures(self) -> dict[str, dict[str, float]]:
        """Return rule -> wall and CPU seconds of its jobs together, the peak of one in MB, and their number."""
        found: dict[str, dict[str, float]] = {}
        for job, known in self.seen.items():
            rule = found.setdefault(
                self.rule_of.get(job, STARTING), {"seconds": 0.0, "cpu": 0.0, "peak_mb": 0.0, "jobs": 0}
            )
            rule["seconds"] += known["end"] - known["start"]
            rule["cpu"] += known["cpu"]
            rule["peak_mb"] = max(rule["peak_mb"], known["peak_mb"])
            rule["jobs"] += 1
        return found


def _process(pid: str) -> dict[str, float] | None:
    """Return parent, CPU seconds (own, and of children that were waited for), resident and peak MB of a process."""
    try:
        fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
        status = Path("/proc", pid, "status").read_text()
    except OSError:
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    times = [int(value) / ticks for value in fields[11:15]]
    memory = {name: int(value) / 1024 for name, value in re.findall(r"^(VmHWM|VmRSS):\s+(\d+)", status, re.M)}
    return {
        "parent": int(fields[1]),
        "cpu": times[0] + times[1],
        "waited": times[2] + times[3],
        "resident_mb": memory.get("VmRSS", 0.0),
        "peak_mb": memory.get("VmHWM", 0.0),
    }


def _rule(pid: int) -> str | None:
    """Return the rule of a job by the log that one of its processes holds open: logs/RULE.log or logs/RULE/JOB.log."""
    for entry in Path("/proc", str(pid), "fd").glob("*"):
        try:
            where = entry.readlink()
        except OSError:
            continue
        if "logs" in where.parts and where.suffix == ".log":
            below = Path(*where.parts[where.parts.index("logs") + 1 :])
            return below.stem if len(below.parts) == 1 else str(below.parent)
    return None


def _tree(root: int, children: dict[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def table(measured: dict[int, dict[str, dict[str, float]]]) -> str:
    """Return the figures as Markdown: CPU seconds and peak MB of each rule at each size, and the slopes of both.

    A slope is that of log CPU seconds (or of log MB above the smallest) over log images, between the two largest sizes.
    """
    sizes = sorted(measured)
    rules = list(dict.fromkeys(rule for size in reversed(sizes) for rule in measured[size]))
    head = ["rule", *(f"{size:,}" for size in sizes), "slope", *(f"{size:,} MB" for size in sizes)]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for rule in rules:
        of = {size: measured[size].get(rule) for size in sizes}
        cpu = ["" if found is None else f"{found['cpu']:.0f} s" for found in of.values()]
        peak = ["" if found is None else f"{found['peak_mb']:.0f}" for found in of.values()]
        lines.append("| " + " | ".join([rule, *cpu, _slope({s: f["cpu"] for s, f in of.items() if f}), *peak]) + " |")
    return "\n".join(lines)


def _slope(values: dict[int, float]) -> str:
    if len(values) < 2:
        return ""
    (one, low), (other, high) = sorted(values.items())[-2:]
    return f"{math.log(high / low) / math.log(other / one):.2f}" if low > 0 and high > 0 else ""


if __name__ == "__main__":
    main()
