"""Renders: the same animals in a second style, as models in a studio.

A render shows only the rosettes of an animal's coat: the colours are the same for all animals, the light is fixed, a
contour is drawn, and there is no habitat, noise or defect.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter

from reidflow.ingest.demo.body import GROUND, Camera, Pose, joints, surface
from reidflow.ingest.demo.coat import Coat, coat
from reidflow.ingest.demo.noise import blend, generator, step
from reidflow.ingest.demo.scene import LAYERS
from reidflow.ingest.demo.settings import DemoSettings

FLANKS = ("left", "right")
GREYS = np.array([0.299, 0.587, 0.114], np.float32)
TONES = np.array([0.08, 0.28, 0.48, 0.66, 1.00], np.float32)
PALETTE = np.array(
    [(0.10, 0.10, 0.34), (0.16, 0.22, 0.52), (0.42, 0.66, 0.78), (0.72, 0.88, 0.90), (0.97, 0.98, 0.98)], np.float32
)
CONTOUR = np.array([0.05, 0.05, 0.16], np.float32)
BACKGROUNDS = np.array(
    [(0.93, 0.93, 0.95), (0.86, 0.84, 0.92), (0.90, 0.87, 0.80), (0.82, 0.90, 0.86), (0.78, 0.78, 0.80)], np.float32
)
KEY, BANDS = (-0.55, -0.75, 0.62), (0.60, 0.80, 1.0, 1.10)


@dataclass(frozen=True)
class Render:
    """One file of the gallery; `number` counts those of the animal."""

    image: int
    identity: int
    number: int
    flank: str


def renders(settings: DemoSettings, identity: int) -> list[Render]:
    """Return the renders of an animal, its flanks in alternation, the first of them at random."""
    first = int(generator(settings.seed, "renders", identity).integers(2))
    start = identity * settings.renders
    return [
        Render(start + number + 1, identity, number, FLANKS[(first + number) % 2]) for number in range(settings.renders)
    ]


def render(settings: DemoSettings, plan: Render) -> np.ndarray:
    """Return the render (side, side, 4) uint8: colours and, as alpha, the animal."""
    random = generator(settings.seed, "render", plan.identity, plan.number)
    camera, pose = _camera(random, settings, plan.flank), Pose.sample(random)
    fur = coat(settings.seed, plan.identity, plan.flank, settings.variety, settings.size / 2)
    picture, alpha = _stage(random, camera), np.zeros((camera.height, camera.width), np.float32)
    plane = camera.plane()
    for bones, far in LAYERS:
        seen = surface(bones, joints(pose, far), camera, plane)
        shown = seen.alpha > 0
        light = _toon(gaussian_filter(seen.height, 0.02 * camera.scale) * np.float32(camera.scale))
        colours = painted(fur, seen.rest[shown]) * (light * (0.72 if far else 1.0))[shown][:, None]
        lined = blend(colours, CONTOUR, _contour(seen.alpha, camera.scale)[shown])
        picture[shown] = blend(picture[shown], lined, seen.alpha[shown])
        alpha = np.maximum(alpha, seen.alpha)
    pixels = np.concatenate([picture, alpha[..., None]], axis=-1)
    return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)


def painted(fur: Coat, rest: np.ndarray) -> np.ndarray:
    """Return the colours (..., 3) of a coat at points of the body at rest, in the palette of the renders.

    The tone between the rosettes, which is the coat's most common one, becomes the same for every animal.
    """
    tone = fur.at(rest) @ GREYS * (TONES[3] / np.median(fur.colours @ GREYS))
    return np.stack([np.interp(tone, TONES, PALETTE[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def _camera(random: np.random.Generator, settings: DemoSettings, flank: str) -> Camera:
    side = round(settings.size * random.uniform(0.70, 0.80))
    scale = side * random.uniform(0.86, 0.94) / 2.32
    ground = side * random.uniform(0.72, 0.80)
    return Camera(
        width=side,
        height=side,
        scale=scale,
        middle=complex(random.uniform(-0.03, 0.03), GROUND + (ground - side / 2) / scale),
        facing=1 if flank == "right" else -1,
        yaw=random.uniform(-0.36, 0.36),
        pitch=random.uniform(-0.20, 0.20),
    )


def _stage(random: np.random.Generator, camera: Camera) -> np.ndarray:
    """Return an empty studio (height, width, 3): a gradient from the wall to the floor, and a soft shadow."""
    wall = BACKGROUNDS[random.integers(len(BACKGROUNDS))]
    plane = camera.plane()
    floor = step(GROUND + 0.35, GROUND - 0.25, plane.imag)[..., None]
    glow = np.exp(-(np.abs(plane - 0.1j) ** 2) / 1.6)[..., None]
    shadow = np.exp(-((plane.real / 0.85) ** 2) - ((plane.imag - GROUND) / 0.10) ** 2)[..., None]
    return (wall * (0.86 + 0.14 * glow) * (1 - 0.14 * floor) * (1 - 0.30 * shadow)).astype(np.float32)


def _toon(height: np.ndarray) -> np.ndarray:
    """Return the light on a surface of `height` pixels: a few flat bands, as in a cartoon."""
    down, right = np.gradient(height)
    x, y, z = KEY
    facing = (z - x * right - y * down) / np.sqrt(1 + right**2 + down**2) / np.linalg.norm(KEY)
    light = np.full(height.shape, np.float32(BANDS[0]))
    for edge, (low, high) in zip((0.18, 0.48, 0.90), pairwise(BANDS), strict=True):
        light += (high - low) * step(edge - 0.03, edge + 0.03, facing)
    return light


def _contour(alpha: np.ndarray, scale: float) -> np.ndarray:
    """Return how much of each pixel belongs to the line along the edge of a surface, inside it."""
    inside = gaussian_filter(alpha, 0.016 * scale)
    return np.float32(0.9) * step(0.86, 0.62, inside)
