"""What a table stands on, read from the files of the data set."""

import json
from dataclasses import replace
from pathlib import Path

from reidflow.spec.config import Config
from reidflow.spec.experiment import Arm, Experiment
from reidflow.spec.outcomes import won
from reidflow.splits.split import SPLIT
from reidflow.store.tables import read_table
from reidflow.tables.setting import Setting


def read_setting(config: Config, split: str | Path, audit: str | Path, images: str | Path) -> Setting:
    """Return the setting of an experiment from split.parquet, audit.json and images.json."""
    digest = json.loads(Path(images).read_text())["digest"]
    return Setting.of(config, digest, read_table(split, SPLIT), json.loads(Path(audit).read_text()))


def with_outcomes(experiment: Experiment, winners: str | Path | None) -> Experiment:
    """Return the experiment with what each arm was that is the winner of something, in place of where it started.

    winners: the file of what its search or ranking found; none where it has neither.
    """
    if not winners:
        return experiment
    found = json.loads(Path(winners).read_text())
    return replace(experiment, arms={name: _with_outcome(arm, found) for name, arm in experiment.arms.items()})


def _with_outcome(arm: Arm, found: dict) -> Arm:
    if arm.winner_of is None:
        return arm
    return replace(arm, points=(({}, won(found, arm.winner_of, arm.over)),))
