"""A SLURM of one node with two mock GPUs, started once, and the tiny config run through it."""

import shutil
import tempfile
from pathlib import Path

import pytest
from clustered import Clustered, checkout
from one_node import OneNode, missing, remedy


@pytest.fixture(scope="session")
def node():
    if missing():
        pytest.exit(remedy(), returncode=3)
    # Not below pytest's folders, whose names are too long for sockets.
    folder = Path(tempfile.mkdtemp(prefix="reidflow-slurm-", dir="/tmp"))
    made = OneNode(folder)
    try:
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tiny(node, tmp_path_factory) -> Clustered:
    """The tiny config run through SLURM; each run on images is a job of its own, so that three jobs request two GPUs."""
    project = Clustered(checkout(tmp_path_factory.mktemp("cluster") / "tiny"), node)
    config = project.folder / project.config
    config.write_text(config.read_text() + "compute: {runs_per_job: 1, workers: 1}\n")
    with project.started() as run:
        run.finish()
    assert run.status == 0, run.text
    project.first = run
    return project


@pytest.fixture(scope="session")
def undisturbed(tiny, tmp_path_factory) -> dict[str, bytes]:
    """The tables after the edit that the faults disturb, made without a cluster."""
    project = tiny.edited(tmp_path_factory.mktemp("undisturbed") / "project")
    outcome = project.run_here()
    assert outcome.status == 0, outcome.text
    return project.tables()
