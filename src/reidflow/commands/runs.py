"""The training runs that jobs need, with their keys in the run store, as far as they are decided. Imports no torch."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reidflow.evaluation.selection import chosen_values
from reidflow.spec.canonical import canonical
from reidflow.spec.experiment import Arm, Experiment
from reidflow.spec.part_strengths import candidates
from reidflow.spec.plan import Plan
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.spec.winners import winner_spec
from reidflow.store import published
from reidflow.store.runs import LEFT_OUT, WHOLE, RunStore

if TYPE_CHECKING:
    from reidflow.commands.sources import CachedSource, Digests

DATA, CHOICE, SEARCH = "when their data are there", "when the tuned values are chosen", "by the searches"
LOOK = "by the looks at fewer seeds, which may need none of them"

Options = list[list[RunSpec]]
"""What one arm and seed may turn out to train: alternatives, each a run or the members of an ensemble; []: any."""


@dataclass
class JobRuns:
    """The runs of one job, by their keys, or by their specs where the data are not there yet.

    stored: finished; train: not in the store; undecided: one or the other, decided as `why` says. expected: those of the
    undecided that are stored for the data as they are now.
    """

    stored: dict[str, RunSpec] = field(default_factory=dict)
    train: dict[str, RunSpec] = field(default_factory=dict)
    undecided: dict[str, RunSpec] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)


class Runs:
    """The runs of a plan's jobs. rebuilt: the files that jobs would make again, whose content is not relied on."""

    def __init__(self, made: Plan, rebuilt: Collection[str] = ()) -> None:
        self.plan, self.results, self._rebuilt = made, Path(made.config.results), rebuilt
        self.store = RunStore(self.results / ".store")
        self._damaged = set(self.store.damaged(published.used(self.results, published.RUNS)))
        self._empty = not (self.results / ".store" / "runs").exists()
        self._source, self._specs = lru_cache(None)(self._read_source), lru_cache(None)(self._possible_specs)
        self._digests: Digests | None = None

    def of(self, rule: str, wildcards: Mapping[str, str], data_change: bool = False) -> JobRuns | None:
        """Return the runs of a job; None for a job that trains none. data_change: whether their data are made before."""
        if rule == "search":
            return self._search(self.plan.experiments[wildcards["experiment"]], wildcards)
        if rule not in ("sweep", "train", "on_other_split", "split_runs", "strengths"):
            return None
        found, why = JobRuns(), DATA if data_change else CHOICE if rule == "strengths" else ""
        for options, split, open_ in self._options(rule, self.plan.experiments[wildcards["experiment"]], wildcards):
            self._add(found, options, split, why or open_, LEFT_OUT.get(rule, WHOLE))
        return found

    def study_key(self, study: Study, division: dict[str, Any]) -> str | None:
        """Return the key of a study; None while its data cannot be read."""
        source = self._source(self.plan.other_split_folder(division))
        if source is None:
            return None
        from reidflow.commands.sources import UNREADABLE
        from reidflow.search.study_key import study_key

        try:
            return study_key(study, source)
        except UNREADABLE:
            return None

    def save(self) -> None:
        """Save the digests of large arrays, so that the next command need not read them."""
        if self._digests:
            self._digests.save()

    def _options(
        self, rule: str, experiment: Experiment, wildcards: Mapping[str, str]
    ) -> Iterator[tuple[Options, str | None, str]]:
        """Yield what each arm and seed of a job may train, on which split (its folder; None: the config's own), and LOOK
        where it is not known whether it does."""
        splits = [self.plan.other_split_folder(division) for division in experiment.divisions]
        own = splits[0]
        if rule == "sweep":
            for _, spec, number in self.plan.sweep(experiment.name)[int(wildcards["batch"])]:
                yield [[spec]], splits[number], ""
        elif rule == "train":
            job = set(self.plan.training(experiment.name)[int(wildcards["batch"])])
            for number in sorted({number for _, _, number in job}):
                for arm, seed, options, open_ in self._seeded(experiment, number):
                    if (arm, seed, number) in job:
                        yield options, splits[number], open_
        elif rule == "strengths":
            for candidate in candidates(experiment):
                for tried in candidate.tried:
                    yield from (([[tried.spec.with_seed(seed)]], own, "") for seed in candidate.seeds)
        else:
            splits = [wildcards["split"]] if "split" in wildcards else experiment.file.candidates.split_seeds
            for split in map(str, splits):
                yield from ((options, split, open_) for _, _, options, open_ in self._seeded(experiment))

    def _seeded(self, experiment: Experiment, number: int = 0) -> Iterator[tuple[str, int, Options, str]]:
        """Yield arm, seed, what they may train, and LOOK where it is not known whether they do.

        number: which of the experiment's splits.
        """
        for arm in experiment.arms.values():
            specs = self._specs(experiment.name, arm.name, number)
            for seed, open_ in self._seeds(experiment, arm):
                yield arm.name, seed, [spec.with_seed(seed).runs() if spec else [] for spec in specs], open_

    def _seeds(self, experiment: Experiment, arm: Arm) -> Iterator[tuple[int, str]]:
        for number, seeds in enumerate(arm.looks):
            file = self.results / "experiments" / experiment.name / "looks" / f"{number - 1}.json"
            look = self._decided(file) if number else {}
            if "more" in look and arm.name not in look["more"]:
                return
            yield from ((seed, "" if not number or "more" in look else LOOK) for seed in seeds)

    def _possible_specs(self, experiment_name: str, arm_name: str, number: int) -> list[RunSpec | None]:
        """Return the runs, with the seed 0, that an arm may turn out to be: one, where that is decided; None: any.

        number: which of the experiment's splits.
        """
        experiment = self.plan.experiments[experiment_name]
        arm, folder = experiment.arms[arm_name], self.results / "experiments" / experiment_name
        if arm.winner_of:
            found = self._decided(folder / ("winners.json" if experiment.studies else "best.json"))
            return [winner_spec(found, arm.winner_of, arm.over)] if arm.winner_of in found else [arm.spec, None]
        if len(arm.points) == 1:
            return [arm.spec]
        choice = self._decided(folder / "chosen.json", self._is_swept(experiment, arm)).get(arm.name)
        wanted = canonical(chosen_values(choice, number)) if choice else None
        fitting = [spec for values, spec in arm.points if canonical(values) == wanted]
        return fitting or [spec for _, spec in arm.points]

    def _is_swept(self, experiment: Experiment, arm: Arm) -> bool:
        """Return whether all sweep runs of an arm are stored: its choice is the same when it is made again."""
        splits = [self.plan.other_split_folder(division) for division in experiment.divisions]
        runs = [spec.runs()[0].with_seed(seed) for _, spec in arm.points for seed in experiment.sweep_seeds]
        keys = [self._key(run, split) for split in splits for run in runs]
        return all(key and self._has(key, LEFT_OUT["sweep"]) for key in keys)

    def _has(self, key: str, without: Set[str]) -> bool:
        return key not in self._damaged and self.store.has(key, without)

    def _decided(self, file: Path, stands: bool = False) -> dict[str, Any]:
        """Return what a job has decided; nothing where it would run again and may decide something else."""
        if str(file) in self._rebuilt and not stands:
            return {}
        try:
            return json.loads(file.read_text())
        except (OSError, ValueError):
            return {}

    def _search(self, experiment: Experiment, wildcards: Mapping[str, str]) -> JobRuns:
        found, study = JobRuns(why=[SEARCH]), experiment.studies[wildcards["study"]]
        if wildcards["worker"] == "0" and study.trials is not None:
            count = study.trials + study.finalists * len(study.sweep_seeds)
            found.undecided = {f"{experiment.name} {study.name} {n}": study.base for n in range(count)}
        return found

    def _add(self, found: JobRuns, options: Options, split: str | None, why: str, without: Set[str]) -> None:
        """Add the runs of one arm and seed. why: what decides them, if something before the job does.

        without: the files that a stored run may lack.
        """
        keys = [[(self._key(spec, split), spec) for spec in option] for option in options]
        stored = {bool(key) and self._has(key, without) for option in keys for key, _ in option}
        why = why or ("" if all(key for option in keys for key, _ in option) else DATA)
        if not why and (len(keys) == 1 or (len(stored) == 1 and all(options))):
            for key, spec in keys[0]:
                (found.stored if self._has(key, without) else found.train)[key] = spec
            return
        named = {f"{split} {canonical(spec.plain())}": spec for spec in options[0]}
        if self._empty and why != LOOK:
            found.train |= named
            return
        found.undecided |= named
        found.expected |= named.keys() if stored == {True} else set()
        found.why += [text for text in [why or CHOICE] if text not in found.why]

    def _key(self, spec: RunSpec, split: str | None) -> str | None:
        """Return the key of a run; None while its data cannot be read."""
        source = self._source(split)
        return source.known_key(spec) if source else None

    def _read_source(self, split: str | None) -> "CachedSource | None":
        # Importing the modules that read tables takes a good part of a second; before the first run there are none.
        if not (self.results / "data" / "split.json").exists():
            return None
        from reidflow.commands.sources import CachedSource, Digests

        self._digests = self._digests or Digests(self.results)
        return CachedSource.of(self.results, self.plan.config.gallery, split, self._digests)


def unique(runs: Iterable[JobRuns | None], state: str) -> dict[str, RunSpec]:
    """Return the runs of all jobs in a state (`stored`, `train` or `undecided`), each once: jobs share runs."""
    return {key: spec for job in runs if job for key, spec in getattr(job, state).items()}
