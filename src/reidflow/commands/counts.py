"""How many runs of each experiment are done, of how many that it needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reidflow.commands.needed import Keys, Need, outcomes, read_json, reported, swept
from reidflow.commands.running import changed
from reidflow.commands.usage import trials
from reidflow.search.key import FOLDER, JOURNAL
from reidflow.spec.experiment import Experiment
from reidflow.spec.plan import Plan
from reidflow.store.runs import RunStore

DECIDING = ("data/split.json", "data/splits/*/split.json", "features/*/features.json", "backgrounds/*/images.json")


class Count(NamedTuple):
    """Runs and trials of an experiment. at_least: whether a search may need more than can be said."""

    experiment: str
    done: int
    needed: int
    at_least: bool


class Counts:
    """Counts that are kept up to date: what is done stays done, and keys are found again only when data change."""

    def __init__(self, made: Plan) -> None:
        self._made, self._results = made, Path(made.config.results)
        self._store = RunStore(self._results / ".store")
        self._seen: object = None
        self._done: set[str] = set()

    def now(self) -> list[Count]:
        """Return the count of each experiment."""
        seen = [(path, changed(path)) for path in self._deciding()]
        if seen != self._seen:
            self._seen, self._keys, self._known = seen, Keys(self._made), {}
        return [self._count(experiment) for experiment in self._made.experiments.values()]

    def _deciding(self) -> Iterator[Path]:
        for pattern in DECIDING:
            yield from sorted(self._results.glob(pattern))

    def _count(self, experiment: Experiment) -> Count:
        swept_done, swept_all = self._of(list(swept(self._made, experiment)))
        choices = read_json(self._results / "experiments" / experiment.name / "chosen.json") or {}
        # Choices of a sweep that is not done are those of a former one.
        choices = choices if swept_done == swept_all else {}
        found, wanted, unknown = outcomes(self._made, experiment), [], 0
        runs = list(reported(self._made, experiment, choices, outcomes_alone=True))
        for arm in experiment.arms.values():
            own = [need for need in runs if need.arm == arm.name]
            open_choice = experiment.tuned and arm.name not in choices
            if open_choice or (arm.winner_of and arm.winner_of not in found):
                unknown += len(arm.seeds) * len(arm.spec.runs())
            else:
                wanted += own
        done, needed = self._of(wanted)
        tried, to_try, at_least = self._trials(experiment)
        return Count(experiment.name, swept_done + done + tried, swept_all + needed + unknown + to_try, at_least)

    def _trials(self, experiment: Experiment) -> tuple[int, int, bool]:
        """Return the finished trials of an experiment's studies, how many there will be, and whether perhaps more."""
        done, needed, at_least = 0, 0, False
        for study in experiment.studies.values():
            key = self._keys.study(study, self._made.other_split_folder(experiment.division))
            finished = len(list(trials(self._results / ".store" / FOLDER / str(key) / JOURNAL)))
            done, needed = done + finished, needed + max(finished, study.trials or 0)
            at_least |= study.trials is None
        return done, needed, at_least

    def _of(self, wanted: list[Need]) -> tuple[int, int]:
        """Return how many of these runs are in the store, and how many there are."""
        return sum(map(self._has, wanted)), len(wanted)

    def _has(self, need: Need) -> bool:
        mark = need.spec.model_dump_json(), need.split
        if mark not in self._known:
            self._known[mark] = self._keys.run(need)
        key = self._known[mark]
        if key and key not in self._done and self._store.has(key):
            self._done.add(key)
        return key in self._done
