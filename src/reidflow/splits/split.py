"""Roles of a data set's labelled images, as a table with a digest."""

from collections.abc import Sequence
from typing import Literal

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.components import call, is_given
from reidflow.spec.errors import ReidflowError
from reidflow.splits.candidates import (
    IGNORED,
    drawn_distractors,
    given_distractors,
    joined_groups,
    labelled,
    unanswered,
    with_distractors,
    with_ignored,
)
from reidflow.splits.roles import ASIDE, TEST, TRAIN, VAL
from reidflow.splits.scorable import WITHOUT_VALIDATION, Regrouped, roles_of
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
    optional={IGNORED: pl.List(pl.String)},
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
) -> pl.DataFrame:
    """Return the split table of the labelled images, and of distractors, in the order of the manifest.

    groups: image, group, block and, where images of several identities belong together, scene. method: a resolved split
    component; images of the side `gallery`, where there are any, never change what it gives the photographs. sides: `across`
    has photographs as queries and the gallery side as gallery, whose roles are chosen apart;
    `within` leaves it aside. queries: the share of val and of test that are queries, the rest being the gallery; None or
    0: each is a query against the others. fold: which of the method's `folds`, where it has several. ignore: columns of
    the manifest; of a query's identity, images that share a value are no candidates. distractors: whether unlabelled
    images join the galleries. Where the data give the split, sides are those of val and test, and unlabelled images of a
    given gallery are distractors in any case. regrouped: yields groups by other rules, with the lines of a config that give
    them, for advice where this split fails. Raises ReidflowError when a role with a share stays empty, when the sides do not
    fit the data, or when no query has a positive.
    """
    given = is_given(method)
    time = "time" if "time" in manifest.columns else pl.lit(None, pl.String).alias("time")
    known = labelled(manifest).select("image", "identity", "side", time, *(["role"] if given else []))
    if "scene" not in groups.columns:
        groups = groups.with_columns(scene="group")
    grouped = groups.select("image", "group", "block", "scene")
    images = known.join(grouped, on="image", how="left", maintain_order="left")
    two = not given and images.filter(~of_photographs()).height > 0
    if given:
        split = _given(images, method, gallery)
    else:
        split = _assigned(images, method, gallery, sides, two, bool(queries), fold, regrouped)
    if queries:
        split = _with_queries(split, queries, gallery, method)
    if ignore:
        split = with_ignored(split, manifest, ignore)
    if given or ignore:
        _check_positives(split, gallery, method, regrouped)
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
    if chosen is not None:
        split = with_distractors(split, manifest, chosen)
    return split.select(*SPLIT.columns, *(name for name in SPLIT.optional if name in split.columns))


def _given(images: pl.DataFrame, method: dict, gallery: str) -> pl.DataFrame:
    """Return the split that the data give: its roles, and the sides of val and test."""
    _check_identities(images["identity"].unique().sort().to_list())
    context = images.select("image", "identity", "group", "block", "scene", given="role")
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
    regrouped: Regrouped,
) -> pl.DataFrame:
    """Return the split that a method makes. two: whether images are of two sides; queries: whether they are drawn."""
    if queries and two and sides == "across":
        raise ReidflowError(
            "queries: the data set has a side 'gallery' already, which photographs are matched against. Leave "
            "'queries' out, or write sides: within."
        )
    photographs = apart(images) if two else images
    _check_identities(photographs["identity"].unique().sort().to_list())
    divided = photographs.select("image", "identity", "group", "block", "scene", "time")
    roles = roles_of(divided, method, gallery, fold, across=two and sides == "across", regrouped=regrouped)
    given = dict(zip(photographs["image"], roles, strict=True))
    if two:
        given |= _of_second(images, given, method, sides)
    split = images.with_columns(role=pl.Series([given[image] for image in images["image"]], dtype=pl.String))
    if two:
        query = pl.lit(QUERY if sides == "across" else None, pl.String)
        split = split.with_columns(side=pl.when(of_photographs()).then(query).otherwise("side"))
        _check_answers(split, gallery, sides)
    return split


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
    """Raise ReidflowError where no photograph of val, or of test, finds its identity on the other side."""
    for role in (VAL, TEST) if sides == "across" else ():
        total, without = unanswered(split, role, gallery)
        if total and total == without:
            raise ReidflowError(
                f"sides: across: none of the {total} photographs of the role '{role}' has an image of its identity on the "
                "side 'gallery'. Use sides: within, which matches photographs against photographs, or add images to that side."
            )


def _check_positives(split: pl.DataFrame, gallery: str, method: dict, regrouped: Regrouped) -> None:
    """Raise ReidflowError where no query of val, or of test, has a positive; it names what would give both one."""
    for role in (VAL, TEST):
        total, without = unanswered(_ranked(split, role), role, gallery)
        if role == TEST and not total:
            raise ReidflowError("no labelled image of the role test is a query. Give some of them the side 'query'.")
        if total and total == without:
            unseen = " and not ignored" if IGNORED in split.columns else ""
            able = ["gallery: all"] if _answered(split, "all") else []
            able += ["ignore: []"] if unseen and _answered(split.drop(IGNORED), gallery) else []
            if role == VAL and method.get(VAL) and _answered(split.filter(pl.col("role") != VAL), gallery):
                able += [_without_val(method)]
            for text, groups in regrouped() if is_given(method) else ():
                other = split.drop("group").join(groups.select("image", "group"), on="image", maintain_order="left")
                able += [text.split("  #")[0]] if _answered(other, gallery) else []
            write = f"Write {', or '.join(able)}, or add" if able else "Add"
            raise ReidflowError(
                f"none of the {total} queries of the role '{role}' has a positive: an image of its identity that is in its "
                f"gallery (gallery: {gallery}), in another group{unseen}. {write} such images to the role."
            )


def _ranked(split: pl.DataFrame, role: str) -> pl.DataFrame:
    """Return the split as it is ranked: in validation, where ignored images have their queries' groups."""
    if role == TEST:
        return split
    return split.with_columns(group=pl.Series(joined_groups(split), dtype=pl.String)).drop(IGNORED, strict=False)


def _answered(split: pl.DataFrame, gallery: str) -> bool:
    """Return whether a query of each scored role has a positive."""
    counts = [unanswered(_ranked(split, role), role, gallery) for role in (VAL, TEST)]
    return all(without < total or not total for total, without in counts)


def _without_val(method: dict) -> str:
    """Return the settings with which the method makes no validation images."""
    shares = "" if is_given(method) else f"train: {method[TRAIN] + method[VAL]:g}, "
    tested = "" if is_given(method) else f", test: {method[TEST]:g}"
    return f"split: {{{shares}val: 0{tested}}} with {WITHOUT_VALIDATION}"


def split_digest(split: pl.DataFrame, gallery: str) -> str:
    """Return the digest of everything in a split that training and evaluation depend on."""
    return short([gallery, [list(row) for row in split.iter_rows()]], 32)
