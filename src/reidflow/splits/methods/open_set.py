"""Some identities are new: never trained on and in no gallery, they are queries of validation or of test alone."""

import polars as pl

from reidflow.spec.errors import ReidflowError
from reidflow.splits.joint import joint_identities
from reidflow.splits.methods import closed_set
from reidflow.splits.methods.identity_disjoint import clusters
from reidflow.splits.roles import TEST, VAL, check_shares, linked_identities, needs_by_shares, shuffled
from reidflow.splits.scorable import TooFewError

NEW = True
"""Identities that training does not show are queries alone: without a positive, and in no gallery."""


def assign(
    images: pl.DataFrame,
    gallery: str,
    *,
    new: float = 0.33,
    train: float = 0.5,
    val: float = 0.2,
    test: float = 0.3,
    seed: int = 0,
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block, scene).

    new: share of the identities that are new, drawn at random: half of them are queries of validation, half of test, with
    all of their images. Identities that share a suspected duplicate or a scene (a photograph)
    are new together, in one role, or not at all. The others are split as `closed_set` splits them, by `train`, `val` and `test`.
    Raises ReidflowError for a share out of range, TooFewError where a role would have no new identity.
    """
    check_shares(train, val, test)
    if not 0 < new < 1:
        raise ReidflowError(f"split 'open_set': new: {new} is no share of the identities. Write e.g. new: 0.33.")
    role_of = _new(images, new, seed)
    known = images.filter(~pl.col("identity").is_in(list(role_of)))
    roles = closed_set.assign(known, gallery, train=train, val=val, test=test, seed=seed)
    of_image = dict(zip(known["image"], roles, strict=True))
    return [
        of_image.get(image) or role_of[identity] for image, identity in images.select("image", "identity").iter_rows()
    ]


def needs(images: pl.DataFrame, method: dict, gallery: str) -> str:
    """Return what an identity needs to be scored, and how many are kept out of the gallery, in sentences."""
    try:
        number = len(_new(images, method["new"], method["seed"]))
    except TooFewError:
        return needs_by_shares(method, gallery)
    return f"{needs_by_shares(method, gallery)} {number} identities are new, and not scored."


def _new(images: pl.DataFrame, share: float, seed: int) -> dict[str, str]:
    """Return identity -> role of the new identities, about as many in each role."""
    identities = images["identity"].unique().sort().to_list()
    scored = VAL, TEST
    together = clusters(identities, [*linked_identities(images).values(), *joint_identities(images)])
    room = max(round(share * len(identities)), len(scored))
    found: dict[str, list[str]] = {role: [] for role in scored}
    for cluster in shuffled(together, seed, "open_set"):
        role = min(scored, key=lambda role: len(found[role]))
        limit = -(-room // len(scored))
        if len(found[role]) + len(cluster) <= limit and sum(map(len, found.values())) + len(cluster) <= room:
            found[role] += cluster
    empty = [role for role, own in found.items() if not own]
    if empty:
        raise TooFewError(
            f"split 'open_set': no identity of {len(identities)} can be a new one of '{empty[0]}' (new: {share:g}): photographs or "
            "suspected duplicates link too many of them."
        )
    return {identity: role for role, own in found.items() for identity in own}
