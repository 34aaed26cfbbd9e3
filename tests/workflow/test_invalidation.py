"""After an edit, exactly what the edit invalidated is done again: not one training or table more or fewer.

Each case works on a copy of a finished tiny run. `tiny_losses` has three arms with a sweep of two points (one sweep
seed) and two seeds: four runs an arm. `tiny_backbones` has two arms with two runs each.
"""

import csv
import json
import os
import random
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
from conftest import runs_of
from onnx_networks import bright
from PIL import Image

LOSSES, BACKBONES = "tiny_losses", "tiny_backbones"
TABLES = [f"results-tiny/tables/{name}.parquet" for name in (LOSSES, BACKBONES)]
BOTH = {LOSSES, BACKBONES}
DATA_RULES = {"draw_demo", "ingest", "groups", "split", "features"}
YAML = f"config/experiments/{LOSSES}.yaml"
ARCFACE = "src/reidflow/training/losses/arcface.py"


@pytest.fixture
def project(tiny, tmp_path):
    return tiny.copy(tmp_path / "copy")


def done(outcome):
    """Return what an outcome did, in short."""
    assert outcome.status == 0, outcome.text
    rules = {rule for rule, _ in outcome.jobs}
    return len(outcome.trained), outcome.of("table"), outcome.of("page"), rules & DATA_RULES


def contents(project):
    """Return the rows of each table, and the texts: without the digests in the metadata of files."""
    found = project.tables().items()
    return {name: pl.read_parquet(data).rows() if name.endswith(".parquet") else data for name, data in found}


def nothing(project, *targets):
    outcome = project.run(*(["--", *targets] if targets else []))
    assert outcome.status == 0 and outcome.jobs == [] and not outcome.trained and not outcome.restored, outcome.text


def test_the_first_run_trains_every_run_once_and_the_second_does_nothing(tiny, project):
    runs = {(line["key"], line["action"]) for line in tiny.outcome.trained}
    assert len(runs) == len(tiny.outcome.trained)
    assert len(tiny.outcome.trained) + len(tiny.outcome.restored) == 3 * 4 + 2 * 2
    assert done(tiny.outcome)[1:3] == (BOTH, BOTH)
    nothing(project)


def test_an_edited_value_and_a_new_arm_train_these_arms_alone(project):
    project.edit(YAML, "{name: arcface}", "{name: arcface, margin: 0.4}")
    with (project.folder / YAML).open("a") as file:
        file.write("  cosface:\n    why: One more.\n    loss: {name: cosface}\n")
    jobs, planned = project.planned()
    outcome = project.run()
    assert jobs == outcome.executed and planned["runs"]["train"] == len(outcome.trained)
    assert done(outcome) == (8, {LOSSES}, {LOSSES}, set())
    assert {line["loss"] for line in outcome.trained} == {"arcface", "cosface"}
    assert outcome.of("evaluate") == {LOSSES}
    nothing(project)


def test_a_new_seed_is_trained_by_undecided_arms_alone_or_by_all_and_remakes_its_table_alone(project):
    added = "{from: 2, to: 3, step: 1, until: decided}"
    with (project.folder / YAML).open("a") as file:
        file.write(f"seeds: {added}\n")
    # Of these arms one has a chance of 1.6 % that a third seed decides it, the other none.
    project.edit("src/reidflow/evaluation/sequential.py", "LEAST = 0.1", "LEAST = 0.005")
    outcome = project.run("--", *TABLES)
    folder = project.results / "experiments" / LOSSES
    more = json.loads((folder / "looks" / "0.json").read_text())["more"]
    assert done(outcome)[0] == len(more)
    assert {(line["arm"], line["seed"]) for line in outcome.trained} == {(arm, 2) for arm in more}
    table = pl.read_parquet(project.results / "tables" / f"{LOSSES}.parquet")
    assert dict(table.select("arm", "seeds").iter_rows()) == {arm: 2 + (arm in more) for arm in table["arm"]}
    assert {path.name for path in (folder / "triplet").iterdir()} == {
        f"seed-{n}" for n in range(2 + ("triplet" in more))
    }
    project.edit(YAML, added, "[0, 1, 2]")
    outcome = project.run("--", *TABLES)
    assert done(outcome)[:2] == (3 - len(more), {LOSSES})
    assert {line["seed"] for line in outcome.trained} == {2}


def test_a_renamed_arm_trains_nothing_and_leaves_no_folder_behind(project):
    project.edit(YAML, "  arcface:\n", "  angular:\n")
    assert done(project.run("--", *TABLES))[:2] == (0, {LOSSES})
    folders = {path.name for path in (project.results / "experiments" / LOSSES).iterdir() if path.is_dir()}
    assert folders == {"cross_entropy", "angular", "triplet", "runs", "sweep"}


def test_comments_and_the_order_of_keys_do_nothing(project):
    text = (project.folder / YAML).read_text()
    head, arms = text.split("arms:\n")
    (project.folder / YAML).write_text("# A remark.\n\narms:\n" + arms + head)
    config = (project.folder / project.config).read_text()
    (project.folder / project.config).write_text("# Another.\n" + config)
    nothing(project)


def test_a_comment_in_a_loss_and_a_new_loss_do_nothing(project):
    with (project.folder / ARCFACE).open("a") as file:
        file.write("\n\n# A remark.\n")
    shutil.copy(project.folder / ARCFACE, project.folder / "src/reidflow/training/losses/another.py")
    nothing(project)


def test_edited_plotting_redraws_and_makes_no_table(project):
    with (project.folder / "src/reidflow/figures/experiment.py").open("a") as file:
        file.write("\nEDITED = True\n")
    outcome = project.run()
    assert done(outcome) == (0, set(), BOTH, set())
    assert {rule for rule, _ in outcome.jobs} == {"tuning", "page", "all_tables"}


def test_an_edited_store_trains_nothing(project):
    with (project.folder / "src/reidflow/store/runs.py").open("a") as file:
        file.write("\nEDITED = True\n")
    outcome = project.run("--", *TABLES)
    assert done(outcome)[:2] == (0, BOTH)
    assert len(outcome.restored) == 16


def test_an_edited_test_metric_evaluates_again_and_trains_nothing(project):
    with (project.folder / "src/reidflow/evaluation/metrics.py").open("a") as file:
        file.write("\nEDITED = True\n")
    outcome = project.run("--", *TABLES)
    assert done(outcome)[:2] == (0, BOTH)
    assert outcome.of("evaluate") == BOTH and not outcome.restored


def test_touching_every_file_does_nothing(project):
    files = [path for path in sorted(project.folder.rglob("*")) if path.is_file() and ".snakemake" not in path.parts]
    random.Random(0).shuffle(files)
    for path in files:
        os.utime(path)
    nothing(project)


def test_another_branch_trains_the_arms_that_use_its_loss_and_back_restores_them(project):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            cwd=project.folder,
            check=True,
            capture_output=True,
            timeout=600,
        )

    (project.folder / ".gitignore").write_text("results*\n.snakemake\n__pycache__\n.cache\n")
    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "other")
    with (project.folder / ARCFACE).open("a") as file:
        file.write("\nEDITED = True\n")
    git("commit", "-am", "two")
    git("checkout", "main")
    nothing(project)
    git("checkout", "other")
    edited = project.run("--", *TABLES)
    assert done(edited)[:2] == (4, {LOSSES})
    assert {line["loss"] for line in edited.trained} == {"arcface"}
    git("checkout", "main")
    back = project.run("--", *TABLES)
    assert done(back)[:2] == (0, {LOSSES})
    assert len([line for line in back.restored if line["loss"] == "arcface"]) == 4


@pytest.fixture
def own(photographs, tmp_path):
    return photographs.copy(tmp_path / "copy")


def test_the_same_photographs_from_another_source_train_nothing(photographs, own):
    assert not photographs.outcome.trained
    nothing(own)


def rows(project, name):
    with (project.folder / "photographs" / name).open(newline="") as file:
        return list(csv.reader(file))


def write(project, name, content):
    with (project.folder / "photographs" / name).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(content)


def test_a_new_image_trains_everything_again(own):
    labels = rows(own, "train.csv")
    random_pixels = np.random.default_rng(0).integers(0, 255, (80, 96, 3), dtype=np.uint8)
    Image.fromarray(random_pixels).save(own.folder / "photographs" / "train" / "train" / "new.png")
    write(own, "train.csv", [*labels, ["new.png", labels[1][1]]])
    outcome = own.run("--", *TABLES)
    assert done(outcome)[:2] == (16 - repeated(own), BOTH)
    assert {rule for rule, _ in outcome.jobs} & DATA_RULES == {"ingest", "groups", "split", "features"}


def test_changed_pixels_train_every_run_of_a_job_again(own):
    path = sorted((own.folder / "photographs" / "train" / "train").iterdir())[0]
    pixels = np.asarray(Image.open(path)).copy()
    pixels[..., :3] = 255 - pixels[..., :3]
    Image.fromarray(pixels).save(path)
    sweep = f"results-tiny/experiments/{LOSSES}/sweep/runs-0.json"
    assert done(own.run("--", sweep))[:2] == (6, set())


def test_other_bytes_with_the_same_pixels_and_a_network_for_masks_that_none_lacks_train_nothing(own):
    path = sorted((own.folder / "photographs" / "train" / "train").iterdir())[0]
    Image.open(path).save(path, compress_level=9)
    bright(own.folder / "bright.onnx")
    own.edit(own.config, "  frame:", "  masks: {name: onnx, file: bright.onnx}\n  frame:")
    outcome = own.run("--", TABLES[0])
    assert outcome.status == 0 and not outcome.trained
    assert {("network_masks", ""), ("ingest", "")} <= set(outcome.jobs)
    assert json.loads((own.results / "data" / "network_masks.json").read_text())["count"] == 0


def test_a_changed_label_trains_everything_again_but_computes_no_features(own):
    labels = rows(own, "train.csv")
    labels[1][1] = labels[-1][1]
    write(own, "train.csv", labels)
    outcome = own.run("--", TABLES[0])
    assert done(outcome)[:2] == (12, {LOSSES})
    log = next((own.results / "logs" / "features").iterdir()).read_text()
    assert "images" not in log


def repeated(project):
    """Return how many of the 16 runs occur twice: arms of the two experiments may choose the same settings."""
    keys = [line["key"] for line in project.log()]
    return 16 - len(set(keys[-16:]))


def test_a_deleted_result_is_made_again_without_training(project):
    (project.results / "tables" / f"{LOSSES}.parquet").unlink()
    assert done(project.run("--", *TABLES))[:2] == (0, {LOSSES})
    (project.results / "experiments" / BACKBONES / "metrics.parquet").unlink()
    outcome = project.run()
    assert done(outcome)[:2] == (0, {BACKBONES}) and outcome.of("evaluate") == {BACKBONES}
    nothing(project)


def test_truncated_results_are_detected_and_rebuilt(tiny, project):
    names = [f"experiments/{LOSSES}/metrics.parquet", "data/split.parquet"]
    paths = [project.results / name for name in names]
    for path in paths:
        path.write_bytes(path.read_bytes()[:100])
    dry = project.run("-n")
    assert "a real run rebuilds it" in dry.text and {path.stat().st_size for path in paths} == {100}
    jobs, planned = project.planned()
    outcome = project.run()
    assert jobs == outcome.executed and planned["runs"]["train"] == 0
    assert outcome.status == 0 and not outcome.trained
    for name, path in zip(names, paths, strict=True):
        assert f"{name}: changed or truncated" in outcome.text
        assert path.read_bytes() == (tiny.results / name).read_bytes()
    assert project.tables() == tiny.tables()
    nothing(project)


@pytest.mark.parametrize("damage", ["edited", "decayed"])
def test_a_flipped_byte_in_stored_embeddings_trains_this_run_again_and_changes_no_table(tiny, project, damage):
    key = runs_of(tiny, LOSSES, "arcface")[0]["key"]
    path = project.results / ".store" / "runs" / key[:2] / key / "embeddings.parquet"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    if damage == "edited":
        jobs, planned = project.planned()
        assert planned["runs"]["train"] == 1 and ("train", LOSSES) in jobs
    else:  # nothing but its content shows it: whoever evaluates it notices
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        (project.results / "experiments" / LOSSES / "metrics.parquet").unlink()
        stopped = project.run()
        assert stopped.status == 1 and not stopped.trained and "Traceback" not in stopped.text
        assert f"{key}/embeddings.parquet: not as it was stored. The run has been set aside" in stopped.text
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    assert f"{key}: this run is not as it was stored; it is set aside and made again" in outcome.text
    assert [line["key"] for line in outcome.trained] == [key] and project.tables() == tiny.tables()
    nothing(project)


def test_lost_records_stop_the_run_and_the_remedy_works(tiny, project):
    shutil.rmtree(project.folder / ".snakemake")
    with (project.folder / "src/reidflow/tables/experiment.py").open("a") as file:
        file.write("\nEDITED = True\n")
    stopped = project.run()
    assert stopped.status == 1 and "Snakemake's records of them (.snakemake/) are gone" in stopped.text
    remedy = next(line for line in stopped.text.splitlines() if "rm -r" in line)
    subprocess.run(["bash", "-c", remedy[remedy.index("rm -r") :]], cwd=project.folder, check=True, timeout=600)
    outcome = project.run("--", *TABLES)
    made, whole = contents(project), contents(tiny)
    assert {f"{name}.parquet" for name in BOTH} <= made.keys() <= whole.keys()
    assert done(outcome)[:2] == (0, BOTH) and made == {name: whole[name] for name in made}, (
        "the digest of the edited code alone differs"
    )
    nothing(project, *TABLES)


def test_touch_is_refused_by_the_workflow(project):
    outcome = project.run("--touch")
    assert outcome.status == 1 and "--touch is refused" in outcome.text
