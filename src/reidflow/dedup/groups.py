"""Groups: images that show the same moment: the data set's own, joined with near-duplicates and images of near times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from reidflow.dedup.components import components
from reidflow.dedup.hashes import MOST, bounded_pairs, pairs_of
from reidflow.dedup.joining import AUTO, Joining, join
from reidflow.dedup.moments import Times, adjacent_numbers, linked, same, times_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import flow
from reidflow.store.tables import Contract

LARGE = 0.2  # a group that holds more than this share of an identity's images is reported
MANY = 3  # identities whose images have one time to the second, from which on the clock is doubted
LASTING = 12  # windows of time after which a chain of images is reported
LOOSEST = 8  # pairs up to this distance are kept for the audit, whatever the threshold

GROUPS = Contract("groups", {"image": pl.String, "identity": pl.String, "group": pl.String, "block": pl.String})
PAIRS = Contract(
    "near-duplicate pairs",
    {"image": pl.String, "other": pl.String, "distance": pl.Int64, "same_identity": pl.Boolean, "joined": pl.Boolean},
)


@dataclass(frozen=True)
class Rules:
    """What joins images into groups: the section `groups` of a config."""

    phash_distance: int | Literal["auto"] | None = None
    minutes: float | None = None
    by: Sequence[str] = ("identity",)
    numbers: int | None = None
    edited: float | None = None
    photographs: bool = True

    @property
    def reach(self) -> int:
        """The distance up to which pairs are found."""
        return max(LOOSEST, 0 if self.phash_distance in (None, AUTO) else self.phash_distance)


NO_RULES = Rules()
"""The data set's own groups and whole photographs alone."""


@dataclass(frozen=True)
class Grouping:
    """Groups per image, the close pairs behind them, which of these joined, and warnings."""

    groups: pl.DataFrame
    pairs: pl.DataFrame
    joining: Joining
    warnings: list[str]


def group_images(
    manifest: pl.DataFrame,
    hashes: np.ndarray,
    rules: Rules,
    known: tuple[np.ndarray, int] | None = None,
    edited: np.ndarray | None = None,
) -> Grouping:
    """Join each identity's own groups with its near-duplicates, and with its images of one moment.

    manifest: labelled rows; hashes: (N, 8) uint8 of the same rows; known: their `bounded_pairs` up to `rules.reach`, where
    these are known, which take the place of the hashes; edited: (E, 3) int64, further pairs that join, with the distance of
    their hashes. `group` stays within an identity; `block` also joins
    groups of different identities that hold suspected duplicates of each other, so that no split separates them. Raises
    ReidflowError for a column of `rules.by` that no image has, and for more near-duplicates than are held.
    """
    _check_columns(manifest, rules.by)
    images, identities = manifest["image"].to_list(), np.asarray(manifest["identity"].to_list(), dtype=object)
    found, reach = known or bounded_pairs(pairs_of(hashes, rules.reach), rules.reach)
    _check_reach(reach, rules.phash_distance)
    joining = _joining(manifest, found, rules, reach)
    distance = joining.distance
    joined = found[:, 2] <= distance if distance is not None else np.zeros(len(found), bool)
    if edited is not None:
        found, joined = _with_edited(found, joined, edited)
    alike = identities[found[:, 0]] == identities[found[:, 1]]
    times = None if rules.minutes is None else times_of(manifest["time"])
    own = _of_one_moment(manifest, rules, times)
    duplicates = [found[joined][:, :2], *([] if rules.phash_distance is None else _equal_pictures(manifest))]
    groups = _groups(manifest, own, np.concatenate(duplicates))
    pairs = pl.DataFrame(
        {
            "image": [images[i] for i in found[:, 0]],
            "other": [images[j] for j in found[:, 1]],
            "distance": found[:, 2],
            "same_identity": alike,
            "joined": joined,
        },
        schema=PAIRS.columns,
    )
    return Grouping(
        groups,
        pairs,
        joining,
        [*_time_warnings(manifest, times, rules), *_reach_warnings(reach, rules), *_large_group_warnings(groups)],
    )


def _joining(manifest: pl.DataFrame, found: np.ndarray, rules: Rules, reach: int) -> Joining:
    """Return which of the close pairs (P, 3) of rows of the manifest join."""
    ones, others, distances = found.T
    shown = np.asarray(manifest["visible"].to_list(), dtype=object)
    equal = (shown[ones] == shown[others]) & ~manifest["visible"].is_null().to_numpy()[ones]
    identities = manifest["identity"].rank("dense").to_numpy().astype(np.int64)
    counts = manifest["identity"].value_counts()["count"].cast(pl.Int64)
    unlike = (len(manifest) ** 2 - int((counts**2).sum())) // 2
    return join(rules.phash_distance, distances, identities[found[:, :2]], equal, unlike, len(counts), reach)


def _groups(manifest: pl.DataFrame, own: np.ndarray, duplicates: np.ndarray) -> pl.DataFrame:
    """Return the table of groups. own, duplicates: (P, 2) pairs of rows, the latter also across identities."""
    images, identities = manifest["image"].to_list(), np.asarray(manifest["identity"].to_list(), dtype=object)
    alike = identities[duplicates[:, 0]] == identities[duplicates[:, 1]]
    within = components(len(images), np.concatenate([own, duplicates[alike]]))
    across = components(len(images), np.concatenate([own, duplicates]))
    return pl.DataFrame(
        {
            "image": images,
            "identity": manifest["identity"],
            "group": [images[i] for i in within],
            "block": [images[i] for i in across],
        },
        schema=GROUPS.columns,
    )


def _with_edited(found: np.ndarray, joined: np.ndarray, edited: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (P, 3) with those of edited copies, each once, sorted, and which of them join."""
    pairs, place = np.unique(np.concatenate([found, edited]), axis=0, return_inverse=True)
    joins = np.zeros(len(pairs), bool)
    np.logical_or.at(joins, place.ravel(), np.concatenate([joined, np.ones(len(edited), bool)]))
    return pairs, joins


def with_scenes(groups: pl.DataFrame, manifest: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Return the table of groups with `scene`: the first image of those that belong in one role, whoever they show.

    A scene joins groups of several identities that hold crops of one photograph, where `rules.photographs`, and images of near
    times, where `rules.by` leaves the identity out.
    """
    columns = ["path", "time", *(column for column in rules.by if column != "identity")]
    rows = groups.join(manifest.select("image", *columns), on="image", how="left", maintain_order="left")
    pairs = [same(rows, ["identity", "group"])]
    pairs += [same(rows, ["path"])] if rules.photographs else []
    if "identity" not in rules.by:
        times = None if rules.minutes is None else times_of(rows["time"])
        pairs.append(linked(rows, times, rules.by, rules.minutes))
    images = groups["image"].to_list()
    first = components(len(images), np.concatenate(pairs))
    return groups.with_columns(scene=pl.Series([images[i] for i in first], dtype=pl.String))


def regrouped(manifest: pl.DataFrame, pairs: pl.DataFrame, rules: Rules) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield other rules that join less, as lines of a config, each with its table of groups and scenes.

    manifest: as of `group_images`, of which `pairs` are the close pairs; rules: with the distance that was chosen.
    """
    alone = set(rules.by) <= {"identity"}
    fewer = [
        *(({"phash_distance": bits}, True) for bits in _stricter(pairs, rules)),
        ({"photographs": False}, rules.photographs and manifest["path"].is_duplicated().any()),
        ({"by": ["identity"]}, rules.minutes is not None and not alone),
        ({"minutes": None, "by": ["identity"]}, rules.minutes is not None or not alone),
        ({"numbers": None}, rules.numbers is not None),
    ]
    row = {image: place for place, image in enumerate(manifest["image"])}
    for changes, applies in fewer:
        if not applies:
            continue
        other = replace(rules, **changes)
        joined = pl.col("joined")
        if "phash_distance" in changes:
            joined &= pl.col("distance") <= (-1 if other.phash_distance is None else other.phash_distance)
        close = pairs.filter(joined).select("image", "other").rows()
        found = np.asarray([(row[image], row[other]) for image, other in close], np.int64).reshape(-1, 2)
        duplicates = np.concatenate([found, *([] if other.phash_distance is None else _equal_pictures(manifest))])
        times = None if other.minutes is None else times_of(manifest["time"])
        groups = _groups(manifest, _of_one_moment(manifest, other, times), duplicates)
        note = "  # images of one moment may then stand in two roles, which the audit counts"
        yield f"groups: {flow(changes)}{note}", with_scenes(groups, manifest, other)


def _stricter(pairs: pl.DataFrame, rules: Rules) -> list[int | None]:
    """Return the lower distances of hashes that join fewer pairs, the greatest first, and None; none where copies join too."""
    if rules.phash_distance is None or rules.edited is not None:
        return []
    joined = pairs.filter("joined")["distance"].unique().sort(descending=True).to_list()
    return [*joined[1:], None] if joined else []


def _of_one_moment(manifest: pl.DataFrame, rules: Rules, times: Times | None) -> np.ndarray:
    """Return (P, 2) pairs within identities: of the data set's own groups, one photograph, near times, adjacent numbers."""
    columns = ["identity", *(column for column in rules.by if column != "identity")]
    numbers = [] if rules.numbers is None else [adjacent_numbers(manifest, rules.numbers)]
    photographs, near = same(manifest, ["identity", "path"]), linked(manifest, times, columns, rules.minutes)
    return np.concatenate([_own_pairs(manifest), photographs, near, *numbers])


def _equal_pictures(manifest: pl.DataFrame) -> list[np.ndarray]:
    """Return (P, 2) pairs, within identities and across, that are equal where they show, whatever is under alpha 0."""
    return [same(manifest, ["identity", "visible"]), same(manifest, ["visible"])]


def _check_columns(manifest: pl.DataFrame, by: Sequence[str]) -> None:
    for column in by:
        if len(manifest) and manifest[column].is_null().all():
            raise ReidflowError(
                f"groups.by: no labelled image has a {column}. Leave '{column}' out of groups.by, or have it read (e.g. "
                f"dataset: {{source: {{name: table, {column}: <column>}}}})."
            )


def _check_reach(reach: int, distance: int | str | None) -> None:
    if distance not in (None, AUTO) and reach < distance:
        raise ReidflowError(
            f"groups.phash_distance: {distance}: more than {MOST:,} pairs of images have perceptual hashes that differ in at "
            f"most {distance} bits, so the hash does not tell them apart. Write phash_distance: "
            f"{reach if reach >= 0 else 'null'}; images that are equal pixel by pixel "
            f"{'are joined all the same' if reach >= 0 else 'are then no longer joined'}."
        )


def _reach_warnings(reach: int, rules: Rules) -> list[str]:
    if reach == rules.reach:
        return []
    return [
        f"more than {MOST:,} pairs of images have perceptual hashes that differ in at most {reach + 1} bits: the leak audit "
        f"sees those of at most {reach} alone"
    ]


def _time_warnings(manifest: pl.DataFrame, times: Times | None, rules: Rules) -> list[str]:
    if times is None:
        return []
    found = []
    if times.coarse:
        found.append(
            f"{times.coarse} images are dated only to the year or month, so time joins them to nothing "
            f"({int(times.known.sum())} have a date or more)"
        )
    exact = manifest.filter(pl.Series(times.known) & pl.col("time").str.contains("T"))
    equal = exact.group_by("time").agg(pl.len().alias("images"), pl.col("identity").n_unique().alias("identities"))
    stopped = equal.filter((pl.col("images") > LARGE * exact.height) & (pl.col("identities") >= MANY)).sort("time")
    for time, images, identities in stopped.iter_rows():
        found.append(
            f"{images} images of {identities} identities have one and the same time, {time}: of a clock that stood still, or of an "
            "export? It makes a group of each identity's. Correct it in the column of times, or remove it from the files' EXIF"
        )
    return [*found, *_long_chains(manifest, times, rules)]


def _long_chains(manifest: pl.DataFrame, times: Times, rules: Rules) -> list[str]:
    """Return a warning of groups by time that last many times as long as the window, with the longest as an example."""
    clocked = times.known & manifest["time"].str.contains("T").fill_null(False).to_numpy()
    columns = ["identity", *(column for column in rules.by if column != "identity")]
    chain = components(len(manifest), linked(manifest, replace(times, known=clocked), columns, rules.minutes))
    rows = pl.DataFrame({"image": manifest["image"], "chain": chain, "start": times.start}).filter(clocked)
    spans = rows.group_by("chain").agg(
        pl.col("image").min(), images=pl.len(), span=pl.col("start").max() - pl.col("start").min()
    )
    least = LASTING * (rules.minutes or 0) * 60_000_000
    long = spans.filter((pl.col("span") > least) & (least > 0)).sort("span", "image", descending=[True, False])
    if long.is_empty():
        return []
    first = long.row(0, named=True)
    return [
        f"chains of images within groups.minutes ({rules.minutes:g}) of the next last over {LASTING} times as long in "
        f"{long.height} {'group' if long.height == 1 else 'groups'}: the longest, that of {first['image']}, holds {first['images']} images of "
        f"{first['span'] / 3.6e9:.1f} hours. Write fewer minutes where that is not one moment"
    ]


def _own_pairs(manifest: pl.DataFrame) -> np.ndarray:
    """Return (P, 2) pairs that link each image with the first one of the data set's own group within its identity."""
    first: dict[tuple[str, str], int] = {}
    pairs = []
    for row, (identity, group) in enumerate(zip(manifest["identity"], manifest["group"], strict=True)):
        if group is not None:
            pairs.append((first.setdefault((identity, group), row), row))
    return np.asarray(pairs, np.int64).reshape(-1, 2)


def _large_group_warnings(groups: pl.DataFrame) -> list[str]:
    """Return a warning of groups that hold a large share of an identity's images, with the largest as an example."""
    counts = (
        groups.group_by("identity", "group").len("images").with_columns(total=pl.col("images").sum().over("identity"))
    )
    large = counts.filter((pl.col("images") > LARGE * pl.col("total")) & (pl.col("images") > 2)).sort(
        "images", "identity", "group", descending=[True, False, False]
    )
    if large.is_empty():
        return []
    first = large.row(0, named=True)
    return [
        f"{large.height} {'group holds' if large.height == 1 else 'groups hold'} over {LARGE:.0%} of the images of their "
        f"identity, for example identity {first['identity']}: "
        f"the group of {first['group']} holds {first['images']} of {first['total']}"
    ]
