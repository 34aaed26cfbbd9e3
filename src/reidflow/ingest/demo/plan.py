"""The plan of the demo: when, where and from which side each animal is photographed, with which defects and copies.

The plan of one animal depends on the settings and its number alone, so plans are made animal by animal.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from reidflow.ingest.demo.habitat import HABITATS
from reidflow.ingest.demo.noise import generator
from reidflow.ingest.demo.settings import DemoSettings

DEFECTS = ("motion_blur", "dark", "over_exposed", "low_resolution", "truncated")
ALTERATIONS = ("same_bytes", "recompressed", "same_pixels", "resized", "cropped", "brightness")
OCCLUDERS = ("grass", "leaves", "trunk")
FEWEST, MOST_TO_FEWEST = 8, 5.0


@dataclass(frozen=True)
class Burst:
    """One event: an animal passes a camera. `light` is day, dusk or night (infrared)."""

    number: int
    flank: str
    site: int
    light: str
    time: datetime
    occluder: str | None


@dataclass(frozen=True)
class Photograph:
    """One file of the data set; `copies` number the files made of it, each with its alteration."""

    image: int
    identity: int
    burst: Burst
    frame: int
    defect: str | None
    copies: tuple[tuple[int, str], ...]

    @property
    def time(self) -> datetime:
        """The time of capture: frames of a burst are two seconds apart."""
        return self.burst.time + timedelta(seconds=2 * self.frame)


def habitat_of(site: int) -> str:
    """Return the habitat of a site: every habitat holds the home sites of several animals."""
    return HABITATS[site % len(HABITATS)]


def spread(total: int, weights: np.ndarray) -> np.ndarray:
    """Return whole numbers that sum to `total` and are as close to proportional to `weights` as possible."""
    exact = total * weights / weights.sum()
    whole = np.floor(exact).astype(int)
    rest = np.argsort(whole - exact, kind="stable")[: total - whole.sum()]
    whole[rest] += 1
    return whole


def counts(settings: DemoSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of files and, among them, of copies of each identity.

    The most common has about five times as many files as the rarest. Copies, at most half of the files of an animal,
    are made of those with more than FEWEST, so that the rarest have as many bursts as a split needs.
    """
    weights = np.geomspace(1, MOST_TO_FEWEST, settings.identities)
    weights = generator(settings.seed, "counts").permutation(weights)
    least = min(FEWEST, settings.images // settings.identities)
    files = spread(settings.images, weights)
    while files.min() < least:
        files[files.argmin()] += 1
        files[files.argmax()] -= 1
    spare = np.maximum(files - FEWEST, 0)
    copies = spread(round(settings.images * settings.duplicates), (spare if spare.any() else files).astype(float))
    return files, np.minimum(copies, files // 2)


def photographs(
    settings: DemoSettings, identity: int, first: int, files: int, copies: int, earlier: int
) -> list[Photograph]:
    """Return the photographs of an animal in the order of capture.

    first: number of its first file. earlier: copies of the animals before it, so that alterations alternate.
    """
    random = generator(settings.seed, "plan", identity)
    originals = files - copies
    bursts = _bursts(settings, random, identity, originals)
    frames = [(burst, frame) for burst, count in bursts for frame in range(count)]
    defects = _defects(settings, random, originals)
    copied = {int(i): k for k, i in enumerate(np.sort(random.permutation(originals)[:copies]))}
    result, image = [], first
    for i, (burst, frame) in enumerate(frames):
        made = ()
        if i in copied:
            made = ((image + 1, ALTERATIONS[(earlier + copied[i]) % len(ALTERATIONS)]),)
        result.append(Photograph(image, identity, burst, frame, defects[i], made))
        image += 1 + len(made)
    return result


def _bursts(
    settings: DemoSettings, random: np.random.Generator, identity: int, originals: int
) -> list[tuple[Burst, int]]:
    count = min(max(round(originals / 1.8), FEWEST), originals)
    sizes = np.ones(count, int)
    for _ in range(originals - count):
        open_bursts = np.flatnonzero(sizes < 4)
        sizes[random.choice(open_bursts)] += 1
    sides = ("left", "right") if random.uniform() < 0.5 else ("right", "left")
    flanks = random.permutation([sides[0]] * round(0.6 * count) + [sides[1]] * (count - round(0.6 * count)))
    days = np.sort(random.permutation(max(730, count))[:count])
    return [
        (_burst(settings, random, identity, number, str(flanks[number]), int(days[number])), int(sizes[number]))
        for number in range(count)
    ]


def _burst(
    settings: DemoSettings, random: np.random.Generator, identity: int, number: int, flank: str, day: int
) -> Burst:
    home, elsewhere = random.uniform() < settings.shortcut, int(random.integers(settings.identities))
    at_night, dusk = random.uniform() < settings.night, random.uniform() < 0.15
    light, opening, hours = ("night", 20, 8) if at_night else ("dusk", 17, 2) if dusk else ("day", 7, 10)
    time = datetime(2023, 1, 1) + timedelta(days=day, hours=opening, seconds=int(random.integers(3600 * hours)))
    occluder = OCCLUDERS[random.integers(len(OCCLUDERS))] if random.uniform() < settings.occluded else None
    return Burst(number, flank, identity if home else elsewhere, light, time, occluder)


def _defects(settings: DemoSettings, random: np.random.Generator, originals: int) -> list[str | None]:
    kinds = random.integers(len(DEFECTS), size=originals)
    return [
        DEFECTS[k] if u < settings.defects else None for k, u in zip(kinds, random.uniform(size=originals), strict=True)
    ]
