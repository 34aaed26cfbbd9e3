"""The best experiment over training seeds and splits, and whether the noise can carry what others report."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment
    from reidflow.spec.plan import Plan

TITLE = "Seeds"
CAPTION = "The noise behind the experiment: the best arm over training seeds and over splits, and the differences that other experiments report beside that noise."
INPUTS = ("metrics", "best", "runs", "split_runs", "audits", "other_results")
TABLES = ("seeds", "spreads", "ranking", "readings")
FIGURES = {"seeds": "Seeds: mAP of each seed and of each split", "readings": "Seeds: differences beside the noise"}
FILES = ("best.yaml",)


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment takes the best arm of others (`candidates`)."""
    return experiment.file.candidates is not None


def params(plan: "Plan", experiment: str) -> dict[str, Any]:
    """Return what decides the report beside the experiment and its inputs."""
    return {"others": [name for name in plan.experiments if name != experiment]}


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.seeds import report

    return report.run(inputs)
