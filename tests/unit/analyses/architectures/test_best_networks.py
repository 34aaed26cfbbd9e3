"""The ten best networks of a search are those of its trials, rebuilt from their rows."""

import polars as pl
import pytest

from reidflow.analyses.architectures.tables import best_networks, sections
from reidflow.search.trials_table import COLUMNS, TRIALS
from reidflow.spec import plan

ROOT_EXPERIMENTS = ("nas", "nas_mbconv")


@pytest.fixture(scope="module")
def planned():
    return plan.make(["config/config.yaml"], {"experiments": [*ROOT_EXPERIMENTS, "hpo"]})


def made(experiment, values):
    """Return TRIALS of the study `random` with these validation mAPs; settings go through the ends of every axis."""
    study = experiment.studies["random"]
    rows = []
    for number, value in enumerate(values):
        settings = {axis.name: axis.ends()[number % len(axis.ends())] for axis in study.axes}
        fixed = {
            **dict.fromkeys(COLUMNS),
            **{"study": "random", "trial": number, "seed": 1000 + number, "run": str(number), "winner": False},
            **{"state": "complete" if value is not None else "pruned", "value": value, "flops": 1000 * (number + 1)},
        }
        rows.append({**fixed, **settings})
    return pl.DataFrame(rows, schema=TRIALS(study.axes).columns)


@pytest.mark.parametrize("name", ROOT_EXPERIMENTS)
def test_a_network_is_that_of_its_row(planned, name):
    experiment = planned.experiments[name]
    trials = made(experiment, [0.1, 0.3, None, 0.2])
    networks = best_networks(experiment, trials)
    assert [network.label for network in networks] == ["random 1", "random 3", "random 0"]
    study = experiment.studies["random"]
    for network, row in zip(networks, (1, 3, 0), strict=True):
        values = trials.row(row, named=True)
        assert network.spec == study.spec({axis.name: values[axis.name] for axis in study.axes}, 1000 + row).plain()
    (section,) = sections(networks)
    assert [row[0] for row in section.tables[0].rows] == ["random 1", "random 3", "random 0"]
    assert section.statements[0].endswith("of 1e+03 to 4e+03 FLOPs per image.")
    assert all("ir_r" in row[-1] or "batch" in row[-1] or row[-1].count(",") for row in section.tables[0].rows)


def test_only_searches_of_networks_are_drawn(planned):
    found = {name: any(s.architectural for s in e.studies.values()) for name, e in planned.experiments.items()}
    assert found == {"nas": True, "nas_mbconv": True, "hpo": False}
