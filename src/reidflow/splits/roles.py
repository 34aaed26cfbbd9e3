"""What the split methods share: the allotment of groups to roles."""

import numpy as np
import polars as pl

from reidflow.spec.errors import ReidflowError
from reidflow.spec.seeds import seed_for

TRAIN, VAL, TEST = "train", "val", "test"
ASIDE = "aside"  # of a second domain, neither trained on nor in the gallery
SHARED = "shared"
"""Column of a split: one text or null for each column (flank, camera, site) of `candidates.same`. Images with another text than the
query's are none of its candidates, whatever identity they show; null may be any."""


def shuffled(items: list, seed: int, *names: str | int) -> list:
    """Return `items` in a random order with a seed of its own."""
    order = np.random.Generator(np.random.PCG64(seed_for(seed, *names))).permutation(len(items))
    return [items[i] for i in order]


def check_shares(train: float, val: float, test: float) -> None:
    """Raise ReidflowError unless the shares are usable and sum to 1."""
    if min(train, test) <= 0 or val < 0 or abs(train + val + test - 1) > 1e-9:
        raise ReidflowError(
            f"split: the shares train {train}, val {val}, test {test} must sum to 1, train and test above 0. Correct them."
        )


def needed_groups(gallery: str) -> int:
    """Return how many groups of an identity a scored role needs: a query and, in the same gallery, a positive."""
    return 2 if gallery == "role" else 1


def needs_by_shares(method: dict, gallery: str) -> str:
    """Return what an identity needs to be scored where its groups are shared out among the roles, in a sentence."""
    scored = [role for role in (VAL, TEST) if method.get(role, 1) > 0]
    total = 1 + len(scored) * needed_groups(gallery)
    return (
        f"With gallery: {gallery}, an identity can be scored where it has {total} groups (images of different moments): 1 to "
        f"train on and {needed_groups(gallery)} in {' and '.join(scored)}{' each' if len(scored) > 1 else ''}."
    )


def counts(total: int, shares: dict[str, float], least: int) -> dict[str, int] | None:
    """Return how many of an identity's `total` groups each role receives, or None when they do not suffice.

    Every role with a share receives at least `least` (training: 1); what remains goes where the share is most unmet.
    """
    given = {role: (1 if role == TRAIN else least) for role, share in shares.items() if share > 0}
    if sum(given.values()) > total:
        return None
    while sum(given.values()) < total:
        role = max(given, key=lambda r: (shares[r] * total - given[r], r == TRAIN, r))
        given[role] += 1
    return given


def relative(shares: dict[str, float]) -> dict[str, float]:
    """Return the shares of the roles other than test, scaled to sum to 1: those of what a fold does not test."""
    total = sum(share for role, share in shares.items() if role != TEST)
    return {role: share / total for role, share in shares.items() if role != TEST}


def deal(sizes: list[int], folds: int) -> list[int]:
    """Return the fold of each item so that folds are of equal size: the largest first, each to the smallest fold."""
    held, fold_of = [0] * folds, [0] * len(sizes)
    for item in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        fold_of[item] = min(range(folds), key=lambda fold: held[fold])
        held[fold_of[item]] += sizes[item]
    return fold_of


def shared_values(images: pl.DataFrame) -> pl.Series:
    """Return what candidates must have in common with each image, the texts of SHARED as one; null where nothing is known."""
    known = pl.col(SHARED).list.drop_nulls().list.len() > 0
    text = pl.col(SHARED).list.eval(pl.element().fill_null("?")).list.join("\0")
    return images.select(pl.when(known).then(text).alias(SHARED)).to_series()


def by_shared(images: pl.DataFrame) -> pl.DataFrame:
    """Return images whose identities, groups and blocks are apart by what candidates must share, such as each flank of an animal.

    So each flank of an animal has groups of its own to be shared out; scenes, and blocks of suspected duplicates across
    identities, hold together what they held. Without the column SHARED, the images as they are.
    """
    if SHARED not in images.columns:
        return images
    value = shared_values(images).fill_null("?")
    linked = list(linked_identities(images)) if "block" in images.columns else []
    apart = [pl.concat_str(name, value, separator="\0") for name in ("identity", "group")]
    if "block" in images.columns:
        block = pl.concat_str("block", value, separator="\0")
        apart.append(pl.when(pl.col("block").is_in(linked)).then("block").otherwise(block).alias("block"))
    return images.with_columns(*apart)


def most_groups(images: pl.DataFrame) -> dict[str, int]:
    """Return identity -> its number of groups, sorted: the most of which the images may be candidates of each other.

    Of an animal with candidates of the same flank, those of the flank that has most; an unknown flank may be any.
    """
    if SHARED not in images.columns:
        return dict(images.group_by("identity").agg(pl.col("group").n_unique()).sort("identity").iter_rows())
    rows = images.select("identity", "group", value=shared_values(images))
    unknown = rows.filter(pl.col("value").is_null()).drop("value")
    values = rows.select("identity", "value").unique().drop_nulls()
    each = pl.concat([rows.drop_nulls(), values.join(unknown, on="identity").select(rows.columns)])
    counted = each.group_by("identity", "value").agg(pl.col("group").n_unique())
    alone = unknown.group_by("identity").agg(pl.col("group").n_unique())
    both = pl.concat([counted.drop("value"), alone]).group_by("identity").agg(pl.col("group").max())
    return dict(both.sort("identity").iter_rows())


def linked_identities(images: pl.DataFrame) -> dict[str, list[str]]:
    """Return block -> its identities, for the blocks that hold suspected duplicates across identities."""
    several = images.group_by("block", maintain_order=True).agg(pl.col("identity").unique(maintain_order=True))
    return {block: identities for block, identities in several.iter_rows() if len(identities) > 1}
