"""Every preset can be planned, with data of its layout where it expects them."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, Project, checkout

FOLDERS = ("train", "query", "gallery")
CASES = {
    "config/config.yaml": [],
    "config/config.yaml config/demo_full.yaml": [],
    "config/tiny.yaml": [],
    "config/faces.yaml": [f"data/faces/{part}" for part in FOLDERS],
    "config/photographs.yaml": ["data/photographs"],
    "config/jaguar.yaml": ["data/jaguar"],
    "config/jaguar.yaml config/datasets/image_level.yaml": ["data/jaguar"],
    "config/config.yaml config/datasets/jaguar_layout.yaml": ["data/photographs"],
    "config/config.yaml config/datasets/folder.yaml": ["data/people"],
    "config/config.yaml config/datasets/wildlife_datasets.yaml": ["data/beluga/metadata.csv"],
    "config/config.yaml config/datasets/coco.yaml": ["data/whales/annotations.json", "data/whales/images/one.jpg"],
    "config/faces.yaml config/datasets/query_gallery.yaml": [f"data/search/{part}" for part in FOLDERS],
    "config/faces.yaml config/datasets/lfw.yaml": ["data/sklearn/lfw_home/lfw_funneled"],
}
PEOPLE = ("people", "lfw_funneled", *FOLDERS)


@pytest.mark.parametrize("configs", CASES)
def test_a_preset_is_planned_without_a_mistake(tiny, tmp_path, configs):
    project = Project(checkout(tmp_path / "project"))
    for name in CASES[configs]:
        place = project.folder / name
        if place.suffix:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        elif place.name in PEOPLE or configs == "config/photographs.yaml":
            (place / "one").mkdir(parents=True)
            shutil.copy(next((tiny.results / "data/demo/train/train").iterdir()), place / "one")
        else:
            shutil.copytree(tiny.results / "data" / "demo", place)
    first, *more = configs.split()
    project.config = first
    outcome = project.run("-n", *(["--configfile", *configs.split()] if more else []), "--", "all_tables")
    assert outcome.status == 0, outcome.text
    assert ("faces" if first == "config/faces.yaml" else "losses") in str(outcome.of("table"))


def test_a_submission_needs_no_split_and_no_experiment(tiny, tmp_path):
    project = Project(checkout(tmp_path / "project"), config="config/faces.yaml")
    for part in FOLDERS:
        folder = project.folder / "data" / "faces" / part / "one"
        folder.mkdir(parents=True)
        shutil.copy(next((tiny.results / "data/demo/train/train").iterdir()), folder)
    outcome = project.run("-n", "--", "faces_submission")
    assert outcome.status == 0, outcome.text
    assert [name for name, _ in outcome.jobs] == ["ingest", "faces_submission"]


def test_every_preset_has_a_case():
    named = {name for case in CASES for name in case.split()}
    present = {
        p.relative_to(ROOT).as_posix()
        for p in [*Path(ROOT, "config").glob("*.yaml"), *Path(ROOT, "config/datasets").glob("*.yaml")]
    }
    assert present - {"config/defaults.yaml"} == named


def test_shards_of_many_images_are_jobs_of_their_own_on_a_cluster(tmp_path):
    project = Project(checkout(tmp_path / "project"))
    project.edit("config/tiny.yaml", "images: 90", "images: 300000")
    project.edit("config/tiny.yaml", "tiny_backbones]", "eda_dedup]")
    outcome = project.run("--profile", "profiles/slurm", "-n", "--", "all_tables")
    assert outcome.status == 0, outcome.text
    groups = Counter(re.findall(r"Group job (\w+)", outcome.text))
    assert groups["features_shards"] == 15 and groups["hashes_shards"] == groups["pairs_shards"] == 2
    # Fifteen by embeddings, and two by each kind of hashes.
    assert groups["duplicates_shards"] > 15 and (groups["duplicates_shards"] - 15) % 2 == 0
