"""How far arms rely on the background: tested on altered backgrounds, on the background or the animal alone."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Backgrounds"
CAPTION = "How far the arms rely on the background: tested on backgrounds that they were not trained on, with altered queries alone, and on the background or the animal alone; and the same images under every intervention."
INPUTS = ("tested_on", "results", "manifest", "masks", "versions")
TABLES = ("tested_on", "reliance")
FIGURES = {
    "tested_on": "Backgrounds: trained on (rows), tested on (columns)",
    "query_only": "Backgrounds: altered queries, unchanged gallery",
    "reliance": "Backgrounds: reliance on them",
}
SHEETS = {"interventions": "Backgrounds: the interventions, image by image"}


def applies(experiment: "Experiment") -> bool:
    """Return whether the experiment has probes of the background."""
    return bool(experiment.file.probes)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.backgrounds import report

    return report.run(inputs)
