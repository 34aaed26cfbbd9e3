"""What `reidflow gc` takes for unused, what it keeps, and that it never touches what another process works on."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from reidflow.commands import gc
from reidflow.commands.gc import Item
from reidflow.spec.errors import ReidflowError
from reidflow.store import activity, published
from reidflow.store.locks import hold

ROOT = Path(__file__).parents[3]
RESULTS = Path("results")
STORE = RESULTS / ".store"
A, B, C = "a" * 32, "b" * 32, "c" * 32
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A project whose config has run: one training job, which used run A."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "_USED", {})
    tiny = (ROOT / "config" / "tiny.yaml").read_text()
    Path("config.yaml").write_text(tiny.replace("results: results-tiny", "results: results"))
    invoke([["results/experiments/losses/runs/runs-0.json"]])
    publish(["results/experiments/losses/runs/runs-0.json"], runs=[A])
    for key in (A, B):
        stored(key)
    return tmp_path


def invoke(outputs, config="config.yaml", target=published.ALL, pending=True):
    published.record_invocation(RESULTS, [config], target, [(own, pending) for own in outputs])
    age(DAY / 2, *(STORE / "used").glob("*.json"))


def publish(outputs, **uses):
    for path in map(Path, outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    published.record(RESULTS, list(map(Path, outputs)), uses)
    written = [path for output in outputs for path in (Path(output), *Path(output).parents) if path.parts[1:]]
    age(DAY / 4, *written, published.entry_file(RESULTS, published.entry_name(outputs)))


def stored(key, ago=2 * DAY):
    folder = STORE / "runs" / key[:2] / key
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(1000))
    age(ago, folder / "model.safetensors", folder)
    return folder


def age(seconds, *paths):
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)


def unused(hours=1.0):
    return [item.paths[0].relative_to(RESULTS).as_posix() for item in gc.find(RESULTS, hours).items]


def collect(*options, hours=1.0):
    return gc.collect(["config.yaml"], hours, "--remove" in options)


def test_a_run_that_no_job_of_the_latest_invocation_used_is_unused_and_described(here):
    (STORE / "log.jsonl").write_text(
        json.dumps({"key": B, "experiment": "losses", "arm": "sharp", "loss": "arcface", "seed": 1}) + "\n{half"
    )
    (item,) = gc.find(RESULTS, 1).items
    assert (item.kind, item.description, item.paths) == (
        "run",
        "losses/sharp: arcface, seed 1",
        (STORE / f"runs/bb/{B}",),
    )


def test_what_a_job_used_before_it_ran_again_is_unused():
    publish(["results/experiments/losses/runs/runs-0.json"], runs=[B])
    assert unused() == [f".store/runs/aa/{A}"]


def test_what_any_config_uses_is_kept_until_its_file_is_gone():
    Path("other.yaml").write_text("")
    invoke([["results/experiments/others/runs/runs-0.json"]], config="other.yaml")
    publish(["results/experiments/others/runs/runs-0.json"], runs=[B])
    assert unused() == []
    Path("other.yaml").unlink()
    assert unused() == [f".store/runs/bb/{B}", "experiments/others"]


@pytest.mark.parametrize("target", ["results/tables/former.parquet", "--until train"])
def test_a_partial_run_adds_to_the_complete_one_and_the_next_complete_one_supersedes_it(target):
    output = ["results/tables/former.parquet"]
    invoke([output], target=target)
    publish(output, runs=[B])
    assert unused() == []
    invoke([["results/experiments/losses/runs/runs-0.json"]])
    assert unused() == [f".store/runs/bb/{B}", "tables/former.parquet"]


def test_another_rule_keeps_what_it_used_through_complete_runs():
    invoke([["results/submission/report.json"]], target="faces_submission")
    publish(["results/submission/report.json"], runs=[B])
    invoke([["results/experiments/losses/runs/runs-0.json"]])
    assert unused() == []


def test_what_was_used_lately_is_kept():
    age(DAY / 24 / 2, STORE / "runs" / "bb" / B)
    assert unused(hours=1) == [] and unused(hours=0.1) == [f".store/runs/bb/{B}"]


def test_while_an_invocation_has_unfinished_jobs_all_that_was_used_since_is_kept():
    stored(C, ago=DAY / 3)
    assert unused() == [f".store/runs/bb/{B}", f".store/runs/cc/{C}"]
    invoke([["results/experiments/losses/runs/runs-0.json"], ["results/experiments/losses/runs/runs-1.json"]])
    assert unused() == [f".store/runs/bb/{B}"]


def test_a_job_that_has_to_run_again_is_unfinished_until_it_publishes():
    stored(C, ago=DAY / 8)
    output = "results/experiments/losses/runs/runs-0.json"
    age(DAY, published.entry_file(RESULTS, published.entry_name([output])))
    assert unused() == [f".store/runs/bb/{B}"], "it may have trained the other run"
    publish([output], runs=[A])
    assert unused() == [f".store/runs/bb/{B}", f".store/runs/cc/{C}"]


def test_an_unfinished_run_is_unused_once_no_invocation_is_unfinished():
    activity.run(STORE / "work" / C, experiment="losses", arm="sharp")
    age(DAY, *(STORE / "work" / C).iterdir(), STORE / "work" / C)
    assert unused() == [f".store/runs/bb/{B}", f".store/work/{C}"]
    assert gc.find(RESULTS, 48).recent == {"unfinished run": 1}


def test_searches_features_matches_and_file_lists_that_no_job_used_are_unused():
    for kind in ("studies", "features", "local", "matches"):
        for key in (A, B):
            (STORE / kind / key).mkdir(parents=True)
            age(DAY, STORE / kind / key)
    for name in ("x.json.gz", "y.json.gz"):
        (STORE / "code").mkdir(exist_ok=True)
        (STORE / "code" / name).touch()
        age(DAY, STORE / "code" / name)
    used = {"studies": [A], "features": [A], "local": [A], "matches": [A], "code": ["x.json.gz"]}
    publish(["results/experiments/losses/runs/runs-0.json"], runs=[A, B], **used)
    kinds = ("studies", "features", "local", "matches")
    assert unused() == [*(f".store/{kind}/{B}" for kind in kinds), ".store/code/y.json.gz"]


def test_results_of_former_jobs_go_with_their_folders_and_nothing_else_does():
    former = [
        "results/experiments/gone/runs/runs-0.json",
        "results/experiments/losses/runs/runs-7.json",
        "results/tables/gone.parquet",
        "results/features/timm-0123/features.npy",
    ]
    for output in former:
        publish([output])
    for mine in (RESULTS / "features" / "mine", RESULTS / "tables" / "gone_too.parquet", RESULTS / "notes.txt"):
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.touch()
    age(DAY, *map(Path, former), *RESULTS.glob("experiments/gone/**/*"), *RESULTS.glob("*/*"))
    found = ["experiments/gone", "experiments/losses/runs/runs-7.json", "features/timm-0123", "tables/gone.parquet"]
    assert unused() == [f".store/runs/bb/{B}", *found]
    assert collect("--remove") == 0
    assert not any((RESULTS / path).exists() for path in found)
    assert (RESULTS / "features" / "mine").exists() and (RESULTS / "tables" / "gone_too.parquet").exists()
    assert (RESULTS / "experiments/losses/runs/runs-0.json").exists()
    assert len(published.entries(RESULTS)) == 1, "the former jobs are off the ledger"


def test_a_link_in_the_store_is_not_followed(here):
    (here / "elsewhere").mkdir()
    (STORE / "features").mkdir()
    (STORE / "features" / C).symlink_to(here / "elsewhere")
    assert unused(hours=0) == [f".store/runs/bb/{B}"]


def test_listing_touches_nothing_and_removing_takes_what_was_listed(capsys):
    assert collect() == 0 and (STORE / "runs" / "bb" / B).exists()
    said = capsys.readouterr().out
    assert "Unused: 1 run; " in said and "reidflow --configfile config.yaml gc --remove" in said
    assert "config.yaml, 12 h ago" in said
    assert collect("--remove") == 0
    assert not (STORE / "runs" / "bb" / B).exists() and (STORE / "runs" / "aa" / A).exists()
    assert not (STORE / "trash").exists()


def test_records_of_digests_are_listed_together(capsys):
    for number in range(3):
        path = STORE / "code" / f"{number}.json.gz"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        age(DAY, path)
    assert collect() == 0
    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("file list")]
    assert len(rows) == 1 and "3 of them" in rows[0]


def test_without_a_run_on_record_nothing_is_unused():
    shutil.rmtree(STORE / "used")
    with pytest.raises(ReidflowError, match="no run of the pipeline is on record"):
        collect("--remove")
    assert (STORE / "runs" / "bb" / B).exists()


def test_a_run_whose_lock_is_held_counts_as_used():
    held = hold(STORE / "locks" / B)
    assert unused() == []
    os.close(held)
    assert unused() == [f".store/runs/bb/{B}"]


def test_a_run_whose_lock_is_taken_after_it_was_listed_is_not_removed(capsys):
    items = gc.find(RESULTS, 1).items
    held = hold(STORE / "locks" / B)
    assert gc._remove(RESULTS, items) == 0 and (STORE / "runs" / "bb" / B).exists()
    assert "Removed 0 of 1." in capsys.readouterr().out
    os.close(held)
    assert gc._remove(RESULTS, items) == 0 and not (STORE / "runs" / "bb" / B).exists()


def test_a_result_is_not_removed_while_one_of_its_jobs_runs():
    path = Path("results/tables/gone.parquet")
    publish([path.as_posix()])
    lock = published.entry_name([path.as_posix()])
    held = hold(STORE / "locks" / lock)
    assert gc._remove(RESULTS, [Item("result", "", (path,), (A, lock))]) == 0 and path.exists()
    os.close(held)


@pytest.mark.parametrize(
    ("lock", "reason"), [(RESULTS / ".lock", "another run"), (STORE / "locks" / "any", "a job is still running")]
)
def test_nothing_is_removed_while_a_pipeline_or_one_of_its_jobs_runs(lock, reason):
    held = hold(lock)
    with pytest.raises(ReidflowError, match=reason):
        collect("--remove")
    assert (STORE / "runs" / "bb" / B).exists()
    os.close(held)
    assert collect("--remove") == 0 and not (STORE / "runs" / "bb" / B).exists()


def test_a_kill_while_removing_leaves_no_run_half_there(monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            collect("--remove")
    assert not (STORE / "runs" / "bb" / B).exists() and list((STORE / "trash").iterdir())
    assert [item.kind for item in gc.find(RESULTS, 1).items] == ["leftover"]
    assert collect("--remove") == 0 and not (STORE / "trash").exists()


def test_sizes_count_only_what_becomes_free(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights").write_bytes(bytes(1000))
    (tmp_path / "run" / "small").write_bytes(bytes(10))
    os.link(tmp_path / "run" / "weights", tmp_path / "readable")
    assert gc.extent([tmp_path / "run"]).size == 10
    assert gc.extent([tmp_path / "run", tmp_path / "readable"]).size == 1010
