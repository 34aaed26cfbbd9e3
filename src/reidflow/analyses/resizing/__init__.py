"""Sizes of training images, fixed and progressive: mAP at each tested size and by the cost of training."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Resizing"
CAPTION = "Image sizes: the size in each epoch, mAP at other sizes of queries and gallery, and mAP by training FLOPs."
INPUTS = ("metrics", "history", "tested_on", "results")
TABLES = ("resizing", "sizes")
FIGURES = {
    "stages": "Resizing: size of the images in each epoch",
    "sizes": "Resizing: mAP at each tested size",
    "training_flops": "Resizing: mAP by training FLOPs",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether arms are trained or tested at several sizes."""
    specs = [arm.spec for arm in experiment.arms.values() if not arm.winner_of]
    return any(spec.resizing for spec in specs) or any(v.resized for v in experiment.file.tested_on.values())


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.resizing import report

    return report.run(inputs)
