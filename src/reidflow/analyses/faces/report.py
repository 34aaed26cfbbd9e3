"""The report: tables, findings and figures of one experiment."""

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.faces.arms import controlled_arms
from reidflow.analyses.faces.collected import CONTRACTS, Found, all_tables
from reidflow.analyses.faces.figures import draw_all
from reidflow.analyses.faces.findings import sections
from reidflow.evaluation.runs import ALSO_ON, METRICS, validate_runs
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.tables.experiment import EFFICIENCY, RESULTS

TABLES = {
    "configurations": "configurations",
    "efficiency": "configurations.efficiency",
    "architectures": "architectures",
    "ablation": "ablation",
    "choices": "choices.efficiency",
}
"""Contract -> name of the table."""


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    split, manifest = inputs.table("split", SPLIT), inputs.table("manifest", MANIFEST)
    chosen = controlled_arms(inputs.experiment)
    runs = [run for run in inputs.trained().runs if run.arm in chosen]
    validated = validate_runs(runs, split, manifest, inputs.config.gallery, inputs.mirrored())
    other = inputs.table("also_on", ALSO_ON) if inputs.files["also_on"] else None
    results, efficiency = inputs.table("results", RESULTS), inputs.table("efficiency", EFFICIENCY)
    found = Found(inputs.table("metrics", METRICS), results, efficiency, validated, other)
    faces = all_tables(inputs.experiment, found, dict(split["role"].value_counts().iter_rows()))
    return Report(
        tables={TABLES[name]: (getattr(faces, name), contract) for name, contract in CONTRACTS.items()},
        sections=sections(inputs.experiment.file, faces, results, ["ranked"]),
        figures=draw_all(faces, inputs.heading),
    )
