"""Folders for people: one per seed, with copies of a run's small files and a link to its weights."""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from reidflow.store.atomic import replacing, write_text
from reidflow.store.runs import DONE

COPIED = (".json", ".parquet")
SPEC = "run.yaml"


def lay_out(arm: Path, runs: list[tuple[int, str, Path]], specs: dict[int, dict[str, Any]]) -> None:
    """Make `arm`/seed-<n>/ for each run (seed, key, folder in the store), and remove those of other seeds.

    Small files are copied; the weights are hard links (where the file system has them) to the store's read-only file.
    run.yaml is the whole spec of the arm's run, of `specs` (seed -> plain spec).
    """
    wanted = {f"seed-{seed}": folder for seed, _, folder in runs}
    for old in sorted(arm.glob("seed-*")):
        if old.name not in wanted:
            shutil.rmtree(old)
    for name, folder in wanted.items():
        for file in sorted(folder.iterdir()):
            if file.name in (DONE, SPEC):
                continue
            if file.suffix in COPIED:
                with replacing(arm / name / file.name) as temporary:
                    shutil.copyfile(file, temporary)
            else:
                _link(file, arm / name / file.name)
    for seed, spec in specs.items():
        write_text(arm / f"seed-{seed}" / SPEC, yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))


def _link(file: Path, target: Path) -> None:
    temporary = target.with_name(f".tmp-{target.name}")
    temporary.unlink(missing_ok=True)
    # Renaming a link over another one to the same file does nothing, and would leave both.
    if target.exists() and target.samefile(file):
        return
    try:
        os.link(file, temporary)
    except OSError:
        shutil.copyfile(file, temporary)
        temporary.chmod(0o444)
    temporary.replace(target)


def prune(experiment: Path, kept: list[str]) -> None:
    """Remove the folders of an experiment apart from those `kept`: arms that it no longer has."""
    for folder in sorted(experiment.iterdir()):
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)
