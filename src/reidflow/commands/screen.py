"""What a person sees of a run of the pipeline: a live panel on a terminal, else a line for whatever is worth one."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from reidflow.tables.text import plural
from reidflow.workflow.progress import DONE, FAILED, INTERRUPTED, NOTHING, Progress
from reidflow.workflow.units import duration

# What draws panels and reads results is imported once jobs run: a run that has nothing to do ends quickly.
if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from reidflow.commands.watch import Training

EVERY = 55.0  # seconds after which a line says what is running, where no other line did
LOOK = 2.0  # seconds between two looks at what is being trained
SHOWN = re.compile(
    r"SLURM run ID|Trying to restart job|Will exit after finishing|Terminating processes on user request"
)
"""Snakemake's own messages that a person wants to see."""
DATA = "split"  # the rule after which all is known of the data
LONGEST = 6  # jobs at work that are listed


class Screen:
    """Shows a run of the pipeline on the stream of Snakemake's own display."""

    def __init__(self, progress: Progress, plain: logging.StreamHandler) -> None:
        self._progress, self._stream = progress, plain.stream
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._begun, self._reported = False, set()
        self._said = self._looked = time.monotonic()
        self._training: list[Training] = []
        progress.watchers.append(self.tick)

    def show(self, record: logging.LogRecord, text: Callable[[logging.LogRecord], str]) -> None:
        """Show one of Snakemake's messages, where it is an error, a warning, or one of the few that matter."""
        message, event = str(record.msg), getattr(record, "event", None)
        if self._progress.outcome == INTERRUPTED and event is not None:
            return  # jobs that were interrupted have not failed
        if message.startswith(NOTHING):
            self._say(f"{message.rstrip()} Open {self._index()}")
        elif record.levelno >= logging.WARNING or (event is None and SHOWN.match(message)):
            self._say(text(record))

    def tick(self, now: float) -> None:
        """Show what has changed."""
        if not self._begun:
            self._begin()
        self._report()
        if self._live:
            if now - self._looked >= LOOK:
                self._looked, self._training = now, _training(self._progress)
            self._live.update(self._panel(now), refresh=True)
        elif now - self._said >= EVERY:
            self._training = _training(self._progress)
            self._say(f"{time.strftime('%H:%M')}  {self.counts()}; {self.left(now)}. Running: {self._running()}")

    def close(self) -> None:
        """Show how the run ended, and what to open."""
        self._progress.close()
        if self._progress.work is None:
            return
        if not self._begun:
            self._begin()
        self._report()
        if self._live:
            self._live.stop()
            self._live = None
        self._say(self.ending())

    def ending(self) -> str:
        """Return how the run ended, and what to open."""
        progress, work = self._progress, self._progress.work
        done, whole = len(progress.finished()), len(progress.plan.experiments)
        took = duration(time.monotonic() - progress.started)
        if progress.outcome == DONE:
            return f"Done in {took}: {done} of {whole} experiments are finished. Open {self._index()}"
        jobs = f"{work.count(DONE)} of {len(work.jobs)} jobs are done"
        again = f"The same command continues from here. Open {self._index()}"
        if progress.outcome == INTERRUPTED:
            return f"Interrupted after {took}: {jobs}. {again}"
        failed = ", ".join(sorted({job.name for job in work.jobs.values() if job.state == FAILED}))
        why = (
            f"{failed} failed; see above, and {progress.log_file}" if failed else f"see above, and {progress.log_file}"
        )
        return f"Stopped after {took}: {jobs}. {why}. {again}"

    def counts(self) -> str:
        """Return how many jobs, runs and experiments are done."""
        progress, work = self._progress, self._progress.work
        runs = f", {progress.runs_done()} of {progress.runs} runs" if progress.runs else ""
        experiments = f"{len(progress.finished())} of {len(progress.plan.experiments)} experiments"
        return f"{work.count(DONE)} of {len(work.jobs)} jobs{runs}, {experiments} done"

    def left(self, now: float) -> str:
        """Return the time left, in words."""
        left = self._progress.work.left(now)
        return "time left unknown" if left is None else f"about {duration(left)} left".replace("about under", "under")

    def _begin(self) -> None:
        """Say what will be made, and where Snakemake's own messages are."""
        progress, work = self._progress, self._progress.work
        self._begun, self._reported = True, set(progress.finished())
        whole, runs = len(progress.plan.experiments), f", {progress.runs} runs" if progress.runs else ""
        where = plural(work.cores, "job") + " at once" if progress.cluster else plural(work.cores, "core")
        left = work.left(time.monotonic())
        takes = (
            f"about {duration(left)} on {where}" if left is not None else f"on {where}; how long it takes is unknown"
        )
        self._say(
            f"{whole - len(self._reported)} of {plural(whole, 'experiment')} to make: {plural(len(work.jobs), 'job')}{runs}, "
            f"{takes}.\nPages appear in {self._index()}; Snakemake's own messages are in {progress.log_file or '.snakemake/log'}"
        )
        if self._stream.isatty() and os.environ.get("TERM") != "dumb" and not progress.cluster:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._stream)
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
            console.show_cursor(True)

    def _report(self) -> None:
        """Say what the data hold once they are split, and which experiments have been finished, with their answers."""
        from reidflow.pages.index import data_notes, first_sentence, read_answer

        if DATA not in self._reported and self._progress.work.is_done(DATA):
            self._reported.add(DATA)
            for note in data_notes(self._progress.results):
                self._say(f"data: {note}")
        for name in self._progress.finished():
            if name not in self._reported:
                self._reported.add(name)
                answer = first_sentence(read_answer(self._progress.results, name).get("answer") or "finished")
                self._say(f"{name}: {answer}  {self._progress.page(name)}")

    def _running(self) -> str:
        jobs = self._progress.work.running()
        more = f" and {len(jobs) - LONGEST} more" if len(jobs) > LONGEST else ""
        return ", ".join(f"{job.name}{detail}" for job, detail in self._details(LONGEST)) + more or "nothing yet"

    def _details(self, most: int) -> list[tuple]:
        """Return the jobs at work, each with what it is training."""
        runs, found = list(self._training), []
        for job in self._progress.work.running()[:most]:
            own = next((run for run in runs if job.experiment and run.run.startswith(f"{job.experiment}/")), None)
            if own is not None:
                runs.remove(own)
            found.append((job, _detail(own)))
        return found

    def _panel(self, now: float) -> "Group":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        work = self._progress.work
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=max(len(work.jobs), 1), completed=work.count(DONE), width=12),
            Text(f"{self.counts()}; {self.left(now)}"),
        )
        lines = Table.grid(padding=(0, 2))
        for job, detail in self._details(LONGEST):
            lines.add_row(Text(f"  {job.name}{detail}"), Text(duration(now - job.since), "dim"))
        return Group(head, lines)

    def _index(self) -> str:
        return str(self._progress.results / "index.html")

    def _say(self, text: str) -> None:
        """Print lines, above the panel where there is one."""
        if not text:
            return
        with self._lock, suppress(OSError, ValueError):
            self._said = time.monotonic()
            if self._live:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                self._stream.write(f"{text}\n")
                self._stream.flush()


def _training(progress: Progress) -> list["Training"]:
    """Return the runs that are being trained."""
    from reidflow.commands.watch import TRAINING, look

    return [run for run in look(progress.results / ".store")[0] if run.state == TRAINING]


def _detail(run: "Training | None") -> str:
    """Return which run a job is training, and how far it is."""
    if run is None:
        return ""
    epoch = f", epoch {run.epoch} of {run.of}" if run.epoch is not None and run.of else ""
    seed = f" seed {run.seed}" if run.seed is not None else ""
    return f" ({run.run.partition('/')[2]}{seed}{epoch})"
