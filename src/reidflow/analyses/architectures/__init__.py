"""The networks of the best trials of an architecture search, block by block."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Architectures found by a search"
CAPTION = "The architectures that the search found, block by block."
INPUTS = ("trials",)
FIGURES = {"architectures": "Search: the architectures found"}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment searches architectures."""
    return any(study.architectural for study in experiment.studies.values())


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.architectures import report

    return report.run(inputs)
