"""The report: tables, findings and figures of one experiment."""

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.architectures.figures import draw_architectures
from reidflow.analyses.architectures.tables import best_networks, section
from reidflow.search.trials_table import TRIALS, axes_of_studies


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    trials = inputs.table("trials", TRIALS(axes_of_studies(inputs.experiment.studies.values())))
    networks = best_networks(inputs.experiment, trials)
    return Report(
        sections=[section(networks)],
        figures={"architectures": lambda out: draw_architectures(networks, inputs.heading, out)},
    )
