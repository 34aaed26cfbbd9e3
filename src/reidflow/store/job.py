"""What every script of the workflow does around its own work: guards before, whole files or none after."""

import json
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from reidflow.spec import code
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.store import ledger
from reidflow.store.atomic import sync
from reidflow.store.guard import die_with_main, require_current
from reidflow.store.locks import locked


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
        with locked(self.results / ".store" / "locks" / "publish"):
            require_current(self.results)
            for temporary, path in pairs:
                temporary.replace(path)
            ledger.record(self.results, [path for _, path in pairs])


def run(main: Callable[[Job], None], snakemake: Any) -> None:
    """Run a script's `main` as a job and end the process with its status.

    Outputs appear under their final names only when `main` returns without an error. What it prints goes to the job's
    log, as does what goes wrong: mistakes of the user without a traceback.
    """
    die_with_main()
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", buffering=1) as stream, redirect_stdout(stream), redirect_stderr(stream):
        try:
            _run(main, Job(snakemake))
        except ReidflowError as error:
            print(f"\nERROR: {error}")
            raise SystemExit(1) from None
        except Exception:
            traceback.print_exc()
            raise SystemExit(1) from None


def _run(main: Callable[[Job], None], job: Job) -> None:
    job.confirm_code()
    outputs = sorted(path.as_posix() for path in job.out.final.values())
    with locked(job.results / ".store" / "locks" / short(outputs)):
        for temporary in job.out.paths().values():
            temporary.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
        main(job)
        hidden = code.unseen(*job.given["roots"])
        if hidden:
            raise ReidflowError(f"imported but not in the code digest: {hidden}. Import it where the tree shows it.")
        job.publish()
