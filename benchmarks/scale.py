"""Time and memory of every rule for drawn data sets of growing size, and how they grow: the figures of docs/scale.md.

Run: python benchmarks/scale.py --folder FOLDER [--images 3000 10000 30000 100000] [--cores 2] [--memory-gb 8] [--duplicates]

Each data set has ten photographs of an individual, in groups of two, and goes through a whole run: ingest, groups,
split, features of a small random network, `losses` with three arms and one seed, evaluation, tables and page; with
--duplicates also through pairs of near-duplicates by three methods and the scores of curation. Results stay in FOLDER: a
second call runs and measures again what the code or the options changed, and keeps the other figures. Without --images it
prints the tables of what is measured.

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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reidflow.spec import plan
from workflow import copy

SIDE, OF_EACH, OF_GROUP = 72, 10, 2
PERIOD = 0.2
METHODS = ("phash", "hash_ssim", "knn")
SIZES = (
    ".cache/raw.json",
    "data/manifest.parquet",
    "data/pairs.parquet",
    "experiments/losses/per_query.parquet",
    "tables/losses.parquet",
    "pages/losses.html",
)
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
experiments: [{experiments}]
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
    parser.add_argument("--duplicates", action="store_true")
    given = parser.parse_args()
    for count in given.images:
        measured = given.folder / f"{count}.json"
        known = json.loads(measured.read_text()) if measured.is_file() else {"rules": {}}
        case = Case(given.folder / f"run-{count}", draw(given.folder / f"data-{count}", count), count, given.cores)
        copy(case.folder)
        rules = case.run(given.memory_gb, "losses", ["all_tables"])
        rules |= case.dry_runs()
        if given.duplicates:
            rules = case.run(given.memory_gb, "losses, eda_dedup, eda_curation", case.of_duplicates()) | rules
        content = {"rules": {**known["rules"], **rules}, "bytes": case.sizes()}
        measured.write_text(json.dumps(content, indent=1) + "\n")
    files = sorted(given.folder.glob("*.json"), key=lambda file: int(file.stem))
    found = {int(file.stem): json.loads(file.read_text()) for file in files}
    print(table({count: content["rules"] for count, content in found.items()}))
    print(sizes_table({count: content["bytes"] for count, content in found.items()}))


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


@dataclass
class Case:
    """A run of a data set of `count` images in a folder of its own."""

    folder: Path
    data: Path
    count: int
    cores: int

    def run(self, memory_gb: float, experiments: str, targets: list[str]) -> dict[str, dict[str, float]]:
        """Return rule -> seconds, cpu, peak_mb and jobs of a run of some targets."""
        self._write(experiments)
        most = int(memory_gb * 2**30)
        with (self.folder / "screen.txt").open("w") as screen:
            process = subprocess.Popen(
                self._command(*targets),
                cwd=self.folder,
                stdout=screen,
                stderr=screen,
                env=self._environment,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)),
            )
            watched = Watch(process.pid)
            while process.poll() is None:
                watched.look()
                time.sleep(PERIOD)
        if process.returncode:
            sys.exit(f"{screen.name}:\n" + Path(screen.name).read_text()[-4000:])
        return watched.figures()

    def dry_runs(self) -> dict[str, dict[str, float]]:
        """Return the figures of two dry runs, which have nothing to do."""
        figures = {}
        for name in ("(dry run)", "(dry run, again)"):
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            command = [*self._command()[:-1], "-n", "--quiet", "all", "--", "all_tables"]
            subprocess.run(command, cwd=self.folder, env=self._environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            figures[name] = {"seconds": time.perf_counter() - start, "cpu": cpu, "peak_mb": 0.0, "jobs": 1}
        return figures

    def of_duplicates(self) -> list[str]:
        """Return the files of near-duplicates by `METHODS` and of the scores that curation looks at."""
        self._write("losses, eda_dedup, eda_curation")
        methods = plan.make([self.folder / "scale.yaml"], root=self.folder).duplicates().items()
        chosen = {method["name"]: name for name, (method, _) in methods if method["name"] in METHODS}
        return [
            *(f"results/duplicates/{name}/pairs.parquet" for name in chosen.values()),
            "results/curation/scores.parquet",
        ]

    def sizes(self) -> dict[str, int]:
        """Return file -> bytes, of files whose size may grow."""
        return {file: (self.folder / "results" / file).stat().st_size for file in SIZES}

    def _write(self, experiments: str) -> None:
        text = CONFIG.format(count=self.count, data=self.data.resolve(), experiments=experiments)
        (self.folder / "scale.yaml").write_text(text)

    def _command(self, *targets: str) -> list[str]:
        program = [sys.executable, "-m", "snakemake", "--configfile", "scale.yaml", "--cores", str(self.cores)]
        return [*program, "--", *targets]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder.resolve() / "src")}


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
            rule = below.parts[0].removesuffix(".log").removesuffix("_shard")
            method = re.fullmatch(r"(\w+)-[0-9a-f]{16}(-.*)?", below.stem) if rule.startswith("duplicates") else None
            return f"{rule} {method[1]}" if method else str(below.parent) if rule == "analyses" else rule
    return None


def _tree(root: int, children: dict[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def table(measured: dict[int, dict[str, dict[str, float]]]) -> str:
    """Return the figures as Markdown: CPU seconds of each rule at each size, and peak memory at the largest.

    The slope is that of log CPU seconds over log images between the two largest sizes. Memory per image is the growth of
    the peak between the smallest and the largest size.
    """
    sizes = sorted(measured)
    rules = list(dict.fromkeys(rule for size in reversed(sizes) for rule in measured[size]))
    head = ["rule", *(f"{size:,}" for size in sizes), "slope", "peak", "per image"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for rule in rules:
        found = {size: measured[size][rule] for size in sizes if rule in measured[size]}
        cpu = {size: figures["cpu"] for size, figures in found.items()}
        cells = [f"{cpu[size]:.0f} s" if size in cpu else "" for size in sizes]
        lines.append("| " + " | ".join([rule, *cells, _slope(cpu), *_memory(found)]) + " |")
    return "\n".join(lines)


def _memory(found: dict[int, dict[str, float]]) -> list[str]:
    small, large = min(found), max(found)
    peaks = {size: found[size]["peak_mb"] for size in (small, large)}
    if not peaks[large] or small == large:
        return [f"{peaks[large]:.0f} MB" if peaks[large] else "", ""]
    return [f"{peaks[large]:.0f} MB", f"{(peaks[large] - peaks[small]) * 1024 / (large - small):.1f} KB"]


def sizes_table(measured: dict[int, dict[str, int]]) -> str:
    """Return the sizes of files, MB, as Markdown."""
    sizes = sorted(measured)
    lines = ["| file | " + " | ".join(f"{size:,}" for size in sizes) + " |", "| --- |" + " ---: |" * len(sizes)]
    for file in SIZES:
        cells = [f"{measured[size][file] / 1e6:.2f} MB" if file in measured[size] else "" for size in sizes]
        lines.append("| " + " | ".join([file, *cells]) + " |")
    return "\n".join(lines)


def _slope(values: dict[int, float]) -> str:
    if len(values) < 2:
        return ""
    (one, low), (other, high) = sorted(values.items())[-2:]
    return f"{math.log(high / low) / math.log(other / one):.2f}" if low > 0 and high > 0 else ""


if __name__ == "__main__":
    main()
