"""Report on an experiment on image sizes."""

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.resizing import figures, quantities, tables
from reidflow.analyses.resizing.findings import sections
from reidflow.evaluation.image_versions import TESTED_ON
from reidflow.evaluation.runs import HISTORY, METRICS, PER_QUERY
from reidflow.tables.arms import evaluated_arms
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment = inputs.experiment
    metrics, history = inputs.table("metrics", METRICS), inputs.table("history", HISTORY)
    tested = inputs.table("tested_on", TESTED_ON) if inputs.files["tested_on"] else None
    training = tables.training_table(experiment, metrics, history, inputs.table("results", RESULTS))
    sizes = tables.sizes_table(experiment, tested)
    evaluated = evaluated_arms(experiment, metrics, inputs.table("per_query", PER_QUERY))
    return Report(
        tables={"resizing": (training, tables.RESIZING), "sizes": (sizes, tables.SIZES)},
        quantities=tables.quantity_rows(experiment, evaluated, sizes, quantities(experiment)),
        sections=sections(training, sizes),
        figures={
            "stages": figures.stages(training, inputs.heading("stages")),
            "sizes": figures.sizes(sizes, inputs.heading("sizes")),
            "training_flops": figures.training_flops(training, inputs.heading("training_flops")),
        },
    )
