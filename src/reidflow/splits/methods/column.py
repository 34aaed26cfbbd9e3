"""Roles given by the data: the published split of a benchmark, or a column of the owner's own table."""

from typing import Literal

import polars as pl

from reidflow.spec.errors import ReidflowError
from reidflow.splits.methods import closed_set, identity_disjoint
from reidflow.splits.roles import ASIDE, TEST, TRAIN, VAL
from reidflow.splits.scorable import LAST_CHECKPOINT, UNTUNED, TooFewError, scored_identities

GIVEN = True


def assign(
    images: pl.DataFrame,
    gallery: str,
    *,
    role: str | None = None,
    val: float | None = None,
    tested: Literal["test", "val"] = "test",
    seed: int = 0,
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block, given); `aside` where the data give none.

    Nothing is moved: what straddles roles is counted by the leak audit.

    role: the column of the source's table that gives the roles; the same as the source's own `role`. val: share of the
    training images that become validation images, where the data give none: whole groups of the identities where test
    shows identities of training, else whole identities; 0: no validation; None: the data give validation images. tested:
    the role that is tested; `val` for data with train and val alone, of which val becomes test. seed: of the images
    chosen for validation. Raises ReidflowError for roles that are missing.
    """
    given = images["given"].replace({VAL: TEST}) if tested == VAL else images["given"]
    present = set(given.drop_nulls())
    if not present:
        raise ReidflowError(
            "split 'column': the data give no image a role (train, val, test). Name the column of the table that holds it: "
            "dataset: {source: {role: split}}; or use a split that gives roles itself: closed_set or identity_disjoint."
        )
    if tested == VAL and TEST in set(images["given"]):
        raise ReidflowError("split 'column', tested: val: the data give test images as well. Leave 'tested' out.")
    if TEST not in present:
        other = "Write tested: val to test the images of the role val" if VAL in present else "Give some the role test"
        raise ReidflowError(f"split 'column': the data give no image the role test. {other}.")
    if VAL in present and val is not None:
        raise ReidflowError(
            f"split 'column', val: {val:g}: the data give {(given == VAL).sum()} validation images already. Leave 'val' out."
        )
    if VAL not in present and val is None:
        raise ReidflowError(
            "split 'column': the data give no validation images. Write split: {val: 0.2} to take a fifth of the training images, "
            f"or split: {{val: 0}} and {LAST_CHECKPOINT}, without settings that experiments tune ({UNTUNED})."
        )
    roles = images.select("image", role=given.fill_null(ASIDE))
    if val:
        taken = _validation(images.with_columns(given=given), gallery, val, seed)
        roles = roles.with_columns(role=pl.when(pl.col("image").is_in(taken)).then(pl.lit(VAL)).otherwise("role"))
    return roles["role"].to_list()


def _validation(images: pl.DataFrame, gallery: str, share: float, seed: int) -> list[str]:
    """Return the training images that become validation images: about this share of them."""
    training, tested = images.filter(pl.col("given") == TRAIN), images.filter(pl.col("given") == TEST)
    known = tested["identity"].unique().is_in(training["identity"].unique().implode())
    method = closed_set if 2 * known.sum() >= len(known) else identity_disjoint
    roles = method.assign(training, gallery, train=1 - share, val=0.0, test=share, seed=seed)
    divided = training.with_columns(role=pl.Series(roles, dtype=pl.String))
    if not scored_identities(divided, TEST, gallery):
        raise TooFewError(
            f"split 'column', val: {share:g}: no identity can be scored on validation images taken out of the training images."
        )
    return divided.filter(pl.col("role") == TEST)["image"].to_list()
