"""How far arms rely on the background: tested on altered backgrounds, on the background or the animal alone."""

from typing import TYPE_CHECKING

from reidflow.spec.quantities import Quantity

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


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the reliance on the background, and the mAP with altered queries for each background but the probes'."""
    meaning = (
        "(background only - chance) / (foreground only - chance): 1 where the background says as much as the animal."
    )
    probes = set(experiment.file.probes.model_dump().values())
    altered = [
        label for label, version in experiment.file.tested_on.items() if not version.unchanged and not version.resized
    ]
    return [
        Quantity("reliance", "reliance on the background", meaning, "lower"),
        *(
            Quantity(
                f"queries on {label}",
                f"mAP with queries on {label}",
                f"Balanced mAP where the queries alone have the background '{label}'; the gallery is unchanged.",
                "higher",
            )
            for label in altered
            if label not in probes
        ),
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.backgrounds import report

    return report.run(inputs)
