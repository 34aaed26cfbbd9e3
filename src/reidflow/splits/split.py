"""Roles of a data set's labelled images, as a table with a digest."""

from collections.abc import Sequence
from typing import Literal

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.components import call, is_given
from reidflow.spec.errors import ReidflowError
from reidflow.splits.candidates import (
    IGNORED,
    check_shared,
    drawn_distractors,
    given_distractors,
    joined_groups,
    labelled,
    unanswered,
    with_distractors,
    with_ignored,
    with_shared,
)
from reidflow.splits.roles import ASIDE, SHARED, TEST, VAL
from reidflow.splits.scorable import Regrouped, Settings, TooFewError, advice, new_identities, roles_of
from reidflow.splits.sides import QUERY, apart, gallery_roles, of_photographs, with_queries
from reidflow.store.tables import Contract

SPLIT = Contract(
    "split",
    {
        "image": pl.String,
        "identity": pl.String,  # null: a distractor, nobody's match
        "group": pl.String,
        "role": pl.String,
        "side": pl.String,
    },
    nullable=frozenset({"identity", "side"}),
    optional={IGNORED: pl.List(pl.String), SHARED: pl.List(pl.String)},
)


def split_images(
    manifest: pl.DataFrame,
    groups: pl.DataFrame,
    method: dict,
    gallery: str,
    sides: Literal["across", "within"] = "across",
    queries: float | None = None,
    fold: int = 0,
    ignore: Sequence[str] = (),
    distractors: bool = False,
    regrouped: Regrouped = tuple,
    same: Sequence[str] = (),
    joined: str = "",
) -> pl.DataFrame:
    """Return the split table of the labelled images, and of distractors, in the order of the manifest.

    groups: image, group, block and, where images of several identities belong together, scene. method: a resolved split
    component; images of the side `gallery`, where there are any, never change what it gives the photographs. sides:
    `across` has photographs as queries and the gallery side as gallery, whose roles are chosen apart; `within` leaves
    it aside. queries: the share of val and of test that are queries, the rest being the gallery; None or 0: each is a
    query against the others. fold: which of the method's `folds`, where it has several. ignore: columns of the
    manifest; of a query's identity, images that share a value are no candidates. distractors: whether unlabelled images
    join the galleries. Where the data give the split, sides are those of val and test, and unlabelled images of a given
    gallery are distractors in any case. regrouped: yields groups by other rules, with the lines of a config that give
    them, for advice where this split fails. same: columns of the manifest whose value candidates share with the query;
    where it is unknown it may be any. joined: what near-duplicates joined, a sentence for the error of too few groups.
    Raises ReidflowError when a role with a share stays empty, when the sides do not fit the data, or when no query has
    a positive.
    """
    settings = Settings(method, gallery, sides, tuple(ignore), tuple(same))
    check_shared(manifest, same)

    def divide(some: Settings, table: pl.DataFrame | None, number: int) -> pl.DataFrame:
        return _divided(manifest, groups if table is None else table, some, queries, number, distractors)

    try:
        return divide(settings, None, fold)
    except TooFewError as error:
        known = labelled(manifest).join(groups.select("image", "group"), on="image")
        two = not is_given(method) and known.filter(~of_photographs()).height > 0
        advised = advice(known, settings, two, regrouped, divide)
        raise ReidflowError(" ".join(filter(None, [str(error), joined, advised]))) from None


def _divided(
    manifest: pl.DataFrame,
    groups: pl.DataFrame,
    settings: Settings,
    queries: float | None,
    fold: int,
    distractors: bool,
) -> pl.DataFrame:
    """Return the split of `split_images`. Raises TooFewError where other settings may do."""
    method, gallery, sides = settings.method, settings.gallery, settings.sides
    given = is_given(method)
    time = "time" if "time" in manifest.columns else pl.lit(None, pl.String).alias("time")
    known = labelled(manifest).select("image", "identity", "side", time, *(["role"] if given else []))
    if "scene" not in groups.columns:
        groups = groups.with_columns(scene="group")
    grouped = groups.select("image", "group", "block", "scene")
    images = known.join(grouped, on="image", how="left", maintain_order="left")
    if settings.same:
        images = with_shared(images, manifest, settings.same)
    two = not given and images.filter(~of_photographs()).height > 0
    chosen = None
    if given:
        chosen = given_distractors(manifest, method, distractors)
    elif distractors:
        chosen = drawn_distractors(manifest, method, sides, two)
    if distractors and chosen.is_empty():
        raise ReidflowError(
            "distractors: true, but the data set has no unlabelled image that could join a gallery. Name the label that marks "
            "them, e.g. dataset: {unlabelled: [unknown]}, or write distractors: false."
        )
    if given:
        split = _given(images, method, gallery)
    else:
        split = _assigned(images, method, gallery, sides, two, bool(queries), fold)
    if queries:
        if given:
            # Of images without positives none would become a query.
            _check_positives(split, gallery)
        split = _with_queries(split, queries, gallery, method)
    if settings.ignore:
        split = with_ignored(split, manifest, settings.ignore)
    if given or settings.ignore or settings.same:
        _check_positives(split, gallery)
    if chosen is not None:
        split = with_distractors(split, manifest, chosen)
        split = with_shared(split, manifest, settings.same) if settings.same else split
    return split.select(*SPLIT.columns, *(name for name in SPLIT.optional if name in split.columns))


def _given(images: pl.DataFrame, method: dict, gallery: str) -> pl.DataFrame:
    """Return the split that the data give: its roles, and the sides of val and test."""
    _check_identities(images["identity"].unique().sort().to_list())
    context = images.select("image", "identity", "group", "block", "scene", *_shared(images), given="role")
    split = images.with_columns(role=pl.Series(call("split", method, context, gallery), dtype=pl.String))
    scored = pl.col("role").is_in([VAL, TEST])
    return split.with_columns(side=pl.when(scored).then("side"))


def _assigned(
    images: pl.DataFrame,
    method: dict,
    gallery: str,
    sides: str,
    two: bool,
    queries: bool,
    fold: int,
) -> pl.DataFrame:
    """Return the split that a method makes. two: whether images are of two sides; queries: whether they are drawn."""
    if queries and two and sides == "across":
        raise ReidflowError(
            "queries: the data set has a side 'gallery' already, which photographs are matched against. Leave "
            "'queries' out, or write sides: within."
        )
    photographs = apart(images) if two else images
    _check_identities(photographs["identity"].unique().sort().to_list())
    divided = photographs.select("image", "identity", "group", "block", "scene", "time", *_shared(images))
    roles = roles_of(divided, method, gallery, fold, across=two and sides == "across")
    given = dict(zip(photographs["image"], roles, strict=True))
    if two:
        given |= _of_second(images, given, method, sides)
    split = images.with_columns(role=pl.Series([given[image] for image in images["image"]], dtype=pl.String))
    new = pl.col("identity").is_in(new_identities(split.filter(of_photographs()), method))
    if two:
        split = split.with_columns(role=pl.when(new & ~of_photographs()).then(pl.lit(ASIDE)).otherwise("role"))
        query = pl.lit(QUERY if sides == "across" else None, pl.String)
        split = split.with_columns(side=pl.when(of_photographs()).then(query).otherwise("side"))
        _check_answers(split, gallery, sides)
    return split.with_columns(side=pl.when(new & of_photographs()).then(pl.lit(QUERY)).otherwise("side"))


def _shared(images: pl.DataFrame) -> list[str]:
    return [name for name in (SHARED,) if name in images.columns]


def _with_queries(split: pl.DataFrame, share: float, gallery: str, method: dict) -> pl.DataFrame:
    if is_given(method) and split["side"].is_not_null().any():
        raise ReidflowError(
            "queries: the data give queries and gallery already. Leave 'queries' out, in an experiment's 'evaluation' too."
        )
    return with_queries(split, share, gallery, method.get("seed", 0))


def _of_second(images: pl.DataFrame, roles: dict[str, str], method: dict, sides: str) -> dict[str, str]:
    """Return the role of each image of the side `gallery`."""
    if sides == "across":
        return gallery_roles(images, roles, method)
    return dict.fromkeys(images.filter(~of_photographs())["image"], ASIDE)


def _check_identities(identities: list[str]) -> None:
    if len(identities) < 2:
        whose = f"all labelled images show '{identities[0]}'" if identities else "no usable image has a label"
        raise ReidflowError(
            f"the data set has fewer than two identities: {whose}, so there is nothing to distinguish. Give each individual "
            "a folder or a label of its own; data/quarantine.parquet in the results lists what was left out."
        )


def _check_answers(split: pl.DataFrame, gallery: str, sides: str) -> None:
    """Raise TooFewError where no photograph of val, or of test, finds its identity on the other side."""
    for role in (VAL, TEST) if sides == "across" else ():
        total, without = unanswered(split, role, gallery)
        if total and total == without:
            raise TooFewError(
                f"sides: across: none of the {total} photographs of the role '{role}' has an image of its identity on the "
                "side 'gallery'. Add images to that side, or match photographs against photographs."
            )


def _check_positives(split: pl.DataFrame, gallery: str) -> None:
    """Raise TooFewError where no query of val, or of test, has a positive."""
    joined = split.with_columns(group=pl.Series(joined_groups(split), dtype=pl.String)).drop(IGNORED, strict=False)
    for role, ranked in ((VAL, joined), (TEST, split)):
        total, without = unanswered(ranked, role, gallery)
        if role == TEST and not total:
            raise ReidflowError("no labelled image of the role test is a query. Give some of them the side 'query'.")
        if total and total == without:
            unseen = " and not ignored" if IGNORED in split.columns else ""
            unseen += " and a candidate (candidates.same)" if SHARED in split.columns else ""
            raise TooFewError(
                f"none of the {total} queries of the role '{role}' has a positive: an image of its identity that is in its "
                f"gallery (gallery: {gallery}), in another group{unseen}. Add such images to the role, or change what is compared."
            )


def split_digest(split: pl.DataFrame, gallery: str) -> str:
    """Return the digest of everything in a split that training and evaluation depend on."""
    return short([gallery, [list(row) for row in split.iter_rows()]], 32)
