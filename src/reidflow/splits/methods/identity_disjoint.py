"""Open set: validation and test show identities that training never saw."""

import numpy as np
import polars as pl

from reidflow.dedup.groups import components
from reidflow.splits.roles import TEST, TRAIN, VAL, check_shares, linked_identities, require_enough, shuffled


def assign(
    images: pl.DataFrame, gallery: str, *, train: float = 0.5, val: float = 0.2, test: float = 0.3, seed: int = 0
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block).

    Identities with one group cannot be scored and go to training. Identities that share a suspected duplicate go to
    one role together. Raises ReidflowError when under half of the identities could be scored.
    """
    check_shares(train, val, test)
    groups = dict(images.group_by("identity").agg(pl.col("group").n_unique()).sort("identity").iter_rows())
    require_enough(sum(n >= 2 for n in groups.values()), len(groups), "all", "identity_disjoint")
    clusters = _clusters(list(groups), list(linked_identities(images).values()))
    usable = shuffled([c for c in clusters if all(groups[i] >= 2 for i in c)], seed, "identity_disjoint")
    wanted = {role: share * len(groups) for role, share in ((VAL, val), (TEST, test)) if share}
    role_of = dict.fromkeys(groups, TRAIN)
    filled = dict.fromkeys(wanted, 0)
    for cluster in usable:
        open_roles = [r for r in wanted if filled[r] + len(cluster) <= wanted[r] + 0.5]
        if not open_roles:
            continue
        role = max(open_roles, key=lambda r: (wanted[r] - filled[r], r))
        filled[role] += len(cluster)
        role_of.update(dict.fromkeys(cluster, role))
    return [role_of[identity] for identity in images["identity"]]


def _clusters(identities: list[str], linked: list[list[str]]) -> list[list[str]]:
    """Return the identities as lists of those that must stay together."""
    row = {identity: i for i, identity in enumerate(identities)}
    pairs = [(row[some[0]], row[other]) for some in linked for other in some[1:]]
    roots = components(len(identities), np.asarray(pairs, np.int64).reshape(-1, 2))
    return [[identities[i] for i in np.flatnonzero(roots == root)] for root in np.unique(roots)]
