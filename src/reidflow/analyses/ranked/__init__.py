"""Queries with their best candidates, and the worst query of each identity."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Ranked queries"
CAPTION = "Queries with their ten best candidates, positives and negatives marked."
INPUTS = ("runs", "split", "manifest", "mirrored", "local", "per_query", "results", "images")
TABLES = ("ranked", "worst")
SHEETS = {"ranked": "Queries with their ten best candidates", "worst": "The worst query of each identity"}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment has inference, an ensemble, a ranking by several scores, further splits or a competition score."""
    specs = [arm.spec for arm in experiment.arms.values() if not arm.winner_of]
    return bool(experiment.also_on or experiment.file.score) or any(
        spec.inference or spec.ensemble or spec.ranking for spec in specs
    )


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.ranked import report

    return report.run(inputs)
