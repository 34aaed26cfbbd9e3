"""Which runs and studies the experiments of configs use, and which may still turn out to be used."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.commands.needed import Keys, needs, outcomes, read_json
from reidflow.search.key import FOLDER, JOURNAL
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.merge import covers, differences, flatten
from reidflow.spec.plan import Plan
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.spec.yaml import load

USED, OPEN, UNUSED = "used", "open", "unused"
MEASURED = ("metrics", "split_runs", "strengths", "also_on")
SEED, STOP = "seed", "stop"


@dataclass(frozen=True)
class Shape:
    """Runs like `base` but for the settings below `free`, with one of some seeds: what a search may still ask for."""

    base: dict[str, Any]
    free: tuple[str, ...]
    seeds: frozenset[int] = frozenset()
    seeds_from: int | None = None

    def fits(self, spec: dict[str, Any]) -> bool:
        """Return whether a stored spec is such a run."""
        seed = spec.get(SEED, -1)
        if seed not in self.seeds and (self.seeds_from is None or seed < self.seeds_from):
            return False
        free = (*self.free, SEED, STOP)
        moved = differences(self.base, spec)
        return all(any(covers(path, other) or covers(other, path) for path in free) for other in moved)


@dataclass
class Usage:
    """What is in use: keys of runs and of studies; and what may be: specs as stored, shapes of specs."""

    runs: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    specs: set[str] = field(default_factory=set)
    shapes: list[Shape] = field(default_factory=list)
    every_study_known: bool = True

    def of_run(self, key: str, spec: dict[str, Any] | None) -> str:
        """Return whether a run is used. spec: as it is stored; None where that cannot be read."""
        if key in self.runs:
            return USED
        if spec is None:
            return OPEN
        known = canonical(spec) in self.specs or any(shape.fits(spec) for shape in self.shapes)
        return OPEN if known else UNUSED

    def of_study(self, key: str) -> str:
        """Return whether a study is used."""
        return USED if key in self.studies else UNUSED if self.every_study_known else OPEN

    def add(self, made: Plan, settled: bool) -> None:
        """Take in the experiments of a config. settled: whether all that they need is done, of the data as they are.

        Until then other data or code may come back for which there are runs: all that look like theirs may be used.
        """
        keys, seen = Keys(made), set()
        for need in needs(made):
            mark = need.spec.model_dump_json(), need.split
            if mark in seen:
                continue
            seen.add(mark)
            key = keys.run(need)
            if key:
                self.runs.add(key)
            if not (key and settled):
                self.specs.add(canonical(need.spec.apart_from_data()))
        for experiment in made.experiments.values():
            self.runs |= published(made, experiment)
            for study in experiment.studies.values():
                self._add_study(made, experiment, study, keys, settled)
        self._add_submission(made)

    def _add_study(self, made: Plan, experiment: Experiment, study: Study, keys: Keys, settled: bool) -> None:
        key = keys.study(study, made.other_split_folder(experiment.division))
        journal = Path(made.config.results) / ".store" / FOLDER / str(key) / JOURNAL
        if key:
            self.studies.add(key)
            self.runs |= set(trials(journal))
        self.every_study_known &= bool(key) and settled
        if key and settled and journal.is_file():
            return
        base = study.base.apart_from_data()
        # A component brings parameters of its own, so an axis moves more than it names.
        moved = {path for spec in study.variants for path in differences(base, spec.apart_from_data())}
        free = tuple(sorted(moved | {path for axis in study.axes for path in axis.paths()}))
        self.shapes.append(Shape(base, free, frozenset(study.sweep_seeds), study.first_seed))
        for arm in experiment.arms.values():
            if arm.winner_of == study.name and study.name not in outcomes(made, experiment):
                over = tuple(path for path, _ in flatten(arm.over))
                self.shapes.append(Shape(base, (*free, *over), frozenset(arm.seeds)))

    def _add_submission(self, made: Plan) -> None:
        """Take in what the target faces_submission may have trained, where it was ever asked for."""
        if not (Path(made.config.results) / "logs" / "faces_submission.log").exists():
            return
        protocol = made.config.protocol.with_seed(made.config.seeds[0])
        free = ("model", "augmentation", "views", "checkpoint", "patience", "resizing")
        self.shapes.append(Shape(protocol.apart_from_data(), free, frozenset({protocol.seed})))


def published(made: Plan, experiment: Experiment) -> set[str]:
    """Return the keys of all runs that an experiment's results so far were made from."""
    folder, found = Path(made.config.results) / "experiments" / experiment.name, set()
    for path in batches(made, experiment):
        told = read_json(path) or {}
        for run in [*told.get("runs", ()), *told.get("trials", ()), *told.get("finalists", ())]:
            found |= {run.get("key"), run.get("run"), *run.get("members", ())}
    for name in MEASURED:
        found |= _measured(folder / f"{name}.parquet")
    return found - {None}


def batches(made: Plan, experiment: Experiment) -> list[Path]:
    """Return the files in which an experiment's jobs name their runs, whether or not they are there."""
    folder, name = Path(made.config.results) / "experiments" / experiment.name, experiment.name
    found = [folder / "runs" / f"runs-{batch}.json" for batch in range(len(made.training(name)))]
    if experiment.tuned:
        found += [folder / "sweep" / f"runs-{batch}.json" for batch in range(len(made.sweep(name)))]
    workers = range(made.config.compute.search_workers)
    return found + [folder / "search" / f"{study}-{worker}.json" for study in experiment.studies for worker in workers]


def trials(journal: Path) -> Iterator[str]:
    """Yield the keys of the runs that a study's journal tells of, one for each finished trial."""
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            outcome = json.loads(line).get("user_attr", {}).get("outcome", {})
        except (ValueError, AttributeError):
            continue
        if "run" in outcome:
            yield outcome["run"]


def stored_spec(folder: Path) -> dict[str, Any] | None:
    """Return the spec of a run as the store keeps it; None where it cannot be read."""
    try:
        return load(folder / "run.yaml")
    except ReidflowError:
        return None


def apart(spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the plain spec of an unfinished run as the store would keep it; None where this code knows no such runs."""
    try:
        return RunSpec.model_validate(spec).apart_from_data()
    except ValueError:
        return None


def _measured(path: Path) -> set[str]:
    try:
        return set(pl.read_parquet(path, columns=["run"])["run"])
    except (OSError, pl.exceptions.PolarsError):
        return set()
