"""The jobs that a dry run of Snakemake finds, with their parameters now and when they last ran.

Snakemake has no public interface for this: everything here relies on its private parts, as of the versions that
pyproject.toml admits. tests/unit/commands/test_plan_dag.py shows which part is gone when a new version is tried.
"""

import ast
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from snakemake import cli
from snakemake.api import SnakemakeApi
from snakemake.exceptions import CliException, WorkflowError, format_exception_to_string
from snakemake.io import ExistsDict, IOFile

from reidflow.spec.components import SOURCE_ROOT
from reidflow.spec.config import read
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan
from reidflow.workflow.estimates import Estimates, demo_images, record_of, recorded, took


class Request(NamedTuple):
    """What to plan: config files, experiments ([] for all); the others as Snakemake's options of that name.

    everything: whether jobs whose results are up to date are planned as well.
    """

    files: list[str]
    experiments: list[str]
    cores: str | None = None
    profile: str | None = None
    config: Sequence[str] = ()
    everything: bool = False


@dataclass
class PlannedJob:
    """A job that would run. given, before: its parameters as JSON, now and when it last ran; upstream: jobs it waits for."""

    rule: str
    wildcards: dict[str, str]
    outputs: list[str]
    inputs: list[str]
    threads: int
    gpus: int
    upstream: list[int] = field(default_factory=list)
    given: str | None = None
    before: str | None = None
    inputs_before: list[str] | None = None
    seconds_before: float | None = None
    missing: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    follows: bool = False
    interrupted: bool = False
    environment: bool = False
    """Whether the definition of its software environment changed."""

    @property
    def experiment(self) -> str:
        """The experiment that it belongs to; empty where it serves all."""
        return self.wildcards.get("experiment", "")


@dataclass
class Dag:
    """The jobs that would run, each after those it waits for, and facts about all jobs.

    total: number of all jobs. cores, nodes: how many may be used here, or jobs at once on a cluster. damaged: outputs
    that changed since they were written. raw: digest of the data set. unrecorded: jobs that would not run and of which
    Snakemake has no record. seconds: rule -> recorded times of its jobs. former: (rule, experiment) -> parameters of
    batches of runs that no longer exist.
    """

    plan: Plan
    results: Path
    jobs: list[PlannedJob]
    total: int
    cores: int | None
    nodes: int | None
    damaged: list[str]
    raw: str
    unrecorded: int
    seconds: dict[str, list[float]]
    former: dict[tuple[str, str], list[str]]

    @property
    def estimates(self) -> Estimates:
        """How long jobs are expected to take."""
        return Estimates(self.seconds, demo_images(self.plan.config))


def read_dag(request: Request) -> Dag:
    """Return what `snakemake -n` would find in the current folder. Nothing is run or written.

    Raises ReidflowError with Snakemake's message.
    """
    # Snakemake reports a config that cannot be read with a traceback.
    read(request.files)
    arguments = ["-n", "-q", "--snakefile", str(_snakefile()), "--configfile", *request.files]
    arguments += ["--forceall"] if request.everything else []
    arguments += ["--cores", request.cores] if request.cores else []
    arguments += ["--profile", request.profile] if request.profile else []
    arguments += ["--config", *request.config] if request.config else []
    output = io.StringIO()
    with _called(["snakemake", *arguments]), redirect_stdout(output), redirect_stderr(output):
        try:
            parser, given = cli.parse_args(arguments)
        except SystemExit:
            raise ReidflowError(output.getvalue().strip()) from None
        except CliException as error:
            raise ReidflowError(str(error)) from None
        with _watched(given, request.experiments) as found:
            cli.args_to_api(given, parser)
    if not found:
        raise ReidflowError(output.getvalue().strip())
    return found[0]


def _snakefile() -> Path:
    """Return the Snakefile of this folder, which must be that of the code that is running."""
    own, here = SOURCE_ROOT.parent / "Snakefile", Path("Snakefile")
    if not here.exists():
        return own
    if own.exists() and (Path("src") / "reidflow").exists() and not own.samefile(here):
        raise ReidflowError(
            f"this command belongs to {own.parent}, but the Snakefile of this folder has code of its own. "
            "Run: PYTHONPATH=src python -m reidflow.cli plan"
        )
    return here


@contextmanager
def _called(arguments: list[str]) -> Iterator[None]:
    """Let the Snakefile see the command line of a dry run, which some of its checks read."""
    kept, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = kept


@contextmanager
def _watched(given: Any, experiments: list[str]) -> Iterator[list[Dag]]:
    """Have Snakemake's own command line put what it finds into a list of one element."""
    found: list[Dag] = []

    class Watched(SnakemakeApi):
        def workflow(self, *arguments: Any, **settings: Any) -> Any:
            made = super().workflow(*arguments, **settings)
            parsed_workflow = made._workflow
            _without_damaged(parsed_workflow)
            given.targets = _targets(parsed_workflow.globals["session"], experiments)
            return made

        def print_exception(self, error: Exception) -> None:
            plain = isinstance(error, ReidflowError | WorkflowError)
            raise ReidflowError(str(error) if plain else format_exception_to_string(error)) from None

        def __exit__(self, *raised: Any) -> None:
            if raised[0] is None and self._workflow_api:
                found.append(_dag(self._workflow_api._workflow, given.executor))
            super().__exit__(*raised)

    cli.SnakemakeApi = Watched
    try:
        yield found
    finally:
        cli.SnakemakeApi = SnakemakeApi


def _without_damaged(workflow: Any) -> None:
    """Let the dry run find the damaged files missing, as a real run does after removing them."""
    damaged, prepare = {str(path) for path in workflow.globals["session"].damaged}, workflow._prepare_dag

    def prepared(*arguments: Any, **settings: Any) -> None:
        prepare(*arguments, **settings)
        workflow.iocache._exists_local = _WithoutDamaged(workflow.iocache, damaged)

    if damaged:
        workflow._prepare_dag = prepared


class _WithoutDamaged(ExistsDict):
    """Which files exist, without the damaged ones."""

    def __init__(self, cache: Any, damaged: set[str]) -> None:
        super().__init__(cache)
        self._damaged = damaged

    def __setitem__(self, path: str, exists: bool) -> None:
        super().__setitem__(path, exists and str(path) not in self._damaged)


def _targets(session: Any, experiments: list[str]) -> list[str]:
    """Return the targets: none for everything, or the results of some experiments."""
    known: Plan = session.plan
    unknown = [name for name in experiments if name not in known.experiments]
    if unknown:
        raise ReidflowError(f"no experiment '{unknown[0]}' in {known.where}. Known: {', '.join(known.experiments)}.")
    return [path for name in experiments for path in session.targets.results_of(name)]


def _dag(workflow: Any, executor: str) -> Dag:
    dag, session = workflow.dag, workflow.globals["session"]
    levels = [sorted(level, key=lambda job: (job.rule.name, *map(str, job.output))) for level in dag.toposorted()]
    every = [job for level in levels for job in level if not job.rule.norun]
    needed = [job for job in every if dag.needrun(job)]
    number = {job: index for index, job in enumerate(needed)}
    local = executor == "local"
    return Dag(
        plan=session.plan,
        results=Path(session.files.results),
        jobs=[_job(workflow, job, number) for job in needed],
        total=len(every),
        cores=workflow.cores if local else None,
        nodes=None if local else workflow.nodes,
        damaged=[str(path) for path in session.damaged],
        raw=session.raw,
        unrecorded=sum(bool(dag.reason(job).no_metadata) for job in every if job not in number),
        seconds=recorded(workflow, every),
        former=_former(workflow, every),
    )


def _job(workflow: Any, job: Any, number: dict[Any, int]) -> PlannedJob:
    reason, resources = workflow.dag.reason(job), job.resources
    record = record_of(workflow, job)
    return PlannedJob(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        outputs=list(map(str, job.output)),
        inputs=sorted(map(str, job.input)),
        threads=int(resources.get("_cores", 1)),
        gpus=int(resources.get("gpu", 0)),
        upstream=sorted(number[other] for other in workflow.dag.dependencies[job] if other in number),
        given=job.params.get("job"),
        before=_param(record),
        inputs_before=record.input if record else None,
        seconds_before=took(record),
        missing=sorted(map(str, reason.missing_output)),
        newer=sorted(map(str, reason.updated_input)),
        follows=bool(reason.updated_input_run),
        interrupted=bool(reason.forced),
        environment=bool(reason.software_stack_changed),
    )


def _param(record: Any) -> str | None:
    """Return the JSON of the param `job` in a record, which keeps the `repr` of each param."""
    for text in (record.params or []) if record else []:
        if text.startswith(("'{", '"{')):
            return ast.literal_eval(text)
    return None


def _former(workflow: Any, jobs: list[Any]) -> dict[tuple[str, str], list[str]]:
    """Return (rule, experiment) -> the parameters of batches that no longer exist: they hold former arms."""
    batches: dict[tuple[str, str], list[Any]] = {}
    for job in jobs:
        if job.rule.name in ("sweep", "train"):
            batches.setdefault((job.rule.name, job.wildcards.experiment), []).append(job)
    found: dict[tuple[str, str], list[str]] = {}
    for key, own in batches.items():
        stem, number = str(own[0].output[0]).rsplit("-", 1)[0], len(own)
        while param := _param(workflow.persistence.metadata(IOFile(f"{stem}-{number}.json"))):
            found.setdefault(key, []).append(param)
            number += 1
    return found


def parsed(param: str | None) -> dict[str, Any]:
    """Return the content of the param `job`."""
    return json.loads(param) if param else {}
