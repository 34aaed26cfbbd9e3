"""Coats: individual rosettes for each animal and flank, painted on the body at rest."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from reidflow.ingest.demo.body import FORELEG, HINDLEG, REST, TAIL, TORSO
from reidflow.ingest.demo.noise import blend, fractal, generator, smooth, step

LEFT, RIGHT, BOTTOM, TOP = -1.25, 1.25, -0.80, 0.50
CREAM = np.array([0.93, 0.88, 0.77], np.float32)
DARK = np.array([0.09, 0.065, 0.05], np.float32)


@dataclass(frozen=True)
class Style:
    """The style that both flanks of an animal share: form of the rosettes (body units or shares) and colour."""

    spacing: float
    rim: float
    gap: float
    broken: float
    dots: float
    wobble: float
    stretch: float
    inside: float
    warmth: float
    paleness: float

    @staticmethod
    def sample(random: np.random.Generator, variety: float) -> "Style":
        """Return a random style; `variety` scales its distance from the mean style."""

        def around(middle: float, spread: float) -> float:
            return middle + variety * spread * random.uniform(-1, 1)

        return Style(
            spacing=max(around(0.180, 0.055), 0.1),
            rim=max(around(0.140, 0.065), 0.06),
            gap=max(around(0.080, 0.035), 0.03),
            broken=around(0.4, 0.35),
            dots=around(0.45, 0.45),
            wobble=max(around(0.08, 0.05), 0.02),
            stretch=max(around(1.15, 0.25), 0.8),
            inside=around(0.65, 0.35),
            warmth=around(0.0, 0.09),
            paleness=around(0.0, 0.12),
        )


@dataclass(frozen=True)
class Coat:
    """Colours (rows, columns, 3) float32 0..1 over the body at rest, `scale` pixels a body unit."""

    colours: np.ndarray
    scale: float

    def at(self, rest: np.ndarray) -> np.ndarray:
        """Return the colours (..., 3) at the complex points `rest` of the body at rest."""
        where = np.stack([(TOP - rest.imag) * self.scale - 0.5, (rest.real - LEFT) * self.scale - 0.5])
        channels = [
            map_coordinates(self.colours[..., c], where, order=1, mode="nearest", prefilter=False) for c in range(3)
        ]
        return np.stack(channels, axis=-1)


@lru_cache(maxsize=4)
def coat(seed: int, identity: int, flank: str, variety: float, scale: float) -> Coat:
    """Return the coat on one flank of an animal."""
    style = Style.sample(generator(seed, "style", identity), variety)
    random = generator(seed, "coat", identity, flank)
    columns, rows = round((RIGHT - LEFT) * scale), round((TOP - BOTTOM) * scale)
    x = LEFT + (np.arange(columns, dtype=np.float32)[None, :] + 0.5) / scale
    y = TOP - (np.arange(rows, dtype=np.float32)[:, None] + 0.5) / scale
    points = x + 1j * y
    base, inside = _ground_colours(random, points, style, scale)
    rim, filled = _rosettes(random, points, style, scale)
    colours = blend(base, inside, filled * style.inside)
    colours = blend(colours, DARK, rim)
    fur = fractal(random, rows, columns, 0.02 * scale, 2, 2.0)
    return Coat((_face(colours, points) * (1 + 0.06 * fur[..., None])).astype(np.float32), scale)


def _ground_colours(
    random: np.random.Generator, points: np.ndarray, style: Style, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour between the rosettes and the one inside them, both (rows, columns, 3)."""
    tawny = np.array([0.80 + style.paleness, 0.585 + style.paleness - style.warmth / 2, 0.30 - style.warmth])
    ridge = tawny * np.array([0.86, 0.80, 0.72])
    base = np.broadcast_to(tawny.astype(np.float32), (*points.shape, 3))
    base = blend(base, ridge, step(0.02, 0.22, points.imag) * 0.9)
    clouds = fractal(random, *points.shape, 0.25 * scale, 3)
    base = base * (1 + 0.05 * clouds[..., None])
    pale = np.zeros(points.shape)
    for centre, wide, high, strength in _PALE:
        away = np.hypot((points.real - centre.real) / wide, (points.imag - centre.imag) / high)
        pale = np.maximum(pale, strength * step(1.25, 0.6, away + 0.12 * clouds))
    return blend(base, CREAM, pale), blend(base * np.array([0.80, 0.70, 0.60]), CREAM, pale * 0.7)


_PALE = (
    (-0.0 - 0.29j, 0.30, 0.09, 1.0),
    (0.74 - 0.09j, 0.16, 0.10, 0.85),
    (1.04 + 0.05j, 0.13, 0.065, 1.0),
    (0.975 + 0.195j, 0.06, 0.035, 0.6),
    (-0.47 - 0.66j, 0.2, 0.06, 0.5),
    (0.45 - 0.66j, 0.2, 0.06, 0.5),
)


def _local_size(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (spacing relative to the flank's, solid: 0 rosette to 1 full spot) at `points` of the body at rest."""
    x, y = points.real, points.imag
    size = np.ones(points.shape)
    solid = np.zeros(points.shape)
    head, leg, tail = step(0.62, 0.84, x), step(-0.22, -0.42, y), step(-0.68, -0.76, x)
    belly = step(-0.16, -0.24, y) * (1 - leg)
    ridge = step(0.10, 0.20, y) * (1 - head)
    for part, factor, full in ((belly, 0.72, 1.0), (ridge, 0.68, 0.75), (leg, 0.50, 1.0), (tail, 0.55, 1.0)):
        size, solid = size + (factor - size) * part, np.maximum(solid, full * part)
    size, solid = size + (0.33 - size) * head, np.maximum(solid, head)
    return size, solid


def _scatter(random: np.random.Generator, style: Style) -> np.ndarray:
    """Return complex points on the body at rest, no two nearer than the local spacing."""
    tries = random.uniform((LEFT, BOTTOM), (RIGHT, TOP), (3500, 2))
    tries = tries[:, 0] + 1j * tries[:, 1]
    tries = tries[_on_body(tries)]
    reach = style.spacing * _local_size(tries)[0] * 0.86
    kept = np.empty(len(tries), complex)
    kept_reach = np.empty(len(tries))
    count = 0
    for point, own in zip(tries, reach, strict=True):
        apart = point - kept[:count]
        apart = np.hypot(apart.real / style.stretch, apart.imag)
        if not (apart < (own + kept_reach[:count]) / 2).any():
            kept[count], kept_reach[count] = point, own
            count += 1
    return kept[:count]


def _on_body(points: np.ndarray) -> np.ndarray:
    inside = np.zeros(points.shape, bool)
    for start, end, thick, thin in (*TORSO, *FORELEG, *HINDLEG, *TAIL):
        a, bone = REST[start], REST[end] - REST[start]
        along = np.clip(((points - a) * np.conj(bone)).real / abs(bone) ** 2, 0, 1)
        inside |= np.abs(points - a - along * bone) < max(thick, thin) + 0.06
    return inside


def _rosettes(
    random: np.random.Generator, points: np.ndarray, style: Style, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each pixel is dark rim or spot, and how much is inside a rosette, both (rows, columns)."""
    centres = _scatter(random, style)
    size, solid = _local_size(centres)
    size = size * style.spacing
    count = len(centres)
    full = random.uniform(size=count) < solid
    warp = smooth(random, *points.shape, 0.09 * scale) + 1j * smooth(random, *points.shape, 0.09 * scale)
    painted = _on_body(points)
    points, warp = points[painted], warp[painted]
    moved = points + warp * 0.16 * style.spacing * np.sqrt(_local_size(points)[0])
    squeeze = np.array([1 / style.stretch, 1.0])
    tree = cKDTree(np.stack([centres.real, centres.imag], -1) * squeeze)
    away, near = tree.query(np.stack([moved.real, moved.imag], -1) * squeeze, k=3)
    away = away / size[near]
    order = np.argsort(away, axis=-1)[..., :2]
    away, near = np.take_along_axis(away, order, -1), np.take_along_axis(near, order, -1)[..., 0]

    angle = np.angle(moved - centres[near])
    lobes, turn, turn_broken = random.integers(3, 6, count), *random.uniform(0, 2 * np.pi, (2, count))
    breaks = random.integers(2, 5, count)
    outline = 0.50 * (1 + style.wobble * np.cos(lobes[near] * angle + turn[near]))
    depth = np.minimum((away[..., 1] - away[..., 0]) / 2, outline - away[..., 0])
    soft = 1.0 / (size[near] * scale)
    outer = step(style.gap - soft, style.gap + soft, depth)
    opening = step(0.35, 1.0, np.cos(breaks[near] * angle + turn_broken[near])) * style.broken * 2.2
    rim = style.rim * np.clip(1.1 - opening, 0.0, 1.2)
    rim = np.where(full[near], 9.0, rim)
    inner = step(style.gap + rim - soft, style.gap + rim + soft, depth)
    dark = outer * (1 - inner) * step(0.0, 0.25, rim / style.rim)
    for _ in range(2):
        dots = centres + random.uniform(0.02, 0.16, count) * size * np.exp(2j * np.pi * random.uniform(size=count))
        shown = random.uniform(size=count) < style.dots
        spot = random.uniform(0.06, 0.10, count)
        distance = np.abs(moved - dots[near]) / size[near]
        dark = np.maximum(dark, shown[near] * outer * step(spot[near] + soft, spot[near] - soft, distance))
    rims, insides = np.zeros((2, *painted.shape), np.float32)
    rims[painted], insides[painted] = dark, outer * ~full[near]
    return gaussian_filter(rims, 0.4), insides


def _face(colours: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the coat with eye, nose, mouth and ear."""

    def ellipse(centre: complex, wide: float, high: float, tilt: float = 0.0) -> np.ndarray:
        local = (points - centre) * np.exp(-1j * tilt)
        return step(1.15, 0.85, np.hypot(local.real / wide, local.imag / high))

    for centre, wide, high, tilt, colour in _FEATURES:
        colours = blend(colours, np.array(colour), ellipse(centre, wide, high, tilt))
    return colours


_FEATURES = (
    (0.785 + 0.345j, 0.060, 0.046, 0.3, (0.12, 0.09, 0.07)),
    (0.778 + 0.352j, 0.022, 0.016, 0.3, (0.80, 0.72, 0.58)),
    (1.070 + 0.125j, 0.080, 0.040, -0.15, (0.84, 0.74, 0.58)),
    (1.145 + 0.150j, 0.036, 0.036, 0.0, (0.25, 0.14, 0.12)),
    (1.085 + 0.068j, 0.080, 0.009, -0.1, (0.10, 0.06, 0.05)),
    (0.980 + 0.215j, 0.034, 0.024, -0.3, (0.08, 0.06, 0.04)),
    (0.982 + 0.216j, 0.020, 0.016, 0.0, (0.82, 0.70, 0.24)),
    (0.984 + 0.216j, 0.008, 0.012, 0.0, (0.02, 0.02, 0.02)),
)
