"""The data of a run: labelled images with their roles, and their features or pixels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reidflow.spec.errors import Problems
from reidflow.spec.run import RunSpec


@dataclass(frozen=True)
class RunData:
    """Row i of everything is the same labelled image.

    `roles`: train, val, test, unused, aside (of a second domain that has no part), or dropped (a training image that this
    run leaves out). `sides`: query images are no candidates, gallery images are no queries, others are both; None where the
    split has no sides. `features` (N, 1 + views,
    D): the frozen features of the plain image and of its augmented views. `pixels` (N, S, S, 3) uint8, may be
    memory-mapped, S at least the size that the network sees. `trained_on`: features or pixels that replace them in
    training (another background), None where they are the same; then the views are needed there alone. `masks` (N, S, S)
    uint8 0/255, the animal, for an augmentation that uses them; None where no training image has one.
    `gallery`: 'role' ranks the other images of a query's role, 'all' all rows. The parameters and FLOPs (per image) of
    a frozen backbone are given here, since a run on features never builds it; None where unknown.
    """

    images: list[str]
    identities: list[str]
    groups: list[str | None]
    roles: list[str]
    features: np.ndarray | None = None
    pixels: np.ndarray | None = None
    trained_on: np.ndarray | None = None
    masks: np.ndarray | None = None
    gallery: Literal["role", "all"] = "role"
    sides: list[str | None] | None = None
    backbone_parameters: int | None = None
    backbone_flops: int | None = None

    def rows(self, *roles: str) -> np.ndarray:
        """Return the rows (int64) that have one of `roles`, in order."""
        return np.array([i for i, role in enumerate(self.roles) if role in roles], dtype=np.int64)

    def not_of(self, rows: np.ndarray, side: str) -> np.ndarray:
        """Return those of `rows` whose images are not of a side."""
        return rows if self.sides is None else np.array([i for i in rows if self.sides[i] != side], dtype=np.int64)

    def stored_rows(self) -> np.ndarray:
        """Return the rows whose embeddings a run keeps: val and test, or all that are ranked where all are."""
        return self.candidates("val", "test")

    def candidates(self, *roles: str) -> np.ndarray:
        """Return the rows of the gallery of `roles`, sides apart: their own, or all but those left aside."""
        if self.gallery == "role":
            return self.rows(*roles)
        return np.array([i for i, role in enumerate(self.roles) if role != "aside"], dtype=np.int64)

    def labels(self) -> tuple[np.ndarray, list[str]]:
        """Return the class (N,) of each row, -1 for an identity without a training image, and the classes in order."""
        classes = sorted({self.identities[i] for i in self.rows("train")})
        number = {identity: k for k, identity in enumerate(classes)}
        return np.array([number.get(identity, -1) for identity in self.identities], dtype=np.int64), classes

    def training_labels(self) -> np.ndarray:
        """Return the class of every training image, those that this run leaves out included."""
        rows = self.rows("train", "dropped")
        number = {identity: k for k, identity in enumerate(sorted({self.identities[i] for i in rows}))}
        return np.array([number[self.identities[i]] for i in rows], dtype=np.int64)

    def check(self, spec: RunSpec) -> None:
        """Raise ReidflowError that lists everything about the data (and the settings that depend on it) that is wrong."""
        problems = Problems()
        self._check_shapes(spec, problems)
        if spec.model.trainable.name != "none":
            self._check_training(spec, problems)
        problems.raise_if_any("this run cannot be trained")

    def _check_shapes(self, spec: RunSpec, problems: Problems) -> None:
        count, array = len(self.images), self.features if spec.frozen else self.pixels
        name = "features" if spec.frozen else "pixels"
        for column in ("identities", "groups", "roles", *(["sides"] if self.sides is not None else [])):
            if len(getattr(self, column)) != count:
                problems.add(
                    column, f"{len(getattr(self, column))} rows for {count} images.", "Give one for each image."
                )
        if array is None:
            problems.add(
                name, f"missing, and a run with trainable: {spec.model.trainable.name} needs them.", "Add them."
            )
        for seen in (array, self.trained_on):
            if seen is not None and len(seen) != count:
                problems.add(name, f"{len(seen)} rows for {count} images.", "Recompute them for these images.")
        trained = array if self.trained_on is None else self.trained_on
        if spec.frozen and trained is not None and (trained.ndim != 3 or trained.shape[1] != 1 + spec.views):
            problems.add(
                name, f"shape {trained.shape}, not (N, {1 + spec.views}, D).", f"Make them with views: {spec.views}."
            )

    def _check_training(self, spec: RunSpec, problems: Problems) -> None:
        if len({self.identities[i] for i in self.rows("train")}) < 2:
            problems.add("role train", "fewer than two identities.", "Training compares identities: add some.")
        if len(self.rows("val")):
            return
        where = "the split has no images of the role val"
        if spec.checkpoint == "best":
            problems.add("checkpoint: best", f"{where} to choose an epoch by.", "Write checkpoint: last.")
        if spec.patience is not None:
            problems.add("patience", f"{where} to stop by.", "Leave patience out.")
