"""Descriptions of experiments by their digest: the main process saves them, jobs load them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reidflow.spec.config import Config
from reidflow.spec.description import digest_of, rebuild
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.store import digests
from reidflow.store.digests import EXPERIMENTS


def save_experiments(results: Path, params: Iterable[str], descriptions: Mapping[str, dict[str, Any]]) -> None:
    """Save the descriptions of experiments, by digest, that the params of jobs which are about to run name."""
    for param in map(json.loads, params):
        if isinstance(named := param.get("experiment"), dict):
            digests.record(results, EXPERIMENTS, named["digest"], lambda key=named["digest"]: descriptions[key])


def load_experiment(results: Path, named: Mapping[str, str]) -> tuple[Config, Experiment]:
    """Return the config and the experiment that a job's param names. Raises ReidflowError where they are not as saved.

    named: what `Plan.experiment_params` returned.
    """
    description = digests.read_record(results, EXPERIMENTS, named["digest"])
    if description is None or digest_of(description) != named["digest"]:
        path = digests.record_file(results, EXPERIMENTS, named["digest"])
        state = "missing or unreadable" if description is None else "not as it was written"
        raise ReidflowError(
            f"{path}: the description of the experiment '{named['name']}' is {state}. Remove the file if it is there, and "
            "run the command again: it is written before the first job starts."
        )
    return rebuild(description)
