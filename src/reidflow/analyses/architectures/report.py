"""Report on the networks that a search found."""

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.architectures.figures import architectures
from reidflow.analyses.architectures.tables import best_networks, sections
from reidflow.search.trials_table import TRIALS, axes_of_studies


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    trials = inputs.table("trials", TRIALS(axes_of_studies(inputs.experiment.studies.values())))
    networks = best_networks(inputs.experiment, trials)
    return Report(
        sections=sections(networks),
        figures={"architectures": architectures(networks, inputs.heading("architectures"))},
    )
