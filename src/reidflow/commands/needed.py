"""The training runs that the experiments of a config may need, and their keys in the run store. Imports no torch."""

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from reidflow.search.key import study_key
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import reseeded
from reidflow.spec.experiment import Arm, Experiment
from reidflow.spec.outcomes import CANDIDATES, won
from reidflow.spec.plan import Plan
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.spec.strengths import candidates
from reidflow.training.execute import OtherSplit, Source

T = TypeVar("T")
SWEEP, REPORTED, FURTHER = "sweep", "reported", "further"


class Need(NamedTuple):
    """A run that an arm may need: for its sweep, for its reported results, or for what is asked of it beside.

    split: the folder of the split that it is trained on, None for the config's own.
    """

    experiment: str
    arm: str
    kind: str
    spec: RunSpec
    split: str | None


def needs(made: Plan) -> Iterator[Need]:
    """Yield every run that the experiments may come to need, as far as it can be said before a search has ended."""
    for experiment in made.experiments.values():
        yield from swept(made, experiment)
        yield from reported(made, experiment)
        yield from _further(made, experiment)


def swept(made: Plan, experiment: Experiment) -> Iterator[Need]:
    """Yield the runs that choose an experiment's tuned settings."""
    if not experiment.tuned:
        return
    split = made.other_split_folder(experiment.division)
    for job in made.sweep(experiment.name):
        yield from (Need(experiment.name, arm, SWEEP, spec, split) for arm, spec in job)


def reported(
    made: Plan, experiment: Experiment, chosen: dict[str, Any] | None = None, outcomes_alone: bool = False
) -> Iterator[Need]:
    """Yield the runs whose results an experiment reports, at every point of its grid, or at the `chosen` ones.

    outcomes_alone: of an arm that wins a ranking, not those that may win it next time.
    """
    split = made.other_split_folder(experiment.division)
    for arm in experiment.arms.values():
        for spec in _settings(made, experiment, arm, (chosen or {}).get(arm.name), outcomes_alone):
            for seed in arm.seeds:
                yield from (
                    Need(experiment.name, arm.name, REPORTED, run, split) for run in spec.with_seed(seed).runs()
                )


def outcomes(made: Plan, experiment: Experiment) -> dict[str, Any]:
    """Return what an experiment's search or ranking has found so far, {} before it has ended."""
    folder = Path(made.config.results) / "experiments" / experiment.name
    return read_json(folder / ("winners.json" if experiment.studies else "best.json")) or {}


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; None where there is none, or it is half written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Keys:
    """Keys of runs and studies, of the data that lie in a results folder and the code as it is now."""

    def __init__(self, made: Plan) -> None:
        self._results, self._gallery = Path(made.config.results), made.config.gallery
        self._source = lru_cache(None)(self._read)

    def run(self, need: Need) -> str | None:
        """Return the key of a run; None while the data that decide it are not there."""
        source = self._source(need.split)
        return _attempt(lambda: source.key(need.spec)) if source else None

    def study(self, study: Study, split: str | None) -> str | None:
        """Return the key of a study; None while the data that decide it are not there."""
        source = self._source(split)
        return _attempt(lambda: study_key(study, source)) if source else None

    def _read(self, split: str | None) -> Source | None:
        return _attempt(lambda: Source(self._results, self._gallery, OtherSplit.at(split)))


def _attempt(make: Callable[[], T]) -> T | None:
    try:
        return make()
    # A choice of images that is made anew for a split is known to nobody but the job that makes it (KeyError).
    except (ReidflowError, OSError, KeyError, ValueError, IndexError):
        return None


def _settings(
    made: Plan, experiment: Experiment, arm: Arm, choice: dict[str, Any] | None, outcomes_alone: bool
) -> list[RunSpec]:
    """Return what an arm's runs may be, with the seed 0."""
    if arm.winner_of is None:
        wanted = canonical(choice["values"]) if choice else None
        fitting = [spec for values, spec in arm.points if wanted in (None, canonical(values))]
        return fitting or [spec for _, spec in arm.points]
    found = outcomes(made, experiment)
    # What a former version of the code found need not be a run of today.
    known = filter(None, [_attempt(lambda: won(found, arm.winner_of, arm.over))])
    return [*known, *(arm.specs if arm.winner_of == CANDIDATES and not outcomes_alone else [])]


def _further(made: Plan, experiment: Experiment) -> Iterator[Need]:
    """Yield what an experiment trains beside its reported runs: on other splits, and at other strengths."""
    again = list(reported(made, experiment))
    for division in experiment.also_on.values():
        yield from (need._replace(kind=FURTHER, split=made.other_split_folder(division)) for need in again)
    asked = experiment.file.candidates
    for seed in asked.split_seeds if asked else ():
        split = made.other_split_folder(reseeded(made.division, seed))
        yield from (need._replace(kind=FURTHER, split=split) for need in again)
    for candidate in candidates(experiment):
        for tried in candidate.tried:
            for seed in candidate.seeds:
                spec, split = tried.spec.with_seed(seed), made.other_split_folder(experiment.division)
                yield Need(experiment.name, candidate.arm_of(tried), FURTHER, spec, split)
