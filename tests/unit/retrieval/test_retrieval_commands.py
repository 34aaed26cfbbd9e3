import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted_folder import FRAME, SIZE, draw, drawn_folder, finished_run, pipeline_data, spec_of

from reidflow.cli import main
from reidflow.evaluation.runs import TrainedRun
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.retrieval.fitted_ranking import PLAIN
from reidflow.retrieval.gallery import open_gallery, write_gallery
from reidflow.retrieval.submitted_gallery import gallery_facts, gallery_files
from reidflow.retrieval.write_submission import ChosenRun, QueryRows

ROOT = Path(__file__).resolve().parents[3]
RUN = "losses/arcface/seed-0"


class Pipeline:
    """Embeddings of the pipeline's own images, as they are stored."""

    def __init__(self, vectors):
        self.vectors = np.stack(list(vectors.values()))

    def rows(self, folder, spec, rows):
        return self.vectors[rows]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a config, a gallery of images, and the results of two runs on them."""
    root = tmp_path_factory.mktemp("project")
    (root / "config").symlink_to(ROOT / "config")
    images = drawn_folder(root / "images")
    data = pipeline_data(images, root / "data")
    results = root / "results-tiny"
    stored = {}
    for name, seed in ((RUN, 0), ("losses/arcface/seed-1", 1)):
        work = root / "work" / str(seed)
        work.mkdir(parents=True)
        stored[name] = finished_run(work, spec_of(seed=seed), *data)
        (results / "experiments" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "out").rename(results / "experiments" / name)
    (results / "data").mkdir()
    (results / "data" / "images.json").write_text(json.dumps({"frame": FRAME, "size": SIZE}))
    draw(root / "queries" / "x.png", 900)
    draw(root / "queries" / "y.png", 901)
    return root, stored, pl.read_parquet(root / "data" / "manifest")


@pytest.fixture
def command(project, monkeypatch, capfd):
    monkeypatch.chdir(project[0])

    def run(*arguments):
        config = [] if arguments[0] == "retrieve" else ["--configfile", "config/tiny.yaml"]
        status = main([*config, *map(str, arguments)])
        out, err = capfd.readouterr()
        return status, out, err

    return run


def index(command, out, *more, run=RUN, images="images"):
    return command("index", "--run", run, "--images", images, "--out", out, *more)


def test_a_gallery_is_indexed_and_asked(command, tmp_path):
    status, out, _ = index(command, tmp_path / "g")
    assert status == 0 and "21 images, 21 of them embedded now" in out
    status, _, _ = command(
        "retrieve", "--gallery", tmp_path / "g", "--queries", "queries", "-k", 4, "--out", tmp_path / "s.json"
    )
    answers = json.loads((tmp_path / "s.json").read_text())
    assert status == 0 and list(answers) == ["x.png", "y.png"]
    gallery = open_gallery(tmp_path / "g")
    assert all(len(set(best)) == 4 and set(best) <= set(gallery.keys) for best in answers.values())
    status, out, _ = command("retrieve", "--gallery", tmp_path / "g", "--queries", "queries/x.png", "-k", 4)
    assert [line.split(maxsplit=2)[2] for line in out.splitlines()[1:]] == answers["x.png"]


def test_runs_on_boxes_warn_that_files_are_embedded_whole(command, project, tmp_path):
    facts = project[0] / "results-tiny" / "data" / "images.json"
    before = facts.read_text()
    try:
        facts.write_text(json.dumps({"frame": FRAME, "size": SIZE, "boxes": 21}))
        assert "WARNING: 21 images of the pipeline were cut out" in index(command, tmp_path / "g")[2]
        _, _, err = command("retrieve", "--gallery", tmp_path / "g", "--queries", "queries")
        assert "those of queries are embedded whole" in err
    finally:
        facts.write_text(before)
    assert "WARNING" not in index(command, tmp_path / "other")[2]


def test_an_image_of_the_gallery_does_not_find_itself(command, tmp_path):
    index(command, tmp_path / "g")
    command("retrieve", "--gallery", tmp_path / "g", "--queries", "images", "-k", 100, "--out", tmp_path / "s.json")
    answers = json.loads((tmp_path / "s.json").read_text())
    assert len(answers) == 21 and all(len(best) == 20 and key not in best for key, best in answers.items())
    key = "animal 1/2.img.png"
    command("retrieve", "--gallery", tmp_path / "g", "--queries", f"images/{key}", "--out", tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text()) == {"2.img.png": answers[key][:10]}


def test_answers_are_the_most_similar_of_the_vectors_that_the_pipeline_stores(command, project, tmp_path):
    index(command, tmp_path / "g")
    command("retrieve", "--gallery", tmp_path / "g", "--queries", "images", "-k", 3, "--out", tmp_path / "s.json")
    stored = {key: vector / np.linalg.norm(vector) for key, vector in project[1][RUN].items()}
    answers = json.loads((tmp_path / "s.json").read_text())
    assert len(answers) == len(stored)
    for key, best in answers.items():
        others = sorted(
            (other for other in stored if other != key), key=lambda o: (-round(stored[key] @ stored[o], 6), o)
        )
        assert best == others[:3]


def test_a_gallery_that_the_workflow_wrote_is_asked_like_any_other(command, project, tmp_path):
    root, stored, manifest = project
    spec, folder = spec_of(), root / "results-tiny" / "experiments" / RUN
    run = ChosenRun("losses", TrainedRun("arcface", 0, "key", folder), spec)
    rows = np.arange(len(manifest))[::-1]
    made = gallery_files(manifest, QueryRows(rows[:0], rows, rows[:0]), [run], Pipeline(stored[RUN]))
    assert made[0] == sorted(made[0]) == manifest["image"].to_list()
    facts, runs = gallery_facts([run], {"frame": FRAME, "size": SIZE}, root / "images", 10**6, PLAIN, {})
    write_gallery(tmp_path / "workflow", *made, {**facts, "index": {"name": "flat"}}, runs, PLAIN)
    index(command, tmp_path / "files")
    answers = []
    for name in ("workflow", "files"):
        status, _, err = command(
            "retrieve", "--gallery", tmp_path / name, "--queries", "images", "--out", tmp_path / "s.json"
        )
        assert status == 0, err
        answers.append((tmp_path / "s.json").read_text())
    assert answers[0] == answers[1]


def test_a_gallery_answers_elsewhere_without_config_or_results(command, project, tmp_path, monkeypatch):
    index(command, tmp_path / "g", "--run", "losses/arcface/seed-1")
    command("retrieve", "--gallery", tmp_path / "g", "--queries", "queries", "--out", tmp_path / "here.json")
    (tmp_path / "g").rename(tmp_path / "moved")
    shutil.copytree(project[0] / "queries", tmp_path / "queries")
    monkeypatch.chdir(tmp_path)
    project[0].rename(project[0].with_name("away"))
    try:
        assert command("retrieve", "--gallery", "moved", "--queries", "queries", "--out", "there.json")[0] == 0
    finally:
        project[0].with_name("away").rename(project[0])
    assert Path("there.json").read_text() == Path("here.json").read_text()


def test_a_gallery_names_what_it_lacks_elsewhere(command, tmp_path, monkeypatch):
    index(command, tmp_path / "g")
    ask = ("retrieve", "--gallery", tmp_path / "g", "--queries", "queries")

    def missing(*arguments, **settings):
        raise MissingWeightsError("the weights of 'net' come in the package p, which is missing.")

    with monkeypatch.context() as patch:
        patch.setattr("reidflow.retrieval.commands.Embedder", missing)
        assert "come in the package p, which is missing" in command(*ask)[2]
    with monkeypatch.context() as patch:
        patch.setattr("reidflow.retrieval.commands.code_of", lambda *_: "other")
        assert "made by other code (reidflow " in command(*ask)[2]
    assert "reads no config" in command("--configfile", "config/tiny.yaml", *ask)[2]
    archive = tmp_path / "g" / "runs.zip"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:100])
    assert "runs.zip: not readable" in command(*ask)[2]
    archive.unlink()
    assert "runs.zip: not there" in command(*ask)[2]
    index(command, tmp_path / "g")
    assert archive.read_bytes() == whole and command(*ask)[0] == 0


def test_several_runs_stand_side_by_side(command, tmp_path):
    status, out, _ = index(command, tmp_path / "g", "--run", "losses/arcface/seed-1", "--index", "{name: hnsw, m: 8}")
    assert status == 0 and "recall of the 10 nearest, against an exact search: 1.0000" in out
    assert open_gallery(tmp_path / "g").vectors.shape == (21, 16)
    assert command("retrieve", "--gallery", tmp_path / "g", "--queries", "queries")[0] == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"run": "losses/arc/seed-0"},
            f"there is no run 'losses/arc/seed-0' in results-tiny/experiments. Finished runs:\n  {RUN}",
        ),
        ({"images": "nowhere"}, "nowhere: no such file or folder"),
        ({"index": "hnws"}, "Did you mean 'hnsw'?"),
        ({"index": "{name: hnsw, k: 3}"}, "has no parameter 'k'"),
        ({"index": "{name"}, "not a component"),
    ],
)
def test_errors_are_printed_without_a_traceback(command, tmp_path, more, message):
    name = more.pop("index", "flat")
    status, _, err = index(command, tmp_path / "g", "--index", name, **more)
    assert status == 1 and message in err and not (tmp_path / "g").exists()


def test_a_run_in_another_geometry_or_frame_is_refused(command, project, tmp_path, monkeypatch):
    folder = project[0] / "results-tiny" / "data" / "images.json"
    before = folder.read_text()
    folder.write_text(json.dumps({"frame": {"name": "pad"}, "size": SIZE}))
    status, _, err = index(command, tmp_path / "g")
    folder.write_text(before)
    assert status == 1 and "Run the pipeline again" in err
    monkeypatch.setattr("reidflow.retrieval.embedder.Embedder.cosine", False)
    status, _, err = index(command, tmp_path / "g")
    assert status == 1 and "an index compares angles" in err


def test_what_cannot_be_asked_says_so(command, tmp_path):
    index(command, tmp_path / "g")
    assert "there is no gallery here" in command("retrieve", "--gallery", tmp_path / "h", "--queries", "queries")[2]
    assert "must be at least 1" in command("retrieve", "--gallery", tmp_path / "g", "--queries", "queries", "-k", 0)[2]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "q.png").write_bytes(b"no")
    status, _, err = command("retrieve", "--gallery", tmp_path / "g", "--queries", tmp_path / "bad")
    assert status == 1 and "q.png (unreadable" in err
    draw(tmp_path / "bad" / "good.png", 5)
    status, out, err = command("retrieve", "--gallery", tmp_path / "g", "--queries", tmp_path / "bad")
    assert status == 0 and out.startswith("good.png") and "q.png (unreadable" in err


def test_other_commands_import_neither_torch_nor_faiss():
    code = "import sys, reidflow.cli; print([m for m in ('torch', 'faiss', 'timm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.strip() == "[]"
