"""Training shows what came earlier, test what came later, validation what came between: as when new images are looked up."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from reidflow.ingest.times import moment
from reidflow.spec.components import first_day
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import (
    TEST,
    TRAIN,
    VAL,
    by_shared,
    check_shares,
    counts,
    linked_identities,
    needed_groups,
    needs_by_shares,
)

ORDER = (TRAIN, VAL, TEST)


def assign(
    images: pl.DataFrame,
    gallery: str,
    *,
    cutoff: str | int | None = None,
    train: float = 0.5,
    val: float = 0.2,
    test: float = 0.3,
) -> list[str]:
    """Return the role of each row of `images` (image, identity, group, block, scene, time).

    cutoff: a date such as 2024 or 2024-05-31, from which on all images are tested, those of identities that are first seen then
    included; of the groups before it the latest are for validation, their share being that of `val` in `train` and `val`. None:
    each identity's groups are cut by their times as the shares say, and an identity with too few groups goes to training.

    A group is as old as its earliest image, and groups that began at the same time are not cut apart. Groups without a time go to training,
    as do those that hold a suspected duplicate of another identity. Groups of one scene have the earliest of their roles. Where
    candidates have the query's flank, each flank of an identity is one.
    Source: time-aware splits of WildlifeDatasets (Adam et al. 2024, doi:10.1109/WACV57701.2024.00581), with groups kept whole.
    """
    check_shares(train, val, test)
    images = by_shared(images)
    tied = set(images.filter(pl.col("block").is_in(list(linked_identities(images))))["group"])
    began = _began(images)
    if cutoff is not None:
        chosen = _by_date(began, _date(cutoff), val / (train + val))
    else:
        chosen, least = {}, needed_groups(gallery)
        for _, own in images.select("identity", "group").unique().group_by(["identity"]):
            chosen |= _by_share(sorted(own["group"]), began, {TRAIN: train, VAL: val, TEST: test}, least)
    chosen |= dict.fromkeys(tied, TRAIN)
    place = {group: ORDER.index(chosen.get(group, TRAIN)) for group in images["group"]}
    earliest = (
        images.select("scene", place=pl.col("group").replace_strict(place)).group_by("scene").agg(pl.col("place").min())
    )
    role = {scene: ORDER[at] for scene, at in earliest.iter_rows()}
    return [role[scene] for scene in images["scene"]]


def needs(images: pl.DataFrame, method: dict, gallery: str) -> str:
    """Return what an identity needs to be scored, and how many images have a time, in sentences."""
    known, latest = images["time"].is_not_null().sum(), images["time"].max()
    timed = f"{known} of {len(images)} images have a time{f', the latest {latest}' if known else ''}."
    if method["cutoff"] is not None:
        return f"An identity can be scored where it has enough groups from the cutoff on. {timed}"
    return f"{needs_by_shares(method, gallery)} {timed}"


def _date(cutoff: str | int) -> datetime:
    day = first_day(cutoff)
    if day is None:
        raise ReidflowError(
            f"split 'time': the cutoff '{cutoff}' is not a date. Write e.g. 2024, 2024-05 or 2024-05-31."
        )
    return datetime(day.year, day.month, day.day)


def _began(images: pl.DataFrame) -> dict[str, datetime]:
    """Return group -> its earliest time, for groups that have any."""
    began: dict[str, datetime] = {}
    for group, time in images.select("group", "time").iter_rows():
        if time is not None:
            start = moment(time).start
            began[group] = min(start, began.get(group, start))
    return began


def _by_date(began: dict[str, datetime], cutoff: datetime, share: float) -> dict[str, str]:
    """Return group -> role by a date for all; share: of the groups before it that are for validation, the latest."""
    before = sorted(start for start in began.values() if start < cutoff)
    first = len(before) - round(share * len(before))
    from_then = before[first] if first < len(before) else cutoff
    return {
        group: TEST if start >= cutoff else VAL if start >= from_then and share else TRAIN
        for group, start in began.items()
    }


def _by_share(
    groups: Sequence[str], began: dict[str, datetime], shares: dict[str, float], least: int
) -> dict[str, str]:
    """Return group -> role of an identity's groups outside training; none where its groups do not suffice."""
    given = counts(len(groups), shares, least)
    timed = sorted((group for group in groups if group in began), key=lambda group: (began[group], group))
    chosen: dict[str, str] = {}
    for role in (TEST, VAL):
        wanted = (given or {}).get(role, 0)
        taken: list[str] = []
        while timed and (len(taken) < wanted or (taken and began[timed[-1]] == began[taken[-1]])):
            taken.append(timed.pop())
        if len(taken) < wanted:
            return {}
        chosen |= dict.fromkeys(taken, role)
    return chosen if len(chosen) < len(groups) else {}
