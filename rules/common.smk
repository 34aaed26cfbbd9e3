# What the workflow stands on: the checked plan, the guards of the main process, and the param that describes a job.
# Nothing here imports torch, and no file is written unless its content changed: a dry run must leave no trace.
import atexit
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

SOURCES = (Path(workflow.basedir) / "src").resolve()
sys.path.insert(0, str(SOURCES))
from reidflow.figures.kinds import figures_of
from reidflow.ingest import rawdata
from reidflow.spec import code, plan
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.spec.remember import once_each
from reidflow.spec.run import RunSpec
from reidflow.spec.strengths import candidates
from reidflow.store import digests, disk, gpus, invocation

REPORTING = invocation.is_report()
invocation.add_sources(SOURCES)
digests.load_parsed_code()
if workflow.is_main_process:
    atexit.register(digests.save_parsed_code)
try:
    with disk.explained():
        PLAN = plan.make(
            workflow.config_settings.configfiles or ["config/config.yaml"],
            workflow.config_settings.config,
        )
        CONFIG = PLAN.config
        RESULTS = CONFIG.results
        if workflow.is_main_process:
            invocation.prepare_main(Path(RESULTS))
            DAMAGED = invocation.remove_damaged(Path(RESULTS))
        else:
            DAMAGED = []
            SAME_MACHINE = workflow.exec_mode == ExecMode.SUBPROCESS
            invocation.prepare_job(Path(RESULTS), SAME_MACHINE)
            if not SAME_MACHINE:
                gpus.hide_unassigned()
        RAW = "" if REPORTING else rawdata.identify(CONFIG, refresh=workflow.is_main_process)
except ReidflowError as error:
    raise WorkflowError(str(error)) from None


# Snakemake knows a number of cluster jobs only where it hands jobs to a cluster.
CLUSTER = workflow.resource_settings.nodes is not None
GPUS = gpus.requested_gpus(CONFIG.compute.device, CLUSTER, workflow.is_main_process)

# Scripts read this from `snakemake.config`, which no re-run trigger looks at: it affects speed and no number.
config["compute"] = CONFIG.compute.model_dump(mode="json")
config["compute"]["started"] = invocation.started()
if not workflow.is_main_process and gpus.without_gpu():
    # `cuda` is meant for the jobs that request a GPU; runs on stored features do not.
    config["compute"]["device"] = "cpu"


def describe(script, what, modules=()):
    """Return the one param of a job: canonical JSON of all that determines it, the digest of its code included."""
    roots = [f"workflow/scripts/{script}.py", *modules]
    if REPORTING:
        # Snakemake puts it into the page as it is, beside every result.
        return roots[0]
    return canonical({"results": RESULTS, "roots": roots, "code": code.digest(*roots), **what})


def params_of(jobs):
    """Return the param of every job that `describe` described."""
    return [job.params.job for job in jobs if "job" in job.params.keys()]


def later(function, *arguments):
    """Return a param that is worked out for its own job alone: every job's process reads all rules."""
    return lambda wildcards: function(*arguments)


def growing(amount):
    """Return a resource that doubles with each attempt."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)
