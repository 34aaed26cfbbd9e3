"""What every script of the workflow does around its own work: guards before, whole files or none after."""

import io
import json
import shutil
import traceback
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from reidflow.spec import code
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.store import activity, disk, ledger, parsed
from reidflow.store.atomic import sync
from reidflow.store.guard import die_with_main, die_with_parent, require_current
from reidflow.store.locks import locked
from reidflow.store.logfile import LogFile


class Outputs:
    """The declared outputs of a job, by name, as temporary paths beside the final ones."""

    def __init__(self, final: dict[str, Path]) -> None:
        self.final = final

    def __getattr__(self, name: str) -> Path:
        try:
            path = self.final[name]
        except KeyError as error:
            raise AttributeError(name) from error
        return path.with_name(f".tmp-{path.name}")

    def paths(self) -> dict[str, Path]:
        """Return the temporary paths by name."""
        return {name: getattr(self, name) for name in self.final}


class Job:
    """One executing job: its inputs by name, its temporary outputs, and what the plan said of it.

    `given` determines the result; `compute` affects its speed alone.
    """

    def __init__(self, snakemake: Any) -> None:
        self.given: dict[str, Any] = json.loads(snakemake.params.job)
        self.compute: dict[str, Any] = snakemake.config["compute"]
        self.input = snakemake.input
        self.results = Path(self.given["results"])
        self.out = Outputs({name: Path(path) for name, path in snakemake.output.items()})

    def confirm_code(self) -> None:
        """Raise ReidflowError when the code on disk is not the code that was planned with.

        Call it once every module is imported: what was loaded is then what was digested, and later edits do no harm.
        """
        code.forget()
        parsed.recall()
        if code.digest(*self.given["roots"]) != self.given["code"]:
            raise ReidflowError("the code changed after planning; nothing was written. Run the command again.")

    def publish(self) -> None:
        """Move the outputs to their final names, unless a newer run of the pipeline owns the results."""
        pairs = [(getattr(self.out, name), path) for name, path in self.out.final.items()]
        missing = [str(path) for temporary, path in pairs if not temporary.exists()]
        if missing:
            raise ReidflowError(f"the script did not write {', '.join(missing)}")
        for temporary, _ in pairs:
            sync(temporary)
        with ledger.publishing(self.results):
            require_current(self.results)
            for temporary, path in pairs:
                temporary.replace(path)
            ledger.record(self.results, [path for _, path in pairs])

    def discard(self) -> None:
        """Remove what was written under temporary names: on a full disk it would keep room from what comes next."""
        for temporary in self.out.paths().values():
            with suppress(OSError):
                shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


def run(main: Callable[[Job], None], snakemake: Any) -> None:
    """Run a script's `main` as a job and end the process with its status.

    Outputs appear under their final names only when `main` returns without an error. What it prints goes to the job's
    log, as does what goes wrong: mistakes of the user without a traceback.
    """
    die_with_main()
    die_with_parent()
    log = LogFile(Path(snakemake.log[0]))
    stream = io.TextIOWrapper(io.BufferedWriter(log), encoding="utf-8", errors="replace", line_buffering=True)
    with stream, redirect_stdout(stream), redirect_stderr(stream):
        try:
            _run(main, Job(snakemake))
        except Exception as error:
            text = _told(error, Path(json.loads(snakemake.params.job)["results"]))
            whole = not log.lost
            stream.write(text)
            stream.flush()
            if whole and log.lost:
                log.on_screen(text)  # its first half may have gone to the file
            raise SystemExit(1) from None


def _told(error: Exception, results: Path) -> str:
    """Return what a job's log says of an error: of mistakes of the user, and of disks, without a traceback."""
    text = str(error) if isinstance(error, ReidflowError) else disk.told(error, results)
    if isinstance(error, BrokenProcessPool):
        text = "a process that worked for this job ended suddenly: it was killed, or the memory was used up. Run again."
    return "".join(traceback.format_exception(error)) if text is None else f"\nERROR: {text}\n"


def _run(main: Callable[[Job], None], job: Job) -> None:
    job.confirm_code()
    outputs = sorted(path.as_posix() for path in job.out.final.values())
    name, script = short(outputs), Path(job.given["roots"][0]).stem
    with locked(job.results / ".store" / "locks" / name), activity.job(job.results, name, script, outputs):
        for temporary in job.out.paths().values():
            temporary.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
        try:
            main(job)
            hidden = code.unseen(*job.given["roots"])
            if hidden:
                raise ReidflowError(
                    f"imported but not in the code digest: {hidden}. Import it where the tree shows it."
                )
            job.publish()
        except BaseException:
            job.discard()
            raise
