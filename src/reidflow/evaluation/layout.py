"""Queries and gallery of a role: which images of a split are queries, and which they are ranked among."""

from pathlib import Path

import numpy as np
import polars as pl

from reidflow.evaluation.average_precision import average_precisions
from reidflow.evaluation.metrics import ScoredQueries, scored_queries
from reidflow.evaluation.ranking import Similarity, integer_codes
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE
from reidflow.store.runs import EMBEDDINGS, verified


class Layout:
    """The query images of a role, and the gallery that they are ranked in: rows of the split."""

    def __init__(self, split: pl.DataFrame, manifest: pl.DataFrame, gallery: str, role: str = "test") -> None:
        flanks = manifest.select("image", "flank")
        self.table = split.join(flanks, on="image", how="left", maintain_order="left")
        test = (split["role"] == role).to_numpy()
        sides = split["side"].to_list()
        candidates = test if gallery == "role" else (split["role"] != ASIDE).to_numpy()
        self.query = np.flatnonzero(test & np.array([side != "gallery" for side in sides]))
        self.gallery = np.flatnonzero(candidates & np.array([side != "query" for side in sides]))
        place = {row: position for position, row in enumerate(self.gallery)}
        self.query_index = np.array([place.get(row, -1) for row in self.query])
        (self.identity,), (self.group,) = integer_codes(split["identity"]), integer_codes(split["group"])

    @property
    def evaluated(self) -> np.ndarray:
        """Rows of the split that are queries or in the gallery, sorted."""
        return np.union1d(self.query, self.gallery)

    def rules(self) -> dict[str, np.ndarray]:
        """Return what decides the positives and the candidates of each query: arguments of `evaluate`, by name."""
        return {
            "query_identity": self.identity[self.query],
            "gallery_identity": self.identity[self.gallery],
            "query_index": self.query_index,
            "query_group": self.group[self.query],
            "gallery_group": self.group[self.gallery],
        }

    def filters(self) -> dict[str, np.ndarray]:
        """Return what decides the candidates of each query: fields of `Retrieval`, by name."""
        return {name: codes for name, codes in self.rules().items() if not name.endswith("identity")}

    def score(self, retrieval: Retrieval) -> tuple[ScoredQueries, pl.DataFrame]:
        """Return what the queries of a retrieval of this layout find, and its table per query."""
        found = scored_queries(retrieval, self.identity[self.query], self.identity[self.gallery])
        described = self.table[self.query].select("image", "identity", "group", "flank")
        return found, pl.concat([described, found.per_query()], how="horizontal")

    def precisions(self, folder: Path, stage: str, similarity: Similarity | None = None) -> np.ndarray:
        """Return the average precision (Q,) of each query by a run's embeddings of one stage; NaN without a positive."""
        vectors = self.vectors(folder, stage)
        return average_precisions(vectors[self.query], vectors[self.gallery], **self.rules(), similarity=similarity)

    def vectors(self, folder: Path, stage: str) -> np.ndarray:
        """Return (images of the split, dim) float32; rows that the run did not embed are never read."""
        table = pl.read_parquet(verified(folder, EMBEDDINGS))
        return self.spread(table.filter(pl.col("stage") == stage), folder)

    def spread(self, table: pl.DataFrame, folder: Path) -> np.ndarray:
        """Return (images of the split, dim) float32 of a table (image, vector) of the run in a folder."""
        row_of = {image: row for row, image in enumerate(self.table["image"])}
        rows = [row_of[image] for image in table["image"]]
        if not set(self.evaluated.tolist()) <= set(rows):
            raise ReidflowError(f"{folder}: lacks embeddings of images that are evaluated. Remove it and run again.")
        stored = np.stack(table["vector"].to_numpy()).astype(np.float32)
        vectors = np.zeros((len(self.table), stored.shape[1]), np.float32)
        vectors[rows] = stored
        return vectors
