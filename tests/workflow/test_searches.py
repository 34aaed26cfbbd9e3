"""Searches and the best experiment in real runs: budgets that continue, choices that stay, workers that are killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import textwrap
import time
from contextlib import suppress

import polars as pl
import pytest
from conftest import Project, shared
from kills import processes

SEARCH, BEST = "tiny_search", "tiny_best"
TRIALS, SEARCHED, RANKED = (
    f"results-tiny/{path}"
    for path in (
        f"tables/{SEARCH}.trials.parquet",
        f"experiments/{SEARCH}/metrics.parquet",
        f"experiments/{BEST}/metrics.parquet",
    )
)
# The page of the ranking is made with the demo's tables.
TARGETS = [TRIALS, SEARCHED, RANKED, f"results-tiny/pages/{SEARCH}.html"]
FILES = {
    SEARCH: """
        question: Does a search find anything?
        motivation: It may.
        hypothesis: It does.
        varies: [optimizer, model.head, scheduler]
        baseline: plain
        search:
          trials: 6
          generation: 3
          finalists: 2
          pruner: {name: median, startup: 2, warmup: 1}
          space:
            optimizer.learning_rate: {low: 0.0001, high: 0.1, log: true}
            model.head.hidden: [0, 16]
          studies:
            tpe: {algorithm: tpe}
            rate: {algorithm: random, only: [optimizer.learning_rate], matched_to: tpe}
        arms:
          plain: {why: The protocol.}
          tpe: {why: The best of a search., winner_of: tpe}
          rate: {why: The best rate., winner_of: rate}
          constant: {why: Without a schedule., winner_of: tpe, scheduler: constant, against: tpe}
        """,
    BEST: """
        question: How stable is the best?
        motivation: Noise.
        hypothesis: Quite.
        varies: [loss, miner, model, optimizer, scheduler]
        baseline: plain
        seeds: [20, 21]
        candidates: {experiments: [tiny_losses, tiny_search], split_seeds: [1]}
        arms:
          plain: {why: The protocol.}
          best: {why: The best of all., winner_of: candidates}
        """,
}


def trials(project: Project) -> pl.DataFrame:
    return pl.read_parquet(project.results / "tables" / f"{SEARCH}.trials.parquet")


@pytest.fixture(scope="module")
def searched(tmp_path_factory, tiny) -> Project:
    """The tiny project with a search and a ranking, run once; tests work on copies."""

    def make(folder):
        project = tiny.copy(folder)
        for name, content in FILES.items():
            (folder / "config" / "experiments" / f"{name}.yaml").write_text(textwrap.dedent(content))
        project.edit(project.config, "[tiny_losses, tiny_backbones]", f"[tiny_losses, {SEARCH}, {BEST}]")
        return project, project.run("--", *TARGETS)

    return shared(tmp_path_factory, "searched", make)


def test_a_search_fills_its_budget_and_its_winners_are_trained_with_fresh_seeds(searched):
    table = trials(searched)
    tpe, rate = (table.filter(pl.col("study") == study) for study in ("tpe", "rate"))
    assert tpe["trial"].to_list() == list(range(6)) and tpe["seed"].to_list() == list(range(1000, 1006))
    assert rate["model.head.hidden"].is_null().all() and tpe["model.head.hidden"].is_in(["0", "16"]).all()
    spent = rate["steps"].cum_sum()
    assert spent[-1] >= tpe["steps"].sum() > (spent[-2] if len(spent) > 1 else 0)
    assert table.group_by("study").agg(pl.col("winner").sum())["winner"].to_list() == [1, 1]
    winners = json.loads((searched.results / "experiments" / SEARCH / "winners.json").read_text())
    results = pl.read_parquet(searched.results / "tables" / f"{SEARCH}.parquet")
    assert results["arm"].to_list() == ["plain", "tpe", "rate", "constant"] and (results["seeds"] == 2).all()
    for file in (searched.results / "experiments" / SEARCH / "runs").glob("*.json"):
        for run in json.loads(file.read_text())["runs"]:
            if run["arm"] == "tpe":
                assert {**run["spec"], "seed": 0} == winners["tpe"]["spec"] and run["seed"] in (0, 1)
            if run["arm"] == "constant":
                assert run["spec"]["scheduler"]["name"] == "constant"


def test_a_search_that_ran_runs_nothing_again(searched):
    outcome = searched.run("-n", "--", *TARGETS)
    assert outcome.status == 0 and not outcome.jobs, outcome.text


def test_more_trials_continue_a_search_and_an_unchanged_winner_is_not_trained_again(searched, tmp_path):
    project = searched.copy(tmp_path / "more")
    before, winner = trials(project), project.results / "experiments" / SEARCH / "winners.json"
    won = json.loads(winner.read_text())["tpe"]
    project.edit(f"config/experiments/{SEARCH}.yaml", "trials: 6", "trials: 7")
    outcome = project.run("--", TRIALS, SEARCHED)
    assert outcome.status == 0, outcome.text
    after = trials(project)
    same = after.filter((pl.col("study") == "tpe") & (pl.col("trial") < 6)).drop("winner", "finalist_value")
    assert same.equals(before.filter(pl.col("study") == "tpe").drop("winner", "finalist_value"))
    assert 1006 in {run["seed"] for run in outcome.trained}
    assert not {run["seed"] for run in outcome.trained} & set(range(1000, 1006)) or len(after) > len(before) + 1
    if json.loads(winner.read_text())["tpe"]["settings"] == won["settings"]:
        assert not {run["seed"] for run in outcome.trained} & {0, 1}


def test_a_candidate_that_loses_trains_nothing_of_the_best(searched, tmp_path):
    project = searched.copy(tmp_path / "loser")
    best = json.loads((project.results / "experiments" / BEST / "best.json").read_text())["candidates"]
    name = "config/experiments/tiny_losses.yaml"
    project.edit(
        name, "arms:\n", "arms:\n  hopeless:\n    why: It cannot learn.\n    loss: {name: cosface, margin: 9.0}\n"
    )
    outcome = project.run("--", RANKED)
    assert outcome.status == 0, outcome.text
    now = json.loads((project.results / "experiments" / BEST / "best.json").read_text())["candidates"]
    assert (now["experiment"], now["arm"]) == (best["experiment"], best["arm"])
    assert {run["loss"] for run in outcome.trained} == {"cosface"}
    assert BEST in outcome.of("best")


def test_a_search_whose_journal_and_records_are_lost_trains_nothing_again(searched, tmp_path):
    project = searched.copy(tmp_path / "lost")
    wanted = trials(project)
    for path in (project.results / "experiments" / SEARCH / "search").glob("*.json"):
        path.unlink()
    for journal in (project.results / ".store" / "studies").iterdir():
        (journal / "journal.log").unlink()
    (project.folder / TRIALS).unlink()
    outcome = project.run("--", TRIALS)
    assert outcome.status == 0 and outcome.of("search") and not outcome.trained, outcome.text
    assert trials(project).equals(wanted)


def test_a_search_whose_workers_are_killed_ends_with_the_same_trials_and_repeats_none(searched, tmp_path):
    project = searched.copy(tmp_path / "killed")
    wanted, moment, stored = trials(project), random.Random(0), project.results / ".store"
    for place in (stored / "studies", stored / "runs", project.results / "experiments", project.results / "tables"):
        shutil.rmtree(place)
    before, killed = len(project.log()), 0
    main = subprocess.Popen(
        project.command("--", TRIALS),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while main.poll() is None and killed < 2:
        workers = processes(project.folder, ".snakemake/scripts")
        if workers and list((stored / "studies").glob("*/claims")):
            time.sleep(moment.uniform(0.1, 0.5))
            with suppress(ProcessLookupError):
                os.kill(workers[0], signal.SIGKILL)
                killed += 1
        time.sleep(0.05)
    main.wait(timeout=600)
    outcome = project.run("--", TRIALS)
    assert killed and outcome.status == 0, outcome.text
    assert trials(project).equals(wanted)
    trained = [line["key"] for line in project.log()[before:] if line["action"] == "trained"]
    assert len(trained) == len(set(trained)), "a finished trial was trained again"
