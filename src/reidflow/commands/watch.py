"""`reidflow watch`: what is trained right now, where, how far it is, and how much of the plan is done."""

import sys
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reidflow.commands.counts import Count, Counts
from reidflow.commands.running import SILENT, STOPPED, WAITING, Training, Working, look
from reidflow.commands.words import duration
from reidflow.spec.plan import Plan

RUNS = ("run", "seed", "epoch", "loss", "val mAP", "left", "where", "last sign", "")
JOBS = ("job", "makes", "where", "for", "")
RIGHT = ("seed", "epoch", "loss", "val mAP", "left", "last sign", "for")


def watch(made: Plan, once: bool, interval: float) -> int:
    """Show what is at work until interrupted; once, as plain text, where asked or where nobody looks. Return 0."""
    store, counts = Path(made.config.results) / ".store", Counts(made)
    if once or not sys.stdout.isatty():
        print(plain(made.config.results, *look(store), counts.now()))
        return 0
    try:
        with Live(console=Console(), auto_refresh=False) as live:
            while True:
                live.update(_drawn(made.config.results, *look(store), counts.now()), refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt:
        return 0


def plain(results: str, runs: list[Training], jobs: list[Working], counts: list[Count]) -> str:
    """Return everything as text, without colours, as wide as it is."""
    parts = [headline(results, runs, jobs, counts)]
    parts += [_aligned(RUNS, [_run(run) for run in runs])] if runs else []
    parts += [_aligned(JOBS, [_job(job) for job in jobs])] if jobs else []
    return "\n\n".join([*parts, remaining(counts)] if counts else parts)


def headline(results: str, runs: list[Training], jobs: list[Working], counts: list[Count]) -> str:
    """Return how much is done and how much goes on, in a sentence or two."""
    done, needed = sum(count.done for count in counts), sum(count.needed for count in counts)
    more = " or more" if any(count.at_least for count in counts) else ""
    stopped = sum(run.state == STOPPED for run in runs)
    active = len(runs) - stopped
    now = f"{active} in training, {len(jobs)} other jobs." if active or jobs else "Nothing is running."
    rest = f" {stopped} stopped; they go on from their checkpoints when the pipeline is run." if stopped else ""
    return f"{results}/: {done} of {needed}{more} runs are done. {now}{rest}"


def remaining(counts: list[Count]) -> str:
    """Return how far each experiment is."""
    told = [f"{count.experiment} {count.done} of {count.needed}{'+' if count.at_least else ''}" for count in counts]
    return f"Runs done: {', '.join(told)}."


def _run(run: Training) -> list[str]:
    epoch = "" if run.of is None else f"{run.epoch if run.epoch is not None else 0} of {run.of}"
    state = f"waiting for {run.waiting}" if run.state == WAITING else run.state
    numbers = ["" if value is None else f"{value:.4f}" for value in (run.loss, run.val)]
    seed = "" if run.seed is None else str(run.seed)
    return [
        run.run,
        seed,
        epoch,
        *numbers,
        "" if run.left is None else duration(run.left),
        run.where,
        duration(run.age),
        state,
    ]


def _job(job: Working) -> list[str]:
    return [job.job, job.what, job.where, duration(job.age), f"waiting for {job.waiting}" if job.waiting else ""]


def _aligned(head: tuple[str, ...], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    sides = [str.rjust if name in RIGHT else str.ljust for name in head]
    lines = [
        "  ".join(put(cell, width) for put, cell, width in zip(sides, row, widths, strict=True))
        for row in [head, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def _drawn(results: str, runs: list[Training], jobs: list[Working], counts: list[Count]) -> Group:
    parts = [Text(headline(results, runs, jobs, counts))]
    parts += [_table(RUNS, [(_run(run), _look(run.state)) for run in runs])] if runs else []
    parts += [_table(JOBS, [(_job(job), "yellow" if job.waiting else "") for job in jobs])] if jobs else []
    return Group(*parts, Text(remaining(counts), "dim"))


def _look(state: str) -> str:
    return {SILENT: "red", STOPPED: "dim", WAITING: "yellow"}.get(state, "")


def _table(head: tuple[str, ...], rows: list[tuple[list[str], str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name in RIGHT else "left", overflow="fold")
    for cells, style in rows:
        table.add_row(*map(Text, cells), style=style)
    return table
