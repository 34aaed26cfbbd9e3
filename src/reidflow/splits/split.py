"""Roles of a data set's labelled images, as a table with a digest."""

from typing import Literal

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE, TEST, VAL
from reidflow.splits.scorable import roles_of
from reidflow.splits.sides import apart, gallery_roles, of_photographs, unanswered, with_queries
from reidflow.store.tables import Contract

SPLIT = Contract(
    "split",
    {"image": pl.String, "identity": pl.String, "group": pl.String, "role": pl.String, "side": pl.String},
    nullable=frozenset({"side"}),
)


def split_images(
    manifest: pl.DataFrame,
    groups: pl.DataFrame,
    method: dict,
    gallery: str,
    sides: Literal["across", "within"] = "across",
    queries: float | None = None,
    fold: int = 0,
) -> pl.DataFrame:
    """Return the split table of the labelled images, in the order of the manifest.

    method: a resolved split component; images of the side `gallery`, where there are any, never change what it gives the
    photographs. sides: `across` has photographs as queries and the gallery side as gallery, whose roles are chosen apart;
    `within` leaves it aside. queries: the share of val and of test that are queries, the rest being the gallery; None or
    0: each is a query against the others. fold: which of the method's `folds`, where it has several. Raises ReidflowError where too few
    identities can be scored, or the sides do not fit the data.
    """
    labelled = manifest.filter(pl.col("identity").is_not_null()).select("image", "identity", "side")
    images = labelled.join(groups.select("image", "group", "block"), on="image", how="left", maintain_order="left")
    two = images.filter(~of_photographs()).height > 0
    if queries and two and sides == "across":
        raise ReidflowError(
            "queries: the data set has a side 'gallery' already, which photographs are matched against. Leave "
            "'queries' out, or write sides: within."
        )
    photographs = apart(images) if two else images
    _check_identities(photographs["identity"].unique().sort().to_list())
    divided = photographs.select("image", "identity", "group", "block")
    roles = roles_of(divided, method, gallery, fold, across=two and sides == "across")
    given = dict(zip(photographs["image"], roles, strict=True))
    if two:
        given |= _of_second(images, given, method, sides)
    split = images.with_columns(role=pl.Series([given[image] for image in images["image"]], dtype=pl.String))
    if two:
        query = pl.lit("query" if sides == "across" else None, pl.String)
        split = split.with_columns(side=pl.when(of_photographs()).then(query).otherwise("side"))
        _check_answers(split, gallery, sides)
    if queries:
        split = with_queries(split, queries, gallery, method.get("seed", 0))
    return split.select(list(SPLIT.columns))


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


def split_digest(split: pl.DataFrame, gallery: str) -> str:
    """Return the digest of everything in a split that training and evaluation depend on."""
    return short([gallery, [list(row) for row in split.iter_rows()]], 32)
