"""What each algorithm proposes, on made outcomes: no training."""

import numpy as np
import pytest
from scipy.stats import qmc
from search_cases import study

from reidflow.search.optuna_studies import propose
from reidflow.search.trial import COMPLETE, PRUNED, Trial
from reidflow.spec.components import resolve
from reidflow.spec.seeds import seed_for

ALGORITHMS = ["random", "tpe", "quasi_random", "nsga2", "evolution"]
PLANTED = {
    "optimizer.learning_rate": {"low": 0.0001, "high": 1.0, "log": True},
    "model.head.dropout": {"low": 0.0, "high": 0.9},
    "model.head.dim": {"low": 2, "high": 60, "step": 4},
    "scheduler": ["constant", "cosine", "exponential", "polynomial"],
}


def quality(settings: dict) -> float:
    """Best at learning rate 0.01, dropout 0.3, dimension 42 and cosine: 1."""
    away = [
        (np.log10(settings["optimizer.learning_rate"]) + 2) / 4,
        (settings["model.head.dropout"] - 0.3) / 0.9,
        (settings["model.head.dim"] - 42) / 58,
        0.0 if settings["scheduler"] == "cosine" else 0.3,
    ]
    return float(np.exp(-4 * np.sum(np.square(away))))


def outcome(settings: dict, state: str = COMPLETE) -> dict:
    value, flops = quality(settings), 100 * settings["model.head.dim"]
    values = [0.1, value / 2, value if state == COMPLETE else value / 2]
    return {"state": state, "value": value if state == COMPLETE else None, "values": values, "flops": flops}


def searched(wanted, generations: int, state=lambda number: COMPLETE) -> list[Trial]:
    """The trials of a study whose outcomes are computed at once."""
    trials: list[Trial] = []
    for generation in range(generations):
        for proposal in propose(wanted, generation, trials):
            result = outcome(proposal.settings, state(len(trials)))
            trials.append(Trial(len(trials), proposal.settings, proposal.attributes, result))
    return trials


def planted(algorithm, seed: int = 0, **changes):
    return study(algorithm, space=PLANTED, generation=8, seed=seed, **changes)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_proposal_lies_in_the_space_and_on_its_steps(algorithm):
    for trial in searched(planted(algorithm), 5):
        assert 0.0001 <= trial.settings["optimizer.learning_rate"] <= 1.0
        assert 0 <= trial.settings["model.head.dropout"] <= 0.9
        assert type(trial.settings["model.head.dim"]) is int and trial.settings["model.head.dim"] in range(2, 60, 4)
        assert trial.settings["scheduler"] in PLANTED["scheduler"]


@pytest.mark.parametrize("algorithm", ["tpe", "nsga2", {"name": "evolution", "population": 16}])
def test_what_learns_from_trials_comes_nearer_to_a_planted_optimum_than_chance(algorithm):
    def late(name, seed: int) -> float:
        return float(np.mean([trial.reached for trial in searched(planted(name, seed), 8)[40:]]))

    learned, chance = ([late(name, seed) for seed in range(3)] for name in (algorithm, "random"))
    assert np.mean(learned) > max(chance)


def test_quasi_random_is_scipys_scrambled_sobol_sequence_whatever_the_generation():
    engine = qmc.Sobol(4, scramble=True, rng=np.random.default_rng(seed_for(0, "quasi_random")))
    points = engine.random(128)[:80]
    trials = searched(planted("quasi_random"), 10)
    for trial, point in zip(trials, points, strict=True):
        assert trial.settings["optimizer.learning_rate"] == pytest.approx(10 ** (-4 + 4 * point[0]))
        assert trial.settings["model.head.dropout"] == pytest.approx(0.9 * point[1])
        assert trial.settings["model.head.dim"] == 2 + 4 * int(15 * point[2])
        assert trial.settings["scheduler"] == PLANTED["scheduler"][int(4 * point[3])]


def test_quasi_random_covers_choices_evenly():
    names = [trial.settings["scheduler"] for trial in searched(planted("quasi_random"), 8)]
    assert {names.count(name) for name in PLANTED["scheduler"]} == {16}


def test_evolution_changes_one_axis_of_a_good_young_trial():
    wanted = planted({"name": "evolution", "population": 16, "tournament": 6})
    trials = searched(wanted, 6)
    for trial in trials[16:]:
        finished = trials[: trial.number // 8 * 8]
        apart = {old.number: _differences(old, trial) for old in finished[-16:]}
        parents = [old for old in finished[-16:] if apart[old.number] == 1]
        assert parents, f"trial {trial.number} descends from none of the 16 youngest"
        rank = min(sorted(finished[-16:], key=lambda old: -old.reached).index(parent) for parent in parents)
        assert rank <= 10, "the best of 6 out of 16 is never among the worst five"


def _differences(one: Trial, other: Trial) -> int:
    return sum(one.settings[name] != other.settings[name] for name in PLANTED)


def test_nsga2_breeds_from_the_trials_on_the_front_of_map_and_flops():
    """With neither mutation nor crossover a child is the copy of a survivor."""
    wanted = planted({"name": "nsga2", "crossover": 0.0, "mutation": 0.0})
    trials = searched(wanted, 4)
    first = trials[:8]
    worst = [t for t in first if sum(_dominates(other, t) for other in first) == 7]
    for child in trials[8:16]:
        assert any(_differences(child, old) == 0 for old in first)
        assert all(_differences(child, old) for old in worst)
    late = [trial for trial in trials[24:] if any(_dominates(old, trial) for old in first)]
    assert len(late) <= 2


def _dominates(one: Trial, other: Trial) -> bool:
    better = one.reached >= other.reached and one.outcome["flops"] <= other.outcome["flops"]
    return better and (one.reached, one.outcome["flops"]) != (other.reached, other.outcome["flops"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_trials_that_were_stopped_early_are_known_and_fill_generations(algorithm):
    def half(number: int) -> str:
        return PRUNED if number % 2 else COMPLETE

    trials = searched(planted(algorithm), 4, half)
    assert len(trials) == 32
    if algorithm == "nsga2":
        generations = [trial.attributes["NSGAIISampler:generation"] for trial in trials[8:]]
        assert generations == [1] * 8 + [2] * 8 + [3] * 8


def test_tpe_sees_the_trials_of_its_generation_as_bad_ones():
    """Trials that are proposed together differ, though all of them know the same."""
    trials = searched(study("tpe", space={"model.head.dropout": {"low": 0.0, "high": 0.9}} | PLANTED, generation=8), 4)
    dropouts = [trial.settings["model.head.dropout"] for trial in trials[24:]]
    assert len(set(dropouts)) == 8


def test_another_seed_is_another_study():
    for algorithm in ALGORITHMS:
        one, other = (propose(planted(resolve("algorithm", algorithm)["name"], seed), 0, []) for seed in (0, 1))
        assert [p.settings for p in one] != [p.settings for p in other]
