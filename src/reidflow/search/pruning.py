"""Which trials end early, and when: decided from the earlier generations and the trial's own course alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from reidflow.search.trial import Trial
from reidflow.search.views import pruner_view
from reidflow.spec import components
from reidflow.spec.search import Study


class Watcher:
    """Asked after every epoch of one trial, in order, whether it ends there."""

    def __init__(self, study: Study, earlier: Sequence[Trial]) -> None:
        self._view = pruner_view(study, components.call("pruner", study.pruner), earlier)
        self._trial = self._view.ask()

    def __call__(self, epoch: int, value: float | None) -> bool:
        """Return whether a trial with this validation mAP after this epoch is stopped."""
        if value is None:
            return False
        self._trial.report(value, epoch)
        return self._trial.should_prune()

    @property
    def attributes(self) -> dict[str, Any]:
        """What the pruner wants to be told of this trial when it judges later ones."""
        return dict(self._view.get_trials(deepcopy=False)[-1].system_attrs)


def stop_of(watcher: Watcher, course: Mapping[int, float | None]) -> int | None:
    """Return the epoch after which a trial of this course (epoch -> mAP) is stopped, or none."""
    return next((epoch for epoch, value in course.items() if watcher(epoch, value)), None)
