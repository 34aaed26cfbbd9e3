"""In how many bits the perceptual hashes of images that join a group may differ: as given, or no looser than the images allow."""

from dataclasses import dataclass
from typing import Any

import numpy as np

AUTO = "auto"
LOOSEST = 4
"""The greatest distance that is chosen, bits of 64: that of copies which were scaled or compressed."""
RARE = 5000
"""Of so many pairs of images of different identities, at most one pair of identities may have images as close as those that join."""
COMMON = 15
"""Of so many pairs of identities, at most one may. Identities of many images have many chances: by `RARE` alone, 100 of 100
images each might all be alike."""
FEW = 3
"""Pairs of identities with such images that are never too many: labels may be wrong, and two names be of one individual."""


@dataclass(frozen=True)
class Joining:
    """Which near-duplicates join, and how many.

    setting: of the config. distance: bits; None: no hash joins images. within, across: pairs of images of one identity, and
    of different ones, up to it. reach: the bits up to which it might be chosen, `LOOSEST` or, where the pairs of more are too
    many to be held, fewer. refused: the pairs of identities with images as close as `reach` bits, where these were more than
    `limit`; else 0.
    """

    setting: int | str | None
    distance: int | None
    within: int
    across: int
    limit: int
    reach: int = LOOSEST
    refused: int = 0

    def plain(self) -> dict[str, Any]:
        """Return what a file holds of it: the numbers, and the note."""
        return {**vars(self), "note": self.note()}

    def note(self) -> str:
        """Return what was chosen and joined, a sentence with the config's key; '' where nothing was."""
        bounded = self.setting == AUTO and self.reach < LOOSEST
        if not (self.within or self.across or self.refused or bounded):
            return ""
        key = f"groups.phash_distance: {'null' if self.setting is None else self.setting}"
        if self.refused:
            key += f"; at {self.reach} bits, {self.refused:,} pairs of identities would have images as close, and {self.limit:,} may"
        if bounded:
            key += f"; at {self.reach + 1} bits, too many pairs of images are as close to be held"
        if self.distance is None:
            return f"No near-duplicates are joined ({key})."
        suspected = f"; {_pairs(self.across)} of different identities are kept in one role" if self.across else ""
        return (
            f"{_pairs(self.within)} of images of one identity joined as near-duplicates, whose perceptual hashes differ in at most "
            f"{self.distance} of 64 bits ({key}){suspected}."
        )


def join(
    setting: int | str | None,
    distances: np.ndarray,
    identities: np.ndarray,
    equal: np.ndarray,
    pairs: int,
    count: int,
    reach: int,
) -> Joining:
    """Return which of the close pairs of images join.

    setting: `groups.phash_distance`. distances (P,) int: bits, of all pairs up to `reach`; identities (P, 2) int: of their images;
    equal (P,) bool: the same picture, which says nothing of other pictures. pairs: how many pairs of images of different
    identities there are; count: how many identities. `auto` is the greatest distance, at most `LOOSEST`, at which so many pairs
    of identities have images as close: `FEW`, or 1 in `COMMON` of them, but no more than 1 in `RARE` pairs of images; all those of
    two identities count as one, since a burst with a wrong label makes many.
    """
    limit = max(FEW, min(pairs // RARE, count * (count - 1) // 2 // COMMON))
    refused, distance, reach = 0, setting, min(reach, LOOSEST)
    unlike = identities[:, 0] != identities[:, 1]
    if setting == AUTO:
        couples = np.sort(identities, axis=1)
        found = [len(np.unique(couples[unlike & ~equal & (distances <= bits)], axis=0)) for bits in range(reach + 1)]
        distance = max((bits for bits, count in enumerate(found) if count <= limit), default=None)
        refused = found[-1] if found and found[-1] > limit else 0
    joined = np.zeros(len(distances), bool) if distance is None else distances <= distance
    return Joining(
        setting, distance, int((joined & ~unlike).sum()), int((joined & unlike).sum()), limit, reach, refused
    )


def _pairs(count: int) -> str:
    return f"{count:,} {'pair' if count == 1 else 'pairs'}"
