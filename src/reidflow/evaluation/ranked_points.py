"""Points of a grid that differ in their ranking: what the validation queries of trained runs find by each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from reidflow.evaluation.fusion import UnfittedError
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import TrainedRun, local_scores, validated
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.roles import SHARED
from reidflow.splits.split import SPLIT
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table

if TYPE_CHECKING:
    from reidflow.matching.scores import LocalScores


@dataclass(frozen=True)
class ValidationRanking:
    """What validates settings that decide the ranking of trained runs.

    splits, manifest, gallery: as of `evaluate_runs`; local: the scores of local features, where they are ranked by.
    """

    splits: Sequence[pl.DataFrame]
    manifest: pl.DataFrame
    gallery: str
    local: "LocalScores | None"

    @classmethod
    def read(
        cls, files: Sequence[Path | str], gallery: str, digests: Sequence[str], store: RunStore, workers: int
    ) -> "ValidationRanking":
        """Return it for the manifest and the splits in files. digests, workers: as of `local_scores`."""
        manifest, *splits = files
        tables = [read_table(file, SPLIT) for file in splits]
        return cls(tables, read_table(manifest, MANIFEST), gallery, local_scores(digests, store, workers))

    @property
    def restricted(self) -> bool:
        """Whether candidates must share something with the query, which validation during training does not know."""
        return any(SHARED in split.columns for split in self.splits)

    def score(self, facts: dict[str, Any], spec: dict[str, Any], store: RunStore) -> float:
        """Return the validation mAP of one run, as a job describes it, ranked as a plain spec says; 0 without one, and
        where local features are unavailable or scores cannot be calibrated."""
        run = TrainedRun.of("", {**facts, "spec": {**spec, "ensemble": None}}, store, self.local)
        layout = self._layouts[facts["split"]]
        try:
            return 0.0 if run.unavailable else validated(layout, run, None) or 0.0
        except UnfittedError:
            return 0.0

    @cached_property
    def _layouts(self) -> list[Layout]:
        return [Layout(split, self.manifest, self.gallery, "val") for split in self.splits]
