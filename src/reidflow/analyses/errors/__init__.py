"""What wrong first candidates have in common with their queries, compared with chance."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Errors"
CAPTION = (
    "Wrong first candidates: how often they look more like the query than the best true match does, and by chance."
)
INPUTS = ("runs", "results", "manifest", "split", "mirrored", "local", "images", "masks")
TABLES = ("errors",)
FIGURES = {"errors": "How often a wrong first candidate looks more like the query than the best true match"}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment searches a gallery for faces, or is tested on further splits."""
    return bool(experiment.also_on or experiment.file.score)


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.errors import report

    return report.run(inputs)
