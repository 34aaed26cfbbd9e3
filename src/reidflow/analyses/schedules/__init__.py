"""The learning rate of each arm by epoch, as it was in the runs."""

from typing import TYPE_CHECKING

from reidflow.spec.canonical import canonical
from reidflow.spec.plan import modules as modules_of

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Schedules"
CAPTION = "The learning rate of each arm by epoch, and where the weights were kept."
INPUTS = ("chosen", "history", "metrics")
TABLES = ("rates",)
FIGURES = {"rates": "Schedules: learning rate of each arm"}


def applies(experiment: "Experiment") -> bool:
    """Return whether the arms differ in their scheduler alone."""
    specs = [arm.spec for arm in experiment.arms.values() if not arm.winner_of]
    return set(experiment.file.varies) <= {"scheduler"} and len({canonical(spec.scheduler) for spec in specs}) > 1


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the schedulers, which `run` executes."""
    specs = [spec for arm in experiment.arms.values() for spec in arm.specs]
    return modules_of(*(("scheduler", spec.scheduler) for spec in specs))


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.schedules import report

    return report.run(inputs)
