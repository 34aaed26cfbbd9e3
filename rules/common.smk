# Shared by all rules: the session with the checked plan. Nothing here imports torch, and no file is written unless its
# content changed: a dry run must leave no trace.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The folder above this file's, also where another workflow uses this one as a module.
PROJECT = Path(workflow.current_basedir).resolve().parent
SOURCES = PROJECT / "src"
sys.path.insert(0, str(SOURCES))
from reidflow.figures.kinds import figures_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.description import TEXTS
from reidflow.store import gpus, invocation
from reidflow.workflow import report as reports
from reidflow.workflow.resources import growing
from reidflow.workflow.startup import begin_first, start

invocation.add_sources(SOURCES)
try:
    session = start(workflow, config)
except ReidflowError as error:
    raise WorkflowError(str(error)) from None
if workflow.is_main_process:
    begin_first(session, workflow)

plan, files, inputs, params = session.plan, session.files, session.inputs, session.params
requests, targets, shown, submission = session.resources, session.targets, session.shown, session.submission
DATA, TABLES, FIGURES, RESULTS = files.data, files.tables, files.figures, files.results
EXPERIMENT = files.experiment

config["compute"] = session.compute
if not workflow.is_main_process and gpus.without_gpu():
    # `cuda` is meant for the jobs that request a GPU; runs on stored features do not.
    config["compute"]["device"] = "cpu"
if session.reporting:
    reports.patch_reporter(PROJECT / "workflow" / "report")
