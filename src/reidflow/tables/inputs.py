"""What a table stands on, read from the files of the data set."""

import json
from pathlib import Path

from reidflow.spec.config import Config
from reidflow.splits.split import SPLIT
from reidflow.store.tables import read_table
from reidflow.tables.setting import Setting


def read_setting(config: Config, split: str | Path, audit: str | Path, images: str | Path) -> Setting:
    """Return the setting of an experiment from split.parquet, audit.json and images.json."""
    digest = json.loads(Path(images).read_text())["digest"]
    return Setting.of(config, digest, read_table(split, SPLIT), json.loads(Path(audit).read_text()))
