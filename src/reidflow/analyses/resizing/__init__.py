"""Sizes of training images, fixed and progressive: mAP at each tested size and by the cost of training."""

from typing import TYPE_CHECKING

from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Resizing"
CAPTION = "Image sizes: the size in each epoch, mAP at other sizes of queries and gallery, and mAP by training FLOPs."
INPUTS = ("metrics", "per_query", "history", "tested_on", "results")
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


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the mAP by the operations that the training took, and the mAP at each other tested size."""
    meaning = "Balanced mAP divided by the floating-point operations of the whole training, in units of 10^12."
    resized = [label for label, version in experiment.file.tested_on.items() if version.resized]
    return [
        Quantity("map_per_operation", "mAP per 10^12 operations", meaning, "higher"),
        *(
            Quantity(
                f"at {label}",
                f"mAP at {label}",
                f"Balanced mAP where queries and gallery have the size of '{label}'.",
                "higher",
            )
            for label in resized
        ),
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.resizing import report

    return report.run(inputs)
