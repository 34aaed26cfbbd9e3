"""The storage of a study that its workers share: trials, claims and outcomes in Optuna's journal."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from reidflow.search.optuna_studies import DIRECTIONS, space_of
from reidflow.search.study_key import JOURNAL
from reidflow.search.trial import PRUNED, Proposal, Trial
from reidflow.spec.errors import ReidflowError
from reidflow.spec.search import Study
from reidflow.store.locks import locked, try_lock

OUTCOME = "outcome"


class StudyStorage:
    """The trials of a study in optuna's journal in `folder`. Any number of processes may hold one."""

    def __init__(self, folder: Path, study: Study) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self._space = folder, space_of(study)
        self._storage = storage(folder / JOURNAL)
        with locked(folder / "opening.lock", quiet=True):
            shared = optuna.create_study(
                storage=self._storage, study_name=study.name, direction=DIRECTIONS["value"], load_if_exists=True
            )
        self._study = shared._study_id

    def trials(self) -> list[Trial]:
        """Return all trials in order, finished or not."""
        return [_trial(frozen) for frozen in self._frozen()]

    def open(self, numbers: Sequence[int], propose: Callable[[], Sequence[Proposal]]) -> None:
        """Make sure that the trials `numbers` exist. propose: returns the trials of their generation, from its first on."""
        if len(self._frozen()) > numbers[-1]:
            return
        proposals = propose()
        with locked(self.folder / "opening.lock", quiet=True):
            for number in range(len(self._frozen()), numbers[-1] + 1):
                self._add(proposals[number - numbers[0]])

    @contextmanager
    def claim(self, number: int) -> Iterator[Trial | None]:
        """Yield the trial, claimed by this process alone; None where another has it or it is finished.

        What another worker left unfinished when it died is taken over.
        """
        with try_lock(self.folder / "claims" / f"trial-{number:05d}") as held:
            frozen = self._frozen()[number] if held else None
            if frozen is None or frozen.state.is_finished():
                yield None
                return
            if frozen.state is TrialState.WAITING:
                self._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
            yield _trial(frozen)

    def finish(self, number: int, outcome: dict[str, Any], attributes: dict[str, Any]) -> None:
        """Store the outcome of a claimed trial, and the attributes of the pruner."""
        trial = self._frozen()[number]._trial_id
        for key, value in attributes.items():
            self._storage.set_trial_system_attr(trial, key, value)
        self._storage.set_trial_user_attr(trial, OUTCOME, outcome)
        if outcome["state"] == PRUNED:
            self._storage.set_trial_state_values(trial, TrialState.PRUNED)
        else:
            self._storage.set_trial_state_values(trial, TrialState.COMPLETE, [outcome["value"]])

    def _frozen(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study, deepcopy=False)

    def _add(self, proposal: Proposal) -> None:
        waiting = optuna.trial.create_trial(
            state=TrialState.WAITING,
            params=proposal.settings,
            distributions=self._space,
            system_attrs=proposal.attributes,
        )
        self._storage.create_new_trial(self._study, template_trial=waiting)


def _trial(frozen: FrozenTrial) -> Trial:
    outcome = frozen.user_attrs.get(OUTCOME) if frozen.state.is_finished() else None
    return Trial(frozen.number, dict(frozen.params), dict(frozen.system_attrs), outcome)


class JournalLock:
    """The lock of the journal `path`, dropped by the kernel when its holder dies; who gets it finds complete lines.

    Optuna's own locks outlive their holder, and its journal cannot be read on once a line is torn.
    """

    def __init__(self, path: Path) -> None:
        self._journal, self._held = path, -1

    def acquire(self) -> bool:
        """Wait for the lock, then cut off what a killed process left of a line."""
        held = os.open(self._journal.with_name("journal.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            _mend(self._journal)
        except BaseException:
            os.close(held)
            raise
        self._held = held
        return True

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._held)


class Journal(JournalFileBackend):
    """A journal that is read while nobody writes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._reading = path, JournalLock(path)
        super().__init__(str(path), lock_obj=JournalLock(path))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the entries from this number on. Raises ReidflowError where one is damaged."""
        self._reading.acquire()
        try:
            return iter(list(super().read_logs(log_number_from)))
        except (json.JSONDecodeError, ValueError) as error:
            raise ReidflowError(
                f"{self._path}: damaged ({error}). Delete the folder {self._path.parent} and run again: the trials come "
                "back from the stored runs, nothing is trained twice."
            ) from error
        finally:
            self._reading.release()


def storage(path: Path) -> JournalStorage:
    """Return the storage whose journal is the file `path`."""
    return JournalStorage(Journal(path))


def _mend(path: Path) -> None:
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end and _before(file, end) != b"\n":
            end -= 1
        if end < size:
            file.truncate(end)


def _before(file: Any, place: int) -> bytes:
    file.seek(place - 1)
    return file.read(1)
