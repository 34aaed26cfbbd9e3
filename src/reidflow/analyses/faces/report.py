"""The report: tables, findings and figures of one experiment."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.faces import figures
from reidflow.analyses.faces.arms import controlled_arms
from reidflow.analyses.faces.choices import CHOICES, choices_table, values_of
from reidflow.analyses.faces.findings import sections
from reidflow.analyses.faces.tables import (
    ABLATION,
    ARCHITECTURES,
    CONFIGURATIONS,
    CONFIGURATIONS_EFFICIENCY,
    Faces,
    ablation_table,
    architectures_table,
    configurations_table,
    efficiency_table,
    embedded_images,
)
from reidflow.evaluation.runs import ALSO_ON, METRICS, validate_runs
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.experiment import Experiment
from reidflow.splits.split import SPLIT
from reidflow.tables.experiment import EFFICIENCY, RESULTS

CONTRACTS = {
    "configurations": CONFIGURATIONS,
    "architectures": ARCHITECTURES,
    "configurations.efficiency": CONFIGURATIONS_EFFICIENCY,
    "ablation": ABLATION,
    "choices.efficiency": CHOICES,
}
"""Table -> contract, in the order of Faces."""


class Sources(NamedTuple):
    """Sources of the tables: METRICS of the runs, RESULTS, EFFICIENCY, VALIDATED, and ALSO_ON or None."""

    metrics: pl.DataFrame
    results: pl.DataFrame
    efficiency: pl.DataFrame
    validated: pl.DataFrame
    also_on: pl.DataFrame | None


def all_tables(experiment: Experiment, sources: Sources, roles: Mapping[str, int]) -> Faces:
    """Return the tables. roles: role of the split -> its number of images."""
    configurations = configurations_table(experiment, sources.metrics, sources.results)
    architectures = architectures_table(configurations)
    values = values_of(sources.validated, sources.also_on, sources.efficiency)
    return Faces(
        configurations,
        architectures,
        efficiency_table(configurations, sources.efficiency, embedded_images(experiment, roles)),
        ablation_table(configurations, sources.results),
        choices_table(architectures, sources.metrics, values),
    )


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    split, manifest = inputs.table("split", SPLIT), inputs.table("manifest", MANIFEST)
    chosen = controlled_arms(inputs.experiment)
    runs = [run for run in inputs.trained().runs if run.arm in chosen]
    validated = validate_runs(runs, split, manifest, inputs.config.gallery, inputs.mirrored())
    other = inputs.table("also_on", ALSO_ON) if inputs.files["also_on"] else None
    results, efficiency = inputs.table("results", RESULTS), inputs.table("efficiency", EFFICIENCY)
    sources = Sources(inputs.table("metrics", METRICS), results, efficiency, validated, other)
    faces = all_tables(inputs.experiment, sources, dict(split["role"].value_counts().iter_rows()))
    flops = dict(results.select("arm", "flops").iter_rows())
    return Report(
        tables={name: (table, CONTRACTS[name]) for name, table in zip(CONTRACTS, faces, strict=True)},
        sections=sections(inputs.experiment.file, faces, flops, ["ranked"]),
        figures={
            "score_by_rate": figures.score_by_rate(faces.configurations, inputs.heading("score_by_rate")),
            "score_by_epochs": figures.score_by_epochs(faces.configurations, inputs.heading("score_by_epochs")),
            "score_ablation": figures.score_ablation(faces.ablation, inputs.heading("score_ablation")),
            "score_per_minute": figures.score_per_minute(faces.efficiency, inputs.heading("score_per_minute")),
            "score_by_time": figures.score_by_time(
                faces.configurations, faces.efficiency, inputs.heading("score_by_time")
            ),
        },
    )
