"""A plan as a person reads it: a summary, then the reasons of each experiment."""

from collections import Counter
from typing import Any, TextIO

from reidflow.commands.plan_changes import few
from reidflow.commands.words import duration

EVERYWHERE = 3  # groups from which on a reason is said once, for all of them
SHARED = "shared by all experiments"


def show(told: dict[str, Any], verbose: bool, stream: TextIO) -> None:
    """Write a plan (`plan.plan`) to a stream: tables on a terminal, plain text elsewhere."""
    if stream.isatty():
        _show_on_terminal(told, verbose, stream)
    else:
        stream.write("\n".join(lines(told, verbose)) + "\n")


def lines(told: dict[str, Any], verbose: bool = False) -> list[str]:
    """Return a plan as lines of plain text."""
    found = summary(told)
    rows = table(told)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        found.append("  ".join(cells).rstrip())
    for heading, texts in sections(told):
        found += ["", heading, *(f"  {text}" for text in texts)]
    return found + (["", *_jobs(told)] if verbose and told["jobs"] else [])


def summary(told: dict[str, Any]) -> list[str]:
    """Return what would run, be trained and be reused, and how long it would take: a sentence a line."""
    meant = f" for {few(told['meant'])}" if told["meant"] else ""
    lost = f"What {_count(told['unrecorded'], 'job')} made their results from is not on record: no change is noticed there."
    unknown = [lost] if told["unrecorded"] else []
    if not told["jobs"]:
        return [f"Nothing would run{meant}: every result is what the config, the code and the data make it.", *unknown]
    total = told["jobs"] + told["unchanged"]
    stay = f"; {told['unchanged']} would not" if told["unchanged"] else ""
    return [
        f"{told['jobs']} of {total} jobs would run{meant}{stay}.",
        *_runs(told["runs"]),
        *_times(told),
        *unknown,
        "",
    ]


def _runs(runs: dict[str, Any]) -> list[str]:
    parts = [f"{_count(runs['train'], 'run')} would be trained"] if runs["train"] else []
    parts += [f"{_count(runs['stored'], 'run')} taken from the store"] if runs["stored"] else []
    if runs["why"]:
        stored = f" ({runs['expected']} of them are stored for the data as they are now)" if runs["expected"] else ""
        open_ = f"{_count(runs['undecided'], 'run')} either trained or taken from the store{stored}"
        parts.append(f"{open_ if runs['undecided'] else 'more'}, decided {' or '.join(runs['why'])}")
    return [f"{', '.join(parts)}."] if parts else ["No run would be trained."]


def _times(told: dict[str, Any]) -> list[str]:
    time, found = told["time"], []
    if told["jobs"] == time["unknown_jobs"] and not time["seconds"][1]:
        return [f"How long it takes is unknown: nothing like it ran here before; {_cards(time)}."]
    place = f"on {_count(time['cores'], 'core')}" if time["cores"] else f"with {time['parallel']} jobs at once"
    long = f"About {between(time['seconds'])}".replace("About under", "Under")
    found.append(f"{long} {place} ({between(time['work_seconds'])} of work), {_cards(time)}.")
    basis = [f"{_count(time['from_jobs'], 'earlier job')}"] if time["from_jobs"] else []
    if time["likeness"]:
        basis.insert(0, f"up to {_count(time['from_runs'], 'earlier run')} {time['likeness']}")
    found.append(f"Estimated from the recorded times of {' and '.join(basis)}.")
    if time["unknown"]:
        what = "; ".join(f"{item['what']} ({_rules(item['jobs'])})" for item in time["unknown"])
        found.append(f"Not counted is what is unknown of {_count(time['unknown_jobs'], 'job')}: {what}.")
    return found


def _cards(time: dict[str, Any]) -> str:
    if not time["card_jobs"]:
        return "no job asks for a graphics card"
    hours = " to ".join(dict.fromkeys(f"{seconds / 3600:.2g}" for seconds in time["card_seconds"]))
    return f"{hours} GPU-hours in {_count(time['card_jobs'], 'job')}"


def between(seconds: list[float]) -> str:
    """Return a range of time: `40 s`, or `40 s to 3 min`."""
    return " to ".join(dict.fromkeys(map(duration, seconds)))


def table(told: dict[str, Any]) -> list[list[str]]:
    """Return the summary of each experiment, under a row of headings."""
    if not told["groups"]:
        return []
    rows = [["experiment", "jobs", "runs to train", "from the store", "undecided", "work"]]
    for group in told["groups"]:
        runs = group["runs"]
        counts = [str(runs[state] or "-") for state in ("train", "stored", "undecided")]
        unknown = f" + {group['unknown']} unknown" if group["unknown"] else ""
        work = between(group["seconds"]) if group["seconds"][1] or not unknown else ""
        rows.append([group["experiment"] or SHARED, str(group["jobs"]), *counts, (work + unknown).removeprefix(" + ")])
    return rows


def sections(told: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return heading -> reasons: first those of many experiments, then each experiment's own."""
    places = Counter(reason["text"] for group in told["groups"] for reason in group["why"])
    wide = [text for text, count in places.items() if count >= EVERYWHERE]
    found, following = [], []
    if wide:
        found.append(("in several places", [_wide(text, told["groups"]) for text in wide]))
    for group in told["groups"]:
        own = [reason for reason in group["why"] if reason["text"] not in wide]
        texts = [f"{reason['text']}  ({_rules(reason['jobs'])})" for reason in own]
        if group["following"]:
            count = sum(group["following"].values())
            texts.append(f"because of the above: {_count(count, 'job')} ({_rules(group['following'])})")
        if own:
            found.append((group["experiment"] or SHARED, texts))
        elif group["following"]:
            following.append(group["experiment"] or SHARED)
    if following:
        found.append(("only because of the above", [few(following, 8)]))
    return found


def _wide(text: str, groups: list[dict[str, Any]]) -> str:
    rules: Counter = Counter()
    having = [group for group in groups for reason in group["why"] if reason["text"] == text]
    for group in having:
        for reason in group["why"]:
            if reason["text"] == text:
                rules.update(reason["jobs"])
    return f"{text}  ({_count(sum(rules.values()), 'job')} of {few(group['experiment'] or SHARED for group in having)})"


def _rules(rules: dict[str, int]) -> str:
    return few((f"{rule} x{count}" if count > 1 else rule for rule, count in rules.items()), 6)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _jobs(told: dict[str, Any]) -> list[str]:
    found = ["jobs, in an order in which they may run"]
    for job in told["list"]:
        place = " ".join(f"{key}={value}" for key, value in job["wildcards"].items())
        why = "; ".join(job["why"]) or "because of the above"
        took = "unknown" if job["unknown"] else between(job["seconds"])
        found.append(f"  {' '.join(filter(None, (job['rule'], place)))}: {why} ({took})")
    return found


def _show_on_terminal(told: dict[str, Any], verbose: bool, stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in summary(told):
        console.print(Text(line))
    rows = table(told)
    if rows:
        drawn = Table(*rows[0])
        for row in rows[1:]:
            drawn.add_row(*map(Text, row))
        console.print(drawn)
    for heading, texts in sections(told):
        console.print(Text(f"\n{heading}", style="bold"))
        for text in texts:
            console.print(Text(f"  {text}"))
    if verbose and told["jobs"]:
        console.print()
        for line in _jobs(told):
            console.print(Text(line))
