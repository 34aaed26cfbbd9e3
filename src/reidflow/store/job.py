"""The job of a workflow script: checks before its own work, all outputs or none after it, and its log."""

import io
import json
import os
import shutil
import traceback
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from reidflow.spec import code
from reidflow.spec.errors import ReidflowError
from reidflow.store import activity, digests, disk, published
from reidflow.store.atomic import sync
from reidflow.store.invocation import die_with_main, die_with_parent, require_current
from reidflow.store.locks import locked

SCREEN = 2  # the descriptor of standard error, whatever `sys.stderr` has become


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
    """A running job: its inputs by name, its temporary outputs, and its parameters.

    `given` holds the parameters that determine the result; `compute` and `threads` affect only its speed.
    """

    def __init__(self, snakemake: Any) -> None:
        self.given: dict[str, Any] = json.loads(snakemake.params.job)
        self.compute: dict[str, Any] = snakemake.config["compute"]
        self.threads: int = snakemake.threads
        self.input = snakemake.input
        self.results = Path(self.given["results"])
        self.out = Outputs({name: Path(path) for name, path in snakemake.output.items()})

    def confirm_code(self) -> None:
        """Raise ReidflowError when the code on disk is not the code of the plan.

        Call it once every module is imported: the loaded code is then the digested code, and later edits do no harm.
        """
        code.forget()
        digests.load_parsed_code()
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
        with published.publishing(self.results):
            require_current(self.results)
            for temporary, path in pairs:
                temporary.replace(path)
            published.record(self.results, [path for _, path in pairs], self._digests())

    def _digests(self) -> dict[str, list[str]]:
        """Return the digests in the parameters of which the store holds a record: kind -> the names of the records."""
        experiment = self.given.get("experiment")
        behind = {
            digests.CODE: self.given["code"],
            digests.IMAGES: self.given.get("raw"),
            digests.EXPERIMENTS: experiment["digest"] if isinstance(experiment, dict) else None,
        }
        return {kind: [digests.record_name(digest)] for kind, digest in behind.items() if digest}

    def discard(self) -> None:
        """Remove the temporary files, which would take up room on a full disk."""
        for temporary in self.out.paths().values():
            with suppress(OSError):
                shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


class LogFile(io.RawIOBase):
    """The log at `path`, which continues on standard error (`lost`) where its file cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._file = os.dup(SCREEN)
            self._lose(error)

    def writable(self) -> bool:  # noqa: D102
        return True

    def fileno(self) -> int:  # noqa: D102
        return self._file

    def write(self, data: bytes) -> int:
        """Write some of the bytes and return their number."""
        if not self.lost:
            try:
                return os.write(self._file, data)
            except OSError as error:
                self._lose(error)
        self.on_screen(bytes(data))
        return len(data)

    def on_screen(self, text: str | bytes) -> None:
        """Write to standard error; where there is none either, nothing can be reported."""
        try:
            os.write(SCREEN, text.encode(errors="replace") if isinstance(text, str) else text)
        except OSError:
            return

    def close(self) -> None:  # noqa: D102
        if not self.closed:
            os.close(self._file)
        super().close()

    def _lose(self, error: OSError) -> None:
        self.lost = True
        self.on_screen(f"{self.path}: this log cannot be written ({error.strerror}); it continues here.\n")


def run(main: Callable[[Job], None], snakemake: Any) -> None:
    """Run a script's `main` as a job and end the process with its status.

    Outputs appear under their final names only when `main` returns without an error. Its output goes to the job's log,
    as do errors: those of the user without a traceback.
    """
    die_with_main()
    die_with_parent()
    log = LogFile(Path(snakemake.log[0]))
    stream = io.TextIOWrapper(io.BufferedWriter(log), encoding="utf-8", errors="replace", line_buffering=True)
    with stream, redirect_stdout(stream), redirect_stderr(stream):
        try:
            _run(main, Job(snakemake))
        except Exception as error:
            text = _explain(error, Path(json.loads(snakemake.params.job)["results"]))
            whole = not log.lost
            stream.write(text)
            stream.flush()
            if whole and log.lost:
                log.on_screen(text)  # its first half may have gone to the file
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            stream.write("\nInterrupted.\n")
            raise SystemExit(130) from None


def _explain(error: Exception, results: Path) -> str:
    """Return an error as a job's log reports it: errors of the user and of disks without a traceback."""
    text = str(error) if isinstance(error, ReidflowError) else disk.explanation(error, results)
    if isinstance(error, BrokenProcessPool):
        text = "a worker process of this job ended suddenly: it was killed, or memory ran out. Run the command again."
    return "".join(traceback.format_exception(error)) if text is None else f"\nERROR: {text}\n"


def _run(main: Callable[[Job], None], job: Job) -> None:
    job.confirm_code()
    outputs = sorted(path.as_posix() for path in job.out.final.values())
    name, script = published.entry_name(outputs), Path(job.given["roots"][0]).stem
    with locked(job.results / ".store" / "locks" / name), activity.job(job.results, name, script, outputs):
        for temporary in job.out.paths().values():
            temporary.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
        try:
            main(job)
            hidden = code.unseen(*job.given["roots"])
            if hidden:
                raise ReidflowError(
                    f"imported but not in the code digest: {hidden}. Import it with an import statement."
                )
            job.publish()
        except BaseException:
            job.discard()
            raise
