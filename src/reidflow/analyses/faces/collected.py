"""All tables of a competition's program, made together."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from reidflow.analyses.faces.choices import CHOICES, choices_table, values_of
from reidflow.analyses.faces.effects import ABLATION, ablation_table
from reidflow.analyses.faces.tables import (
    ARCHITECTURES,
    CONFIGURATIONS,
    CONFIGURATIONS_EFFICIENCY,
    architectures_table,
    configurations_table,
    efficiency_table,
    embedded_images,
)
from reidflow.spec.experiment import Experiment


class Faces(NamedTuple):
    """The tables of `tables.faces`, `faces_effects` and `faces_choices`."""

    configurations: pl.DataFrame
    architectures: pl.DataFrame
    efficiency: pl.DataFrame
    ablation: pl.DataFrame
    choices: pl.DataFrame


CONTRACTS = dict(
    zip(Faces._fields, (CONFIGURATIONS, ARCHITECTURES, CONFIGURATIONS_EFFICIENCY, ABLATION, CHOICES), strict=True)
)


class Found(NamedTuple):
    """What the tables are made of: METRICS of the runs, RESULTS, EFFICIENCY, VALIDATED, ALSO_ON or None."""

    metrics: pl.DataFrame
    results: pl.DataFrame
    efficiency: pl.DataFrame
    validated: pl.DataFrame
    also_on: pl.DataFrame | None


def all_tables(experiment: Experiment, found: Found, roles: Mapping[str, int]) -> Faces:
    """Return the tables. roles: role of the split -> its images."""
    configurations = configurations_table(experiment, found.metrics, found.results)
    architectures = architectures_table(configurations)
    values = values_of(found.validated, found.also_on, found.efficiency)
    return Faces(
        configurations,
        architectures,
        efficiency_table(configurations, found.efficiency, embedded_images(experiment, roles)),
        ablation_table(configurations, found.results),
        choices_table(architectures, found.metrics, values),
    )
