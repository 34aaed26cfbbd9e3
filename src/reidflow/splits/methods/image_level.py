"""Images are split one by one, groups ignored: this leaks, and exists to show what the leak is worth."""

import polars as pl

from reidflow.splits.roles import TEST, TRAIN, VAL, check_shares, counts, needed_groups, require_enough, shuffled


def assign(
    images: pl.DataFrame, gallery: str, *, train: float = 0.5, val: float = 0.2, test: float = 0.3, seed: int = 0
) -> list[str]:
    """Return the role of each row of `images` (image, identity), stratified by identity.

    Raises ReidflowError when under half of the identities would be scored.
    """
    check_shares(train, val, test)
    shares = {TRAIN: train, VAL: val, TEST: test}
    role_of: dict[str, str] = {}
    scored = 0
    for (identity,), rows in images.group_by(["identity"], maintain_order=True):
        given = counts(len(rows), shares, needed_groups(gallery))
        scored += given is not None
        roles = [role for role, n in (given or {TRAIN: len(rows)}).items() for _ in range(n)]
        role_of.update(zip(shuffled(sorted(rows["image"]), seed, "image_level", identity), roles, strict=True))
    require_enough(scored, images["identity"].n_unique(), gallery, "image_level")
    return [role_of[image] for image in images["image"]]
