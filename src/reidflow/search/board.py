"""What the workers of a study share: its trials, who has claimed which, and what came of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from reidflow.search.journal import storage
from reidflow.search.key import JOURNAL
from reidflow.search.trial import PRUNED, Proposal, Trial
from reidflow.search.views import DIRECTIONS, space_of
from reidflow.spec.search import Study
from reidflow.store.locks import locked, try_lock

OUTCOME = "outcome"


class Board:
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
        """Give the trial to work on, held by nobody else meanwhile; none where somebody has it or it is finished.

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
        """Write down what came of a claimed trial, and what the pruner wants to remember."""
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
