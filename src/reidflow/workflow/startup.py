"""The start of a Snakemake process: the checked plan, the guards of the main process, and the wiring of the rules."""

import atexit
import gc
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from reidflow.analyses.analysis import check_headlines
from reidflow.ingest import network_file, rawdata
from reidflow.models.available import hub_reachable, worth_retrying
from reidflow.spec import plan as plans
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan
from reidflow.spec.yaml import dumps
from reidflow.store import digests, disk, gpus, invocation
from reidflow.store.atomic import write_text
from reidflow.store.experiments import save_experiments
from reidflow.workflow.files import Files
from reidflow.workflow.inputs import Inputs
from reidflow.workflow.params import Params
from reidflow.workflow.progress import Progress, attach
from reidflow.workflow.report import Shown
from reidflow.workflow.resources import Resources
from reidflow.workflow.submission import Submission
from reidflow.workflow.targets import Targets, intact

CONFIG = "config/config.yaml"
"""The config of a command that names none."""


@dataclass(frozen=True)
class Configs:
    """Where the config comes from: files, later ones merged into earlier ones, and what is merged into them."""

    files: list[str | Path]
    overrides: dict[str, Any]

    def written(self) -> list[str | Path]:
        """Return the files; a config that another workflow has made without any is written to one first."""
        if self.files:
            return self.files
        file = Path(".snakemake") / f"reidflow-{short(self.overrides)}.yaml"
        write_text(file, dumps(self.overrides))
        return [file]


@dataclass(frozen=True)
class Session:
    """One Snakemake process.

    raw: digest of the raw data. network: of the network that computes masks, '' without one. answers: file of answers on
    pairs of images -> its digest. damaged: results that changed since they were written. cluster: whether jobs go to a cluster. gpus: how many a job that runs a network requests.
    configs: the config's files. progress: of the run of the pipeline that this process plans; None in a process that starts
    no jobs.
    """

    plan: Plan
    raw: str
    damaged: list[Path]
    reporting: bool
    cluster: bool
    gpus: int
    configs: Configs = Configs([CONFIG], {})
    progress: Progress | None = None
    network: str = ""
    raw_files: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def files(self) -> Files:
        """The results folder."""
        return Files(self.plan)

    @cached_property
    def inputs(self) -> Inputs:
        """What jobs read."""
        return Inputs(self.files, self.raw_files)

    @cached_property
    def params(self) -> Params:
        """What determines jobs."""
        return Params(self.inputs, self.reporting)

    @cached_property
    def resources(self) -> Resources:
        """What jobs request."""
        return Resources(self.inputs, self.gpus)

    @cached_property
    def targets(self) -> Targets:
        """What users read."""
        return Targets(self.files, self._present)

    @cached_property
    def shown(self) -> Shown:
        """What the report shows."""
        return Shown(self.files, self.reporting, self._present)

    @cached_property
    def submission(self) -> Submission:
        """What a competitor submits."""
        return Submission(self.inputs, self.params, self.raw)

    @property
    def _present(self) -> Any:
        return partial(intact, damaged=self.damaged)

    @property
    def compute(self) -> dict[str, Any]:
        """What affects speed and no number: scripts read it from `snakemake.config`, which triggers no re-run."""
        return {**self.plan.config.compute.model_dump(mode="json"), "started": invocation.started()}

    def raw_modules(self) -> list[str]:
        """Return the components that read the raw data."""
        return rawdata.modules(self.plan.config)

    def networks(self) -> dict[str, list[str]]:
        """Return the networks that are described in each job, which is named after what it describes.

        A downloaded one has a job of its own, which every run that needs it waits for.
        """
        compared = {
            name for experiment in self.plan.experiments for name in self.files.compared_networks(experiment).values()
        }
        downloaded = [name for name, network in self.plan.backbones().items() if self.files.network(network)]
        installed = sorted(compared - set(downloaded))
        return {**{name: [name] for name in downloaded}, **({"installed": installed} if installed else {})}

    def all_tables(self, config: dict[str, Any]) -> list[str]:
        """Return the targets of `all_tables`; for a report what is there of it, with its texts put into `config`."""
        if not self.reporting:
            return self.targets.all_results()
        wanted, left_out = self.targets.reported()
        config["report"] = self.targets.report_texts(left_out)
        return wanted

    def begin(self, workflow: Any) -> int:
        """Begin a real run in the main process: return the descriptor of its lock. Raises ReidflowError.

        workflow: Snakemake's object of that name.
        """
        results = Path(self.files.results)
        # The command that queries the cluster for the state of jobs.
        status_command = getattr(workflow.executor_settings, "status_command", None)
        digests.save_parsed_code()
        if self.cluster:
            invocation.require_job_memory(status_command)
        with disk.explained(self.files.results):
            lock = invocation.begin(results)
            invocation.record(results, self.configs.written(), workflow)
            # Params name code and experiments by digests: jobs load their contents, and a later plan compares them.
            jobs = workflow.dag.needrun_jobs()
            given = [job.params.job for job in jobs if "job" in dict(job.params.items())]
            digests.record_code(results, given)
            save_experiments(results, given, self.plan.descriptions)
            self.progress.begin(workflow, map(json.loads, given), self.cluster)
            if self.raw:
                digests.record_images(results, self.raw, rawdata.cache_file(results))
        prioritize(workflow.dag, list(self.plan.experiments))
        return lock


def prioritize(dag: Any, experiments: list[str]) -> None:
    """Have Snakemake finish one experiment after the other, in this order: a job runs for the first that needs it.

    dag: Snakemake's, which has no other place for priorities that depend on what a job is needed for. Jobs that the
    user prioritizes stay first.
    """
    own: dict[str, list[Any]] = {}
    for job in dag.needrun_jobs():
        own.setdefault(job.wildcards_dict.get("experiment", ""), []).append(job)
    seen: set[Any] = set()
    for place, experiment in enumerate(experiments):
        waiting = own.get(experiment, [])
        while waiting:
            job = waiting.pop()
            if job not in seen:
                seen.add(job)
                dag._priority[job] = max(dag._priority.get(job, 0), len(experiments) - place)
                waiting += dag.dependencies[job]


def _configs(workflow: Any, config: dict[str, Any]) -> Configs:
    """Return where the config of a command comes from.

    As a module of another workflow, reidflow takes the `config` that it is given there. Where that is what the other
    workflow read from its files, these are read again, as Snakemake merges components otherwise and reads YAML 1.1.
    """
    given, overrides = workflow.config_settings.configfiles, workflow.config_settings.config
    if workflow.modifier.is_main_snakefile():
        return Configs(list(given) or [CONFIG], overrides)
    declared = workflow.configfiles[len(given) :]
    if declared or given:
        whole = workflow.modifier_stack[0].globals["config"]
        if config == whole:
            return Configs([*declared, *given], overrides)
    return Configs([], dict(config))


def begin_first(session: Session, workflow: Any) -> None:
    """Have Snakemake begin the session before its first job, and then what other Snakefiles do `onstart`.

    Snakemake ignores `onstart` in a module, and of several handlers it keeps the last.
    """
    register = workflow.onstart

    def begin(others: Callable[[Any], None], log: Any) -> None:
        try:
            workflow.reidflow_lock = session.begin(workflow)
        except ReidflowError as error:
            from snakemake.exceptions import WorkflowError

            raise WorkflowError(str(error)) from None
        others(log)

    workflow._onstart = partial(begin, workflow._onstart)
    workflow.onstart = lambda handler: register(partial(begin, handler))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from walking what a process holds to its end: Snakemake's modules, and the plan."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _retry_downloads(plan: Plan) -> None:
    """Remove what says that a network or local features are unavailable and may be made now, so that a job tries again."""
    if invocation.is_dry_run():
        return
    files = Files(plan)
    networks = [path for network in plan.backbones().values() for path in files.network(network)]
    local = [f"{files.local_bank.format(bank=bank)}/local.json" for bank in plan.local_banks()]
    for path in worth_retrying([*networks, *local]):
        print(f"{path}: its weights were unavailable before; trying again", file=sys.stderr)
        path.unlink(missing_ok=True)


def _network(plan: Plan, main: bool) -> str:
    """Return what identifies the network that computes masks; a real run downloads it first where the config says so."""
    if main and plan.config.dataset.masks and not invocation.is_dry_run():
        network_file.download(plan.config.dataset.masks, hub_reachable)
    return rawdata.identify_network(plan.config, refresh=main)


def start(workflow: Any, config: dict[str, Any]) -> Session:
    """Return the session of a Snakemake process. Raises ReidflowError.

    workflow, config: Snakemake's objects of these names, as the including Snakefile sees them.
    """
    main = workflow.is_main_process
    reporting = invocation.is_report()
    digests.load_parsed_code()
    invocation.limit_scheduling()
    if main:
        atexit.register(digests.save_parsed_code)
    with disk.explained(), _uncollected():
        configs = _configs(workflow, config)
        plan = plans.make(configs.files, configs.overrides)
        check_headlines(plan)
        results, damaged = Path(plan.config.results), []
        if main:
            invocation.prepare_main(results)
            damaged = invocation.remove_damaged(results)
            _retry_downloads(plan)
        else:
            same_machine = workflow.exec_mode.name == "SUBPROCESS"
            invocation.prepare_job(results, same_machine)
            if not same_machine:
                gpus.hide_unassigned()
        raw, files = ("", 0) if reporting else rawdata.identify(plan.config, refresh=main)
        network = "" if reporting else _network(plan, main)
        answers = {} if reporting else rawdata.identify_answers(plan.config, refresh=main)
    # Snakemake knows a number of cluster jobs only where it submits jobs to a cluster.
    cluster = workflow.resource_settings.nodes is not None
    requested = gpus.requested_gpus(plan.config.compute.device, cluster, main)
    progress = attach(plan, invocation.is_dry_run()) if main else None
    session = Session(plan, raw, damaged, reporting, cluster, requested, configs, progress, network, files, answers)
    session.submission.check()
    return session
