"""Queries and gallery of a role: which images of a split are queries, and which they are ranked among."""

import copy
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.evaluation.average_precision import Masks
from reidflow.evaluation.metrics import ScoredQueries, average_precisions, scored_queries
from reidflow.evaluation.ranking import Similarity, integer_codes
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.spec.errors import ReidflowError
from reidflow.splits.candidates import codes as codes_of
from reidflow.splits.candidates import facets, shared_codes
from reidflow.splits.roles import ASIDE, SHARED, TEST
from reidflow.store.runs import EMBEDDINGS, verified


class Layout:
    """The query images of a role, and the gallery that they are ranked in: rows of the split.

    identity: (N,) integer codes of the rows, below 0 for distractors, each a code of its own. manifest_rows: (N,) their
    rows of the manifest. held_out: whether the gallery lacks the images of test.
    """

    def __init__(
        self, split: pl.DataFrame, manifest: pl.DataFrame, gallery: str, role: str = "test", held_out: bool = False
    ) -> None:
        self.role, self.held_out, self._of = role, held_out, (split, manifest, gallery)
        known = manifest.select("image", "flank").with_row_index("row")
        table = split.join(known, on="image", how="left", maintain_order="left")
        self.table, self.manifest_rows = table.drop("row"), table["row"].cast(pl.Int64).to_numpy()
        test = (split["role"] == role).to_numpy()
        sides = split["side"].to_list()
        candidates = test if gallery == "role" else (split["role"] != ASIDE).to_numpy()
        if held_out:
            candidates = candidates & (split["role"] != TEST).to_numpy()
        self.query = np.flatnonzero(test & np.array([side != "gallery" for side in sides]))
        self.gallery = np.flatnonzero(candidates & np.array([side != "query" for side in sides]))
        place = {row: position for position, row in enumerate(self.gallery)}
        self.query_index = np.array([place.get(row, -1) for row in self.query])
        (self.identity,), (self.group,) = integer_codes(split["identity"]), integer_codes(split["group"])
        nobody = split["identity"].is_null().to_numpy()
        self.identity[nobody] = -1 - np.flatnonzero(nobody)
        codes = [integer_codes(facet)[0] for facet in facets(split)]
        self.ignored = np.stack(codes, axis=1) if codes else None
        self.shared, self.flank = shared_codes(split), codes_of(self.table["flank"])
        self.absent: np.ndarray | None = None

    @cached_property
    def validation(self) -> "Layout":
        """The queries of validation of the same split, on which something is fitted.

        Their gallery follows the same rule, without the images of test: no label of these may decide what is fitted.
        """
        return self if self.role == "val" and self.held_out else Layout(*self._of, role="val", held_out=True)

    @property
    def unshared(self) -> "Layout":
        """The same queries, with candidates whatever they share: those of other flanks too."""
        split, manifest, gallery = self._of
        return self if self.shared is None else Layout(split.drop(SHARED), manifest, gallery, self.role, self.held_out)

    def leaving_out(self) -> "Layout":
        """Return the layout in which no query finds an image of its identity:
        each is ranked as one of a new individual is.
        """
        found = copy.copy(self)
        found.validation, found.absent = self.validation, self.identity
        return found

    @property
    def evaluated(self) -> np.ndarray:
        """Rows of the split that are queries or in the gallery, sorted."""
        return np.union1d(self.query, self.gallery)

    def filters(self) -> dict[str, np.ndarray | None]:
        """Return what decides the candidates of each query: fields of `Retrieval`, by name."""
        return {
            "query_index": self.query_index,
            "query_group": self.group[self.query],
            "gallery_group": self.group[self.gallery],
            "query_ignored": None if self.ignored is None else self.ignored[self.query],
            "gallery_ignored": None if self.ignored is None else self.ignored[self.gallery],
            "query_shared": None if self.shared is None else self.shared[self.query],
            "gallery_shared": None if self.shared is None else self.shared[self.gallery],
            "query_flank": self.flank[self.query],
            "gallery_flank": self.flank[self.gallery],
            "query_absent": None if self.absent is None else self.absent[self.query],
            "gallery_absent": None if self.absent is None else self.absent[self.gallery],
        }

    def retrieval(self, queries: np.ndarray, gallery: np.ndarray, similarity: Similarity | None) -> Retrieval:
        """Return the retrieval of these embeddings (Q, D) in those (G, D) by the rules of this layout."""
        return Retrieval(queries, gallery, **self.filters(), similarity=similarity)

    def masks(self) -> Masks:
        """Return which candidates are positives of a query and which are none of its candidates."""
        sizes = np.empty((len(self.query), 0)), np.empty((len(self.gallery), 0))
        return self.retrieval(*sizes, None).masks(self.identity[self.query], self.identity[self.gallery])

    def score(self, retrieval: Retrieval) -> tuple[ScoredQueries, pl.DataFrame]:
        """Return what the queries of a retrieval of this layout find, and its table per query."""
        found = scored_queries(retrieval, self.identity[self.query], self.identity[self.gallery])
        described = self.table[self.query].select("image", "identity", "group", "flank")
        return found, pl.concat([described, found.per_query()], how="horizontal")

    def average_precisions(
        self, queries: np.ndarray, gallery: np.ndarray, similarity: Similarity | None = None
    ) -> np.ndarray:
        """Return the average precision (Q,) of each query by these embeddings; NaN without a positive."""
        retrieval = self.retrieval(queries, gallery, similarity)
        return average_precisions(retrieval, self.identity[self.query], self.identity[self.gallery])

    def precisions(self, folder: Path, stage: str, similarity: Similarity | None = None) -> np.ndarray:
        """Return the average precision (Q,) of each query by a run's embeddings of one stage;
        NaN without a positive.
        """
        vectors = self.vectors(folder, stage)
        return self.average_precisions(vectors[self.query], vectors[self.gallery], similarity)

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
