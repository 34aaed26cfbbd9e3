"""Report on the schedules of an experiment."""

import json
from pathlib import Path

import polars as pl

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.schedules import figures
from reidflow.analyses.schedules.findings import sections
from reidflow.analyses.schedules.tables import RATES, chosen_specs, kept_rates, rates_table, recorded
from reidflow.tables.arms import HISTORY, METRICS, by_arm
from reidflow.training.learning_rates import replay


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment = inputs.experiment
    choices = json.loads(Path(inputs.files["chosen"]).read_text()) if experiment.tuned else {}
    specs, curves = chosen_specs(experiment, choices), {}
    for arm, histories in by_arm(inputs.table("history", HISTORY)).items():
        for (seed,), history in histories.group_by(["seed"], maintain_order=True):
            if history["epoch"].max() > 0:
                rates = replay(specs[arm], history)
                steps = history.filter(pl.col("epoch") == 1)["steps"][0]
                curves[arm, seed] = (recorded(history) if rates is None else rates, steps, rates is not None)
    table = rates_table(curves)
    kept = kept_rates(table, inputs.table("metrics", METRICS))
    return Report(
        tables={"rates": (table, RATES)},
        sections=sections(table, kept),
        figures={"rates": figures.rates(table, kept, experiment.file.baseline, inputs.heading("rates"))},
    )
