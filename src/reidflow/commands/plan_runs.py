"""Which training runs the jobs that would run need: which of them are finished in the store, which would be trained."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reidflow.commands.plan_dag import Dag, PlannedJob, parsed
from reidflow.spec.canonical import canonical
from reidflow.spec.experiment import Arm, Experiment
from reidflow.spec.outcomes import won
from reidflow.spec.run import RunSpec
from reidflow.spec.strengths import candidates
from reidflow.store.runs import RunStore

if TYPE_CHECKING:
    from reidflow.commands.plan_source import Digests, KeptSource

DATA, CHOICE, SEARCH = "when their data are there", "when the settings are chosen", "by the searches"
# Jobs that decide which runs there are, and none of the data that they read.
DECIDING = {"sweep", "choose", "search", "trials", "best", "train", "pick_parts"}


@dataclass
class JobRuns:
    """The runs of one job, by their keys, or by what is known of them: finished, to train, or not decided yet (why)."""

    stored: dict[str, RunSpec] = field(default_factory=dict)
    train: dict[str, RunSpec] = field(default_factory=dict)
    undecided: dict[str, RunSpec] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    """Those not decided yet that are stored for the data as they lie there now."""


def runs_of_jobs(dag: Dag) -> list[JobRuns | None]:
    """Return for each job its runs; None for a job that trains none."""
    lookup = _Lookup(dag)
    found = [lookup.runs(job) for job in dag.jobs]
    lookup.keep()
    return found


class _Lookup:
    def __init__(self, dag: Dag) -> None:
        self.dag, self.plan, self.store = dag, dag.plan, RunStore(dag.results / ".store")
        self._empty = not (dag.results / ".store" / "runs").exists()
        self._source = lru_cache(None)(self._read)
        self._making = {path: job for job in dag.jobs if job.rule in DECIDING for path in job.outputs}
        self._training: dict[str, list] = {}
        self._swept: dict[str, list] = {}
        self._digests: Digests | None = None
        self.keep: Callable[[], None] = lambda: None

    def runs(self, job: PlannedJob) -> JobRuns | None:
        kinds: dict[str, Callable[[PlannedJob, Experiment], JobRuns]] = {
            "sweep": self._sweep,
            "train": self._train,
            "search": self._search,
            "on_other_split": self._again,
            "split_runs": self._again,
            "strengths": self._strengths,
        }
        if job.rule not in kinds:
            return None
        return kinds[job.rule](job, self.plan.experiments[job.experiment])

    def _sweep(self, job: PlannedJob, experiment: Experiment) -> JobRuns:
        if experiment.name not in self._swept:
            self._swept[experiment.name] = self.plan.sweep(experiment.name)
        found = JobRuns()
        for _, spec in self._swept[experiment.name][int(job.wildcards["batch"])]:
            self._add(found, job, [[spec]], CHOICE, self.plan.other_split_folder(experiment.division))
        return found

    def _train(self, job: PlannedJob, experiment: Experiment) -> JobRuns:
        if experiment.name not in self._training:
            self._training[experiment.name] = self.plan.training(experiment.name)
        found = JobRuns()
        for name, seed in self._training[experiment.name][int(job.wildcards["batch"])]:
            possible = self._settings(experiment, experiment.arms[name])
            options = [spec.with_seed(seed).runs() for spec in possible]
            self._add(found, job, options, CHOICE, self.plan.other_split_folder(experiment.division))
        return found

    def _settings(self, experiment: Experiment, arm: Arm) -> list[RunSpec]:
        """Return the settings that an arm may turn out to have: one, where they are decided."""
        folder = self.dag.results / "experiments" / experiment.name
        if arm.winner_of:
            found = self._decided(folder / ("winners.json" if experiment.studies else "best.json"))
            return [won(found, arm.winner_of, arm.over)] if arm.winner_of in found else [arm.spec, arm.spec]
        if len(arm.points) == 1:
            return [arm.spec]
        choice = self._decided(folder / "chosen.json", arm.name).get(arm.name)
        wanted = canonical(choice["values"]) if choice else None
        fitting = [spec for values, spec in arm.points if canonical(values) == wanted]
        return fitting or [spec for _, spec in arm.points]

    def _decided(self, file: Path, arm: str = "") -> dict[str, Any]:
        """Return what a job has decided; nothing where it would run again, and might decide something else."""
        job = self._making.get(str(file))
        if job and not (arm and self._stands(job, arm)):
            return {}
        try:
            return json.loads(file.read_text())
        except (OSError, ValueError):
            return {}

    def _stands(self, choose: PlannedJob, arm: str) -> bool:
        """Return whether the choice of an arm's settings is the same when it is made again: of the same finished runs."""
        before, given = parsed(choose.before), parsed(choose.given)
        same = before and all(before[key] == given[key] for key in ("code", "grid"))
        if not same or before["arms"].get(arm) != given["arms"][arm]:
            return False
        experiment = self.plan.experiments[choose.experiment]
        source = self._source(self.plan.other_split_folder(experiment.division))
        runs = [spec.runs()[0] for _, spec in experiment.arms[arm].points]
        keys = [source.known_key(run.with_seed(seed)) for run in runs for seed in experiment.sweep_seeds if source]
        return bool(keys) and all(key and self.store.has(key) for key in keys)

    def _search(self, job: PlannedJob, experiment: Experiment) -> JobRuns:
        found, study = JobRuns(why=[SEARCH]), experiment.studies[job.wildcards["study"]]
        if job.wildcards["worker"] != "0":
            return found
        if study.trials is None:
            return found
        count = study.trials + study.finalists * len(study.sweep_seeds)
        found.undecided = {f"{experiment.name} {study.name} {n}": study.base for n in range(count)}
        return found

    def _again(self, job: PlannedJob, experiment: Experiment) -> JobRuns:
        """Return the reported runs on another split, or on several."""
        found, asked = JobRuns(), experiment.file.candidates
        places = [job.wildcards["split"]] if "split" in job.wildcards else list(asked.split_seeds if asked else [])
        for place in places:
            for arm in experiment.arms.values():
                for seed in arm.seeds:
                    options = [spec.with_seed(seed).runs() for spec in self._settings(experiment, arm)]
                    self._note(found, options[0], DATA, place)
        return found

    def _strengths(self, job: PlannedJob, experiment: Experiment) -> JobRuns:
        found = JobRuns()
        for candidate in candidates(experiment):
            for tried in candidate.tried:
                for seed in candidate.seeds:
                    self._note(found, [tried.spec.with_seed(seed)], CHOICE, "strengths")
        return found

    def _add(self, found: JobRuns, job: PlannedJob, options: list[list[RunSpec]], why: str, split: str | None) -> None:
        """Add the runs of one arm and seed. options: what they may turn out to be."""
        source = self._source(split)
        keys = [[(source.known_key(spec), spec) for spec in option] for option in options] if source else []
        stored = {self.store.has(key) for option in keys for key, _ in option if key}
        if not keys or self._data_change(job) or any(key is None for option in keys for key, _ in option):
            self._note(found, options[0], DATA, split)
            if stored == {True}:
                found.expected.update(self._names(options[0], split))
        elif len(keys) == 1 or len(stored) == 1:
            for key, spec in keys[0]:
                (found.stored if self.store.has(key) else found.train)[key] = spec
        else:
            self._note(found, options[0], why, split)

    def _note(self, found: JobRuns, specs: list[RunSpec], why: str, split: Any) -> None:
        named = self._names(specs, split)
        if self._empty:
            found.train |= named
            return
        found.undecided |= named
        if why not in found.why:
            found.why.append(why)

    def _names(self, specs: list[RunSpec], split: Any) -> dict[str, RunSpec]:
        """Return runs by what is known of them before their data are."""
        return {f"{split} {canonical(spec.plain())}": spec for spec in specs}

    def _data_change(self, job: PlannedJob) -> bool:
        """Return whether data that the job's runs read are made before it."""
        return any(self.dag.jobs[index].rule not in DECIDING for index in job.upstream)

    def _read(self, split: str | None) -> "KeptSource | None":
        # Importing what reads tables takes a good part of a second, and the first plan of all has none to read.
        if not (self.dag.results / "data" / "split.json").exists():
            return None
        from reidflow.commands.plan_source import Digests, KeptSource

        if self._digests is None:
            self._digests = Digests(self.dag.results)
            self.keep = self._digests.keep
        return KeptSource.of(self.dag.results, self.plan.config.gallery, split, self._digests)


def unique(runs: list[JobRuns | None]) -> Iterator[tuple[str, str, RunSpec]]:
    """Yield (state, key, spec) of every run once: `train`, `stored` or `undecided`. Jobs share runs."""
    for state in ("train", "stored", "undecided"):
        seen = {key: spec for job in runs if job for key, spec in getattr(job, state).items()}
        yield from ((state, key, spec) for key, spec in seen.items())
