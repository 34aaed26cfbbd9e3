"""`reidflow plan`: which jobs would run and why, how many runs would be trained, how long it would take."""

import json
import sys
from collections import Counter
from typing import Any

from reidflow.commands import plan_text
from reidflow.commands.plan_dag import Asked, Dag, PlannedJob, read_dag
from reidflow.commands.plan_estimate import Basis, JobTime, estimate
from reidflow.commands.plan_reasons import reasons
from reidflow.commands.plan_runs import JobRuns, runs_of_jobs, unique
from reidflow.commands.plan_times import LEVELS, Work, makespan


def tell_plan(asked: Asked, as_json: bool, verbose: bool) -> int:
    """Print what a run of the pipeline would do now, and return 0. Raises ReidflowError."""
    told = plan(read_dag(asked), asked.experiments)
    if as_json:
        print(json.dumps(told, indent=1))
    else:
        plan_text.show(told, verbose, sys.stdout)
    return 0


def plan(dag: Dag, experiments: list[str]) -> dict[str, Any]:
    """Return all that is told of a plan, as JSON data. experiments: those that are meant, [] for all."""
    why, runs = reasons(dag), runs_of_jobs(dag)
    times, basis = estimate(dag, runs)
    names = list(dict.fromkeys(job.experiment for job in dag.jobs))
    ordered = [name for name in dag.plan.experiments if name in names] + [""] * ("" in names)
    return {
        "meant": experiments,
        "jobs": len(dag.jobs),
        "unchanged": dag.total - len(dag.jobs),
        "unrecorded": dag.unrecorded,
        "runs": _counts(runs),
        "time": _time(dag, times, basis),
        "groups": [_group(name, dag, why, runs, times) for name in ordered],
        "list": [_listed(*row) for row in zip(dag.jobs, why, times, strict=True)],
    }


def _counts(runs: list[JobRuns | None]) -> dict[str, Any]:
    found = Counter(state for state, _, _ in unique(runs))
    why = dict.fromkeys(text for job in runs if job for text in job.why)
    counts = {state: found[state] for state in ("train", "stored", "undecided")}
    expected = {key for job in runs if job for key in job.expected}
    return {**counts, "expected": len(expected), "why": list(why)}


def _time(dag: Dag, times: list[JobTime], basis: Basis) -> dict[str, Any]:
    def wall(seconds: list[float]) -> float:
        pairs = zip(dag.jobs, seconds, strict=True)
        work = [Work(took, job.threads, job.cards, job.upstream) for job, took in pairs]
        return round(makespan(work, dag.cores, dag.cards, dag.parallel), 1)

    low, high = [time.low for time in times], [time.high for time in times]
    on_cards = [job.cards for job in dag.jobs]
    unknown: dict[str, Counter] = {}
    for job, time in zip(dag.jobs, times, strict=True):
        for text in time.unknown:
            unknown.setdefault(text, Counter())[job.rule] += 1
    return {
        "cores": dag.cores,
        "cards": dag.cards if any(on_cards) else 0,
        "parallel": dag.parallel,
        "seconds": [wall(low), wall(high)],
        "work_seconds": [round(sum(low), 1), round(sum(high), 1)],
        "card_seconds": [round(sum(s * n for s, n in zip(took, on_cards, strict=True)), 1) for took in (low, high)],
        "card_jobs": sum(map(bool, on_cards)),
        "unknown": [{"what": text, "jobs": dict(rules)} for text, rules in unknown.items()],
        "unknown_jobs": sum(bool(time.unknown) for time in times),
        "from_jobs": basis.jobs,
        "from_runs": max((guess.runs for guess in basis.guesses), default=0),
        "likeness": max((guess.likeness for guess in basis.guesses), key=LEVELS.index, default=None),
    }


def _group(
    name: str, dag: Dag, why: list[list[str]], runs: list[JobRuns | None], times: list[JobTime]
) -> dict[str, Any]:
    own = [number for number, job in enumerate(dag.jobs) if job.experiment == name]
    told: dict[str, Counter] = {}
    for number in own:
        for text in why[number]:
            told.setdefault(text, Counter())[dag.jobs[number].rule] += 1
    return {
        "experiment": name,
        "jobs": len(own),
        "runs": _counts([runs[number] for number in own]),
        "seconds": [round(sum(getattr(times[n], end) for n in own), 1) for end in ("low", "high")],
        "unknown": sum(bool(times[number].unknown) for number in own),
        "why": [{"text": text, "jobs": dict(rules)} for text, rules in told.items()],
        "following": dict(Counter(dag.jobs[number].rule for number in own if not why[number])),
    }


def _listed(job: PlannedJob, why: list[str], time: JobTime) -> dict[str, Any]:
    return {
        "rule": job.rule,
        "wildcards": job.wildcards,
        "outputs": job.outputs,
        "why": why,
        "follows": job.follows,
        "seconds": [round(time.low, 1), round(time.high, 1)],
        "unknown": time.unknown,
        "threads": job.threads,
        "cards": job.cards,
    }
