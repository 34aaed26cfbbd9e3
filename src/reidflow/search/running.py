"""The run of a trial: found in the run store, or trained."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reidflow.models.device import resolve_device
from reidflow.search.pruning import Watcher, stop_of
from reidflow.search.trial import Trial, history_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.store import activity
from reidflow.store.locks import try_lock
from reidflow.store.runs import RunStore
from reidflow.training.execute import LOOP, Source, note


class Made(NamedTuple):
    """A finished run: its spec, key and folder; whether a pruner ended it, and what that pruner remembers of it."""

    spec: RunSpec
    key: str
    folder: Path
    pruned: bool
    attributes: dict[str, Any]


class NoRunError(ReidflowError):
    """The settings of a trial cannot be trained."""


class Runs:
    """Makes the runs of one study, in this process."""

    def __init__(
        self, study: Study, source: Source, store: RunStore, device: str, results: Path, confirm: Callable[[], None]
    ) -> None:
        self.study, self.source, self.store, self.device, self.results = study, source, store, device, results
        self._confirm: Callable[[], None] | None = confirm

    def stored(self, spec: RunSpec) -> bool:
        """Return whether the run is there."""
        return self.store.has(self.source.key(spec))

    def busy(self, spec: RunSpec) -> bool:
        """Return whether another process is making the run right now."""
        with try_lock(self.store.root / "locks" / self.source.key(spec)) as free:
            return not free

    def whole(self, spec: RunSpec) -> Made:
        """Return the run as its spec says, after making it where it is not stored."""
        return self._stored(spec, pruned=False, attributes={})

    def watched(self, spec: RunSpec, earlier: Sequence[Trial]) -> Made:
        """Return the run of a trial, which the study's pruner may end, knowing the trials of earlier generations.

        A stored run is not believed to have ended where it should: the pruner is asked again.
        """
        while (known := self._known(spec, earlier)) is None:
            watcher, made = Watcher(self.study, earlier), []
            key = self.source.key(spec)
            folder, restored = self.store.get_or_make(key, self._trainer(spec, key, watcher, made))
            if not restored:
                note(self.results, "trained", folder.name, made[0], self._who(made[0]))
                return Made(made[0], folder.name, folder, made[0] != spec, watcher.attributes)
        return known

    def _known(self, spec: RunSpec, earlier: Sequence[Trial]) -> Made | None:
        """Return the run of a trial where the store tells enough to say which one it is."""
        if self.stored(spec):
            watcher = Watcher(self.study, earlier)
            course = list(history_of(self.store.folder(self.source.key(spec))).items())
            stop = stop_of(watcher, dict(course[1:-1]))
            ended = spec if stop is None else spec.model_copy(update={"stop": stop})
            return self._stored(ended, stop is not None, watcher.attributes)
        for stop in range(1, spec.stop or spec.epochs):
            shorter = spec.model_copy(update={"stop": stop})
            if self.stored(shorter):
                watcher = Watcher(self.study, earlier)
                course = list(history_of(self.store.folder(self.source.key(shorter))).items())
                if stop_of(watcher, dict(course[1:])) == stop:
                    return self._stored(shorter, True, watcher.attributes)
        return None

    def _stored(self, spec: RunSpec, pruned: bool, attributes: dict[str, Any]) -> Made:
        key = self.source.key(spec)
        folder, restored = self.store.get_or_make(key, self._trainer(spec, key, None, []))
        note(self.results, "restored" if restored else "trained", key, spec, self._who(spec))
        return Made(spec, key, folder, pruned, attributes)

    def _trainer(
        self, spec: RunSpec, key: str, watcher: Watcher | None, made: list[RunSpec]
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
