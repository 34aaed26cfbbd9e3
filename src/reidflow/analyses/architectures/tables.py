"""The networks of the best trials of a search, as run specs and in words."""

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from reidflow.analyses.architectures import FIGURES
from reidflow.search.trials_table import axes_of_studies, ten_best
from reidflow.spec.experiment import Experiment
from reidflow.spec.mbconv import describe_blocks, describe_head
from reidflow.store.tables import Column
from reidflow.tables.columns import column, columns
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

TITLE = "The ten best networks"


class Network(NamedTuple):
    """The network of a trial: its name, the plain spec of its run, validation mAP, parameters, and FLOPs of an image."""

    label: str
    spec: dict[str, Any]
    value: float
    parameters: int | None
    flops: int | None

    @property
    def words(self) -> str:
        """Return its blocks, or the layers over its backbone, in a line."""
        model = self.spec["model"]
        return describe_blocks(model["backbone"]) if model["backbone"]["name"] == "mbconv" else describe_head(model)


def best_networks(experiment: Experiment, trials: pl.DataFrame) -> list[Network]:
    """Return the networks of the ten best trials, the best first. trials: TRIALS of the experiment."""
    names = [axis.name for axis in axes_of_studies(experiment.studies.values())]
    found = []
    for row in ten_best(experiment.studies.values(), trials):
        settings = {name: row[name] for name in names if row[name] is not None}
        spec = experiment.studies[row["study"]].spec(settings, row["seed"]).plain()
        label = f"{row['study']} {row['trial']}"
        found.append(Network(label, spec, row["value"], row["parameters"], row["flops"]))
    return found


COLUMNS = (
    Column("label", pl.String, "trial", "text", "Study and number of the trial."),
    Column("value", pl.Float64, "validation mAP", "number", "Validation mAP of its single run."),
    *columns("parameters"),
    column("flops").but(format="magnitude"),
    Column("words", pl.String, "network", "text", "Its blocks, or the layers over its backbone."),
)


def sections(networks: list[Network]) -> list[Section]:
    """Return the section of the findings that lists networks."""
    flops = [network.flops for network in networks if network.flops is not None]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        networks=len(networks),
        different=len({network.words for network in networks}),
        flops=(min(flops), max(flops)) if flops else None,
    )
    rows = [network._asdict() | {"words": network.words} for network in networks]
    return sections_of(text, {TITLE: [block("", rows, COLUMNS)]}, {TITLE: FIGURES})
