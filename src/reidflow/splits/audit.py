"""The leak audit: what straddles the roles of a split although it shows the same moment."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from reidflow.dedup.groups import LOOSEST, NO_RULES, Rules, with_scenes
from reidflow.dedup.moments import keys_of, straddling, times_of
from reidflow.splits.candidates import copies, labelled, unanswered
from reidflow.splits.roles import ASIDE, SHARED, TEST, TRAIN, VAL, most_groups
from reidflow.splits.sides import GALLERY, QUERY, of_photographs

LEAKS = ("groups", "scenes", "joined_pairs", "bytes", "pixels", "times")
WINDOW = 5.0  # minutes within which images show one moment, where groups.minutes is null
WINDOWS = (1, 5, 60, 1440)


def audit(
    split: pl.DataFrame, manifest: pl.DataFrame, pairs: pl.DataFrame, gallery: str, rules: Rules = NO_RULES
) -> dict[str, Any]:
    """Return counts per role, everything that straddles two roles, and the identities that are not scored.

    `leaks` is True when a group, a joined near-duplicate, an exact duplicate, a scene (a photograph with crops of several
    identities) or a pair of near times is in two roles. Images that are left aside do not leak. `straddling_times`: pairs of
    one identity that have in common what `rules.by` names and were taken within `window_minutes`, whether or not that joined
    them; `straddling_by_minutes`: pairs of one identity, for several windows. `times`: how many images have one. `sides`,
    where there are any: the numbers of queries, of gallery images and of images left aside.
    `distractors`, where there are any: how many a role has; `distractor_copies`: unlabelled images with the pixels of a
    labelled one, which are none. `train_only`: identities in training alone; `single_group`: those with one group, which no
    split can score. `new_identities`: how many of val and of test training has never seen. `unanswered`, where candidates must have
    the query's flank: how many queries of val and of test find no positive.
    """
    distractors = dict(split.filter(pl.col("identity").is_null()).group_by("role").len().sort("role").iter_rows())
    shown = copies(split, manifest).height if distractors else 0
    split = labelled(split)
    counted, sides = _roles(split), _sides(split, gallery)
    split = split.filter(pl.col("role") != ASIDE)
    by_photograph = _several_roles(split.join(manifest.select("image", "path"), on="image"), ["path"])
    role = split.select("image", "role")
    pairs = pairs.join(role, on="image").join(role.select(other="image", other_role="role"), on="other")
    straddling = pairs.filter(pl.col("role") != pl.col("other_role"))
    within = straddling.filter("same_identity")
    result = {
        "gallery": gallery,
        "roles": counted,
        "straddling_groups": _several_roles(split, ["identity", "group"]),
        "straddling_scenes": _several_roles(with_scenes(split, manifest, rules), ["scene"]),
        "straddling_joined_pairs": within.filter("joined").height,
        "straddling_bytes": _same_content(split, manifest, "sha256", "box"),
        "straddling_pixels": _same_content(split, manifest, "pixels") + _same_visible(split, manifest),
        "straddling_photographs": by_photograph,
        **_times(split, manifest, rules),
        "straddling_by_distance": {
            str(limit): within.filter(pl.col("distance") <= limit).height for limit in (0, 2, 4, LOOSEST)
        },
        "cross_identity_pairs": pairs.filter(~pl.col("same_identity") & pl.col("joined")).height,
        "cross_identity_straddling": straddling.filter(~pl.col("same_identity") & pl.col("joined")).height,
        "train_only": _train_only(split),
        "single_group": _single_group(split),
        "new_identities": _new_identities(split),
        **({"sides": sides} if sides else {}),
        **(
            {"unanswered": {role: unanswered(split, role, gallery)[1] for role in (VAL, TEST)}}
            if SHARED in split.columns
            else {}
        ),
        **({"distractors": distractors, "distractor_copies": shown} if distractors else {}),
    }
    result["leaks"] = any(result[f"straddling_{key}"] for key in LEAKS)
    return result


def of_folds(audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the audit of a split of several folds: what straddles roles counted over all of them.

    `leaks` where any of them leaks. train_only: who is in training alone in all. What is the same in every fold (distractor
    copies, suspected duplicates), and roles and sides, are those of the first.
    """
    first = dict(audits[0])
    if len(audits) == 1:
        return first
    for key, value in first.items():
        if key in ("straddling_by_distance", "straddling_by_minutes"):
            first[key] = {limit: sum(found[key][limit] for found in audits) for limit in value}
        elif key.startswith(("straddling_", "cross_identity_straddling")):
            first[key] = sum(found[key] for found in audits)
    alone = set.intersection(*(set(found["train_only"]) for found in audits))
    return {**first, "train_only": sorted(alone), "leaks": any(found["leaks"] for found in audits)}


def _roles(split: pl.DataFrame) -> dict[str, dict[str, int]]:
    counts = split.group_by("role").agg(
        images=pl.len(), identities=pl.col("identity").n_unique(), groups=pl.struct("identity", "group").n_unique()
    )
    return {
        row["role"]: {k: row[k] for k in ("images", "identities", "groups")} for row in counts.sort("role").to_dicts()
    }


def _sides(split: pl.DataFrame, gallery: str) -> dict[str, Any]:
    """Return counts of what is left aside, and of the two sides of each role; empty where a split has no sides."""
    if not split["side"].is_not_null().any():
        return {}
    counts: dict[str, Any] = {ASIDE: split.filter(pl.col("role") == ASIDE).height}
    scored = split.filter(pl.col("role").is_in([VAL, TEST]))
    # Beside new individuals, which are queries alone, an image without a side is both.
    both = pl.col("side").is_null() & bool(scored["side"].is_not_null().any())
    for role in (TRAIN, VAL, TEST):
        own = split.filter(pl.col("role") == role)
        counts[role] = {
            side: own.filter((pl.col("side") == side) | (both & (role != TRAIN))).height for side in (QUERY, GALLERY)
        }
    for role in (VAL, TEST):
        counts[role]["without_positive"] = unanswered(split, role, gallery)[1]
    return counts


def _several_roles(split: pl.DataFrame, keys: list[str]) -> int:
    return split.group_by(keys).agg(pl.col("role").n_unique()).filter(pl.col("role") > 1).height


def _same_content(split: pl.DataFrame, manifest: pl.DataFrame, *columns: str) -> int:
    return _several_roles(split.join(manifest.select("image", *columns), on="image"), [*columns])


def _same_visible(split: pl.DataFrame, manifest: pl.DataFrame) -> int:
    """Return how many pictures straddle roles that differ in nothing but the colours under alpha 0."""
    shown = (
        manifest.select("image", "pixels", "visible")
        .drop_nulls("visible")
        .join(split.select("image", "role"), on="image")
    )
    counts = shown.group_by("visible").agg(pl.col("role").n_unique(), pl.col("pixels").n_unique())
    return counts.filter((pl.col("role") > 1) & (pl.col("pixels") > 1)).height


def _times(split: pl.DataFrame, manifest: pl.DataFrame, rules: Rules) -> dict[str, Any]:
    """Return the numbers of pairs of one identity that were taken within some minutes and stand in two roles."""
    further = [column for column in rules.by if column != "identity"]
    rows = split.select("image", "identity", "role").join(
        manifest.select("image", "time", *further), on="image", how="left", maintain_order="left"
    )
    times, roles = times_of(rows["time"]), keys_of(rows, ["role"])
    identities, window = keys_of(rows, ["identity"]), WINDOW if rules.minutes is None else rules.minutes
    keys = keys_of(rows, ["identity", *further]) if further else identities
    return {
        "straddling_times": straddling(times, keys, roles, window),
        "window_minutes": float(window),
        "straddling_by_minutes": {str(m): straddling(times, identities, roles, m) for m in WINDOWS},
        "times": {"known": int(times.known.sum()), "coarse": times.coarse, "none": rows["time"].null_count()},
    }


def _new_identities(split: pl.DataFrame) -> dict[str, int]:
    """Return how many identities of val, and of test, have no image in training."""
    of = {role: set(split.filter(pl.col("role") == role)["identity"]) for role in (TRAIN, VAL, TEST)}
    return {role: len(of[role] - of[TRAIN]) for role in (VAL, TEST)}


def _single_group(split: pl.DataFrame) -> list[str]:
    return [identity for identity, count in most_groups(split).items() if count < 2]


def _train_only(split: pl.DataFrame) -> list[str]:
    """Return the identities without an image in val and test; of two domains, without a photograph there."""
    if split.filter(pl.col("role") == TRAIN)["side"].is_not_null().any():
        split = split.filter(of_photographs())
    scored = split.filter(pl.col("role").is_in([VAL, TEST]))["identity"].unique()
    return split.filter(~pl.col("identity").is_in(scored.implode()))["identity"].unique().sort().to_list()
