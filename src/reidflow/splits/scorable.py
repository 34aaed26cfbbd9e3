"""Who can be scored: the roles of a split, checked, and what else works with the same images where too few can."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from reidflow.spec.components import call, declared, is_given, load, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import flow
from reidflow.splits.candidates import answered
from reidflow.splits.roles import SHARED, TEST, TRAIN, VAL, by_shared, most_groups, needs_by_shares

LEAST = 2
"""Identities that test needs: with one, every query finds its own alone. Training, which compares identities, needs as many."""
FEWER = (0.25, 0.15, 0.05)
"""Shares of new identities that are tried where too few others can be scored."""
ADVISED = 3  # alternatives that a message names, at most

LAST_CHECKPOINT = "protocol: {checkpoint: last}"
UNTUNED = "overrides: {<experiment>: {tuned: {<key>: null}}}"
WITHOUT_VALIDATION = (
    f"{LAST_CHECKPOINT}  # nothing is chosen without validation; for experiments that tune settings: {UNTUNED}"
)

Regrouped = Callable[[], Iterable[tuple[str, pl.DataFrame]]]


class TooFewError(ReidflowError):
    """Too few identities can be scored."""


@dataclass(frozen=True)
class Settings:
    """What a config says of a division: the resolved split component, and keys of the same names."""

    method: dict[str, Any]
    gallery: str
    sides: str = "across"
    ignore: tuple[str, ...] = ()
    same: tuple[str, ...] = ()

    @property
    def folds(self) -> int:
        """The number of splits that the method makes."""
        return max(self.method.get("folds", 0), 1)


def scored_identities(images: pl.DataFrame, role: str, gallery: str) -> list[str]:
    """Return the identities with a query in `role` that has a positive in another group, sorted.

    images: identity, group, role; SHARED where candidates must have something in common with the query.
    """
    if SHARED in images.columns:
        rows = answered(images.with_columns(side=pl.lit(None, pl.String)), role, gallery)
        return images[rows.tolist()]["identity"].unique().sort().to_list()
    own = images.filter(pl.col("role") == role).group_by("identity").agg(pl.col("group").n_unique())
    every = own if gallery == "role" else images.group_by("identity").agg(pl.col("group").n_unique())
    able = every.filter(pl.col("group") >= 2)["identity"]
    return own.filter(pl.col("identity").is_in(able.implode()))["identity"].sort().to_list()


def new_identities(split: pl.DataFrame, method: dict[str, Any]) -> list[str]:
    """Return the identities that a split's method keeps out of every gallery, sorted: those without a training image.

    split: identity, role. None where the method's file does not say `NEW = True`.
    """
    if not declared("split", method["name"], "NEW"):
        return []
    of = split.group_by("identity").agg(known=(pl.col("role") == TRAIN).any())
    return of.filter(~pl.col("known"))["identity"].sort().to_list()


def roles_of(
    images: pl.DataFrame, method: dict[str, Any], gallery: str, fold: int = 0, *, across: bool = False
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block, scene) by a resolved split component.

    across: queries find their positives on another side than among `images`. Identities that cannot be scored are no obstacle
    as long as others can. Raises TooFewError where fewer than two can be scored in test, none in a validation that has a
    share, or fewer than two are trained on.
    """
    folded = method.get("folds", 0) > 1
    roles = call("split", method, images, gallery, *([fold] if folded else []))
    kept = [name for name in ("identity", "group", SHARED) if name in images.columns]
    split = images.select(*kept, role=pl.Series(roles, dtype=pl.String))
    total = images["identity"].n_unique()
    split = split.filter(~pl.col("identity").is_in(new_identities(split, method)))
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
    """Return what an identity needs to be scored: in the words of the method's file where it has `needs`, else by its shares."""
    own = getattr(load("split", method["name"]), "needs", None)
    needed = own(images, method, gallery) if own else needs_by_shares(method, gallery)
    if SHARED not in images.columns:
        return needed
    pairs = by_shared(images).group_by("identity").agg(pl.col("group").n_unique())["group"]
    names = {text.partition("=")[0] for texts in images[SHARED] for text in texts if text is not None}
    same = " and ".join(sorted(names))
    return (
        f"{needed} Its groups count that show the same {same}, as candidates do (candidates.same): {len(pairs)} times an identity "
        f"shows a {same}, with {pairs.min()} to {pairs.max()} groups."
    )


def advice(
    images: pl.DataFrame,
    settings: Settings,
    two: bool,
    regrouped: Regrouped,
    divide: Callable[[Settings, pl.DataFrame | None, int], pl.DataFrame],
) -> str:
    """Return the settings that work with the same images, in sentences; at most three, each of which was tried.

    images: identity, group of all labelled images. two: whether they have two sides. regrouped: yields further tables of groups, with the
    lines of a config that give them. divide: makes a split of settings, groups (None: those of the images) and a fold, or raises
    ReidflowError.
    """
    found: list[list[str]] = []
    for changes, groups, other in _alternatives(settings, two, regrouped):
        if any(set(fewer) <= set(changes) for fewer in found):
            continue
        try:
            for fold in range(other.folds):
                divide(other, groups, fold)
        except ReidflowError:
            continue
        found.append(changes)
        if len(found) == ADVISED:
            break
    if found:
        return "What works with these images:\n" + "\nor\n".join(
            "\n".join(f"  {one}" for one in some) for some in found
        )
    counts = list(most_groups(images).values())
    return (
        f"No split of these images does: {sum(count < 2 for count in counts)} of {len(counts)} identities have one group alone. Add images of other "
        "moments of the same individuals, or other individuals."
    )


def _alternatives(
    settings: Settings, two: bool, regrouped: Regrouped
) -> Iterator[tuple[list[str], pl.DataFrame | None, Settings]]:
    """Yield other divisions, the least change first: lines of a config, groups (None: the same), and the settings."""
    methods = _methods(settings.method)
    galleries = [settings.gallery, *(["all"] if settings.gallery == "role" else [])]
    across = two and settings.sides == "across"
    others = [
        Settings(method, gallery, sides, ignore, same)
        for method in methods
        for gallery in galleries
        for sides in [settings.sides, *(["within"] if across else [])]
        for ignore in [settings.ignore, *([()] if settings.ignore else [])]
        for same in [settings.same, *([()] if settings.same else [])]
    ]
    others = sorted(filter(settings.__ne__, others), key=lambda other: _changes(other, settings))
    near = sum(_changes(other, settings) < 2 for other in others)
    for other in others[:near]:
        yield _written(other, settings), None, other
    fewer = []
    for text, groups in regrouped():
        fewer.append((text, groups))
        yield [text], groups, settings
    for other in others[near:]:
        yield _written(other, settings), None, other
    # Further groups and another split at once, where neither is enough.
    for other in others:
        for text, groups in fewer:
            yield [text, *_written(other, settings)], groups, other


def _methods(method: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the method, and others that may take its place."""
    if is_given(method):
        return [method, *([{**method, VAL: 0.0}] if method.get(VAL) else [])]
    folds = method.get("folds", 0)
    fewer = [{**method, "folds": number} for number in range(folds - 1, 1, -1)]
    if method.get("cutoff") is not None:
        fewer = [{**method, "cutoff": None}]
    if "new" in method:
        fewer = [{**method, "new": share} for share in FEWER if share < method["new"]]
    methods = [method, *fewer, *([_single(method)] if folds > 1 else [])]
    methods += [without_val for one in methods if (without_val := _two_roles(one))]
    shares = {key: method[key] for key in (TRAIN, VAL, TEST, "seed") if key in method}
    for name in ("closed_set", "identity_disjoint"):
        if name != method["name"]:
            other = _single(resolve("split", {"name": name, **shares}))
            methods += [other, *([one] if (one := _two_roles(other)) else [])]
    return methods


def _written(other: Settings, settings: Settings) -> list[str]:
    """Return what differs from the settings, as lines of a config."""
    one, method = other.method, settings.method
    parts = [f"gallery: {other.gallery}"] if other.gallery != settings.gallery else []
    parts += [f"sides: {other.sides}"] if other.sides != settings.sides else []
    parts += ["ignore: []"] if other.ignore != settings.ignore else []
    parts += ["candidates: {same: []}"] if other.same != settings.same else []
    written = {**one, "folds": one.get("folds", 0)} if settings.folds > 1 else one
    parts += [f"split: {flow({'name': one['name'], **written})}"] if one != method else []
    return parts + ([WITHOUT_VALIDATION] if one.get(VAL) == 0 and method.get(VAL) != 0 else [])


def _changes(other: Settings, settings: Settings) -> int:
    """Return how much an alternative changes: the number of settings, a split of other identities counting most."""
    one, method = other.method, settings.method
    return (
        (other.gallery != settings.gallery)
        + (other.ignore != settings.ignore)
        + (other.same != settings.same)
        + (other.sides != settings.sides)
        + 2 * (one.get(VAL) != method.get(VAL))
        + 2 * (one["name"] != method["name"])
    )


def _single(method: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in method.items() if key != "folds"}


def _two_roles(method: dict[str, Any]) -> dict[str, Any] | None:
    """Return the method without validation, whose share goes to training; None where it has none, or cannot be without."""
    needed = declared("split", method["name"], "NEW")
    if needed or not method.get(VAL) or not {TRAIN, TEST} <= method.keys():
        return None
    return {**method, TRAIN: round(method[TRAIN] + method[VAL], 9), VAL: 0.0, TEST: round(method[TEST], 9)}
