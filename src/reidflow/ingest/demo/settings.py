"""The parameters of the demo."""

from dataclasses import dataclass

from reidflow.spec.errors import Problems


@dataclass(frozen=True)
class DemoSettings:
    """Size, difficulty and seed of the demo data set.

    `images` is the number of files, duplicates included. `shortcut` is the share of an animal's sightings that take
    place at its home site; the others at a random site, so that at 0 the background says nothing about the identity.
    `variety` spreads the style of the coats (size, thickness, tint of the rosettes), which both flanks of an animal
    share; at 0 individuals differ only in the layout of their rosettes. `renders` is the number of images of each
    animal in a second style, beside the photographs and not counted in `images`.
    """

    identities: int = 24
    images: int = 500
    size: int = 256
    shortcut: float = 0.8
    variety: float = 1.0
    occluded: float = 0.25
    night: float = 0.08
    duplicates: float = 0.08
    defects: float = 0.12
    renders: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        problems = Problems()
        if self.identities < 2:
            problems.add("identities", f"{self.identities} is too few.", "Set 2 or more.")
        if self.images < self.identities:
            problems.add("images", f"{self.images} is less than one per identity.", f"Set {self.identities} or more.")
        if not 64 <= self.size <= 2048:
            problems.add("size", f"{self.size} pixels is out of range.", "Set 64 to 2048 (the longest side).")
        if self.renders < 0:
            problems.add("renders", f"{self.renders} is negative.", "Set 0 or more.")
        if self.variety < 0:
            problems.add("variety", f"{self.variety} is negative.", "Set 0 or more.")
        for name in ("shortcut", "occluded", "night", "defects"):
            if not 0 <= getattr(self, name) <= 1:
                problems.add(name, f"{getattr(self, name)} is not a share.", "Set 0 to 1.")
        if not 0 <= self.duplicates <= 0.5:
            problems.add("duplicates", f"{self.duplicates} is out of range.", "Set 0 to 0.5.")
        problems.raise_if_any("settings of the demo")
