"""Several processes on one study, and what killing them does."""

import json
import time
from collections import Counter

import numpy as np
import optuna
import pytest
from search_cases import TIMEOUT, MadeSource, start, study, worked

from reidflow.search.optuna_studies import propose
from reidflow.search.study_storage import storage
from reidflow.store.locks import try_lock

STUDY = {"algorithm": "tpe", "trials": 24, "generation": 6}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return worked(tmp_path_factory.mktemp("undisturbed"), study(**STUDY))


def records(results) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(results.glob("worker-*.json"))]


def trained(results) -> Counter:
    lines = [json.loads(line) for line in (results / ".store" / "log.jsonl").read_text().splitlines()]
    return Counter(line["key"] for line in lines if line["action"] == "trained")


def size(path) -> int:
    return path.stat().st_size if path.exists() else 0


def until(condition) -> None:
    """Wait, though not for ever: a study that stands still is a failure."""
    for _ in range(30000):
        if condition():
            return
        time.sleep(0.002)
    raise AssertionError("the study stands still")


def test_two_workers_share_the_trials_and_find_what_one_finds(tmp_path, undisturbed):
    workers = [start(tmp_path, number, study(**STUDY)) for number in range(2)]
    for worker in workers:
        worker.join(TIMEOUT)
    assert records(tmp_path) == [undisturbed] * 2
    assert max(trained(tmp_path).values()) == 1
    assert all("trial" in (tmp_path / f"worker-{number}.log").read_text() for number in range(2))


def test_workers_killed_ten_times_leave_the_whole_budget_without_duplicates(tmp_path, undisturbed):
    generator = np.random.default_rng(0)
    workers = {number: start(tmp_path, number, study(**STUDY)) for number in range(2)}
    log, killed = tmp_path / ".store" / "log.jsonl", 0
    while killed < 10:
        number = int(generator.integers(2))
        written = size(log)
        until(lambda worker=workers[number], written=written: not worker.is_alive() or size(log) > written)
        time.sleep(generator.uniform(0, 0.03))
        if workers[number].exitcode is None:
            workers[number].kill()
            killed += 1
        workers[number].join(TIMEOUT)
        assert len(list(tmp_path.glob("worker-*.json"))) < 2, "the study was over before ten were killed"
        workers[number] = start(tmp_path, number, study(**STUDY))
    for worker in workers.values():
        worker.join(TIMEOUT)
        assert worker.exitcode == 0
    assert records(tmp_path) == [undisturbed] * 2
    assert max(trained(tmp_path).values()) == 1, "a finished trial was trained again"


def test_a_line_torn_by_a_kill_is_removed_before_the_next_one(tmp_path):
    path = tmp_path / "journal.log"
    optuna.create_study(storage=storage(path), study_name="one")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":0,"wor')
    optuna.create_study(storage=storage(path), study_name="two")
    assert path.read_bytes().startswith(whole) and b'"wor{' not in path.read_bytes()
    assert {study.study_name for study in optuna.get_all_study_summaries(storage(path))} == {"one", "two"}


def test_a_run_that_another_study_is_making_is_left_to_it(tmp_path):
    """Both studies start with the same draws: the second trains its other trials meanwhile, and takes that one over."""
    wanted = study(trials=4, finalists=0)
    spec = wanted.spec(propose(wanted, 0, [])[0].settings, wanted.trial_seed(0))
    key = MadeSource().key(spec)
    with try_lock(tmp_path / ".store" / "locks" / key):
        worker = start(tmp_path, 0, wanted)
        log = tmp_path / "worker-0.log"
        until(lambda: not worker.is_alive() or (log.exists() and "trial 3" in log.read_text()))
    worker.join(TIMEOUT)
    assert [line.split(":")[1] for line in log.read_text().splitlines()] == [
        f" trial {number}" for number in (1, 2, 3, 0)
    ]
