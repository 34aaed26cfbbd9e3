"""Images are split one by one, groups ignored: this leaks, and exists to show what the leak is worth."""

import polars as pl

from reidflow.splits.roles import TEST, TRAIN, VAL, by_shared, check_shares, counts, needed_groups, shuffled


def assign(
    images: pl.DataFrame, gallery: str, *, train: float = 0.5, val: float = 0.2, test: float = 0.3, seed: int = 0
) -> list[str]:
    """Return the role of each row of `images` (image, identity), stratified by identity.

    An identity with too few images goes wholly to training.
    """
    check_shares(train, val, test)
    images = by_shared(images)
    shares = {TRAIN: train, VAL: val, TEST: test}
    role_of: dict[str, str] = {}
    for (identity,), rows in images.group_by(["identity"], maintain_order=True):
        given = counts(len(rows), shares, needed_groups(gallery))
        roles = [role for role, n in (given or {TRAIN: len(rows)}).items() for _ in range(n)]
        role_of.update(zip(shuffled(sorted(rows["image"]), seed, "image_level", identity), roles, strict=True))
    return [role_of[image] for image in images["image"]]
