"""Every query with its ten best candidates, and a map of the embeddings: what the page of an experiment lets a reader browse."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Queries and embeddings"
CAPTION = "Every query with its ten best candidates, and a map of the embeddings."
INPUTS = ("runs", "split", "manifest", "mirrored", "local", "per_query", "results", "images")
FILES = ("browsing.json", "thumbnails.jpg")
TEXTS = ()


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment has embeddings, as every experiment has."""
    return True


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.browsing import report

    return report.run(inputs)
