"""Inference, ensembles, further splits and submissions in real runs: what they train, and what an edit makes again."""

import json
import textwrap

import polars as pl
import pytest
from conftest import Project, shared

INFERENCE, GAP = "tiny_inference", "tiny_gap"
FILES = {
    INFERENCE: """
        question: What does inference add?
        motivation: It costs no training.
        hypothesis: Something.
        varies: [inference, ensemble]
        baseline: none
        arms:
          none: {why: The run as it is.}
          flip: {why: Mirror images., inference: [flip]}
          reranked: {why: Shared neighbours., inference: [{name: k_reciprocal, k1: 4, k2: 2}]}
          together: {why: Two seeds., ensemble: {seeds: 2}}
        """,
    GAP: """
        question: What is lost across styles?
        motivation: The gallery is drawn.
        hypothesis: Much.
        varies: [train_sides]
        baseline: photographs
        evaluation: {sides: across}
        also_on:
          one style: {sides: within, queries: 0.3}
        score: {top1: 600, top5: 300, top10: 100}
        protocol: {train_sides: query}
        arms:
          photographs: {why: One style.}
          both: {why: Two styles., train_sides: both}
        """,
}


# Reports on such experiments are made with the demo's tables.
TARGETS = [
    f"results-tiny/experiments/{INFERENCE}/metrics.parquet",
    f"results-tiny/experiments/{GAP}/metrics.parquet",
    f"results-tiny/experiments/{GAP}/also_on.parquet",
    "submission",
]


@pytest.fixture(scope="module")
def retrieved(tmp_path_factory, tiny) -> Project:
    """The tiny project with a gallery in a second style, run once with its submission; tests work on copies."""

    def make(folder):
        project = tiny.copy(folder)
        for name, content in FILES.items():
            (folder / "config" / "experiments" / f"{name}.yaml").write_text(textwrap.dedent(content))
        project.edit(project.config, "[tiny_losses, tiny_backbones]", f"[{INFERENCE}, {GAP}]")
        project.edit(project.config, "size: 96, seed: 0}", "size: 96, seed: 0, renders: 4}")
        project.edit(project.config, "seeds: [0, 1]\n", "seeds: [0, 1]\nsides: within\n")
        return project, project.run("--", *TARGETS)

    return shared(tmp_path_factory, "retrieved", make)


def runs_of(project: Project, experiment: str) -> dict[tuple[str, int], dict]:
    files = sorted((project.results / "experiments" / experiment / "runs").glob("*.json"))
    runs = [run for file in files for run in json.loads(file.read_text())["runs"]]
    return {(run["arm"], run["seed"]): run for run in runs}


def table(project: Project, name: str) -> pl.DataFrame:
    return pl.read_parquet(project.results / f"{name}.parquet")


def test_arms_that_differ_in_inference_share_their_runs_and_an_ensemble_has_its_own(retrieved):
    runs = runs_of(retrieved, INFERENCE)
    for seed in (0, 1):
        alone = runs["none", seed]["key"]
        assert {runs[arm, seed]["key"] for arm in ("flip", "reranked", "together")} == {alone}
        assert runs["together", seed]["members"][0] == alone and len(set(runs["together", seed]["members"])) == 2
    trained = {line["key"] for line in retrieved.log() if line["action"] == "trained"}
    assert {key for run in runs.values() for key in run["members"]} <= trained
    scores = table(retrieved, f"experiments/{INFERENCE}/metrics").filter(pl.col("seed") == 0)
    assert scores["id_map"].n_unique() == len(scores) and scores["run"].n_unique() == 1
    parameters = dict(scores.select("arm", "trainable_parameters").iter_rows())
    assert parameters["together"] == 2 * parameters["none"] == 2 * parameters["flip"]


def test_an_experiment_is_ranked_across_styles_and_tried_on_further_splits(retrieved):
    manifest = table(retrieved, "data/manifest").select("image", manifest_side="side")
    folders = sorted((retrieved.results / "data" / "splits").iterdir())
    splits = [pl.read_parquet(folder / "split.parquet").join(manifest, on="image") for folder in folders]
    across = next(split for split in splits if (split["role"] != "aside").all())
    within = next(split for split in splits if (split["role"] == "aside").any())
    rendered = pl.col("manifest_side") == "gallery"
    assert across.filter(rendered)["role"].is_in(["train", "val", "test"]).all()
    assert within.filter(rendered)["role"].unique().to_list() == ["aside"]
    per_query = table(retrieved, f"experiments/{GAP}/per_query")
    test = across.filter((pl.col("role") == "test") & ~rendered.fill_null(False))
    assert set(per_query["image"]) == set(test["image"])
    further = table(retrieved, f"experiments/{GAP}/also_on")
    assert further.group_by("label", "arm").len().sort("arm")["len"].to_list() == [2, 2]
    own = table(retrieved, f"experiments/{GAP}/metrics")
    assert not set(own["run"]) & set(further["run"])
    images = dict(own.group_by("arm").agg(pl.col("train_images").first()).iter_rows())
    trained = across.filter(pl.col("role") == "train")
    assert images["both"] == len(trained) and images["photographs"] == len(trained.filter(~rendered.fill_null(False)))


def test_the_submission_answers_every_query_and_nothing_of_it_is_made_twice(retrieved):
    answers = json.loads((retrieved.results / "submission" / "submission.json").read_text())
    assert answers and all(len(set(best)) == len(best) > 0 for best in answers.values())
    assert not retrieved.run("-n", "--", *TARGETS).jobs


def test_another_neighbourhood_is_evaluated_anew_and_trains_nothing(retrieved, tmp_path):
    project = retrieved.copy(tmp_path / "edited")
    before = table(project, f"experiments/{INFERENCE}/metrics")
    project.edit(f"config/experiments/{INFERENCE}.yaml", "k1: 4, k2: 2", "k1: 2, k2: 1")
    outcome = project.run("--", f"results-tiny/experiments/{INFERENCE}/metrics.parquet")
    assert outcome.status == 0 and not outcome.trained, outcome.text
    after = table(project, f"experiments/{INFERENCE}/metrics")
    changed = before.filter(before["id_map"] != after["id_map"])["arm"].unique().to_list()
    assert changed == ["reranked"]
