"""Groups: images that show the same moment, from the data set's own groups joined with near-duplicates."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reidflow.dedup.hashes import close_pairs
from reidflow.store.tables import Contract

LARGE = 0.2  # a group that holds more than this share of an identity's images is reported
LOOSEST = 8  # pairs up to this distance are kept for the audit, whatever the threshold

GROUPS = Contract("groups", {"image": pl.String, "identity": pl.String, "group": pl.String, "block": pl.String})
PAIRS = Contract(
    "near-duplicate pairs",
    {"image": pl.String, "other": pl.String, "distance": pl.Int64, "same_identity": pl.Boolean, "joined": pl.Boolean},
)


@dataclass(frozen=True)
class Grouping:
    """Groups per image, the close pairs behind them, and warnings of large groups."""

    groups: pl.DataFrame
    pairs: pl.DataFrame
    warnings: list[str]


def group_images(manifest: pl.DataFrame, hashes: np.ndarray, distance: int | None) -> Grouping:
    """Join each identity's own groups with its near-duplicates.

    manifest: labelled rows (image, identity, group); hashes: (N, 8) uint8 of the same rows; distance: largest
    Hamming distance of a near-duplicate, or None for none. `group` stays within an identity; `block` also joins groups
    of different identities that hold suspected duplicates of each other, so that no split separates them.
    """
    images, identities = manifest["image"].to_list(), np.asarray(manifest["identity"].to_list(), dtype=object)
    found = close_pairs(hashes, max(LOOSEST, distance or 0))
    same = identities[found[:, 0]] == identities[found[:, 1]]
    joined = found[:, 2] <= distance if distance is not None else np.zeros(len(found), bool)
    own = _own_pairs(manifest)
    within = components(len(images), np.concatenate([own, found[same & joined][:, :2]]))
    across = components(len(images), np.concatenate([own, found[joined][:, :2]]))
    groups = pl.DataFrame(
        {
            "image": images,
            "identity": manifest["identity"],
            "group": [images[i] for i in within],
            "block": [images[i] for i in across],
        },
        schema=GROUPS.columns,
    )
    pairs = pl.DataFrame(
        {
            "image": [images[i] for i in found[:, 0]],
            "other": [images[j] for j in found[:, 1]],
            "distance": found[:, 2],
            "same_identity": same,
            "joined": joined,
        },
        schema=PAIRS.columns,
    )
    return Grouping(groups, pairs, _large_group_warnings(groups))


def _own_pairs(manifest: pl.DataFrame) -> np.ndarray:
    """Return (P, 2) pairs that link each image with the first one of the data set's own group within its identity."""
    first: dict[tuple[str, str], int] = {}
    pairs = []
    for row, (identity, group) in enumerate(zip(manifest["identity"], manifest["group"], strict=True)):
        if group is not None:
            pairs.append((first.setdefault((identity, group), row), row))
    return np.asarray(pairs, np.int64).reshape(-1, 2)


def components(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return for each of `count` nodes the smallest node of its connected component; pairs: (P, 2) int64."""
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    smallest = np.full(labels.max(initial=-1) + 1, count)
    np.minimum.at(smallest, labels, np.arange(count))
    return smallest[labels]


def _large_group_warnings(groups: pl.DataFrame) -> list[str]:
    per_identity = dict(groups.group_by("identity").len().iter_rows())
    large = []
    for (identity, group), rows in groups.group_by(["identity", "group"], maintain_order=True):
        share = len(rows) / per_identity[identity]
        if share > LARGE and len(rows) > 2:
            large.append(
                f"identity {identity}: the group of {group} holds {len(rows)} images, {share:.0%} of the identity's"
            )
    return large
