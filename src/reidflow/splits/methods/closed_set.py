"""Every identity is seen in training; its groups are kept whole (as in the jaguar competition, without its leak)."""

import polars as pl

from reidflow.splits import joint
from reidflow.splits.roles import (
    TEST,
    TRAIN,
    VAL,
    by_shared,
    check_shares,
    counts,
    linked_identities,
    needed_groups,
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

    An identity with too few groups goes wholly to training, as do groups that hold a suspected duplicate of another
    identity. Groups of several identities in one scene (a photograph) have one role. Where candidates have the query's flank,
    each flank of an identity is one: it is trained on before it is scored.

    folds: 2 or more cut each identity's groups into as many parts, or into fewer that can still be scored; in each fold
    another part is tested and the rest is shared out by `train` and `val`. 0: one split. fold: which of them, from 0.
    """
    check_shares(train, val, test)
    images = by_shared(images)
    shares, least = {TRAIN: train, VAL: val, TEST: test}, needed_groups(gallery)
    linked = linked_identities(images)
    tied = set(images.filter(pl.col("block").is_in(list(linked)))["group"])
    groups = {
        identity: sorted(rows["group"].unique())
        for (identity,), rows in images.group_by(["identity"], maintain_order=True)
    }
    free = {
        identity: shuffled([g for g in own if g not in tied], seed, "closed_set", identity)
        for identity, own in groups.items()
    }
    if folds > 1:
        parts = {identity: _parts(free[identity], len(own), least, folds) for identity, own in groups.items()}
        tested = _dealt(parts, folds)[fold]
        chosen = {
            identity: _in_fold(free[identity], tested.get(identity, []), len(own), relative(shares), least)
            for identity, own in groups.items()
        }
    else:
        chosen = {identity: _scored(free[identity], len(own), shares, least) for identity, own in groups.items()}
    several, alone = joint.scenes_of(images, tied)
    if several:
        # Identities without a scene in common with others keep the roles that they have without such scenes.
        made = (
            joint.allotted_in_fold(several, alone, shares, least, seed, folds, fold)
            if folds > 1
            else joint.allotted(several, alone, shares, least, seed)
        )
        chosen |= {i: made for scene in several for i in scene.members}
    return [chosen[identity].get(group, TRAIN) for identity, group in images.select("identity", "group").iter_rows()]


def _scored(free: list[str], total: int, shares: dict[str, float], least: int) -> dict[str, str]:
    """Return group -> role of an identity's groups outside training; none where its groups do not suffice.

    free: those that may be scored, of `total`.
    """
    given = counts(total, shares, least)
    roles = [role for role, n in (given or {}).items() if role != TRAIN for _ in range(n)]
    return dict(zip(free, roles, strict=False)) if len(roles) <= len(free) else {}


def _parts(free: list[str], total: int, least: int, folds: int) -> list[list[str]]:
    """Return the parts of an identity's groups that are tested, at most one a fold: as many groups as can be.

    Each part has at least `least` groups and leaves one for training.
    """
    number = min(folds, len(free) // least)
    tested = free[: total - 1] if number == 1 else free
    return [tested[part::number] for part in range(number)] if len(tested) >= least else []


def _dealt(parts: dict[str, list[list[str]]], folds: int) -> list[dict[str, list[str]]]:
    """Return for each fold identity -> the groups that it tests, the parts of an identity in different folds."""
    found: list[dict[str, list[str]]] = [{} for _ in range(folds)]
    held = [0] * folds
    for identity, own in parts.items():
        # The smallest folds take the largest parts.
        order = sorted(range(folds), key=lambda fold: held[fold])[: len(own)]
        for fold, part in zip(order, sorted(own, key=lambda part: -len(part)), strict=True):
            found[fold][identity] = part
            held[fold] += len(part)
    return found


def _in_fold(free: list[str], tested: list[str], total: int, shares: dict[str, float], least: int) -> dict[str, str]:
    """Return group -> role of an identity's groups outside training in the fold that tests `tested` of them.

    Of the others, those that follow the tested ones in `free` are for validation, as far as they suffice.
    """
    start = free.index(tested[-1]) + 1 if tested else 0
    rest = [group for group in [*free[start:], *free[:start]] if group not in tested]
    return {**_scored(rest, total - len(tested), shares, least), **dict.fromkeys(tested, TEST)}
