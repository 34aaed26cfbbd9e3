"""The report: tables, findings and figures of one experiment."""

import json
from pathlib import Path

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.search import AT_STEPS, effects, figures, quantities, tables
from reidflow.analyses.search.findings import sections
from reidflow.search.trials_table import TRIALS, TRIALS_EFFICIENCY, axes_of_studies
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment = inputs.experiment
    axes = axes_of_studies(experiment.studies.values())
    winners = json.loads(Path(inputs.files["winners"]).read_text())
    trials, timed = inputs.table("trials", TRIALS(axes)), inputs.table("trials_efficiency", TRIALS_EFFICIENCY)
    results, comparisons = inputs.table("results", RESULTS), inputs.table("comparisons", COMPARISONS)
    progress = tables.best_so_far(trials, timed)
    found = {
        "search": (tables.budget_table(experiment, trials, winners, results), tables.SEARCH),
        "search.efficiency": (tables.efficiency_table(experiment, timed), tables.SEARCH_EFFICIENCY),
        "budgets": (tables.budgets_table(experiment, progress, winners), tables.BUDGETS),
        "progress": (progress.drop("seconds"), tables.PROGRESS),
        "importances": (effects.importances_table(experiment, trials), effects.IMPORTANCES),
        "effects": (effects.effects_table(experiment, trials), effects.EFFECTS),
    }
    frames = {name: frame for name, (frame, _) in found.items()}
    baseline = results.filter("baseline").row(0, named=True)
    value = baseline["val_id_map"]
    gains, measured = tables.against_matched(experiment, comparisons, results), []
    for quantity in quantities(experiment):
        if quantity.name == AT_STEPS:
            measured += tables.quantity_rows(quantity, gains)
        else:
            measured += tables.validated_rows(quantity, experiment, frames["budgets"])
    return Report(
        tables=found,
        quantities=measured,
        sections=sections(experiment, trials, results, comparisons, frames),
        figures={
            "progress": figures.progress(progress, inputs.heading("progress"), value),
            "slices": figures.slices(trials, axes, inputs.heading("slices"), value),
            "parallel": figures.parallel(trials, axes, inputs.heading("parallel"), value),
            "importances": figures.importances(frames["importances"], inputs.heading("importances")),
            "effects": figures.effects(frames["effects"], inputs.heading("effects")),
            "front": figures.front(tables.front(trials), inputs.heading("front"), baseline),
        },
    )
