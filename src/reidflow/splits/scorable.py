"""Who can be scored: the roles of a split, checked, and what else works with the same images where too few can."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import polars as pl

from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.splits.joint import joint_identities
from reidflow.splits.roles import TEST, TRAIN, VAL, needed_groups

LEAST = 2
"""Identities that test needs: with one, every query finds its own alone. Training, which compares identities, needs as many."""
ADVISED = 3  # alternatives that a message names, at most

WITHOUT_VALIDATION = (
    "protocol: {checkpoint: last}  # nothing is chosen without validation; for experiments that tune settings: "
    "overrides: {<experiment>: {tuned: {<key>: null}}}"
)

Regrouped = Callable[[], Iterable[tuple[str, pl.DataFrame]]]


class TooFewError(ReidflowError):
    """Too few identities can be scored."""


def roles_of(
    images: pl.DataFrame,
    method: dict[str, Any],
    gallery: str,
    fold: int = 0,
    *,
    across: bool = False,
    regrouped: Regrouped = tuple,
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block, scene) by a resolved split component.

    across: queries find their positives on another side than among `images`. regrouped: yields further tables of groups, with the
    lines of a config that give them. Identities that cannot be scored are no obstacle as long as others can. Raises
    ReidflowError, with the alternatives that were tried on these images and work, where fewer than two can be scored in test,
    none in a validation that has a share, or fewer than two are trained on.
    """
    try:
        return _checked(images, method, gallery, fold, across)
    except TooFewError as error:
        raise ReidflowError(f"{error} {_advice(images, method, gallery, across, regrouped)}") from None


def scored_identities(images: pl.DataFrame, role: str, gallery: str) -> list[str]:
    """Return the identities with a query in `role` that has a positive in another group, sorted.

    images: identity, group, role.
    """
    own = images.filter(pl.col("role") == role).group_by("identity").agg(pl.col("group").n_unique())
    every = own if gallery == "role" else images.group_by("identity").agg(pl.col("group").n_unique())
    able = every.filter(pl.col("group") >= 2)["identity"]
    return own.filter(pl.col("identity").is_in(able.implode()))["identity"].sort().to_list()


def _checked(images: pl.DataFrame, method: dict[str, Any], gallery: str, fold: int, across: bool) -> list[str]:
    folded = method.get("folds", 0) > 1
    roles = call("split", method, images, gallery, *([fold] if folded else []))
    split = images.select("identity", "group", role=pl.Series(roles, dtype=pl.String))
    total = images["identity"].n_unique()
    place = f"split '{method['name']}'" + (f" with folds: {method['folds']}" if folded else "")
    for role, least in ((TEST, LEAST), (VAL, 1)):
        if method.get(role, 1) <= 0:
            continue
        seen = split.filter(pl.col("role") == role)["identity"].n_unique()
        able = seen if across else len(scored_identities(split, role, gallery))
        if able < least:
            raise TooFewError(
                f"{place}: {able} of {total} identities can be scored in '{role}', which needs {least}. {_needed(images, method, gallery)}"
            )
    trained = split.filter(pl.col("role") == TRAIN)["identity"].n_unique()
    if trained < LEAST and method.get(TRAIN, 1) > 0:
        raise TooFewError(f"{place}: {trained} of {total} identities are trained on, and training compares identities.")
    return roles


def _needed(images: pl.DataFrame, method: dict[str, Any], gallery: str) -> str:
    """Return what an identity needs to be scored, in a sentence or two."""
    if method["name"] == "identity_disjoint":
        linked = {identity for some in joint_identities(images) for identity in some}
        also = f" {len(linked)} share a scene (a photograph) with others, and then a role." if linked else ""
        return f"An identity can be scored where it has two groups (images of different moments).{also}"
    timed = ""
    if method["name"] == "time":
        known = images["time"].is_not_null().sum()
        timed = f" {known} of {len(images)} images have a time" + (
            f", the latest {images['time'].max()}." if known else "."
        )
        if method["cutoff"] is not None:
            return f"An identity can be scored where it has groups enough from the cutoff on.{timed}"
    scored = [role for role in (VAL, TEST) if method.get(role, 1) > 0]
    total = 1 + len(scored) * needed_groups(gallery)
    return (
        f"With gallery: {gallery}, an identity can be scored where it has {total} groups (images of different moments): 1 to "
        f"train on and {needed_groups(gallery)} in {' and '.join(scored)}{' each' if len(scored) > 1 else ''}.{timed}"
    )


def _advice(images: pl.DataFrame, method: dict[str, Any], gallery: str, across: bool, regrouped: Regrouped) -> str:
    found: list[list[str]] = []
    for changes, some, other, ranked in _alternatives(images, method, gallery, regrouped):
        if any(set(fewer) <= set(changes) for fewer in found):
            continue
        try:
            for fold in range(max(other.get("folds", 0), 1)):
                _checked(some, other, ranked, fold, across)
        except ReidflowError:
            continue
        found.append(changes)
        if len(found) == ADVISED:
            break
    if found:
        return "What works with these images:\n" + "\nor\n".join(
            "\n".join(f"  {one}" for one in some) for some in found
        )
    groups = images.group_by("identity").agg(pl.col("group").n_unique())
    single = groups.filter(pl.col("group") < 2).height
    return (
        f"No split of these images does: {single} of {groups.height} identities have one group alone. Add images of other "
        "moments of the same individuals, or other individuals."
    )


def _alternatives(
    images: pl.DataFrame, method: dict[str, Any], gallery: str, regrouped: Regrouped
) -> Iterator[tuple[list[str], pl.DataFrame, dict[str, Any], str]]:
    """Yield other divisions, the least change first: lines of a config, the images, the split and the gallery."""
    folds = method.get("folds", 0)
    fewer = [{**method, "folds": number} for number in range(folds - 1, 1, -1)]
    if method.get("cutoff") is not None:
        fewer = [{**method, "cutoff": None}]
    methods = [*fewer, *([_single(method)] if folds > 1 else [method])]
    methods += [without_val for one in methods if (without_val := _two_roles(one))]
    shares = {key: method[key] for key in (TRAIN, VAL, TEST, "seed") if key in method}
    for name in ("closed_set", "identity_disjoint"):
        if name != method["name"]:
            other = _single(resolve("split", {"name": name, **shares}))
            methods += [other, *([one] if (one := _two_roles(other)) else [])]
    galleries = [gallery, *(["all"] if gallery == "role" else [])]
    given = [(one, ranked) for one in methods for ranked in galleries if (one, ranked) != (method, gallery)]
    given.sort(key=lambda pair: _changes(*pair, method, gallery))
    near = sum(_changes(*pair, method, gallery) < 2 for pair in given)
    others = []
    for text, groups in regrouped():
        table = groups.select("image", "group", "block", "scene")
        others.append((text, images.select("image", "identity", "time").join(table, on="image", maintain_order="left")))
    changed = [([], images, one, ranked) for one, ranked in given]
    changed[near:near] = [([text], table, method, gallery) for text, table in others]
    # Further groups and another split at once, where neither is enough.
    changed += [([text], table, one, ranked) for one, ranked in given for text, table in others]
    for lines, some, one, ranked in changed:
        parts = [f"gallery: {ranked}"] if ranked != gallery else []
        written = {**one, "folds": one.get("folds", 0)} if folds > 1 else one
        parts += [f"split: {_flow(written)}"] if one != method else []
        parts += [WITHOUT_VALIDATION] if one.get(VAL) == 0 and method.get(VAL) != 0 else []
        yield [*lines, *parts], some, one, ranked


def _changes(one: dict[str, Any], ranked: str, method: dict[str, Any], gallery: str) -> int:
    """Return how much an alternative changes: the number of settings, a split of other identities counting most."""
    return (ranked != gallery) + 2 * (one.get(VAL) != method.get(VAL)) + 2 * (one["name"] != method["name"])


def _single(method: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in method.items() if key != "folds"}


def _two_roles(method: dict[str, Any]) -> dict[str, Any] | None:
    """Return the method without validation, whose share goes to training; None where it has none."""
    if not method.get(VAL) or not {TRAIN, TEST} <= method.keys():
        return None
    return {**method, TRAIN: round(method[TRAIN] + method[VAL], 9), VAL: 0.0, TEST: round(method[TEST], 9)}


def _flow(method: dict[str, Any]) -> str:
    given = {"name": method["name"], **method}
    return "{" + ", ".join(f"{key}: {'null' if value is None else value}" for key, value in given.items()) + "}"
