"""The run of a trial: found in the run store, or trained."""

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from reidflow.models.device import resolve_device
from reidflow.search.optuna_studies import TrialPruner, propose, stop_of
from reidflow.search.study_key import FOLDER, study_key
from reidflow.search.study_storage import StudyStorage
from reidflow.search.trial import DIVERGED, PRUNED, Trial, history_of, outcome_of
from reidflow.search.trials_table import means_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.store import activity, published
from reidflow.store.locks import try_lock
from reidflow.store.runs import LEFT_OUT, RunStore
from reidflow.training.execute import LOOP, Source, note


class TrialRun(NamedTuple):
    """A finished run: its spec, key and folder; whether a pruner ended it, and the pruner's attributes."""

    spec: RunSpec
    key: str
    folder: Path
    pruned: bool
    attributes: dict[str, Any]


class NoRunError(ReidflowError):
    """The settings of a trial cannot be trained."""


class StudyRuns:
    """Makes the runs of one study, in this process."""

    def __init__(
        self, study: Study, source: Source, store: RunStore, device: str, results: Path, confirm: Callable[[], None]
    ) -> None:
        self.study, self.source, self.store, self.device, self.results = study, source, store, device, results
        self._confirm: Callable[[], None] | None = confirm

    def stored(self, spec: RunSpec) -> bool:
        """Return whether the run is there."""
        return self.store.has(self.source.key(spec), LEFT_OUT["search"])

    def busy(self, spec: RunSpec) -> bool:
        """Return whether another process is making the run right now."""
        with try_lock(self.store.root / "locks" / self.source.key(spec)) as free:
            return not free

    def whole(self, spec: RunSpec) -> TrialRun:
        """Return the run as its spec says, after making it where it is not stored."""
        return self._stored(spec, pruned=False, attributes={})

    def watched(self, spec: RunSpec, earlier: Sequence[Trial]) -> TrialRun:
        """Return the run of a trial, which the study's pruner may end, knowing the trials of earlier generations.

        Whether a stored run ended where it should is decided by the pruner again.
        """
        while (known := self._known(spec, earlier)) is None:
            watcher, made = TrialPruner(self.study, earlier), []
            key = self.source.key(spec)
            trainer = self._trainer(spec, key, watcher, made)
            folder, restored = self.store.get_or_make(key, trainer, LEFT_OUT["search"])
            if not restored:
                note(self.results, "trained", folder.name, made[0], self._who(made[0]))
                return TrialRun(made[0], folder.name, folder, made[0] != spec, watcher.attributes)
        return known

    def _known(self, spec: RunSpec, earlier: Sequence[Trial]) -> TrialRun | None:
        """Return the run of a trial where the store suffices to identify it."""
        if self.stored(spec):
            watcher = TrialPruner(self.study, earlier)
            course = list(history_of(self.store.folder(self.source.key(spec))).items())
            stop = stop_of(watcher, dict(course[1:-1]))
            ended = spec if stop is None else spec.model_copy(update={"stop": stop})
            return self._stored(ended, stop is not None, watcher.attributes)
        for stop in range(1, spec.stop or spec.epochs):
            shorter = spec.model_copy(update={"stop": stop})
            if self.stored(shorter):
                watcher = TrialPruner(self.study, earlier)
                course = list(history_of(self.store.folder(self.source.key(shorter))).items())
                if stop_of(watcher, dict(course[1:])) == stop:
                    return self._stored(shorter, True, watcher.attributes)
        return None

    def _stored(self, spec: RunSpec, pruned: bool, attributes: dict[str, Any]) -> TrialRun:
        key = self.source.key(spec)
        folder, restored = self.store.get_or_make(key, self._trainer(spec, key, None, []), LEFT_OUT["search"])
        note(self.results, "restored" if restored else "trained", key, spec, self._who(spec))
        return TrialRun(spec, key, folder, pruned, attributes)

    def _trainer(
        self, spec: RunSpec, key: str, watcher: TrialPruner | None, made: list[RunSpec]
    ) -> Callable[[Path, Path], str]:
        def make(work: Path, out: Path) -> str:
            activity.run(work, **self._who(spec), spec=spec.plain())
            self._get_ready()
            from reidflow.training.loop import train

            data, device = self.source.load(spec), resolve_device(self.device)
            try:
                made.append(train(spec, data, work, out, device, key=key, watch=watcher))
            except ReidflowError as error:
                raise NoRunError(str(error)) from error
            return self.source.key(made[0])

        return make

    def _who(self, spec: RunSpec) -> dict[str, Any]:
        """Return which run of the study it is: of a trial, or of a finalist with a seed of the sweep."""
        number = spec.seed - self.study.first_seed
        return {"study": self.study.name, **({"trial": number} if number >= 0 else {})}

    def _get_ready(self) -> None:
        """Before the first training: load all code that any trial may execute, then make sure that it is the planned."""
        if self._confirm is None:
            return
        modules = {module for spec in self.study.variants for module in spec.component_modules()}
        for module in sorted({LOOP, *modules}):
            importlib.import_module(module)
        self._confirm()
        self._confirm = None


PAUSE = 0.02  # seconds between two polls of the other workers' finished trials


def run_study(
    study: Study,
    source: Source,
    store: RunStore,
    device: str,
    results: Path,
    confirm_code: Callable[[], None],
    matched_steps: int | None = None,
) -> dict[str, Any]:
    """Work on a study until all of it is finished; return its record, the same in every process that did.

    confirm_code is called once all code is loaded and before the first training of this process. matched_steps: the
    optimizer steps that a study without a number of trials spends. Raises ReidflowError naming the trial that cannot be.
    """
    runs, key = StudyRuns(study, source, store, device, results, confirm_code), study_key(study, source)
    record = Worker(study, runs, results / ".store" / FOLDER / key, matched_steps).record()
    published.note_use(published.STUDIES, key)
    # Other workers have made some of them.
    published.note_use(published.RUNS, *(run["run"] for run in [*record["trials"], *record["finalists"]]))
    return record


class Worker:
    """One process at work on a study in `folder`."""

    def __init__(self, study: Study, runs: StudyRuns, folder: Path, matched_steps: int | None) -> None:
        self.study, self.runs, self.folder, self.matched_steps = study, runs, folder, matched_steps
        if study.trials is None and matched_steps is None:
            raise ReidflowError(
                f"study '{study.name}': neither 'trials' nor the steps of '{study.matched_to}' are given."
            )
        self.storage = StudyStorage(folder, study)

    def record(self) -> dict[str, Any]:
        """Return the record after all trials and finalists are finished."""
        trials = self._trials()
        finalists = self._finalists(trials)
        return {
            "trials": [self._row(trial) for trial in trials],
            "finalists": finalists,
            "winner": self._winner(trials, finalists),
        }

    def _trials(self) -> list[Trial]:
        """Return the study's trials, all finished."""
        trials: list[Trial] = []
        while (whole := self._cut(trials)) is None:
            first = len(trials)
            last = first + self.study.generation
            self._generation(range(first, min(last, self.study.trials or last)), trials)
            trials = self.storage.trials()[: min(last, self.study.trials or last)]
            if self.study.trials is None and not sum(trial.outcome["steps"] for trial in trials[first:]):
                raise ReidflowError(
                    f"{self._named()}: the trials {first} to {last - 1} took no optimizer step, so it never spends as many "
                    f"as '{self.study.matched_to}'. Give it axes that train, or leave out 'matched_to'."
                )
        return whole

    def _cut(self, trials: list[Trial]) -> list[Trial] | None:
        """Return those trials that the budget is for, or none where it is for more than there are."""
        if self.study.trials is not None:
            return trials if len(trials) >= self.study.trials else None
        steps = 0
        for count, trial in enumerate(trials, start=1):
            steps += trial.outcome["steps"]
            if steps >= self.matched_steps:
                return trials[:count]
        return None

    def _generation(self, numbers: Sequence[int], earlier: list[Trial]) -> None:
        """Work on the trials `numbers` until all of them are finished."""
        generation = numbers[0] // self.study.generation
        self.storage.open(numbers, lambda: propose(self.study, generation, earlier))
        while waiting := [n for n, trial in enumerate(self.storage.trials()) if n in numbers and trial.outcome is None]:
            if not any(self._try(number, earlier) for number in waiting):
                time.sleep(PAUSE)

    def _try(self, number: int, earlier: list[Trial]) -> bool:
        """Finish a trial and return True; False where another worker has it, or has finished it.

        Another study may be training the very same run: then there are others to train meanwhile.
        """
        with self.storage.claim(number) as trial:
            if trial is None:
                return False
            start = time.monotonic()
            spec = self._spec(trial, self.study.trial_seed(number))
            if self.runs.busy(spec):
                return False
            made = self._run(trial, lambda: self.runs.watched(spec, earlier))
            outcome = outcome_of(made.folder, made.pruned) | {"run": made.key, "spec": made.spec.plain()}
            self.storage.finish(number, outcome, made.attributes)
            self._say(f"trial {number}", outcome, time.monotonic() - start)
        return True

    def _finalists(self, trials: list[Trial]) -> list[dict[str, Any]]:
        """Return the runs of the best trials with the sweep's seeds, all finished."""
        best = _ranked(trials)[: self.study.finalists]
        wanted = [(trial, self._spec(trial, seed)) for trial in best for seed in self.study.sweep_seeds]
        # A trial that the journal has finished may have lost its run since.
        trained = [(trial, RunSpec.model_validate(trial.outcome["spec"])) for trial in trials]
        waiting = [*trained, *wanted]
        while waiting := [(trial, spec) for trial, spec in waiting if not self.runs.stored(spec)]:
            if not any(self._try_run(trial, spec) for trial, spec in waiting):
                time.sleep(PAUSE)
        return [self._finalist(trial.number, spec) for trial, spec in wanted]

    def _try_run(self, trial: Trial, spec: RunSpec) -> bool:
        """Make a run of a trial whose settings are known to be good and return True; False where another worker does."""
        with try_lock(self.folder / "claims" / f"trial-{trial.number:05d}-seed-{spec.seed}") as held:
            if not held or self.runs.stored(spec) or self.runs.busy(spec):
                return False
            start = time.monotonic()
            made = self._run(trial, lambda: self.runs.whole(spec))
            outcome = outcome_of(made.folder, False)
            self._say(f"trial {trial.number} with seed {spec.seed}", outcome, time.monotonic() - start)
        return True

    def _finalist(self, number: int, spec: RunSpec) -> dict[str, Any]:
        key = self.runs.source.key(spec)
        value = outcome_of(self.runs.store.folder(key), False)["value"]
        return {"trial": number, "seed": spec.seed, "run": key, "value": value}

    def _winner(self, trials: list[Trial], finalists: list[dict[str, Any]]) -> int:
        """Return the number of the trial with the best mean over the sweep's seeds; of equal ones the earlier."""
        if not finalists:
            return _ranked(trials)[0].number
        means = means_of(finalists)
        return min(means, key=lambda number: (-means[number], number))

    def _row(self, trial: Trial) -> dict[str, Any]:
        return {
            "trial": trial.number,
            "generation": trial.number // self.study.generation,
            "seed": self.study.trial_seed(trial.number),
            "settings": {axis.name: trial.settings[axis.name] for axis in self.study.axes},
            **trial.outcome,
        }

    def _spec(self, trial: Trial, seed: int) -> RunSpec:
        try:
            return self.study.spec(trial.settings, seed)
        except (ValidationError, KeyError) as error:
            facts = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else f"no {error}"
            raise self._error(trial, facts.removeprefix("Value error, ")) from error

    def _run(self, trial: Trial, make: Callable[[], TrialRun]) -> TrialRun:
        try:
            return make()
        except NoRunError as error:
            raise self._error(trial, str(error)) from error

    def _error(self, trial: Trial, reason: str) -> ReidflowError:
        settings = ", ".join(f"{name}: {value}" for name, value in trial.settings.items())
        return ReidflowError(
            f"{self._named()}, trial {trial.number} ({settings}): {reason}\nNarrow the search's space, so that every "
            "combination of its values can be trained, or change the baseline, and run again: finished trials stay."
        )

    def _named(self) -> str:
        return f"study '{self.study.name}' of '{self.study.experiment}'"

    def _say(self, what: str, outcome: dict[str, Any], seconds: float) -> None:
        state, epochs = outcome["state"], outcome["epochs"]
        ended = f"{state} after epoch {epochs}" if state in (PRUNED, DIVERGED) else f"mAP {outcome['value']:.4f}"
        print(f"{self.study.name}: {what}: {ended} ({seconds:.1f} s)", flush=True)


def _ranked(trials: list[Trial]) -> list[Trial]:
    """Return the trials that trained to their end, the best first, of equal ones the earlier."""
    ended = [trial for trial in trials if trial.outcome["state"] != PRUNED]
    return sorted(ended, key=lambda trial: (-trial.outcome["value"], trial.number))
