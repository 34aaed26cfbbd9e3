"""What queries of one flank find among candidates of each flank."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Flanks"
CAPTION = "What queries of one flank find among candidates of each flank, beside chance."
INPUTS = ("runs", "split", "manifest", "mirrored", "local", "results")
TABLES = ("flanks",)
FIGURES = {"flanks": "mAP of queries of one flank among candidates of each flank"}
STEP = "flank_first"


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment wants results by flank, or ranks the query's flank first."""
    specs = [spec for arm in experiment.arms.values() for _, spec in arm.points]
    return experiment.file.flanks or any(step["name"] == STEP for spec in specs for step in spec.inference)


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the mAP among candidates of the query's flank, and among those of other ones."""
    meaning = "Balanced mAP of queries of known flank, each among candidates of"
    return [
        Quantity("same_flank", "mAP, same flank", f"{meaning} its own flank alone.", "higher"),
        Quantity("other_flank", "mAP, other flank", f"{meaning} other known flanks alone.", "higher"),
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.flanks import report

    return report.run(inputs)
