"""When each pruner ends a trial, by its rule worked out by hand."""

import numpy as np
import pytest
from search_cases import study

from reidflow.search.optuna_studies import TrialPruner, stop_of
from reidflow.search.trial import COMPLETE, DIVERGED, PRUNED, Trial


def finished(number: int, course: list[float], state: str = COMPLETE, **attributes) -> Trial:
    """A finished trial with the mAPs `course` from epoch 1 on."""
    value = {COMPLETE: max(course), PRUNED: None, DIVERGED: 0.0}[state]
    settings = {axis.name: axis.ends()[0] for axis in study().axes}
    return Trial(number, settings, attributes, {"state": state, "value": value, "values": [0.0, *course]})


def stopped(pruner: dict, earlier: list[Trial], course: list[float]) -> int | None:
    return stop_of(TrialPruner(study(pruner=pruner), earlier), dict(enumerate(course, start=1)))


EARLIER = [finished(n, [0.1 * n, 0.1 * n + 0.1, 0.1 * n + 0.2, 0.9]) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("course", "expected"),
    [([0.31, 0.41, 0.51], None), ([0.29, 0.5, 0.6], 1), ([0.35, 0.39, 0.6], 2), ([0.45, 0.1, 0.1], 3)],
)
def test_the_median_rule_compares_the_best_so_far_with_the_median_at_the_epoch(course, expected):
    """The medians are 0.3, 0.4 and 0.5."""
    assert stopped({"name": "median", "startup": 5}, EARLIER, course) == expected


def test_the_median_rule_waits_for_its_first_trials_and_epochs():
    low = [0.01, 0.01, 0.01, 0.01]
    assert stopped({"name": "median", "startup": 6}, EARLIER, low) is None
    assert stopped({"name": "median", "startup": 5, "warmup": 3}, EARLIER, low) == 3
    assert stopped({"name": "median", "startup": 5, "warmup": 2, "interval": 2}, EARLIER, low) == 2
    assert stopped({"name": "none"}, EARLIER, low) is None


def test_trials_that_were_stopped_early_set_no_median():
    early = [finished(n, [0.01], PRUNED) for n in range(6, 12)]
    assert stopped({"name": "median", "startup": 5}, EARLIER + early, [0.29]) == 1


def test_successive_halving_lets_the_best_share_past_each_rung():
    """Rungs at the epochs 1, 2 and 4; half of those that came to a rung go on, the judged trial counted in."""
    pruner, trials = {"name": "successive_halving", "factor": 2}, []
    courses = [[0.5] * 4, [0.4] * 4, [0.6] * 4, [0.7] * 4, [0.55] * 4]
    ends = []
    for number, course in enumerate(courses):
        watcher = TrialPruner(study(pruner=pruner), trials)
        ends.append(stop_of(watcher, dict(enumerate(course, start=1))))
        state = COMPLETE if ends[-1] is None else PRUNED
        trials.append(finished(number, course[: ends[-1]], state, **watcher.attributes))
    reached = _successive_halving(courses, [1, 2, 4], 2)
    assert ends == reached and PRUNED in {trial.outcome["state"] for trial in trials}


def _successive_halving(courses: list[list[float]], rungs: list[int], factor: int) -> list[int | None]:
    """The asynchronous rule, written again: promoted while among the best len // factor (at least one) of the rung."""
    seen: dict[int, list[float]] = {rung: [] for rung in rungs}
    ends = []
    for course in courses:
        end = None
        for rung in rungs:
            seen[rung].append(course[rung - 1])
            best = np.sort(seen[rung])[::-1][: max(1, len(seen[rung]) // factor)]
            if course[rung - 1] < best[-1]:
                end = rung
                break
        ends.append(end)
    return ends


def test_an_epoch_without_a_value_ends_nothing():
    watcher = TrialPruner(study(pruner={"name": "median", "startup": 5}), EARLIER)
    assert not watcher(1, None) and watcher(2, 0.01)
