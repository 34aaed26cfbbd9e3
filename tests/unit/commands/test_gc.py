"""What `reidflow gc` takes for unused, what it keeps in doubt, and that nobody's work is touched."""

import json
import os
import shutil
from pathlib import Path

import pytest

from reidflow.commands import gc, unused
from reidflow.commands.usage import OPEN, UNUSED, USED, Shape, Usage, trials
from reidflow.spec import plan, yaml
from reidflow.spec.errors import ReidflowError
from reidflow.store import activity
from reidflow.store.locks import hold

ROOT = Path(__file__).parents[3]
RESULTS = Path("results-tiny")


@pytest.fixture(scope="module")
def made():
    return plan.make([ROOT / "config" / "tiny.yaml"], root=ROOT)


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A results folder without data: no key can be worked out, so settings alone tell what may be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "make", lambda files: made)
    monkeypatch.setattr(gc, "_waiting", lambda files: "")
    (RESULTS / ".store" / "runs").mkdir(parents=True)
    return tmp_path


def stored(key, spec):
    folder = RESULTS / ".store" / "runs" / key[:2] / key
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.dumps(spec))
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def arcface(made):
    """The stored spec of a reported run of an arm."""
    return made.experiments["tiny_losses"].arms["arcface"].spec.with_seed(1).apart_from_data()


def former(spec):
    """Return the spec of an arm that there is no longer."""
    return {**spec, "loss": {**spec["loss"], "margin": 0.123}}


def states(made):
    found = unused.find([made], settled=True)
    return {item.what: item for item in found.items}, found


def test_a_run_of_a_former_arm_is_unused_and_told_as_what_it_was(here, made, arcface):
    key = "ab" * 16
    stored(key, former(arcface))
    with (RESULTS / ".store" / "log.jsonl").open("w") as log:
        log.write(json.dumps({"key": key, "experiment": "tiny_losses", "arm": "sharp"}) + "\n{half")
    items, _ = states(made)
    assert list(items) == ["tiny_losses/sharp: arcface on timm tf_efficientnet_lite0, seed 1"]


def test_a_run_whose_use_cannot_be_decided_is_kept_and_counted(here, made, arcface):
    stored("ab" * 16, arcface)
    (stored("cd" * 16, arcface) / "run.yaml").unlink()
    items, found = states(made)
    assert not items and found.open == {"run": 2}


def test_a_run_that_results_name_is_used_whatever_its_settings(here, made, arcface):
    stored("ab" * 16, former(arcface))
    folder = RESULTS / "experiments" / "tiny_losses" / "runs"
    folder.mkdir(parents=True)
    (folder / "runs-0.json").write_text(json.dumps({"runs": [{"key": "ab" * 16, "members": ["ab" * 16]}]}))
    assert states(made)[1].used == {"run": 1}
    (folder / "runs-0.json").rename(folder / "runs-7.json")  # a batch that there is no longer
    assert sorted(item.kind for item in states(made)[0].values()) == ["former job", "run"]


def test_a_run_that_somebody_holds_is_left_alone(here, made, arcface):
    stored("ab" * 16, former(arcface))
    lock = hold(RESULTS / ".store" / "locks" / ("ab" * 16))
    assert states(made)[1].used == {"run": 1}
    os.close(lock)
    assert states(made)[0]


def test_unfinished_work_is_unused_once_its_settings_are_nobodys(here, made):
    spec = made.experiments["tiny_losses"].arms["arcface"].spec.with_seed(1).plain()
    activity.run(RESULTS / ".store" / "work" / ("ab" * 16), arm="arcface", spec=spec)
    activity.run(RESULTS / ".store" / "work" / ("cd" * 16), arm="sharp", spec=former(spec))
    items, found = states(made)
    assert [item.paths[0].name for item in items.values()] == ["cd" * 16] and found.open == {"unfinished run": 1}


def test_folders_that_no_plan_names_are_unused_and_those_of_people_are_not_looked_at(here, made):
    bank = next(iter(made.banks()))
    for name in (bank, "timm-0123456789abcdef", "mine", ".hidden"):
        (RESULTS / "features" / name).mkdir(parents=True)
    (here / "elsewhere").mkdir()
    (RESULTS / "features" / "linked-0123456789abcdef").symlink_to(here / "elsewhere")
    (RESULTS / "data" / "splits" / "closed_set-0123456789abcdef").mkdir(parents=True)
    items, found = states(made)
    assert sorted(items) == ["closed_set-0123456789abcdef", "timm-0123456789abcdef"]
    assert found.used == {"feature bank": 1}


def test_results_of_an_experiment_that_the_config_lost_are_found_and_no_others(here, made):
    for name in ("tiny_losses", "gone", "notes"):
        (RESULTS / "experiments" / name).mkdir(parents=True)
    for name in ("tiny_losses", "gone"):
        (RESULTS / "experiments" / name / "metrics.parquet").touch()
    tables = RESULTS / "tables"
    tables.mkdir()
    for name in ("gone.parquet", "gone.findings.md", "gone_too.parquet", "tiny_losses.parquet"):
        (tables / name).touch()
    (RESULTS / "pages").mkdir()
    (RESULTS / "pages" / "gone.html").touch()
    items, _ = states(made)
    (item,) = items.values()
    assert [path.relative_to(RESULTS).as_posix() for path in item.paths] == [
        "experiments/gone",
        "tables/gone.findings.md",
        "tables/gone.parquet",
        "pages/gone.html",
    ]


def test_what_a_search_may_still_ask_for_is_recognised_by_its_settings():
    base = {"loss": {"name": "arcface", "margin": 0.5}, "optimizer": {"name": "adamw", "rate": 0.1}, "seed": 0}
    shape = Shape(base, ("optimizer.rate", "augmentation.0.p"), frozenset({100}), seeds_from=1000)
    trial = {**base, "optimizer": {"name": "adamw", "rate": 0.3}, "seed": 1004, "stop": 2}
    assert shape.fits(trial) and shape.fits({**trial, "seed": 100}) and shape.fits({**trial, "augmentation": [1]})
    assert not shape.fits({**trial, "seed": 3})
    assert not shape.fits({**trial, "loss": {"name": "arcface", "margin": 0.4}})


def test_in_doubt_a_run_is_open_and_a_study_too():
    usage = Usage(runs={"a"}, studies={"s"}, every_study_known=False)
    assert [usage.of_run(key, spec) for key, spec in (("a", None), ("b", None), ("b", {}))] == [USED, OPEN, UNUSED]
    assert usage.of_study("s") == USED and usage.of_study("t") == OPEN


def test_trials_are_read_from_a_journal_whose_last_line_is_torn(tmp_path):
    line = json.dumps({"op_code": 8, "user_attr": {"outcome": {"state": "pruned", "run": "abc"}}})
    (tmp_path / "journal.log").write_text('{"op_code": 0}\n' + line + "\n" + line[:40])
    assert list(trials(tmp_path / "journal.log")) == ["abc"] and not list(trials(tmp_path / "none"))


def collect(*options):
    return gc.collect(["config/tiny.yaml"], [], "--remove" in options)


def test_listing_touches_nothing_and_removing_takes_what_was_listed(here, made, arcface, capsys):
    old, kept = stored("ab" * 16, former(arcface)), stored("cd" * 16, arcface)
    assert collect() == 0 and old.exists()
    said = capsys.readouterr().out
    assert "results-tiny/: 1 run unused, " in said and "reidflow --configfile config/tiny.yaml gc --remove" in said
    assert collect("--remove") == 0 and not old.exists() and kept.exists()
    assert not (RESULTS / ".store" / "trash").exists()


def test_a_kill_while_removing_leaves_no_run_half_there(here, made, arcface, monkeypatch):
    old = stored("ab" * 16, former(arcface))

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            collect("--remove")
    assert not old.exists() and list((RESULTS / ".store" / "trash").iterdir())
    assert [item.kind for item in unused.find([made], True).items] == ["leftover"]
    assert collect("--remove") == 0 and not (RESULTS / ".store" / "trash").exists()


def test_nothing_is_removed_while_a_pipeline_or_one_of_its_jobs_is_at_work(here, arcface):
    old = stored("ab" * 16, former(arcface))
    for lock, reason in ((RESULTS / ".lock", "another run"), (RESULTS / ".store" / "locks" / "x", "a job is still")):
        held = hold(lock)
        with pytest.raises(ReidflowError, match=reason):
            collect("--remove")
        os.close(held)
    assert old.exists()
    assert collect("--remove") == 0 and not old.exists()


def test_another_configs_folder_is_refused(here, made, monkeypatch):
    other = plan.Plan(made.config.model_copy(update={"results": "others"}), made.experiments, "other.yaml")
    monkeypatch.setattr(plan, "make", lambda files: other if files == ["other.yaml"] else made)
    with pytest.raises(ReidflowError, match=r"other\.yaml: its results lie in others/"):
        gc.collect(["config/tiny.yaml"], ["other.yaml"], False)


def test_sizes_count_only_what_becomes_free(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights").write_bytes(bytes(1000))
    (tmp_path / "run" / "small").write_bytes(bytes(10))
    os.link(tmp_path / "run" / "weights", tmp_path / "readable")
    assert gc.weigh([tmp_path / "run"]).size == 10
    assert gc.weigh([tmp_path / "run", tmp_path / "readable"]).size == 1010
