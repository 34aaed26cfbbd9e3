"""Validation and test show identities that training never saw."""

import numpy as np
import polars as pl

from reidflow.dedup.components import components
from reidflow.splits.joint import joint_identities
from reidflow.splits.roles import (
    TEST,
    TRAIN,
    VAL,
    check_shares,
    deal,
    linked_identities,
    most_groups,
    relative,
    shuffled,
)


def assign(
    images: pl.DataFrame,
    gallery: str,
    fold: int = 0,
    *,
    train: float = 0.5,
    val: float = 0.2,
    test: float = 0.3,
    seed: int = 0,
    folds: int = 0,
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block, scene).

    Identities with one group, or one of each flank where candidates have the query's, cannot be scored and go to
    training. Identities that share a suspected duplicate or a scene (a photograph) go to one role together: to
    training, where no other has room for all of them. Shares are those of all identities; of those that can be scored,
    where training would receive none of these.

    folds: 2 or more deal the identities to as many folds, each of which tests its own and shares out the others by
    `train` and `val`: each identity that can be scored is tested once. 0: one split. fold: which of them, from 0.
    """
    check_shares(train, val, test)
    groups = most_groups(images)
    scenes = joint_identities(images)
    together = clusters(list(groups), [*linked_identities(images).values(), *scenes])
    # Who is seen once beside others ranks among them; a suspected duplicate of somebody seen once may be a wrong label.
    beside = {identity for some in scenes for identity in some}
    able = [c for c in together if any(groups[i] >= 2 for i in c) and all(groups[i] >= 2 or i in beside for i in c)]
    usable = shuffled(able, seed, "identity_disjoint")
    shares, role_of, others = {VAL: val, TEST: test}, dict.fromkeys(groups, TRAIN), len(groups)
    if folds > 1:
        fold_of = deal(list(map(len, usable)), folds)
        tested = {i for cluster, of in zip(usable, fold_of, strict=True) if of == fold for i in cluster}
        role_of |= dict.fromkeys(tested, TEST)
        # Those that the next fold tests come first, so that each fold validates on others.
        order = sorted(range(len(usable)), key=lambda item: (fold_of[item] - fold - 1) % folds)
        usable = [usable[item] for item in order if fold_of[item] != fold]
        shares, others = {VAL: relative({TRAIN: train, VAL: val})[VAL]}, len(groups) - len(tested)
    scorable = sum(map(len, usable))
    others = others if sum(shares.values()) * others < scorable else scorable
    wanted = {role: share * others for role, share in shares.items() if share}
    filled = dict.fromkeys(wanted, 0)
    for cluster in usable:
        open_roles = [r for r in wanted if filled[r] + len(cluster) <= wanted[r] + 0.5]
        if not open_roles:
            continue
        role = max(open_roles, key=lambda r: (wanted[r] - filled[r], r))
        filled[role] += len(cluster)
        role_of.update(dict.fromkeys(cluster, role))
    return [role_of[identity] for identity in images["identity"]]


def needs(images: pl.DataFrame, method: dict, gallery: str) -> str:
    """Return what an identity needs to be scored, in a sentence or two."""
    linked = {identity for some in joint_identities(images) for identity in some}
    also = f" {len(linked)} share a scene (a photograph) with others, and then a role." if linked else ""
    return f"An identity can be scored where it has two groups (images of different moments).{also}"


def clusters(identities: list[str], linked: list[list[str]]) -> list[list[str]]:
    """Return the identities as lists of those that must stay together."""
    row = {identity: i for i, identity in enumerate(identities)}
    pairs = [(row[some[0]], row[other]) for some in linked for other in some[1:]]
    roots = components(len(identities), np.asarray(pairs, np.int64).reshape(-1, 2))
    found: dict[int, list[str]] = {}
    for identity, root in zip(identities, roots, strict=True):
        found.setdefault(int(root), []).append(identity)
    return [found[root] for root in sorted(found)]
