"""The individuals of a data set at a glance: a few images of each, bordered in the colour of their role."""

from pathlib import Path

import numpy as np
import polars as pl

from reidflow.figures.contact import Row, Tile, write_sheet
from reidflow.figures.style import FAINT, ROLES, Heading, need
from reidflow.splits.roles import ASIDE

ORDER = ("train", "val", "test", "unused")


def identities_sheet(
    images: np.ndarray,
    manifest: pl.DataFrame,
    split: pl.DataFrame,
    heading: Heading,
    out: str | Path,
    *,
    per_identity: int = 8,
    most: int = 24,
    tile: int = 112,
) -> None:
    """Write a row per identity, the one with the most images first, as PNG or JPEG by the suffix of `out`.

    images: (N, H, W, 3) uint8, row i being row i of the manifest. split: image, identity, group, role. Of more than
    `most` identities, as many are shown, from the most common to the rarest at even distances; of more than
    `per_identity` images, every role gets its turn, and its images are taken at even distances over their groups.
    Images that are left aside are not shown.
    """
    need(split, ["image", "identity", "group", "role"], "identities sheet")
    split = split.filter(pl.col("role") != ASIDE)
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    people = split.group_by("identity").len().sort(["len", "identity"], descending=[True, False])["identity"].to_list()
    shown = _even(people, most)
    rows = []
    for identity in shown:
        own = split.filter(pl.col("identity") == identity)
        tiles = [Tile(images[row_of[image]], "", ROLES.get(role, FAINT)) for image, role in _choose(own, per_identity)]
        rows.append(Row(tiles, [identity, f"{own.height} images", _counts(own)]))
    roles = [role for role in ORDER if role in set(split["role"])]
    share = f"{len(shown)} of {len(people)} identities" if len(shown) < len(people) else f"{len(people)} identities"
    subtitle = " · ".join(part for part in (heading.subtitle, share) if part.strip())
    write_sheet(rows, out, Heading(heading.title, subtitle), tile, [(ROLES[role], role) for role in roles])


def _even(values: list, count: int) -> list:
    """Return at most `count` of the values, at even distances, the first and the last among them."""
    if len(values) <= count:
        return values
    if count == 1:
        return values[:1]
    return [values[round(i * (len(values) - 1) / (count - 1))] for i in range(count)]


def _choose(own: pl.DataFrame, count: int) -> list[tuple[str, str]]:
    """Return (image, role) of the images to show, in the order of the roles."""
    ordered = own.sort("group", "image")
    by_role = {role: ordered.filter(pl.col("role") == role)["image"].to_list() for role in ORDER}
    quota = dict.fromkeys(ORDER, 0)
    left = min(count, sum(map(len, by_role.values())))
    while left:
        for role in ORDER:
            if left and quota[role] < len(by_role[role]):
                quota[role] += 1
                left -= 1
    return [(image, role) for role in ORDER if quota[role] for image in _even(by_role[role], quota[role])]


def _counts(own: pl.DataFrame) -> str:
    counts = {role: own.filter(pl.col("role") == role).height for role in ORDER}
    return ", ".join(f"{count} {role}" for role, count in counts.items() if count)
