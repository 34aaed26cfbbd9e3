"""What is known of image files by finished runs: their vectors,
and their local features where the arm is ranked by them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from reidflow.dedup.neighbours import unit
from reidflow.matching.features import Features
from reidflow.retrieval.fitted_ranking import PLAIN, FittedRanking
from reidflow.retrieval.gallery_ranking import Extractor
from reidflow.retrieval.image_files import Framing, ImageFiles, LeftOut, squares
from reidflow.spec import code
from reidflow.spec.canonical import short
from reidflow.spec.run import RunSpec

LOCAL = "local"
"""Folder of a gallery with its banks of local features, and what its facts say of them."""
BLOCK = 256
LOCAL_BLOCK = 64  # squares for local features are larger


class Embeds(Protocol):
    """Embeds squares; `identity` is a digest of what decides the vectors."""

    dim: int

    def identity(self) -> str:
        """Return a digest of what decides the vector of a square."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embeddings (n, dim) float32 of squares (n, S, S, 3) uint8."""


@dataclass(frozen=True)
class ImageEmbedder:
    """What turns an image file into its vector.

    run: name of the run, for people; of several, separated by commas. code: digest of its code. runs: folder and spec
    of each run, which a gallery keeps.
    """

    embed: Embeds
    framing: Framing
    run: str
    code: str = ""
    workers: int = 2
    runs: Sequence[tuple[Path, RunSpec]] = ()
    fitted: FittedRanking = PLAIN
    extractors: Sequence[Extractor] = ()

    def identity(self) -> dict[str, Any]:
        """Return what decides what is known of an image; galleries of different ones cannot be mixed."""
        own = {"run": self.embed.identity(), **self.framing.facts(), "code": self.code}
        local = known_by(self.fitted, {each.name: each.facts for each in self.extractors}).get(LOCAL)
        return own | ({LOCAL: local} if local else {})

    def known(self, images: ImageFiles, keys: list[str]) -> Iterator["Known"]:
        """Yield, block by block, what is known of images."""
        sides = [each.side for each in self.extractors]
        block = LOCAL_BLOCK if sides else BLOCK
        for usable, (seen, *more), left_out in squares(images, keys, self.framing, block, self.workers, sides):
            features = {
                e.name: e(each.pixels, each.masks, self.workers) for e, each in zip(self.extractors, more, strict=True)
            }
            yield Known(usable, unit(self.embed(seen.pixels)), features, left_out)


def known_by(fitted: FittedRanking, banks: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what gallery.json says of a ranking, and of what decides local features and what they score."""
    local: dict[str, Any] = {name: {key: facts[key] for key in ("code", "versions")} for name, facts in banks.items()}
    if fitted.ranking and local:
        local["scores"] = code.run_digest(*fitted.ranking.modules())
    return {"fitted": short(fitted.plain())} | ({LOCAL: local} if local else {})


def other_versions(known: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return by which packages' versions local features differ, in words; "" where they do not, or their code differs.

    known, own: what `known_by` says of those of a gallery, and of those that are to be compared with them.
    """
    plain, versions = [], []
    for local in (known, own):
        banks = {name: each for name, each in local.items() if isinstance(each, Mapping)}
        plain.append(local | {name: each["code"] for name, each in banks.items()})
        versions.append({package: one for each in banks.values() for package, one in each["versions"].items()})
    theirs, ours = versions
    if plain[0] != plain[1]:
        return ""
    packages = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    return " and ".join(f"{name} {theirs.get(name)} (here: {ours.get(name)})" for name in packages)


class Known(NamedTuple):
    """What is known of images: keys of those that can be used, their unit vectors (n, dim) float32, their local
    features by bank, and the images left out.
    """

    keys: list[str]
    vectors: np.ndarray
    features: dict[str, list[Features]]
    left_out: list[LeftOut]
