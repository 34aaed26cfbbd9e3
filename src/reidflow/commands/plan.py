"""`reidflow plan`: which jobs would run and why, how many runs would be trained, and about how long it would take."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from reidflow.commands.plan_dag import Dag, PlannedJob, Request, read_dag
from reidflow.commands.plan_reasons import few, reasons
from reidflow.commands.runs import JobRuns, Runs, unique
from reidflow.workflow.units import duration

# Jobs that decide which runs there are, but make none of the data that runs read.
DECIDING = {"sweep", "choose", "search", "trials", "best", "train", "look", "pick_parts"}
EVERYWHERE = 3  # groups from which on a reason is printed once, for all of them
SHARED = "shared by all experiments"


def print_plan(request: Request, as_json: bool, verbose: bool) -> int:
    """Print what a run of the pipeline would do now, and return 0. Raises ReidflowError."""
    found = plan(read_dag(request), request.experiments)
    print(json.dumps(found, indent=1) if as_json else "\n".join(lines(found, verbose)))
    return 0


def plan(dag: Dag, experiments: list[str]) -> dict[str, Any]:
    """Return a plan as JSON data. experiments: those requested, [] for all."""
    rebuilt = {path for job in dag.jobs if job.rule in DECIDING for path in job.outputs}
    lookup = Runs(dag.plan, rebuilt)
    runs = [lookup.of(job.rule, job.wildcards, _data_change(dag, job)) for job in dag.jobs]
    lookup.save()
    why, seconds = reasons(dag), [_seconds(dag, job) for job in dag.jobs]
    names = list(dict.fromkeys(job.experiment for job in dag.jobs))
    ordered = [name for name in dag.plan.experiments if name in names] + [""] * ("" in names)
    return {
        "experiments": experiments,
        "jobs": len(dag.jobs),
        "unchanged": dag.total - len(dag.jobs),
        "unrecorded": dag.unrecorded,
        "runs": _counts(runs),
        "time": _time(dag, seconds),
        "groups": [_group(name, dag, why, runs, seconds) for name in ordered],
        "job_list": [_listed(*row) for row in zip(dag.jobs, why, seconds, strict=True)],
    }


def _data_change(dag: Dag, job: PlannedJob) -> bool:
    """Return whether data that the job's runs read are made before it."""
    return any(dag.jobs[index].rule not in DECIDING for index in job.upstream)


def _seconds(dag: Dag, job: PlannedJob) -> float | None:
    """Return how long a job is expected to take; None where none like it ever ran."""
    return dag.estimates.seconds(job.rule, job.experiment, job.seconds_before)


def _counts(runs: list[JobRuns | None]) -> dict[str, Any]:
    why = dict.fromkeys(text for job in runs if job for text in job.why)
    expected = {key for job in runs if job for key in job.expected}
    counts = {state: len(unique(runs, state)) for state in ("train", "stored", "undecided")}
    return {**counts, "expected": len(expected), "why": list(why)}


def _time(dag: Dag, seconds: list[float | None]) -> dict[str, Any]:
    """Return the estimate: recorded times over the number of cores, or of jobs at once on a cluster."""
    jobs = [(job, took) for job, took in zip(dag.jobs, seconds, strict=True) if took is not None]
    limit = dag.cores or dag.nodes or 1
    return {
        "cores": dag.cores,
        "nodes": dag.nodes,
        "seconds": round(sum(took * (job.threads if dag.cores else 1) for job, took in jobs) / limit, 1),
        "work_seconds": round(sum(took for _, took in jobs), 1),
        "gpu_seconds": round(sum(took * job.gpus for job, took in jobs), 1),
        "gpu_jobs": sum(bool(job.gpus) for job in dag.jobs),
        "shipped": sum(job.seconds_before is None and job.rule not in dag.seconds for job, _ in jobs),
        "unknown": dict(Counter(job.rule for job, took in zip(dag.jobs, seconds, strict=True) if took is None)),
    }


def _group(
    name: str, dag: Dag, why: list[list[str]], runs: list[JobRuns | None], seconds: list[float | None]
) -> dict[str, Any]:
    """Return what an experiment's jobs have in common, or ("") those that serve all."""
    own = [number for number, job in enumerate(dag.jobs) if job.experiment == name]
    texts: dict[str, Counter] = {}
    for number in own:
        for text in why[number]:
            texts.setdefault(text, Counter())[dag.jobs[number].rule] += 1
    return {
        "experiment": name,
        "jobs": len(own),
        "runs": _counts([runs[number] for number in own]),
        "seconds": round(sum(seconds[number] or 0.0 for number in own), 1),
        "unknown": sum(seconds[number] is None for number in own),
        "why": [{"text": text, "jobs": dict(rules)} for text, rules in texts.items()],
        "following": dict(Counter(dag.jobs[number].rule for number in own if not why[number])),
    }


def _listed(job: PlannedJob, why: list[str], seconds: float | None) -> dict[str, Any]:
    return {
        "rule": job.rule,
        "wildcards": job.wildcards,
        "outputs": job.outputs,
        "why": why,
        "follows": job.follows,
        "seconds": seconds,
        "threads": job.threads,
        "gpus": job.gpus,
    }


def lines(found: Mapping[str, Any], verbose: bool = False) -> list[str]:
    """Return a plan as lines of plain text: a summary, then the reasons of each experiment."""
    rows = _table(found["groups"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = summary(found)
    text += ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for heading, texts in sections(found["groups"]):
        text += ["", heading, *(f"  {line}" for line in texts)]
    return text + (["", "jobs, in an order in which they may run", *map(_line, found["job_list"])] if verbose else [])


def summary(found: Mapping[str, Any]) -> list[str]:
    """Return what would run, be trained and be reused, and how long it would take: a sentence a line."""
    of = f" for {few(found['experiments'])}" if found["experiments"] else ""
    unrecorded = (
        f"{_count(found['unrecorded'], 'job')} have no record of their parameters, so changes of them go unnoticed."
    )
    unknown = [unrecorded] if found["unrecorded"] else []
    if not found["jobs"]:
        return [f"Nothing would run{of}: every result is up to date with the config, the code and the data.", *unknown]
    total = found["jobs"] + found["unchanged"]
    rest = f"; {found['unchanged']} are up to date" if found["unchanged"] else ""
    first = f"{found['jobs']} of {total} jobs would run{of}{rest}."
    return [first, _runs(found["runs"]), *_times(found["time"]), *unknown, ""]


def _runs(runs: dict[str, Any]) -> str:
    parts = [f"{_count(runs['train'], 'run')} would be trained"] if runs["train"] else []
    parts += [f"{_count(runs['stored'], 'run')} taken from the store"] if runs["stored"] else []
    if runs["why"]:
        stored = f" ({runs['expected']} of them are stored for the data as they are now)" if runs["expected"] else ""
        some = f"{_count(runs['undecided'], 'run')} either trained or taken from the store{stored}"
        parts.append(f"{some if runs['undecided'] else 'more'}, decided {' or '.join(runs['why'])}")
    return f"{', '.join(parts) or 'No run would be trained'}."


def _times(time: dict[str, Any]) -> list[str]:
    gpus = f"{time['gpu_seconds'] / 3600:.2g} GPU-hours in {_count(time['gpu_jobs'], 'job')}"
    gpus = gpus if time["gpu_jobs"] else "no job requests a GPU"
    if not time["work_seconds"]:
        return [f"How long it takes is unknown: no such job has run here yet; {gpus}."]
    where = f"on {_count(time['cores'], 'core')}" if time["cores"] else f"with {_count(time['nodes'], 'job')} at once"
    demo = "; those of the demo where no such job ran here" if time["shipped"] else ""
    work = f"{duration(time['work_seconds'])} of work by the recorded times of earlier jobs{demo}"
    found = [f"About {duration(time['seconds'])} {where} ({work}), {gpus}.".replace("About under", "Under")]
    return found + (
        [f"Not counted, since none has run here yet: {_rules(time['unknown'])}."] if time["unknown"] else []
    )


def _table(groups: list[dict[str, Any]]) -> list[list[str]]:
    """Return the numbers of each experiment, under a row of headings."""
    rows = [["experiment", "jobs", "runs to train", "from the store", "undecided", "work"]] if groups else []
    for group in groups:
        counts = [str(group["runs"][state] or "-") for state in ("train", "stored", "undecided")]
        unknown = f" + {group['unknown']} unknown" if group["unknown"] else ""
        work = duration(group["seconds"]) if group["seconds"] or not unknown else ""
        rows.append([group["experiment"] or SHARED, str(group["jobs"]), *counts, (work + unknown).removeprefix(" + ")])
    return rows


def sections(groups: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return heading -> reasons: first those of many experiments, then each experiment's own."""
    having: dict[str, list[dict[str, Any]]] = {}
    for group in groups:
        for reason in group["why"]:
            having.setdefault(reason["text"], []).append({**reason, "experiment": group["experiment"] or SHARED})
    wide = {text: some for text, some in having.items() if len(some) >= EVERYWHERE}
    found, following = [], []
    if wide:
        found.append(("several experiments", [_wide(text, some) for text, some in wide.items()]))
    for group in groups:
        name = group["experiment"] or SHARED
        texts = [
            f"{reason['text']}  ({_rules(reason['jobs'])})" for reason in group["why"] if reason["text"] not in wide
        ]
        after = sum(group["following"].values())
        if texts:
            rest = [f"because of the above: {_count(after, 'job')} ({_rules(group['following'])})"] if after else []
            found.append((name, texts + rest))
        elif after:
            following.append(name)
    return found + ([("only because of the above", [few(following, 8)])] if following else [])


def _wide(text: str, reasons: list[dict[str, Any]]) -> str:
    count = sum(sum(reason["jobs"].values()) for reason in reasons)
    return f"{text}  ({_count(count, 'job')} of {few(reason['experiment'] for reason in reasons)})"


def _rules(rules: Mapping[str, int]) -> str:
    return few((f"{rule} x{count}" if count > 1 else rule for rule, count in rules.items()), 6)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _line(job: dict[str, Any]) -> str:
    wildcards = " ".join(f"{key}={value}" for key, value in job["wildcards"].items())
    why = "; ".join(job["why"]) or "because of the above"
    took = "unknown" if job["seconds"] is None else duration(job["seconds"])
    return f"  {' '.join(filter(None, (job['rule'], wildcards)))}: {why} ({took})"
