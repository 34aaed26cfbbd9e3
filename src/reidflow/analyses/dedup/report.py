"""Report on a deduplication experiment."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.dedup import figures, quantities, sheets, tables
from reidflow.analyses.dedup.findings import sections
from reidflow.tables.arms import HISTORY, by_arm
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    found = tables.read_duplicates(inputs.params, inputs.files)
    histories = by_arm(inputs.table("history", HISTORY))
    methods, suspects = tables.methods_table(found), tables.suspects_table(found)
    arms = tables.arms_table(inputs.experiment, found, inputs.table("results", RESULTS), histories)
    own = {name: histories[name] for name in arms["arm"]}
    images = np.load(inputs.files["images"], mmap_mode="r")
    return Report(
        tables={
            "methods": (methods, tables.METHODS),
            "suspects": (suspects, tables.SUSPECTS),
            "dedup": (arms, tables.ARMS),
        },
        quantities=tables.quantity_rows(arms, methods, quantities(inputs.experiment)),
        sections=sections(found, methods, suspects, arms),
        figures={
            "detection": figures.detection(methods, inputs.heading("detection")),
            "thresholds": figures.thresholds(methods, arms, inputs.heading("thresholds")),
            "dynamics": figures.dynamics(own, arms, inputs.heading("dynamics")),
        },
        sheets={
            "groups": lambda out: sheets.groups_sheet(images, found, arms, inputs.heading("groups"), out),
            "suspects": lambda out: sheets.suspects_sheet(images, found, suspects, inputs.heading("suspects"), out),
        },
    )
