"""`reidflow plan` foresees the jobs that Snakemake would run, and says why."""

import csv
import os
import shutil
import subprocess
import sys

LOSS = "src/reidflow/training/losses/arcface.py"
YAML = "config/experiments/tiny_losses.yaml"


def state(project):
    """Return the content of all files but the caches of Snakemake's dry run and of the plan."""
    files = (path for path in project.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    kept = (path for path in files if not {"iocache", ".cache", ".ledger.cache"} & set(path.parts))
    return {path: path.read_bytes() for path in kept}


def test_nothing_would_run_after_touching_everything_and_no_torch_is_imported(tiny, tmp_path):
    project = tiny.copy(tmp_path / "copy")
    for path in project.folder.rglob("*.*"):
        if path.is_file() and not {".snakemake", ".store"} & set(path.parts):
            os.utime(path)
    before = state(project)
    program = (
        "import sys; from reidflow.cli import main; "
        f"status = main(['--configfile', {project.config!r}, 'plan']); "
        "print(status, {'torch', 'timm', 'faiss', 'optuna', 'skimage', 'kornia'} & set(sys.modules))"
    )
    environment = {**project.environment, "PYTHONPATH": str(project.folder / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project.folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    first, last = done.stdout.splitlines()
    assert first.startswith("Nothing would run") and last == "0 set()", done.stdout + done.stderr
    assert state(project) == before


def test_what_changed_is_named_and_the_jobs_are_those_of_a_dry_run(tiny, tmp_path):
    project = tiny.copy(tmp_path / "copy")
    project.edit(YAML, "{name: arcface}", "{name: arcface, margin: 0.4}")
    project.edit("config/tiny.yaml", "epochs: 4", "epochs: 5")
    with (project.folder / LOSS).open("a") as file:
        file.write("\n\nUNUSED = 1\n")
    jobs, found = project.planned()
    assert jobs == project.run("-n").executed
    why = {group["experiment"]: [reason["text"] for reason in group["why"]] for group in found["groups"]}
    assert why == {
        "tiny_losses": ["all arms: epochs 4 -> 5", "arcface: loss.margin 0.5 -> 0.4", f"{LOSS} changed"],
        "tiny_backbones": ["all arms: epochs 4 -> 5"],
        "": [],
    }
    # Twice three arms with two runs, and twice two; two runs belong to both experiments.
    runs = found["runs"]
    assert (runs["train"], runs["stored"], runs["undecided"]) == (2 * 6 + 4 - 2, 0, 0)
    time = found["time"]
    assert time["unknown"] == {} and 0 < time["seconds"] <= time["work_seconds"] and time["gpu_jobs"] == 0
    text = project.plan("tiny_backbones")
    assert "tiny_losses" not in text and "all arms: epochs 4 -> 5  (train x2)" in text


def test_images_are_counted(photographs, tmp_path):
    project = photographs.copy(tmp_path / "copy")
    folder = project.folder / "photographs" / "train" / "train"
    first, second, third = sorted(folder.iterdir())[:3]
    (folder / "copied.png").write_bytes(first.read_bytes())
    second.write_bytes(second.read_bytes() + b"more")
    third.unlink()
    labels = list(csv.reader((project.folder / "photographs" / "train.csv").open(newline="")))
    with (project.folder / "photographs" / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows(row for row in labels if row[0] != third.name)
    assert "images: 1 new, 1 changed, 1 removed; train.csv changed  (ingest)" in project.plan()
    # A plan leaves the record of the former images as it was.
    assert "images: 1 new, 1 changed, 1 removed; train.csv changed  (ingest)" in project.plan()


def test_before_the_first_run_everything_would_be_made_and_no_results_are_written(tiny, tmp_path):
    project = tiny.copy(tmp_path / "copy")
    for name in (project.results, project.folder / ".snakemake"):
        shutil.rmtree(name)
    text = project.plan("--cores", "8")
    assert "23 of 23 jobs would run." in text and "by the recorded times" in text
    assert not project.results.exists()
