"""What decides which numbers may be compared: data set, split, gallery, leak audit, and the software of the runs.

A run's `versions` is a text such as "torch 2.15.0, timm 1.0.31, device cpu"; runs that used other libraries besides
agree as long as no library has two versions. Several such texts are joined by "; ".
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.config import FOLDS, Config, metric_filters
from reidflow.splits.audit import of_folds
from reidflow.splits.split import SPLIT, split_digest
from reidflow.store.tables import read_table


@dataclass(frozen=True)
class DataDescription:
    """Data set, split and gallery of an experiment.

    digest: of the images and labels. method: the resolved split component. audit: the leak audit of the split. further:
    the other splits, where the experiment has several; then `split` is the first and `audit` that of all of them. ignore:
    the columns in which candidates of the query's identity are ignored where they have its value. same: the columns whose
    value candidates share with the query.
    """

    title: str
    scale: str
    digest: str
    gallery: str
    method: dict[str, Any]
    split: pl.DataFrame
    audit: dict[str, Any]
    further: tuple[pl.DataFrame, ...] = ()
    ignore: tuple[str, ...] = ()
    same: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[pl.DataFrame, ...]:
        """All splits of the experiment."""
        return (self.split, *self.further)

    @property
    def filters(self) -> str:
        """What the metric's name says of its candidates beside the gallery, such as `same camera ignored`; or nothing."""
        return metric_filters(self.ignore, self.distractors > 0, self.same)

    @property
    def distractors(self) -> int:
        """Number of images in the gallery of test that are nobody's match; with several splits, of the first."""
        ranked = self.split if self.gallery == "all" else self.split.filter(pl.col("role") == "test")
        return ranked["identity"].null_count()

    @property
    def given(self) -> bool:
        """Whether the roles come from the data."""
        return bool(self.audit.get("given"))

    @property
    def folds(self) -> int:
        """Number of folds; 0 where there are none."""
        return len(self.splits) if self.method.get(FOLDS) else 0

    @property
    def leaks(self) -> bool:
        """Whether the same moment is in two roles, so that every score is too high."""
        return bool(self.audit.get("leaks"))

    def digests(self) -> dict[str, str]:
        """Return the digests of the data and of the split with its gallery."""
        digests = [split_digest(split, self.gallery)[:16] for split in self.splits]
        return {"data": short(self.digest), "split": short(digests, 16) if self.further else digests[0]}

    def columns(self) -> dict[str, str | bool]:
        """Return what each row of a table says of its data, so that rows of different tables can be compared."""
        return {
            "data_set": self.title,
            **self.digests(),
            "gallery": self.gallery,
            "filters": self.filters,
            "leaking": self.leaks,
        }


def read_description(
    config: Config, splits: Sequence[str | Path], audits: Sequence[str | Path], images: str | Path
) -> DataDescription:
    """Return the description of a config's data from each split.parquet and audit.json, and images.json."""
    digest = json.loads(Path(images).read_text())["digest"]
    found = of_folds([json.loads(Path(audit).read_text()) for audit in audits])
    method = config.split if config.split_seed == "fixed" else {**config.split, "seed": config.split_seed}
    first, *further = (read_table(split, SPLIT) for split in splits)
    described = config.title, config.scale, digest, config.gallery, method, first, found, tuple(further)
    return DataDescription(*described, tuple(config.ignore), tuple(config.candidates.same))


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
