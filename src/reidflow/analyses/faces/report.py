"""The report: tables, findings and figures of one experiment."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.faces import figures, quantities
from reidflow.analyses.faces.arms import controlled_arms, query_scores
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
from reidflow.evaluation.runs import ALSO_ON, ALSO_ON_QUERIES, METRICS, PER_QUERY, validate_runs
from reidflow.evaluation.statistics import LARGEST
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.experiment import Experiment
from reidflow.splits.split import SPLIT
from reidflow.tables.arms import evaluated_arms
from reidflow.tables.experiment import EFFICIENCY, RESULTS
from reidflow.tables.quantities import compared

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


def _quantity_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES: the score of the experiment's own queries, and the mAP on each further split."""
    experiment = inputs.experiment
    score, *others = quantities(experiment)
    weights, baseline = experiment.file.score, experiment.file.baseline
    own = evaluated_arms(experiment, inputs.table("metrics", METRICS), inputs.table("per_query", PER_QUERY))
    rows = compared(
        score, {name: query_scores(arm.per_query, arm.seeds, weights) for name, arm in own.items()}, baseline
    )
    if others:
        also, queries = inputs.table("also_on", ALSO_ON), inputs.table("also_on_queries", ALSO_ON_QUERIES)
        for quantity in others:
            label = pl.col("label") == quantity.name
            arms = evaluated_arms(experiment, also.filter(label), queries.filter(label))
            scores = {name: arm.scores() for name, arm in arms.items()}
            rows += compared(quantity, scores, baseline, largest=LARGEST, margin=experiment.equivalence)
    return rows


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
        quantities=_quantity_rows(inputs),
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
