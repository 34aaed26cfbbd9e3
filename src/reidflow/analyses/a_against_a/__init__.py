"""How often runs of one configuration lead to a wrong verdict: random experiments cut from an experiment's own runs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "A against A"
CAPTION = "The share of random experiments on runs of one configuration that end in a wrong verdict."
INPUTS = ("metrics", "per_query")
TABLES = ("false_verdicts",)


def applies(experiment: "Experiment") -> bool:
    """Return whether the arms differ in their training seeds alone, on one split."""
    return set(experiment.file.varies) == {"seed"} and len(experiment.divisions) == 1


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.a_against_a import report

    return report.run(inputs)
