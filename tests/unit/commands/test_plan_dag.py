"""The private parts of Snakemake that `reidflow plan` relies on: a new version that lacks one is noticed here."""

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from snakemake import cli
from snakemake.api import SnakemakeApi, WorkflowApi
from snakemake.dag import DAG
from snakemake.io import ExistsDict, IOCache
from snakemake.jobs import Reason
from snakemake.persistence import PersistenceBase
from snakemake.workflow import Workflow

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (cli, "SnakemakeApi"),
        (cli, "parse_args"),
        (cli, "args_to_api"),
        (SnakemakeApi, "workflow"),
        (SnakemakeApi, "print_exception"),
        (WorkflowApi, "_workflow"),
        (Workflow, "_prepare_dag"),
        (Workflow, "globals"),
        (Workflow, "persistence"),
        (ExistsDict, "__setitem__"),
        (DAG, "toposorted"),
        (DAG, "needrun"),
        (DAG, "reason"),
        (PersistenceBase, "metadata"),
    ],
)
def test_a_private_part_of_snakemake_is_there(owner, name):
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("owner", "attributes"),
    [
        (SnakemakeApi, ["_workflow_api"]),
        (IOCache, ["_exists_local"]),
        (Workflow, ["self.iocache"]),
        (
            Reason,
            ["missing_output", "updated_input", "updated_input_run", "forced", "software_stack_changed", "no_metadata"],
        ),
    ],
)
def test_a_private_attribute_of_snakemake_is_set(owner, attributes):
    source = inspect.getsource(inspect.getmodule(owner))
    assert not [name for name in attributes if name not in source]


def test_the_installed_snakemake_is_one_that_was_tried():
    """pyproject.toml bounds the version; before the bound is raised, this file and tests/workflow/ must pass."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bounds,) = [line.removeprefix("snakemake") for line in required if line.startswith("snakemake>")]
    assert "<" in bounds and version("snakemake") in SpecifierSet(bounds)
