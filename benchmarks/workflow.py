"""The whole workflow as a user runs it: a fresh run of a config, and the second run that has nothing to do.

`python benchmarks/workflow.py [--config config/config.yaml] [--cores 2]`; `benchmarks/planning.py` measures planning alone.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "rules", "workflow", "src", "config", "profiles", "envs")


def main() -> None:
    """Run, run again; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="config/config.yaml")
    parser.add_argument("--cores", default="2")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = copy(Path(folder) / "project")
        command = ["--configfile", given.config, "--cores", given.cores, "--resources", "gpu=1"]
        seconds, text = snakemake(project, *command, "--", "all_tables")
        jobs = text.count("Finished jobid")
        print(f"fresh run: {seconds:.1f} s, {seconds / jobs:.2f} s a job on {given.cores} cores")
        again, text = snakemake(project, *command, "--", "all_tables")
        print(f"second run: {again:.2f} s ({'nothing to do' if 'Nothing to be done' in text else 'DID SOMETHING'})")


def copy(folder: Path) -> Path:
    """Copy what a user has of the project."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy2(source, folder / name)
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
