"""Every identity is seen in training; its groups are kept whole (as in the jaguar competition, without its leak)."""

import polars as pl

from reidflow.splits.roles import (
    TEST,
    TRAIN,
    VAL,
    check_shares,
    counts,
    linked_identities,
    needed_groups,
    require_enough,
    shuffled,
)


def assign(
    images: pl.DataFrame, gallery: str, *, train: float = 0.5, val: float = 0.2, test: float = 0.3, seed: int = 0
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block).

    An identity with too few groups goes wholly to training, as do groups that hold a suspected duplicate of another
    identity. Raises ReidflowError when under half of the identities would be scored.
    """
    check_shares(train, val, test)
    shares = {TRAIN: train, VAL: val, TEST: test}
    linked = linked_identities(images)
    tied = set(images.filter(pl.col("block").is_in(list(linked)))["group"])
    role_of: dict[tuple[str, str], str] = {}
    scored = 0
    for (identity,), rows in images.group_by(["identity"], maintain_order=True):
        groups = sorted(rows["group"].unique())
        free = shuffled([g for g in groups if g not in tied], seed, "closed_set", identity)
        given = counts(len(groups), shares, needed_groups(gallery))
        enough = given is not None and len(free) >= sum(n for role, n in given.items() if role != TRAIN)
        scored += enough
        roles = [role for role, n in given.items() if role != TRAIN for _ in range(n)] if enough else []
        for place, group in enumerate([*free, *(g for g in groups if g in tied)]):
            role_of[identity, group] = roles[place] if place < len(roles) else TRAIN
    require_enough(scored, images["identity"].n_unique(), gallery, "closed_set")
    return [role_of[key] for key in images.select("identity", "group").iter_rows()]
