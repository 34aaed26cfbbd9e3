"""The whole workflow as a user runs it: a fresh run of a config, the second run that has nothing to do, and planning.

`python benchmarks/workflow.py [--config config/config.yaml] [--cores 2]`

Planning is measured beside a bare Snakefile with as many jobs, both dry, in turn.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "rules", "workflow", "src", "config", "profiles", "envs")


def main() -> None:
    """Run, run again, plan; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="config/config.yaml")
    parser.add_argument("--cores", default="2")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = copy(Path(folder) / "project")
        command = ["--configfile", given.config, "--cores", given.cores, "--resources", "gpu=1"]
        jobs = int(re.search(r"^total +(\d+)", snakemake(project, *command, "-n")[1], re.MULTILINE)[1])
        bare = bare_project(Path(folder) / "bare", jobs)
        plans = [(snakemake(project, *command, "-n")[0], snakemake(bare, "--cores", "2", "-n")[0]) for _ in range(3)]
        ours, theirs = (statistics.median(side) for side in zip(*plans, strict=True))
        print(f"dry run of {jobs} jobs: {ours:.2f} s; a bare Snakefile: {theirs:.2f} s; ratio {ours / theirs:.2f}")
        seconds, _ = snakemake(project, *command, "--", "all_tables")
        print(f"fresh run: {seconds:.1f} s, {seconds / jobs:.2f} s a job on {given.cores} cores")
        again, text = snakemake(project, *command, "--", "all_tables")
        print(f"second run: {again:.2f} s ({'nothing to do' if 'Nothing to be done' in text else 'DID SOMETHING'})")


def copy(folder: Path) -> Path:
    """Copy what a user has of the project."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def bare_project(folder: Path, jobs: int) -> Path:
    """Write a Snakefile with `jobs` jobs that do nothing."""
    folder.mkdir()
    (folder / "Snakefile").write_text(
        f"rule all:\n    input: expand('out/{{i}}', i=range({jobs - 1}))\n"
        "rule one:\n    output: 'out/{i}'\n    shell: 'touch {output}'\n"
    )
    return folder


def snakemake(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run Snakemake and return the seconds it took and what it said; stop when it fails."""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=folder, capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return seconds, done.stdout + done.stderr


if __name__ == "__main__":
    main()
