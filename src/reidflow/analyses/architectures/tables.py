"""The networks of the best trials of a search, as run specs and in words."""

from typing import Any, NamedTuple

import polars as pl

from reidflow.search.trials_table import axes_of_studies, ten_best
from reidflow.spec.experiment import Experiment
from reidflow.spec.mbconv import describe_blocks, describe_head
from reidflow.tables.layout import Block, count, magnitude
from reidflow.tables.sections import Section
from reidflow.tables.text import number

FIGURE = "architectures"
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


def section(networks: list[Network]) -> Section:
    """Return the part of the findings that lists networks."""
    different = len({network.words for network in networks})
    statement = f"The {len(networks)} best trials are of {different} different networks" + _range(networks) + "."
    headings = ["trial", "val id_map", "parameters", "FLOPs", "network"]
    rows = [
        [each.label, number(each.value), count(each.parameters), magnitude(each.flops), each.words] for each in networks
    ]
    return Section(TITLE, [statement] if networks else [], [Block("", headings, rows)], {FIGURE: TITLE})


def _range(networks: list[Network]) -> str:
    """Return how many operations they take for an image, where that is known."""
    flops = [network.flops for network in networks if network.flops is not None]
    return f", of {magnitude(min(flops))} to {magnitude(max(flops))} FLOPs an image" if flops else ""
