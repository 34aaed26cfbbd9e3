"""What decides which numbers may be compared: data set, split, gallery, leak audit, and the software of the runs.

A run's `versions` is a text such as "torch 2.15.0, timm 1.0.31, device cpu"; runs that used other libraries besides
agree as long as no library has two versions. Several such texts are joined by "; ".
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.config import Config
from reidflow.splits.split import SPLIT, split_digest
from reidflow.store.tables import read_table


@dataclass(frozen=True)
class DataDescription:
    """Data set, split and gallery of an experiment.

    digest: of the images and labels. method: the resolved split component. audit: the leak audit of the split.
    """

    title: str
    scale: str
    digest: str
    gallery: str
    method: dict[str, Any]
    split: pl.DataFrame
    audit: dict[str, Any]

    @property
    def leaks(self) -> bool:
        """Whether the same moment is in two roles, so that every score is too high."""
        return bool(self.audit.get("leaks"))

    def digests(self) -> dict[str, str]:
        """Return the digests of the data and of the split with its gallery."""
        return {"data": short(self.digest), "split": split_digest(self.split, self.gallery)[:16]}

    def columns(self) -> dict[str, str | bool]:
        """Return what each row of a table says of its data, so that rows of different tables can be compared."""
        return {"data_set": self.title, **self.digests(), "gallery": self.gallery, "leaking": self.leaks}


def read_description(config: Config, split: str | Path, audit: str | Path, images: str | Path) -> DataDescription:
    """Return the description of a config's data from split.parquet, audit.json and images.json."""
    digest = json.loads(Path(images).read_text())["digest"]
    found = json.loads(Path(audit).read_text())
    return DataDescription(
        config.title, config.scale, digest, config.gallery, config.split, read_table(split, SPLIT), found
    )


def merged_versions(texts: Iterable[str | None]) -> dict[str, list[str]]:
    """Return library (and `device`) -> its different versions, both sorted."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for part in (text or "").replace("; ", ", ").split(", "):
            name, _, version = part.partition(" ")
            if name:
                found.setdefault(name, set()).add(version)
    return {name: sorted(found[name]) for name in sorted(found)}


def mixed_versions(texts: Iterable[str | None]) -> list[str]:
    """Return the libraries of which the runs had different versions."""
    return [name for name, versions in merged_versions(texts).items() if len(versions) > 1]


def versions_line(texts: Iterable[str | None]) -> str:
    """Return a sentence that names all versions, with a warning where they differ."""
    found = merged_versions(texts)
    line = ", ".join(f"{name} {' and '.join(versions)}".strip() for name, versions in found.items()) or "not recorded"
    differing = [name for name, versions in found.items() if len(versions) > 1]
    return (
        f"WARNING: the runs come from different versions ({', '.join(differing)}): {line}." if differing else f"{line}."
    )
