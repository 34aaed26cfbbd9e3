"""Galleries of runs whose arm is ranked by several scores, and what they say of new individuals."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image
from planted_folder import FRAME, SIZE, finished_run, pipeline_data, spec_of

from reidflow.cli import main
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import TrainedRun, arm_retrieval, local_scores
from reidflow.ingest.framing import frame_of
from reidflow.ingest.sources.folder import open_source
from reidflow.ingest.squares import Squares
from reidflow.matching.bank import BankJob
from reidflow.retrieval import image_embedder
from reidflow.retrieval.gallery import bank_files, open_gallery
from reidflow.retrieval.gallery_ranking import BesideGallery, Extractor
from reidflow.retrieval.submission_files import best_keys
from reidflow.retrieval.submitted_gallery import fitted_gallery
from reidflow.retrieval.write_submission import (
    ChosenRun,
    Validation,
    best_answers,
    new_decision,
    sides_of,
)
from reidflow.spec import yaml
from reidflow.spec.components import resolve
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import Ranking
from reidflow.store.runs import RunStore

ROOT = Path(__file__).resolve().parents[3]
MATCHER = resolve("matcher", {"name": "rootsift", "size": 96, "contrast": 0.0})
LOCAL = {"matcher": MATCHER}
CALIBRATED = {"scores": ["embedding", LOCAL], "shortlist": 3}
SUMMED = {"scores": [LOCAL, "embedding"], "shortlist": None, "fusion": "sum"}
EXPERIMENT = """
question: q
motivation: m
hypothesis: h
varies: [ranking]
baseline: plain
arms:
  plain: {why: w}
  fused: {why: w, ranking: {scores: [embedding, {matcher: rootsift}]}}
"""


def draw(path, identity, number):
    """Draw an image with the texture of an identity, seen a little differently each time."""
    coat = np.random.default_rng(identity).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    rng = np.random.default_rng([identity, number])
    left, top = rng.integers(0, 5, 2)
    part = Image.fromarray(coat[top : top + 10, left : left + 10]).resize((80, 72), Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(part) + rng.normal(0, 12, (72, 80, 3)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy).save(path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the results of a run on a folder of images, and the test images as a folder of their own."""
    root = tmp_path_factory.mktemp("ranked")
    for identity in range(5):
        for number in range(7):
            draw(root / "images" / f"animal {identity}" / f"{number}.png", identity, number)
    images, *data = pipeline_data(root / "images", root / "data")
    (root / "work").mkdir()
    finished_run(root / "work", spec_of(), images, *data)
    results, manifest = root / "results-tiny", pl.read_parquet(root / "data" / "manifest")
    (results / "data").mkdir(parents=True)
    manifest.write_parquet(results / "data" / "manifest.parquet")
    roles = ["train" if number % 7 < 3 else "val" if number % 7 < 5 else "test" for number in range(len(images))]
    split = manifest.select("image", "identity", group="image", role=pl.Series(roles), side=pl.lit(None, pl.String))
    split.write_parquet(results / "data" / "split.parquet")
    (results / "data" / "images.json").write_text(json.dumps({"frame": FRAME, "size": SIZE}))
    squares = Squares(root / "images", frame_of(FRAME), MATCHER["size"], 10**6, {}, None)
    bank = BankJob(
        open_source(path=str(root / "images")), manifest, squares, MATCHER, results / ".store", "cpu", workers=1
    )
    bank.make(bank_files(results / "local" / local_bank_id(MATCHER)))
    for image, role in zip(images, roles, strict=True):
        if role == "test":
            (root / "test" / image).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / "images" / image, root / "test" / image)
    (root / "ranked.yaml").write_text(EXPERIMENT)
    (root / "own.yaml").write_text(yaml.dumps({"experiments": [str(root / "ranked.yaml")]}))
    return root, split, manifest


@pytest.fixture
def command(project, monkeypatch, capfd):
    root, _, _ = project
    monkeypatch.chdir(root)

    def run(*arguments):
        config = ["--configfile", str(ROOT / "config" / "tiny.yaml"), "own.yaml"]
        status = main([*([] if arguments[0] == "retrieve" else config), *map(str, arguments)])
        return status, *capfd.readouterr()

    return run


def arm(project, ranking):
    """Lay out the run as that of an arm with this ranking; return its folder."""
    folder = project[0] / "results-tiny" / "experiments" / "ranked" / "fused" / "seed-0"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(project[0] / "work" / "out", folder)
    (folder / "run.yaml").write_text(yaml.dumps(spec_of(ranking=ranking).plain()))
    return folder


def index(command, out, *more, images="test"):
    return command("index", "--run", "ranked/fused/seed-0", "--images", images, "--out", out, *more)


def ranked_by_pipeline(project, ranking, folder):
    """Return the test images as the pipeline ranks them for each other: query -> images, best first."""
    root, split, manifest = project
    layout, results = Layout(split, manifest, "role", "test"), root / "results-tiny"
    local = local_scores([str(results / "local" / local_bank_id(MATCHER) / "local.json")], RunStore(results / ".store"))
    run = TrainedRun("fused", 0, "key", folder, ranking=Ranking.model_validate(ranking), local=local)
    names = [layout.table["image"][rows.tolist()].to_list() for rows in (layout.query, layout.gallery)]
    return best_keys(arm_retrieval(layout, run), *names, 50)


@pytest.mark.parametrize(("ranking", "kind"), [(CALIBRATED, "flat"), (CALIBRATED, "hnsw"), (SUMMED, "flat")], ids=str)
def test_a_gallery_ranks_as_the_pipeline_does_block_by_block(project, command, tmp_path, monkeypatch, ranking, kind):
    folder = arm(project, ranking)
    status, _, err = index(command, tmp_path / "g", "--index", kind)
    assert status == 0, err
    answers = tmp_path / "answers.json"
    assert command("retrieve", "--gallery", tmp_path / "g", "--queries", "test", "-k", 50, "--out", answers)[0] == 0
    expected = ranked_by_pipeline(project, ranking, folder)
    assert json.loads(answers.read_text()) == expected and len(expected) == 10
    monkeypatch.setattr(image_embedder, "LOCAL_BLOCK", 4)
    held, take = [], BesideGallery.take
    monkeypatch.setattr(BesideGallery, "take", lambda self, *some: held.append(len(some[1])) or take(self, *some))
    assert command("retrieve", "--gallery", tmp_path / "g", "--queries", "test", "-k", 50, "--out", answers)[0] == 0
    assert json.loads(answers.read_text()) == expected and held == [4, 4, 2]
    plain = ranked_by_pipeline(project, {"scores": ["embedding"], "fusion": "sum"}, folder)
    assert plain != expected


def test_only_new_images_are_computed_and_the_result_is_that_of_a_gallery_made_at_once(
    project, command, tmp_path, monkeypatch
):
    arm(project, CALIBRATED)
    seen = []
    extract = Extractor.__call__
    monkeypatch.setattr(
        Extractor, "__call__", lambda self, pixels, *more: seen.append(len(pixels)) or extract(self, pixels, *more)
    )
    monkeypatch.setattr(image_embedder, "LOCAL_BLOCK", 4)
    shutil.copytree(project[0] / "test", tmp_path / "images")
    index(command, tmp_path / "g", images=tmp_path / "images")
    assert sum(seen) == 10
    draw(tmp_path / "images" / "new.png", 1, 99)
    (tmp_path / "images" / "animal 0" / "5.png").unlink()
    assert "11 images" not in index(command, tmp_path / "g", images=tmp_path / "images")[1] and sum(seen) == 11
    assert index(command, tmp_path / "g", images=tmp_path / "images")[0] == 0 and sum(seen) == 11
    index(command, tmp_path / "at once", images=tmp_path / "images")
    files = [
        {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (tmp_path / "g", tmp_path / "at once")
    ]
    assert all(one.pop("files.json") for one in files) and files[0] == files[1]


def test_answers_have_probabilities_and_say_new_individual_where_validation_draws_the_line(project, command, tmp_path):
    arm(project, CALIBRATED)
    _, out, _ = index(command, tmp_path / "g")
    assert "new individual: of the queries of new individuals" in out
    given = "retrieve", "--gallery", tmp_path / "g", "--queries", "test"
    command(*given, "--out", tmp_path / "a.csv", "-k", 5)
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    fitted = open_gallery(tmp_path / "g").fitted
    by_query = {}
    for row in rows:
        by_query.setdefault(row["query"], []).append(row)
    assert len(by_query) == 10
    for answers in by_query.values():
        ranked, (new,) = (
            [row for row in answers if (row["image"] == "new individual") == is_] for is_ in (False, True)
        )
        odds = np.array([float(row["score"]) for row in ranked])
        # Three candidates are compared by all scores.
        assert [row["probability"] != "" for row in ranked] == [True] * 3 + [False] * 2
        assert float(ranked[0]["probability"]) == pytest.approx(1 / (1 + np.exp(-odds[0])))
        assert float(new["probability"]) == pytest.approx(float(fitted.new.probability_new(odds[0], 10)))
        assert answers.index(new) == (~fitted.new.is_new(odds, 10)).sum()
    command(*given, "--new", "--out", tmp_path / "a.json", "-k", 5)
    named = json.loads((tmp_path / "a.json").read_text())
    assert {query: [row["image"] for row in own][:5] for query, own in by_query.items()} == named
    _, out, err = command(*given, "-k", 1)
    assert "  new " in out and "as validation promises" in err


def test_what_a_ranked_gallery_lacks_is_named(project, command, tmp_path, monkeypatch):
    folder = arm(project, CALIBRATED)
    index(command, tmp_path / "g")
    given = "retrieve", "--gallery", tmp_path / "g", "--queries", "test"
    points = tmp_path / "g" / "local" / local_bank_id(MATCHER) / "points.npy"
    whole = points.read_bytes()
    points.write_bytes(whole[:90])
    assert "not there, or damaged" in command(*given)[2]
    points.unlink()
    assert "not there, or damaged" in command(*given)[2]
    (tmp_path / "g" / "ranking.json").write_text("{}")
    assert "ranking.json: not there, or damaged" in command(*given)[2]
    assert index(command, tmp_path / "g", "--rebuild")[0] == 0 and points.read_bytes() == whole
    with monkeypatch.context() as patch:
        patch.setattr("reidflow.matching.bank.code.run_digest", lambda *_: "other")
        assert "made by other code" in command(*given)[2]
        assert "other local features" in index(command, tmp_path / "g")[2]
    used = cv2.__version__
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "__version__", "4.0")
        differing = f"opencv {used} (here: 4.0)"
        assert f"extracted with {differing}" in command(*given)[2]
        assert f"made with local features by {differing}" in index(command, tmp_path / "g")[2]
        assert index(command, tmp_path / "g", "--rebuild")[0] == 0 and command(*given)[0] == 0
    assert index(command, tmp_path / "g", "--rebuild")[0] == 0
    shutil.copytree(folder, tmp_path / "elsewhere")
    status, _, err = command("index", "--run", tmp_path / "elsewhere", "--images", "test", "--out", tmp_path / "h")
    assert status == 1 and "Name runs of one split as experiment/arm/seed-0" in err
    bank = project[0] / "results-tiny" / "local"
    bank.rename(bank.with_name("away"))
    try:
        assert "Run the pipeline with this config first" in index(command, tmp_path / "h")[2]
    finally:
        bank.with_name("away").rename(bank)


@pytest.mark.parametrize("vals", [0, 1])
def test_a_gallery_is_made_where_validation_has_no_threshold_for_new_individuals(project, command, tmp_path, vals):
    arm(project, None)
    path = project[0] / "results-tiny" / "data" / "split.parquet"
    kept = pl.when(pl.col("identity").is_in(sorted(project[1]["identity"].unique())[:vals]) | (pl.col("role") != "val"))
    try:
        project[1].with_columns(role=kept.then("role").otherwise(pl.lit("train"))).write_parquet(path)
        status, out, err = index(command, tmp_path / "g")
    finally:
        project[1].write_parquet(path)
    assert status == 0, err
    assert (
        out.count("new individual: is not among the answers") == 1 and open_gallery(tmp_path / "g").fitted.new is None
    )
    assert command("retrieve", "--gallery", tmp_path / "g", "--queries", "test")[0] == 0
    assert (
        "validation images of several individuals"
        in command("retrieve", "--gallery", tmp_path / "g", "--queries", "test", "--new")[2]
    )


class Stored:
    """Embeddings of the pipeline's images, as the run stored them."""

    def __init__(self, folder, manifest):
        table = pl.read_parquet(folder / "embeddings.parquet").filter(pl.col("stage") == "final")
        stored = dict(zip(table["image"], table["vector"].to_list(), strict=True))
        self.vectors = np.array([stored[image] for image in manifest["image"]], np.float32)

    def rows(self, folder, spec, rows):
        return self.vectors[rows]


@pytest.mark.parametrize(("runs", "combine"), [(1, "concatenate"), (2, "concatenate"), (2, "average")])
def test_a_submission_ranks_as_the_tables_do(project, runs, combine):
    root, split, manifest = project
    folder, results = arm(project, CALIBRATED), root / "results-tiny"
    local = local_scores([str(results / "local" / local_bank_id(MATCHER) / "local.json")], RunStore(results / ".store"))
    spec = spec_of(ranking=CALIBRATED)
    made = TrainedRun("fused", 0, "key", folder, ranking=spec.ranking, local=local)
    # A run twice is ranked as it is alone, joined or averaged.
    chosen = [ChosenRun("ranked", made, spec, str(results / "data" / "split.parquet"))] * runs
    question, validation = sides_of(manifest, [split], "role"), Validation(manifest, "role")
    together = Stored(folder, manifest), combine, [], validation
    answers = best_answers(chosen, question, manifest, *together, 50, 0.05)
    assert {one.query: one.named(50, new=False) for one in answers} == ranked_by_pipeline(project, CALIBRATED, folder)
    new = new_decision(chosen, *together, 0.05)
    for one in answers:
        assert one.place == (~new.is_new(np.array(one.scores), 10)).sum()
        assert one.named(50, new=True)[one.place] == "new individual"
        assert (one.probabilities[2] is None, one.probabilities[3]) == (runs > 1 and combine == "average", None)
    # The threshold is that of validation queries whose ranking was fitted without them, as for a gallery of the run.
    fitted = fitted_gallery(chosen, validation, 0.05)
    assert fitted.new == new
