"""Backgrounds, deduplication and curation on a small drawing: variants, tables, and what an edit invalidates."""

import json
import textwrap

import numpy as np
import polars as pl
import pytest
from conftest import Project, checkout, runs_of, shared
from PIL import Image

from reidflow.store.runs import RunStore

BACKGROUNDS, CHOICES, FOLDS = "tiny_backgrounds", "tiny_choices", "tiny_folds"
FILES = {
    BACKGROUNDS: """
        question: Does the background matter?
        motivation: It may.
        hypothesis: It does.
        varies: [background]
        baseline: original
        headline: [reliance, queries on noise]
        arms:
          original: {why: As it is.}
          noise: {why: No place., background: noise}
        tested_on:
          original: {background: original}
          noise: {background: noise}
          place: {background: background_only}
          other place: {background: unrelated_background}
          animal: {background: gray}
          outline: {background: silhouette}
        probes: {background: place, control: other place, foreground: animal, silhouette: outline}
        """,
    CHOICES: """
        question: Do fewer images do?
        motivation: Fewer are faster.
        hypothesis: They do.
        varies: [dedup, curation, matched]
        baseline: all
        headline: [control, map_per_step, dropped, steps]
        arms:
          all: {why: Every image.}
          same_bytes: {why: Files twice., dedup: {method: exact_bytes}}
          none_steps: {why: Nothing is left out., matched: steps}
          "phash_{threshold}":
            why: Near-duplicates.
            dedup: {method: phash}
            each: {dedup.threshold: [0, 6]}
          "random_{matched}":
            why: Half by chance.
            curation: {method: random, share: 0.5}
            each: {matched: [epochs, steps]}
          best: {why: The best half., curation: {method: quality, share: 0.5}, against: random_epochs}
        """,
    FOLDS: """
        question: Which loss is better on all images, and what of a network whose weights are unavailable?
        motivation: A split tests a part of them.
        hypothesis: Folds test all.
        varies: [loss, ensemble, model.backbone, model.trainable]
        tuned: {optimizer.learning_rate: [0.001, 0.01]}
        evaluation: {split: {folds: 2}}
        seeds: [0]
        baseline: cross_entropy
        arms:
          cross_entropy: {why: The baseline.}
          arcface: {why: Margins., loss: arcface}
          two: {why: Two at once., ensemble: {seeds: 2}}
          frozen: {why: On a hub., model: {backbone: {name: timm, model: "hf-hub:nobody/nothing", weights: hub}}}
          trained:
            why: On a hub.
            model: {backbone: {name: timm, model: "hf-hub:nobody/nothing", weights: hub}, trainable: {name: all}}
        """,
}


@pytest.fixture(scope="session")
def explored(tmp_path_factory) -> Project:
    """The experiments on the tiny drawing, run once; tests work on copies."""

    def make(folder):
        checkout(folder)
        for name, text in FILES.items():
            (folder / "config" / "experiments" / f"{name}.yaml").write_text(textwrap.dedent(text))
        config = (folder / "config" / "tiny.yaml").read_text()
        config = config.replace("[tiny_losses, tiny_backbones]", f"[{', '.join(FILES)}]")
        (folder / "config" / "tiny.yaml").write_text(config)
        project = Project(folder)
        return project, project.run()

    return shared(tmp_path_factory, "explored", make)


@pytest.fixture
def project(explored, tmp_path):
    return explored.copy(tmp_path / "copy")


def table(project, name):
    return pl.read_parquet(project.results / "tables" / f"{name}.parquet")


def test_every_experiment_comes_with_its_tables_figures_and_findings(explored):
    findings = {name: (explored.results / "tables" / f"{name}.findings.md").read_text() for name in FILES}
    assert "reliance" in findings[BACKGROUNDS].lower()
    assert "label errors" in findings[CHOICES].lower() and "random" in findings[CHOICES].lower()
    answers = {
        name: json.loads((explored.results / "experiments" / name / "answer.json").read_text()) for name in FILES
    }
    reliance = table(explored, f"{BACKGROUNDS}.reliance").row(by_predicate=pl.col("arm") == "noise", named=True)[
        "reliance"
    ]
    said = "is not defined" if reliance is None else f"{reliance:.3f}"
    assert said in answers[BACKGROUNDS]["answer"] + findings[BACKGROUNDS]
    assert "mAP with queries on noise (higher is better): " in answers[BACKGROUNDS]["answer"]
    for heading in ("Gain over the control", "mAP per 100 steps", "Images dropped", "Steps"):
        assert heading in answers[CHOICES]["answer"]
    assert "## Answer\n\n" + answers[CHOICES]["answer"] in findings[CHOICES]
    for name in (BACKGROUNDS, CHOICES):
        page = (explored.results / "pages" / f"{name}.html").read_text()
        assert page.count("<figure") > 5 and page.count("<table") > 5


def test_an_arm_whose_weights_cannot_be_had_is_a_row_that_says_so(explored):
    rows = {row["arm"]: row for row in table(explored, FOLDS).to_dicts()}
    for arm in ("frozen", "trained"):
        assert (rows[arm]["verdict"], rows[arm]["id_map"], rows[arm]["seeds"]) == ("unavailable", None, 0)
        assert "hf-hub:nobody/nothing" in rows[arm]["note"] and "snakemake --forcerun backbones_" in rows[arm]["note"]
    assert rows["cross_entropy"]["id_map"] > 0 and not runs_of(explored, FOLDS, "frozen")
    text = (explored.results / "tables" / f"{FOLDS}.findings.md").read_text()
    assert "**frozen** was not run" in text and "**trained** was not run" in text


def test_every_image_is_tested_once_by_runs_that_were_trained_and_chosen_inside_its_fold(explored):
    experiment = explored.results / "experiments" / FOLDS
    folds = {}
    for path in (explored.results / "data" / "splits").glob("*/split.parquet"):
        folds[len(folds)] = pl.read_parquet(path)
        assert not json.loads(path.with_name("audit.json").read_text())["leaks"]
    tested = [set(split.filter(role="test")["image"]) for split in folds.values()]
    assert len(tested) == 2 and not tested[0] & tested[1]
    queries = pl.read_parquet(experiment / "per_query.parquet")
    for (arm,), own in queries.group_by(["arm"]):
        assert sorted(own["image"]) == sorted(tested[0] | tested[1]), arm
    made = [run for path in experiment.glob("runs/*.json") for run in json.loads(path.read_text())["runs"]]
    assert sorted((run["arm"], run["split"]) for run in made) == [
        (arm, fold) for arm in ("arcface", "cross_entropy", "two") for fold in (0, 1)
    ]
    # Every run has the rate whose sweep, on the same fold, has the highest validation mAP.
    swept = [run for path in experiment.glob("sweep/*.json") for run in json.loads(path.read_text())["runs"]]
    for run in made:
        scores = {}
        for tried in swept:
            if (tried["arm"], tried["split"]) == (run["arm"], run["split"]):
                folder = RunStore(explored.results / ".store").folder(tried["key"])
                kept = json.loads((folder / "provenance.json").read_text())["best_epoch"]
                history = pl.read_parquet(folder / "history.parquet").filter(pl.col("epoch") == kept)
                scores[tried["spec"]["optimizer"]["learning_rate"]] = history["val_id_map"][0]
        assert len(scores) == 2 and run["spec"]["optimizer"]["learning_rate"] == max(scores, key=scores.get)
    rows = {row["arm"]: row for row in table(explored, FOLDS).to_dicts()}
    scored = queries.filter(arm="arcface").drop_nulls("ap")
    balanced = scored.group_by("identity").agg(pl.col("ap").mean())["ap"].mean()
    assert rows["arcface"]["id_map"] == pytest.approx(balanced) and rows["arcface"]["queries"] == scored.height
    assert {path.name for path in (experiment / "two").iterdir()} == {"seed-0-fold-0", "seed-0-fold-1"}
    text = (explored.results / "tables" / f"{FOLDS}.findings.md").read_text()
    assert "2 folds, each trained, chosen and tested by itself" in text and "no leak found in any of 2 splits" in text
    # What shows single queries shows those of one fold, and says so.
    ranked = set(table(explored, f"{FOLDS}.ranked")["query"])
    assert ranked in [found & set(scored["image"]) for found in tested]
    assert "those of the first of 2 folds alone" in text


def test_the_animals_pixels_and_the_evaluated_images_are_those_of_the_original(explored):
    data = explored.results / "data"
    images, masks = np.load(data / "images.npy"), np.load(data / "masks.npy") > 0
    noise = next((explored.results / "backgrounds").glob("noise-*"))
    drawn = np.load(noise / "images.npy")
    np.testing.assert_array_equal(drawn[masks], images[masks])
    assert (drawn[~masks] != images[~masks]).any(axis=1).mean() > 0.5
    matrix = table(explored, f"{BACKGROUNDS}.tested_on").filter(mode="both", arm="noise", tested_on="original")
    row = table(explored, BACKGROUNDS).row(by_predicate=pl.col("arm") == "noise", named=True)
    assert matrix["id_map"][0] == pytest.approx(row["id_map"], abs=1e-12)


def test_choices_that_keep_the_same_images_are_trained_once(explored):
    keys = {arm: [run["key"] for run in runs_of(explored, CHOICES, arm)] for arm in ("all", "same_bytes", "phash_0")}
    kept = {path.parent.name: pl.read_parquet(path) for path in (explored.results / "subsets").glob("*/keep.parquet")}
    dropped = {name.split("-")[0]: set(k.filter(~pl.col("kept"))["image"]) for name, k in kept.items()}
    assert dropped["exact_bytes"], "the drawing holds no copy of a file: choose another seed"
    assert keys["same_bytes"] != keys["all"]
    assert len({line["key"] for line in explored.outcome.trained}) == len(explored.outcome.trained)
    assert [run["key"] for run in runs_of(explored, CHOICES, "none_steps")] == keys["all"]
    note = table(explored, CHOICES).row(by_predicate=pl.col("arm") == "phash_0", named=True)["note"]
    same = {frozenset(s) for s in dropped.values()}
    assert ("the same runs as arm" in note) == (keys["phash_0"] in (keys["all"], keys["same_bytes"]))
    assert len(same) > 2


def test_training_images_alone_are_left_out_and_a_random_choice_differs_by_seed(explored):
    split = pl.read_parquet(explored.results / "data" / "split.parquet")
    training = set(split.filter(role="train")["image"])
    for path in (explored.results / "subsets").glob("*/keep.parquet"):
        keep = pl.read_parquet(path)
        assert set(keep["image"]) == training
    drawn = pl.read_parquet(next((explored.results / "subsets").glob("random-*/keep.parquet")))
    kept = [set(drawn.filter(pl.col("kept") & (pl.col("seed") == seed))["image"]) for seed in (0, 1)]
    assert kept[0] != kept[1] and {len(k) for k in kept} == {round(len(training) / 2)}


def test_matched_steps_take_as_many_steps_as_all_images(explored):
    steps = dict(table(explored, CHOICES).select("arm", "steps").iter_rows())
    assert steps["random_steps"] == steps["all"] > steps["random_epochs"]


def test_a_control_is_compared_pair_by_pair(explored):
    rows = {row["arm"]: row for row in table(explored, CHOICES).to_dicts()}
    best, control = rows["best"], rows["random_epochs"]
    assert best["against"] == "random_epochs"
    assert best["against_delta"] == pytest.approx(best["id_map"] - control["id_map"], abs=1e-9)
    assert rows["all"]["against"] is None


def test_nothing_is_done_again_and_an_intervention_that_draws_the_same_trains_nothing(project):
    again = project.run()
    assert again.status == 0 and not again.jobs, again.text
    with (project.folder / "src/reidflow/backgrounds/interventions/noise.py").open("a") as file:
        file.write("\nEDITED = True\n")
    redrawn = project.run("--", f"results-tiny/tables/{BACKGROUNDS}.parquet")
    assert redrawn.status == 0 and not redrawn.trained, "the same pixels are the same data"
    assert "background" in {rule for rule, _ in redrawn.jobs}


def test_a_new_threshold_finds_no_pairs_again_below_the_loosest(project):
    project.edit("config/experiments/tiny_choices.yaml", "[0, 6]", "[0, 4, 6]")
    outcome = project.run("--", f"results-tiny/tables/{CHOICES}.parquet")
    assert outcome.status == 0, outcome.text
    rules = {rule for rule, _ in outcome.jobs}
    assert "keep_phash" in rules and "duplicates" not in rules and "background" not in rules


def test_photographs_without_masks_stop_with_a_remedy(project):
    config = project.folder / "config" / "tiny.yaml"
    folder = project.folder / "plain"
    source = project.results / "data" / "demo" / "train" / "train"
    labels = pl.read_csv(project.results / "data" / "demo" / "train.csv")
    for name, identity in labels.iter_rows():
        (folder / identity).mkdir(parents=True, exist_ok=True)
        Image.open(source / name).convert("RGB").save(folder / identity / name)
    text = config.read_text().replace(
        "{name: demo, identities: 6, images: 90, size: 96, seed: 0}", "{name: folder, path: plain}"
    )
    config.write_text(text.replace("results-tiny", "results-plain"))
    plain = Project(project.folder, results="results-plain")
    outcome = plain.run("--until", "background")
    assert outcome.status != 0
    assert "90 of 90 images have no mask" in outcome.text and "remove the experiments" in outcome.text
