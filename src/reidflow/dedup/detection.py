"""Detection of known copies at each threshold, and the effect of each threshold on the training images."""

import numpy as np
import polars as pl

from reidflow.dedup.components import components
from reidflow.dedup.keep import Scope, links

DETECTION = {
    "threshold": pl.Float64,
    "found": pl.Int64,
    "true": pl.Int64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "f1": pl.Float64,
    "group_found": pl.Int64,
    "group_precision": pl.Float64,
    "group_recall": pl.Float64,
    "group_f1": pl.Float64,
}
THRESHOLDS = {
    "threshold": pl.Float64,
    "pairs": pl.Int64,
    "cross_identity_pairs": pl.Int64,
    "groups": pl.Int64,
    "largest_group": pl.Int64,
    "dropped": pl.Int64,
    "share_dropped": pl.Float64,
}


def detection(pairs: pl.DataFrame, truth: pl.DataFrame, thresholds: list[float], images: list[str]) -> pl.DataFrame:
    """Return precision, recall and F1 of the pairs at each threshold against known copies.

    pairs: DUPLICATES table; truth: image, duplicate_of (null: an original); images: the labelled images in scope. True
    pairs are all pairs of `images` that derive from one original, even one out of scope. The columns
    `group_*` count the pairs that groups (connected components of the pairs found) imply. Null where undefined.
    """
    copies = _copies(truth, images)
    scope = pl.DataFrame({"image": images, "identity": "", "copies": copies})
    true = _within(copies)
    rows = []
    for threshold in thresholds:
        linked = links(scope, pairs, threshold, "all")
        first, second = linked.pairs.T
        hits = int((copies[first] == copies[second]).sum())
        implied = linked.groups * len(images) + copies
        row = {"threshold": float(threshold), "found": len(linked.pairs), "true": true}
        row |= _scores("", len(linked.pairs), hits, true)
        row |= {"group_found": _within(linked.groups)}
        row |= _scores("group_", row["group_found"], _within(implied), true)
        rows.append(row)
    return pl.DataFrame(rows, schema=DETECTION)


def threshold_table(pairs: pl.DataFrame, training: pl.DataFrame, thresholds: list[float], scope: Scope) -> pl.DataFrame:
    """Return the effect of each threshold on the training images: pairs, groups, images dropped.

    pairs: DUPLICATES table; training: image, identity. `cross_identity_pairs` are those within the threshold, joined or
    not; `pairs` those that join in this scope; a group has at least two images, of which all but one are dropped.
    """
    rows = []
    for threshold in thresholds:
        linked = links(training, pairs, threshold, scope)
        cross = linked if scope == "all" else links(training, pairs, threshold, "all")
        sizes = np.bincount(linked.groups, minlength=1)
        sizes = sizes[sizes > 1]
        dropped = int(sizes.sum() - len(sizes))
        rows.append(
            {
                "threshold": float(threshold),
                "pairs": len(linked.pairs),
                "cross_identity_pairs": int((~cross.same).sum()),
                "groups": len(sizes),
                "largest_group": int(sizes.max(initial=0)),
                "dropped": dropped,
                "share_dropped": dropped / max(1, training.height),
            }
        )
    return pl.DataFrame(rows, schema=THRESHOLDS)


def _copies(truth: pl.DataFrame, images: list[str]) -> np.ndarray:
    """Return for each image a number that copies of one original share."""
    known = truth.filter(pl.col("duplicate_of").is_not_null()).select("image", "duplicate_of").rows()
    names = list(dict.fromkeys([*images, *(name for pair in known for name in pair)]))
    row = {name: number for number, name in enumerate(names)}
    joined = np.asarray([(row[a], row[b]) for a, b in known], np.int64).reshape(-1, 2)
    labels = components(len(names), joined)[: len(images)]
    return np.unique(labels, return_inverse=True)[1]


def _within(labels: np.ndarray) -> int:
    """Return the number of pairs of equal label."""
    sizes = np.unique(labels, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def _scores(prefix: str, found: int, hits: int, true: int) -> dict[str, float | None]:
    return {
        f"{prefix}precision": hits / found if found else None,
        f"{prefix}recall": hits / true if true else None,
        f"{prefix}f1": 2 * hits / (found + true) if found + true else None,
    }
