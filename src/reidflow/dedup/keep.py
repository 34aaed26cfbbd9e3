"""Groups of duplicates, and the one image of each that stays."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from reidflow.dedup.components import components

Scope = Literal["identity", "all"]
Rule = Literal["sharpest", "central", "first"]

KEEP = {"image": pl.String, "identity": pl.String, "kept": pl.Boolean, "group": pl.String, "reason": pl.String}
SUSPECTS = {
    "image": pl.String,
    "identity": pl.String,
    "other": pl.String,
    "other_identity": pl.String,
    "distance": pl.Float64,
}


@dataclass(frozen=True)
class Links:
    """The pairs that join training images.

    Attributes:
        pairs: (P, 2) int64 rows of the training images, i < j.
        distances: (P,) float64.
        same: (P,) bool, whether both images are of one identity.
        groups: (T,) int64, per image the first image of its group.
    """

    pairs: np.ndarray
    distances: np.ndarray
    same: np.ndarray
    groups: np.ndarray


def links(training: pl.DataFrame, pairs: pl.DataFrame, threshold: float, scope: Scope) -> Links:
    """Return the pairs of two training images at most `threshold` apart, and the groups that they form.

    training: image, identity, in order of the manifest; pairs: DUPLICATES table of all labelled images. Groups are
    connected components; in the scope "identity" only pairs of one identity join.
    """
    row = training.select("image").with_row_index("row")
    near = pairs.filter((pl.col("distance") <= threshold) & (pl.col("same_identity") | pl.lit(scope == "all")))
    near = near.join(row, on="image", maintain_order="left").join(
        row, left_on="other", right_on="image", suffix="_other", maintain_order="left"
    )
    ends = np.sort(near.select("row", "row_other").to_numpy().astype(np.int64).reshape(-1, 2), axis=1)
    distances, same = near["distance"].to_numpy(), near["same_identity"].to_numpy()
    return Links(ends, distances, same, components(training.height, ends))


def keep(
    training: pl.DataFrame,
    pairs: pl.DataFrame,
    threshold: float,
    scope: Scope,
    rule: Rule,
    sharpness: np.ndarray | None = None,
) -> pl.DataFrame:
    """Return which training images stay: image, identity, kept, group (null: alone) and the reason of each drop.

    training: image, identity, in order of the manifest; pairs: DUPLICATES table of all labelled images; sharpness: (T,)
    of the training images, for the rule "sharpest". One image of each group stays: the sharpest; the most central (most
    neighbours within `threshold`, then the smallest mean distance to them); the first. Ties: the first. A drop
    due to an image of another identity is reported as a suspected label error.
    """
    linked = links(training, pairs, threshold, scope)
    groups = linked.groups
    chosen = _chosen(linked, _merits(linked, rule, sharpness))
    sizes = np.bincount(groups, minlength=training.height)[groups]
    kept = chosen == np.arange(training.height)
    names = training["image"].to_list()
    return pl.DataFrame(
        {
            "image": names,
            "identity": training["identity"],
            "kept": kept,
            "group": [names[group] if size > 1 else None for group, size in zip(groups, sizes, strict=True)],
            "reason": _reasons(training, linked, chosen),
        },
        schema=KEEP,
    )


def suspects(pairs: pl.DataFrame, threshold: float, images: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of different identities at most `threshold` apart, the closest first: suspected label errors.

    pairs: DUPLICATES table; images: image, identity. Columns image, identity, other, other_identity, distance.
    """
    identity = images.select("image", "identity")
    near = pairs.filter(~pl.col("same_identity") & (pl.col("distance") <= threshold))
    near = near.join(identity, on="image", maintain_order="left").join(
        identity.rename({"image": "other", "identity": "other_identity"}), on="other", maintain_order="left"
    )
    return near.sort("distance", maintain_order=True).select(*SUSPECTS)


def _merits(linked: Links, rule: Rule, sharpness: np.ndarray | None) -> list[np.ndarray]:
    """Return (T,) keys, the most important first; the greatest wins."""
    if rule == "first":
        return []
    if rule == "sharpest":
        if sharpness is None or len(sharpness) != len(linked.groups):
            raise ValueError("the rule 'sharpest' needs the sharpness of every training image")
        return [np.nan_to_num(sharpness, nan=-np.inf)]
    ends, count = linked.pairs.ravel(order="F"), len(linked.groups)
    neighbours = np.bincount(ends, minlength=count)
    total = np.bincount(ends, np.tile(linked.distances, 2), minlength=count)
    return [neighbours, -total / np.maximum(neighbours, 1)]


def _chosen(linked: Links, merits: list[np.ndarray]) -> np.ndarray:
    """Return for each image the image of its group that stays."""
    rows = np.arange(len(linked.groups))
    order = np.lexsort((rows, *(-merit for merit in reversed(merits)), linked.groups))
    labels, first = np.unique(linked.groups[order], return_index=True)
    best = np.empty(len(rows), np.int64)
    best[labels] = order[first]
    return best[linked.groups]


def _reasons(training: pl.DataFrame, linked: Links, chosen: np.ndarray) -> list[str | None]:
    names, identities = training["image"].to_list(), training["identity"].to_list()
    within = components(len(names), linked.pairs[linked.same])
    direct = {(i, j): d for (i, j), d in zip(linked.pairs.tolist(), linked.distances.tolist(), strict=True)}
    foreign = _nearest_foreign(linked)
    reasons: list[str | None] = []
    for row, best in enumerate(chosen.tolist()):
        distance = direct.get((min(row, best), max(row, best)))
        if row == best:
            reasons.append(None)
        elif within[row] == within[best]:
            reasons.append(f"duplicate of {names[best]}" + _apart(distance))
        else:
            if distance is None or identities[best] == identities[row]:
                best, distance = foreign.get(row, (best, None))
            what = "duplicate of" if distance is not None else "linked, through others, with"
            of = f"{names[best]} of identity {identities[best]}"
            reasons.append(f"suspected label error: {what} {of}{_apart(distance)}")
    return reasons


def _nearest_foreign(linked: Links) -> dict[int, tuple[int, float]]:
    """Return for each image the closest image of another identity among its pairs, and its distance."""
    found: dict[int, tuple[int, float]] = {}
    cross = ~linked.same
    for (i, j), distance in zip(linked.pairs[cross].tolist(), linked.distances[cross].tolist(), strict=True):
        for one, other in ((i, j), (j, i)):
            if one not in found or (distance, other) < (found[one][1], found[one][0]):
                found[one] = (other, distance)
    return found


def _apart(distance: float | None) -> str:
    return "" if distance is None else f", distance {distance:.4g}"
