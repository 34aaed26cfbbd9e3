"""The gain of each augmentation alone and among all others, and the strength of the best ones."""

from typing import TYPE_CHECKING

from reidflow.spec.canonical import canonical
from reidflow.spec.plan import modules as modules_of

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Augmentation"
CAPTION = "The gain of each augmentation alone and among all others, mAP by the strength of the best ones, and training images as the network sees them."
INPUTS = ("metrics", "results", "picked", "strengths", "manifest", "split", "images", "masks")
ONE_SPLIT = False  # it shows training images of the first split, and compares over all
TABLES = ("parts", "strengths")
FIGURES = {"parts": "Augmentation: gain of each part alone and among all", "strengths": "Augmentation: mAP by strength"}
TEXTS = ("question", "why")
SHEETS = {"augmented": "Augmentation: images as the network sees them"}


def applies(experiment: "Experiment") -> bool:
    """Return whether the arms differ in their augmentation alone."""
    specs = [arm.spec for arm in experiment.arms.values() if not arm.winner_of]
    varied = set(experiment.file.varies) <= {"augmentation", "views"}
    return varied and len({canonical(spec.augmentation) for spec in specs}) > 1


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the augmentations, which `run` executes."""
    specs = [spec for arm in experiment.arms.values() for spec in arm.specs]
    return modules_of(*(("augmentation", step) for spec in specs for step in spec.augmentation))


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.augmentation import report

    return report.run(inputs)
