"""How long jobs take: as when they last ran here, else as such jobs of the demo took, else as other jobs of their rule.

The times of the demo are in times.json, which `make times` writes from the records of a run.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

from reidflow.spec.config import Config
from reidflow.spec.plan import Plan

SHIPPED = Path(__file__).with_name("times.json")
SAMPLED = 20  # jobs of a rule whose recorded times are read
START = 4.0  # seconds in which a job starts and imports its libraries, however many images there are


@dataclass(frozen=True)
class Estimates:
    """Expected times of jobs. recorded: rule -> seconds of jobs that ran here.

    images: how many images the demo draws; None for other data, of which no shipped time says anything.
    """

    recorded: Mapping[str, list[float]]
    images: int | None

    def seconds(self, rule: str, experiment: str, before: float | None) -> float | None:
        """Return the expected seconds of a job; None where nothing like it was recorded.

        experiment: '' for a job that serves all. before: seconds that the same job took the last time.
        """
        if before is not None:
            return before
        own, others = self._shipped(rule, experiment), self.recorded.get(rule)
        if own is None and others:
            return median(others)
        return self._shipped(rule) if own is None else own

    def _shipped(self, rule: str, experiment: str | None = None) -> float | None:
        """Return the shipped time of a rule's jobs, of one experiment or of all."""
        found = shipped()["seconds"].get(rule, {})
        if self.images is None or (experiment is not None and experiment not in found) or not found:
            return None
        took = mean(found.values()) if experiment is None else found[experiment]
        return took if took <= START else START + (took - START) * self.images / shipped()["images"]


@cache
def shipped() -> dict[str, Any]:
    """Return the recorded times of the demo: its number of images, and rule -> experiment ('' for all) -> mean seconds."""
    return json.loads(SHIPPED.read_text(encoding="utf-8"))


REPORTING = ("evaluate", "table", "page")
"""Rules that have a job for each experiment, whatever it is about."""


def planned_seconds(plan: Plan, images: int, demo_size: int) -> float:
    """Return roughly how many seconds of work a plan is, by the demo's times, without the jobs of a dry run.

    images: how many there are. demo_size: side of the demo's images as its networks see them, pixels.
    """
    estimates, pixels = Estimates({}, images), (plan.config.protocol.model.size / demo_size) ** 2
    seconds = [pixels * (estimates.seconds("features", "", None) or 0.0) for _ in plan.banks()]
    for name, experiment in plan.experiments.items():
        several = {"train": len(plan.training(name)), "sweep": len(plan.sweep(name)) if experiment.tuned else 0}
        several["search"] = len(experiment.studies) * plan.config.compute.search_workers
        known = {*REPORTING, *(rule for rule, own in shipped()["seconds"].items() if name in own)}
        jobs = {**dict.fromkeys(sorted(known), 1), **several}
        seconds += [count * (estimates.seconds(rule, name, None) or 0.0) for rule, count in jobs.items()]
    return sum(seconds)


def demo_images(config: Config) -> int | None:
    """Return the number of images that a config's demo draws; None for other data."""
    source = config.dataset.source
    return source.get("images") if source["name"] == "demo" else None


def record_of(workflow: Any, job: Any) -> Any:
    """Return Snakemake's record of a job's last run; None where it never ran."""
    return next(filter(None, map(workflow.persistence.metadata, job.output)), None)


def took(record: Any) -> float | None:
    """Return how many seconds the job of a record took."""
    if record is None or not record.starttime or not record.endtime:
        return None
    return max(record.endtime - record.starttime, 0.0)


def recorded(workflow: Any, jobs: Iterable[Any]) -> dict[str, list[float]]:
    """Return rule -> recorded seconds of some of its jobs."""
    own: dict[str, list[Any]] = {}
    for job in jobs:
        own.setdefault(job.rule.name, []).append(job)
    times = {rule: [took(record_of(workflow, job)) for job in some[:SAMPLED]] for rule, some in own.items()}
    return {rule: found for rule, some in times.items() if (found := [time for time in some if time is not None])}
