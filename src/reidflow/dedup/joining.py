"""In how many bits the perceptual hashes of images that join a group may differ: as given, or no looser than the images allow."""

from dataclasses import dataclass
from typing import Any

import numpy as np

AUTO = "auto"
LOOSEST = 4
"""The greatest distance that is chosen, bits of 64: that of copies which were scaled or compressed."""
RARE = 5000
"""Of so many pairs of images of different identities, at most one may be as close as those that join."""
FEW = 3
"""Pairs of identities with such images that are never too many: labels may be wrong, and two names be of one individual."""


@dataclass(frozen=True)
class Joining:
    """Which near-duplicates join, and how many.

    setting: of the config. distance: bits; None: no hash joins images. within, across: pairs of images of one identity, and
    of different ones, up to it. refused: the pairs of identities with images as close as `LOOSEST` bits, where these were
    more than `limit`; else 0.
    """

    setting: int | str | None
    distance: int | None
    within: int
    across: int
    limit: int
    refused: int = 0

    def plain(self) -> dict[str, Any]:
        """Return what a file holds of it: the numbers, and the note."""
        return {**vars(self), "note": self.note()}

    def note(self) -> str:
        """Return what was chosen and joined, a sentence with the config's key; '' where nothing was."""
        if not (self.within or self.across or self.refused):
            return ""
        key = f"groups.phash_distance: {'null' if self.setting is None else self.setting}"
        if self.refused:
            key += f"; at {LOOSEST} bits, {self.refused:,} pairs of identities would have images as close, and {self.limit:,} may"
        if self.distance is None:
            return f"No near-duplicates are joined ({key})."
        suspected = f"; {_pairs(self.across)} of different identities are kept in one role" if self.across else ""
        return (
            f"{_pairs(self.within)} of images of one identity joined as near-duplicates, whose perceptual hashes differ in at most "
            f"{self.distance} of 64 bits ({key}){suspected}."
        )


def join(
    setting: int | str | None, distances: np.ndarray, identities: np.ndarray, equal: np.ndarray, pairs: int, reach: int
) -> Joining:
    """Return which of the close pairs of images join.

    setting: `groups.phash_distance`. distances (P,) int: bits, of all pairs up to `reach`; identities (P, 2) int: of their images;
    equal (P,) bool: the same picture, which says nothing of other pictures. pairs: how many pairs of images of different
    identities there are. `auto` is the greatest distance, at most `LOOSEST`, at which no more than 1 in `RARE` of these, or
    `FEW`, are as close; all those of two identities count as one, since a burst with a wrong label makes many.
    """
    limit, refused, distance = max(FEW, pairs // RARE), 0, setting
    unlike = identities[:, 0] != identities[:, 1]
    if setting == AUTO:
        couples = np.sort(identities, axis=1)
        found = [len(np.unique(couples[unlike & ~equal & (distances <= bits)], axis=0)) for bits in range(LOOSEST + 1)]
        distance = max((bits for bits, count in enumerate(found) if count <= limit and bits <= reach), default=None)
        refused = found[LOOSEST] if found[LOOSEST] > limit else 0
    joined = np.zeros(len(distances), bool) if distance is None else distances <= distance
    return Joining(setting, distance, int((joined & ~unlike).sum()), int((joined & unlike).sum()), limit, refused)


def _pairs(count: int) -> str:
    return f"{count:,} {'pair' if count == 1 else 'pairs'}"
