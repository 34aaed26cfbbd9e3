"""What a dry run of Snakemake finds: the jobs that would run, what each was told before and would be told now."""

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

SAMPLED = 20  # jobs of a rule whose recorded times are looked at


class Asked(NamedTuple):
    """What is to be planned: config files, experiments ([] for all); the others as Snakemake's options of that name."""

    files: list[str]
    experiments: list[str]
    cores: str | None = None
    profile: str | None = None
    config: Sequence[str] = ()


@dataclass
class PlannedJob:
    """A job that would run. given, before: its param as JSON, now and when it last ran; upstream: jobs it waits for."""

    rule: str
    wildcards: dict[str, str]
    outputs: list[str]
    inputs: list[str]
    threads: int
    cards: int
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
    """The jobs that would run, each after those it waits for, and what is known of all jobs.

    total: how many jobs there are in all. cores, cards, parallel: how many may be used, and how many jobs at once.
    damaged: outputs that are not as they were written. raw: digest of the photographs. device: `cpu` or `cuda`.
    unrecorded: jobs that would not run and of which Snakemake has no record.
    seconds: rule -> (output, how long its job took). beyond: what batches of runs were told that there are no longer.
    """

    plan: Plan
    results: Path
    jobs: list[PlannedJob]
    total: int
    cores: int | None
    cards: int | None
    parallel: int | None
    damaged: list[str]
    raw: str
    device: str
    unrecorded: int
    seconds: dict[str, list[tuple[str, float]]]
    beyond: dict[tuple[str, str], list[str]]


def read_dag(asked: Asked) -> Dag:
    """Return what `snakemake -n` would find in the current folder. Nothing is run or written.

    Raises ReidflowError with what Snakemake says is wrong.
    """
    # Snakemake's own words for a config that cannot be read are a traceback.
    read(asked.files)
    arguments = ["-n", "-q", "--snakefile", str(_snakefile()), "--configfile", *asked.files]
    arguments += ["--cores", asked.cores] if asked.cores else []
    arguments += ["--profile", asked.profile] if asked.profile else []
    arguments += ["--config", *asked.config] if asked.config else []
    said = io.StringIO()
    with _called(["snakemake", *arguments]), redirect_stdout(said), redirect_stderr(said):
        try:
            parser, given = cli.parse_args(arguments)
        except SystemExit:
            raise ReidflowError(said.getvalue().strip()) from None
        except CliException as error:
            raise ReidflowError(str(error)) from None
        with _watched(given, asked.experiments) as found:
            cli.args_to_api(given, parser)
    if not found:
        raise ReidflowError(said.getvalue().strip())
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
    """Let the Snakefile see the command line of a dry run: some of its guards look at it."""
    kept, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = kept


@contextmanager
def _watched(given: Any, experiments: list[str]) -> Iterator[list[Dag]]:
    """Have Snakemake's own command line report what it finds, in a list of one element."""
    found: list[Dag] = []

    class Watched(SnakemakeApi):
        def workflow(self, *arguments: Any, **settings: Any) -> Any:
            made = super().workflow(*arguments, **settings)
            parsed_workflow = made._workflow
            _without_damaged(parsed_workflow)
            given.targets = _targets(parsed_workflow.globals, experiments)
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
    """Let the dry run find the damaged files gone, as a real run does after removing them."""
    damaged, prepare = {str(path) for path in workflow.globals["DAMAGED"]}, workflow._prepare_dag

    def prepared(*arguments: Any, **settings: Any) -> None:
        prepare(*arguments, **settings)
        workflow.iocache._exists_local = _WithoutDamaged(workflow.iocache, damaged)

    if damaged:
        workflow._prepare_dag = prepared


class _WithoutDamaged(ExistsDict):
    """Which files exist, the damaged ones left out."""

    def __init__(self, cache: Any, damaged: set[str]) -> None:
        super().__init__(cache)
        self._damaged = damaged

    def __setitem__(self, path: str, exists: bool) -> None:
        super().__setitem__(path, exists and str(path) not in self._damaged)


def _targets(names: dict[str, Any], experiments: list[str]) -> list[str]:
    """Return what Snakemake is to make: everything, or the results of some experiments."""
    known: Plan = names["PLAN"]
    unknown = [name for name in experiments if name not in known.experiments]
    if unknown:
        raise ReidflowError(f"no experiment '{unknown[0]}' in {known.where}. Known: {', '.join(known.experiments)}.")
    return [path for name in experiments for path in names["results_of"](name)]


def _dag(workflow: Any, executor: str) -> Dag:
    dag, names = workflow.dag, workflow.globals
    levels = [sorted(level, key=lambda job: (job.rule.name, *map(str, job.output))) for level in dag.toposorted()]
    every = [job for level in levels for job in level if not job.rule.norun]
    needed = [job for job in every if dag.needrun(job)]
    place = {job: index for index, job in enumerate(needed)}
    limits, local = workflow.global_resources, executor == "local"
    return Dag(
        plan=names["PLAN"],
        results=Path(names["RESULTS"]),
        jobs=[_job(workflow, job, place) for job in needed],
        total=len(every),
        cores=workflow.cores if local else None,
        cards=limits["gpu"].value if "gpu" in limits else None,
        parallel=None if local else workflow.nodes,
        damaged=[str(path) for path in names["DAMAGED"]],
        raw=names["RAW"],
        device="cuda" if names["GPUS"] else "cpu",
        unrecorded=sum(bool(dag.reason(job).no_metadata) for job in every if job not in place),
        seconds=_seconds(workflow, every),
        beyond=_beyond(workflow, every),
    )


def _job(workflow: Any, job: Any, place: dict[Any, int]) -> PlannedJob:
    reason, resources = workflow.dag.reason(job), job.resources
    record = _record(workflow, job)
    return PlannedJob(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        outputs=list(map(str, job.output)),
        inputs=sorted(map(str, job.input)),
        threads=int(resources.get("_cores", 1)),
        cards=int(resources.get("gpu", 0)),
        upstream=sorted(place[other] for other in workflow.dag.dependencies[job] if other in place),
        given=job.params.get("job"),
        before=_param(record),
        inputs_before=record.input if record else None,
        seconds_before=_took(record),
        missing=sorted(map(str, reason.missing_output)),
        newer=sorted(map(str, reason.updated_input)),
        follows=bool(reason.updated_input_run),
        interrupted=bool(reason.forced),
        environment=bool(reason.software_stack_changed),
    )


def _record(workflow: Any, job: Any) -> Any:
    """Return what Snakemake noted of the job when it last ran; None where it never did."""
    return next(filter(None, map(workflow.persistence.metadata, job.output)), None)


def _param(record: Any) -> str | None:
    """Return the JSON of the param `job` in a record, which keeps the `repr` of each param."""
    for text in (record.params or []) if record else []:
        if text.startswith(("'{", '"{')):
            return ast.literal_eval(text)
    return None


def _took(record: Any) -> float | None:
    """Return how many seconds the job of a record took."""
    if record is None or not record.starttime or not record.endtime:
        return None
    return max(record.endtime - record.starttime, 0.0)


def _seconds(workflow: Any, jobs: list[Any]) -> dict[str, list[tuple[str, float]]]:
    """Return rule -> (output, seconds) of some of its jobs that ran before."""
    looked: dict[str, int] = {}
    found: dict[str, list[tuple[str, float]]] = {}
    for job in jobs:
        if looked.setdefault(job.rule.name, 0) < SAMPLED and job.output:
            looked[job.rule.name] += 1
            took = _took(_record(workflow, job))
            if took is not None:
                found.setdefault(job.rule.name, []).append((str(job.output[0]), took))
    return found


def _beyond(workflow: Any, jobs: list[Any]) -> dict[tuple[str, str], list[str]]:
    """Return (rule, experiment) -> what batches of runs were told that there are no longer: they tell of former arms."""
    found = {}
    for rule in ("sweep", "train"):
        batches: dict[str, list[Any]] = {}
        for job in jobs:
            if job.rule.name == rule:
                batches.setdefault(job.wildcards.experiment, []).append(job)
        for experiment, own in batches.items():
            told, pattern, number = [], str(own[0].output[0]).rsplit("-", 1)[0], len(own)
            while param := _param(workflow.persistence.metadata(IOFile(f"{pattern}-{number}.json"))):
                told.append(param)
                number += 1
            found[rule, experiment] = told
    return found


def parsed(param: str | None) -> dict[str, Any]:
    """Return the content of a param."""
    return json.loads(param) if param else {}
