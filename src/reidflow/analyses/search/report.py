"""The report: tables, findings and figures of one experiment."""

import json
from pathlib import Path

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.search import effects, figures, tables
from reidflow.analyses.search.findings import sections
from reidflow.analyses.search.found import Found
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
    found = Found.of(experiment, trials, timed, winners, results, comparisons)
    base, heading = found.baseline, inputs.heading
    value = base["val_id_map"]
    return Report(
        tables={
            "search": (found.search, tables.SEARCH),
            "search.efficiency": (found.efficiency, tables.SEARCH_EFFICIENCY),
            "progress": (found.progress.drop("seconds"), tables.PROGRESS),
            "importances": (found.importances, effects.IMPORTANCES),
            "effects": (found.effects, effects.EFFECTS),
        },
        sections=sections(experiment, found),
        figures={
            "progress": figures.progress(found.progress, heading, value),
            "slices": figures.slices(found.trials, axes, heading, value),
            "parallel": figures.parallel(found.trials, axes, heading, value),
            "importances": figures.importances(found.importances, heading),
            "effects": figures.effects(found.effects, heading),
            "front": figures.front(
                found.front, heading, {"value": value, **{cost: base[cost] for cost in figures.COSTS}}
            ),
        },
    )
