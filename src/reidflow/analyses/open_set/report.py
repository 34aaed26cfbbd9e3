"""The report on an experiment with new individuals."""

import json

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.open_set import figures, quantities, tables
from reidflow.analyses.open_set.findings import sections
from reidflow.analyses.open_set.sheets import suspects_sheet
from reidflow.evaluation.ranked_runs import shown_arms
from reidflow.figures.contact import ImageRows
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.experiment import RESULTS
from reidflow.tables.quantities import compared


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment, layout, mirrored = inputs.experiment, inputs.layout(), inputs.mirrored()
    made = tables.decided(layout, inputs.trained().runs, mirrored)
    rates = tables.rates_table(experiment, made)
    arms = tables.arms_table(experiment, made, rates)
    linking, unknowns = tables.linked(experiment, layout, made, mirrored)
    curves, by_arm = tables.curves_table(experiment, made), tables.by_arm(experiment, made)
    names = dict(zip(layout.identity.tolist(), layout.table["identity"], strict=True))
    values, baseline = tables.values_of(by_arm, names), experiment.file.baseline
    measured = [
        row for each in quantities(experiment) for row in compared(each, values[each.name], baseline, largest=1)
    ]
    shown = shown_arms(inputs.table("results", RESULTS))[-1:]
    images = ImageRows.of(np.load(inputs.files["images"], mmap_mode="r"), inputs.table("manifest", MANIFEST))
    decisions = {arm: own[0].decision.to_json() for arm, own in by_arm.items()}
    return Report(
        tables={
            "open_set": (arms, tables.OPEN_SET),
            "promises": (rates, tables.RATES),
            "curves": (curves, tables.CURVES),
            "linking": (linking, tables.LINKING),
            "unknowns": (unknowns, tables.UNKNOWNS),
        },
        quantities=measured,
        sections=sections(arms, rates, linking, measured),
        figures={
            "roc": figures.roc(curves, arms, inputs.heading("roc")),
            "risk": figures.risk(curves, inputs.heading("risk")),
            "promises": figures.promises(rates, inputs.heading("promises")),
        },
        sheets={"unknowns": lambda out: suspects_sheet(images, unknowns, shown, inputs.heading("unknowns"), out)},
        files={"decisions.json": json.dumps(decisions, indent=1) + "\n"},
    )
