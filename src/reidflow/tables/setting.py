"""Where an experiment was done: what decides which numbers may be compared, and what stands over its tables."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.config import Config
from reidflow.splits.split import split_digest


@dataclass(frozen=True)
class Setting:
    """Data set, split and gallery of an experiment.

    data: digest of the images and labels. method: the resolved split component. audit: the leak audit of the split.
    """

    title: str
    scale: str
    data: str
    gallery: str
    method: dict[str, Any]
    split: pl.DataFrame
    audit: dict[str, Any]

    @classmethod
    def of(cls, config: Config, data: str, split: pl.DataFrame, audit: dict[str, Any]) -> "Setting":
        """Return the setting that a config describes, with the data as they were found."""
        return cls(config.title, config.scale, data, config.gallery, config.split, split, audit)

    @property
    def leaks(self) -> bool:
        """Whether the same moment stands in two roles, so that every score is too high."""
        return bool(self.audit.get("leaks"))

    def columns(self) -> dict[str, str | bool]:
        """Return what a table says of its setting in each row, so that rows of different tables can be compared."""
        return {
            "data_set": self.title,
            "data": short(self.data),
            "split": split_digest(self.split, self.gallery)[:16],
            "gallery": self.gallery,
            "leaking": self.leaks,
        }
