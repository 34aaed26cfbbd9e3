"""Two sides of a split: roles of the gallery side's images, and queries taken out of one domain.

An image of the side `gallery` belongs to a second domain (renders, mugshots); the others are called photographs here.
"""

import heapq
from collections import defaultdict

import numpy as np
import polars as pl

from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE, TEST, TRAIN, VAL, by_shared, linked_identities, shuffled

QUERY, GALLERY = "query", "gallery"


def of_photographs(column: str = "side") -> pl.Expr:
    """Return which rows are photographs: those that are not of the gallery side."""
    return pl.col(column).ne_missing(GALLERY)


def without_gallery_side(manifest: pl.DataFrame) -> np.ndarray:
    """Return which rows of the manifest, bool (N,), are of use where labelled images of the gallery side are left aside."""
    return manifest.select(of_photographs() | pl.col("identity").is_null()).to_series().to_numpy()


def apart(images: pl.DataFrame) -> pl.DataFrame:
    """Return the photographs alone, grouped as if there were no others.

    A group and a block bear the name of their first image, which may be one of the gallery side.
    """
    photographs = images.filter(of_photographs())
    return photographs.with_columns(
        group=pl.col("image").first().over("identity", "group"), block=pl.col("image").first().over("block")
    )


def gallery_roles(images: pl.DataFrame, roles: dict[str, str], method: dict) -> dict[str, str]:
    """Return the role of each image of the gallery side, chosen apart from the photographs.

    images: image, identity, group, block, side of all labelled images; roles: image -> role of the photographs.
    Where no identity has photographs in two roles, its gallery side follows them, and an identity without photographs
    is a distractor in test. Else the groups of each identity are shared out by the method's shares. A group that also
    holds photographs follows those in any case.
    """
    known = images.filter(of_photographs()).with_columns(role=pl.col("image").replace_strict(roles))
    renders = images.filter(~of_photographs())
    of_identity = known.group_by("identity").agg(pl.col("role").unique())
    if (of_identity["role"].list.len() == 1).all():
        follows = {identity: found[0] for identity, found in of_identity.iter_rows()}
        chosen = {image: follows.get(name, TEST) for image, name in renders.select("image", "identity").iter_rows()}
    else:
        chosen = _shared_out(renders, method)
    held = {(identity, group): role for identity, group, role in known.select("identity", "group", "role").iter_rows()}
    return {
        image: held.get((identity, group), chosen[image])
        for image, identity, group in renders.select("image", "identity", "group").iter_rows()
    }


def _shared_out(renders: pl.DataFrame, method: dict) -> dict[str, str]:
    """Return the roles of images whose groups are shared out within each identity, to test first."""
    shares = {role: float(method.get(role, 0)) for role in (TEST, VAL, TRAIN)}
    tied = set(renders.filter(pl.col("block").is_in(list(linked_identities(renders))))["group"])
    role_of: dict[tuple[str, str], str] = {}
    for (identity,), rows in renders.group_by(["identity"], maintain_order=True):
        groups = sorted(rows["group"].unique())
        free = shuffled([g for g in groups if g not in tied], method.get("seed", 0), "gallery", identity)
        order = [*free, *(g for g in groups if g in tied)]
        given = _portions(len(order), {role: share for role, share in shares.items() if share > 0})
        roles = [role for role, count in given.items() for _ in range(count)]
        role_of |= {(identity, group): role for group, role in zip(order, roles, strict=True)}
    return {
        image: role_of[identity, group]
        for image, identity, group in renders.select("image", "identity", "group").iter_rows()
    }


def _portions(total: int, shares: dict[str, float]) -> dict[str, int]:
    """Return how many of `total` each role receives: one each in the order of `shares`, then the most unmet share."""
    given = {role: int(place < total) for place, role in enumerate(shares)}
    while sum(given.values()) < total:
        role = max(given, key=lambda r: (shares[r] * total - given[r], r == TRAIN, r))
        given[role] += 1
    return given


def with_queries(split: pl.DataFrame, share: float, gallery: str, seed: int) -> pl.DataFrame:
    """Return the split with sides in val and in test: a `share` of the images are queries, the others the gallery.

    Images that are queries already, those of new identities, remain so and are not counted.

    Stratified by identity, random with `seed`. A query keeps a positive in another group: of an identity, only as
    many images are queries as allow that, but at least one where possible. The queries of a role are floor(share * its images)
    in number, or one an identity where that is more. Where candidates have the query's flank, each flank of an identity counts
    as one. Raises ReidflowError for a share out of range.
    """
    if not 0 < share < 1:
        raise ReidflowError(
            f"queries: {share} is not a share of the images. Write a number between 0 and 1, such as 0.2."
        )
    chosen: set[str] = set()
    images = by_shared(split.filter(pl.col("role") != ASIDE))
    for role in (VAL, TEST):
        chosen |= _chosen_queries(images, role, share, gallery, seed)
    scored = pl.col("role").is_in([VAL, TEST])
    queries = pl.col("image").is_in(list(chosen)) | pl.col("side").eq_missing(QUERY)
    side = pl.when(scored & queries).then(pl.lit(QUERY))
    return split.with_columns(side=side.when(scored).then(pl.lit(GALLERY)).otherwise("side"))


def _chosen_queries(split: pl.DataFrame, role: str, share: float, gallery: str, seed: int) -> set[str]:
    """Return the images of a role that are queries."""
    own = split.filter((pl.col("role") == role) & pl.col("side").ne_missing(QUERY))
    able: dict[str, list[str]] = {}
    every = split.partition_by("identity", as_dict=True) if gallery == "all" else {}
    for (identity,), rows in own.group_by(["identity"], maintain_order=True):
        ranked = every.get((identity,), rows)
        order = shuffled(sorted(rows["image"]), seed, "queries", role, identity)
        able[identity] = _possible_queries(order, dict(ranked.select("image", "group").iter_rows()))
    sizes = dict(own.group_by("identity").len().iter_rows())
    taken = {identity: min(1, len(images)) for identity, images in able.items()}
    wanted = min(int(share * own.height + 1e-9), sum(map(len, able.values())))
    unmet = [(taken[i] - share * sizes[i], i) for i in able if taken[i] < len(able[i])]
    heapq.heapify(unmet)
    for _ in range(wanted - sum(taken.values())):
        lead, identity = heapq.heappop(unmet)
        taken[identity] += 1
        if taken[identity] < len(able[identity]):
            heapq.heappush(unmet, (lead + 1, identity))
    return {image for identity, images in able.items() for image in images[: taken[identity]]}


def _possible_queries(order: list[str], group_of: dict[str, str]) -> list[str]:
    """Return images of an identity, in `order`, that can become queries one after another while each keeps a positive.

    group_of: the group of every image of the identity that may be in the gallery. The first n of the result can be queries together.
    """
    left: dict[str, int] = defaultdict(int)
    for group in group_of.values():
        left[group] += 1
    queries: list[str] = []
    groups: set[str] = set()
    for image in order:
        own = group_of[image]
        left[own] -= 1
        total = sum(left.values())
        if all(total > left[group] for group in groups | {own}):
            queries.append(image)
            groups.add(own)
        else:
            left[own] += 1
    return queries
