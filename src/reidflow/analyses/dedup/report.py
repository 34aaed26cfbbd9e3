"""Report on a deduplication experiment."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.dedup import figures, sheets, tables
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
    images, heading = np.load(inputs.files["images"], mmap_mode="r"), inputs.heading
    return Report(
        tables={
            "methods": (methods, tables.METHODS),
            "suspects": (suspects, tables.SUSPECTS),
            "dedup": (arms, tables.ARMS),
        },
        sections=sections(found, methods, suspects, arms),
        figures={
            "detection": figures.detection(methods, heading),
            "thresholds": figures.thresholds(methods, arms, heading),
            "dynamics": figures.dynamics(own, arms, heading),
        },
        sheets={
            "groups": lambda out: sheets.groups_sheet(images, found, arms, heading, out),
            "suspects": lambda out: sheets.suspects_sheet(images, found, suspects, heading, out),
        },
    )
