"""Habitats: places where animals are photographed, each site with a layout and colours of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reidflow.ingest.demo.noise import blend, fractal, generator, step

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Site:
    """The view at a site (RGB), the row of the horizon, and the colour (3,) float32 0..1 of what grows there."""

    view: Image.Image
    horizon: int
    plants: np.ndarray


@lru_cache(maxsize=16)
def site(seed: int, number: int, habitat: str, size: int) -> Site:
    """Return the site `number`, somewhat larger than a photograph of `size` pixels, so that cameras can look about."""
    random = generator(seed, "site", number)
    height, width = round(1.15 * size), round(1.5 * size)
    horizon = round(height * random.uniform(0.30, 0.42))
    tint = random.uniform(0.85, 1.15) * (1 + random.uniform(-0.25, 0.25, 3))
    view, plants = _PAINTERS[habitat](random, height, width, horizon)
    picture = Image.fromarray((np.clip(view * tint, 0, 1) * 255).astype(np.uint8))
    return Site(picture, horizon, (plants * tint).astype(np.float32))


def _ground(random: np.random.Generator, height: int, width: int, horizon: int, colours: list[Colour]) -> np.ndarray:
    """Return a view (height, width, 3) of patchy ground that lies flatter the farther it is."""
    patches = fractal(random, height, width, 0.12 * height, 5, 3.0)
    grain = fractal(random, height, width, 0.012 * height, 2, 1.5)
    view = np.broadcast_to(np.array(colours[0], np.float32), (height, width, 3))
    view = blend(view, np.array(colours[1]), step(-0.4, 0.6, patches))
    near = np.linspace(0, 1, height - horizon + 1)[1:]
    light = np.ones(height)
    light[horizon:] = 0.85 + 0.2 * near
    return view * (light[:, None] * (1 + 0.13 * grain))[..., None]


def _painted(view: np.ndarray, paint: Callable[[ImageDraw.ImageDraw], None], blur: float = 0.0) -> np.ndarray:
    """Return `view` with the strokes of `paint` over it, softened by `blur` pixels."""
    picture = Image.fromarray((np.clip(view, 0, 1) * 255).astype(np.uint8))
    paint(ImageDraw.Draw(picture))
    if blur:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(picture, np.float32) / 255


def ink(colour: np.ndarray | Colour, shade: float) -> tuple[int, int, int]:
    """Return `colour` times `shade` as bytes."""
    return tuple(int(255 * min(max(channel * shade, 0), 1)) for channel in colour)


def _forest(random: np.random.Generator, height: int, width: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    leaf, bark = (0.22, 0.36, 0.14), (0.26, 0.20, 0.15)
    view = _ground(random, height, width, horizon, [(0.30, 0.24, 0.15), (0.24, 0.31, 0.15)])
    deep = fractal(random, height, width, 0.15 * height, 4)
    rows = np.arange(height)[:, None]
    view = blend(view, np.array((0.12, 0.19, 0.09)), step(horizon + 6, horizon - 10, rows))
    view = view * (1 + 0.25 * deep * (rows < horizon))[..., None]

    def behind(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(random.integers(60, 120)):
            x, y, r = random.uniform(0, width), random.uniform(0, horizon), random.uniform(0.01, 0.05) * height
            draw.ellipse((x - 1.5 * r, y - r, x + 1.5 * r, y + r), ink(leaf, random.uniform(0.45, 1.5)))

    def trunks(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(random.integers(4, 9)):
            x, wide = random.uniform(0, width), random.uniform(0.012, 0.05) * width
            foot, lean = horizon + wide * random.uniform(0.3, 2.0), random.uniform(-0.08, 0.08) * height
            for i in range(5):
                a, b = x - wide / 2 + wide * i / 5, x - wide / 2 + wide * (i + 1.3) / 5
                shade = (0.55, 0.75, 1.0, 1.15, 0.9)[i] * random.uniform(0.85, 1.15)
                draw.polygon([(a + lean, 0), (b + lean, 0), (b, foot), (a, foot)], ink(bark, shade))

    def litter(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(random.integers(250, 450)):
            y = random.uniform(horizon, height)
            r, x = (
                0.5 + 3.5 * (y - horizon) / (height - horizon) * random.uniform(0.4, 1) * height / 295,
                random.uniform(0, width),
            )
            colour = (0.45, 0.32, 0.16) if random.uniform() < 0.5 else leaf
            draw.ellipse((x - 1.6 * r, y - 0.7 * r, x + 1.6 * r, y + 0.7 * r), ink(colour, random.uniform(0.5, 1.3)))

    view = _painted(_painted(view, behind, 0.006 * height), trunks, 0.003 * height)
    return _painted(view, litter, 0.6), np.array(leaf)


def _savanna(random: np.random.Generator, height: int, width: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    straw = (0.72, 0.60, 0.32)
    view = _ground(random, height, width, horizon, [(0.62, 0.50, 0.28), (0.70, 0.60, 0.36)])
    rows = np.arange(height)[:, None] / max(horizon, 1)
    sky = np.array((0.58, 0.70, 0.84)) * (1 - rows[..., None]) + np.array((0.86, 0.86, 0.82)) * rows[..., None]
    clouds = fractal(random, height, width, 0.3 * height, 4, 2.5)
    sky = blend(np.broadcast_to(sky, view.shape), np.array((0.93, 0.93, 0.92)), step(0.0, 0.7, clouds))
    view = np.where(np.arange(height)[:, None, None] < horizon, sky, view)

    def far(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(random.integers(5, 16)):
            x, r = random.uniform(0, width), random.uniform(0.015, 0.07) * height
            draw.line([(x, horizon), (x, horizon - 1.8 * r)], ink((0.3, 0.25, 0.2), 1), max(1, round(r / 5)))
            for _ in range(5):
                dx, dy = random.uniform(-1.3, 1.3) * r, random.uniform(-0.35, 0.35) * r
                box = (x + dx - r, horizon - 1.9 * r + dy - 0.45 * r, x + dx + r, horizon - 1.9 * r + dy + 0.45 * r)
                draw.ellipse(box, ink((0.36, 0.40, 0.24), random.uniform(0.7, 1.2)))

    def grass(draw: ImageDraw.ImageDraw) -> None:
        for y in np.sort(random.uniform(horizon, height, 700)):
            long = (0.015 + 0.08 * (y - horizon) / (height - horizon)) * height * random.uniform(0.4, 1.2)
            x, lean = random.uniform(0, width), random.uniform(-0.4, 0.4) * long
            draw.line([(x, y), (x + lean, y - long)], ink(straw, random.uniform(0.55, 1.3)), 1)

    return _painted(_painted(view, far, 0.004 * height), grass, 0.5), np.array(straw)


def _river(random: np.random.Generator, height: int, width: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    reed = (0.42, 0.48, 0.22)
    view = _ground(random, height, width, horizon, [(0.58, 0.50, 0.38), (0.46, 0.38, 0.28)])
    shore = horizon + (0.05 + random.uniform(0.03, 0.14)) * height
    edge = shore + 0.03 * height * fractal(random, 1, width, 0.3 * height, 3)
    ripples = fractal(random, height, width, 0.03 * height, 3, 6.0)
    water = np.array((0.34, 0.42, 0.42)) * (1 + 0.22 * ripples[..., None])
    view = blend(view, water, step(edge + 2, edge - 2, np.arange(height)[:, None]))
    bank = 0.45 * horizon + 0.10 * height * fractal(random, 1, width, 0.2 * height, 3)
    view = blend(view, np.array((0.76, 0.81, 0.84)), step(bank + 1, bank - 1, np.arange(height)[:, None]))
    trees = np.array((0.20, 0.30, 0.15)) * (1 + 0.5 * fractal(random, height, width, 0.05 * height, 3)[..., None])
    rows = np.arange(height)[:, None]
    view = blend(view, trees, step(bank - 2, bank + 2, rows) * step(horizon + 3, horizon - 3, rows))

    def stones(draw: ImageDraw.ImageDraw) -> None:
        for y in np.sort(random.uniform(shore, height, random.integers(15, 60))):
            r, x = random.uniform(0.2, 1) * 0.03 * height * (y - horizon) / (height - horizon), random.uniform(0, width)
            draw.ellipse((x - 1.5 * r, y - r, x + 1.5 * r, y + r), ink((0.52, 0.48, 0.43), random.uniform(0.6, 1.3)))

    def reeds(draw: ImageDraw.ImageDraw) -> None:
        for x in random.choice(random.uniform(0, width, 6), 160) + random.normal(0, 0.03 * width, 160):
            y, long = shore + random.uniform(-0.02, 0.05) * height, random.uniform(0.06, 0.22) * height
            draw.line(
                [(x, y), (x + random.uniform(-0.2, 0.2) * long, y - long)], ink(reed, random.uniform(0.6, 1.3)), 1
            )

    return _painted(_painted(view, stones, 0.8), reeds, 0.5), np.array(reed)


def _rocks(random: np.random.Generator, height: int, width: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    shrub = (0.38, 0.40, 0.26)
    view = _ground(random, height, width, horizon, [(0.50, 0.42, 0.36), (0.60, 0.53, 0.46)])
    layers = fractal(random, height, width, 0.07 * height, 4, 5.0)
    cliff = np.array((0.47, 0.40, 0.36)) * (1 + 0.35 * layers[..., None])
    view = blend(view, cliff, step(horizon + 4, horizon - 4, np.arange(height)[:, None] + 6 * layers))

    def boulders(draw: ImageDraw.ImageDraw) -> None:
        for foot in np.sort(random.uniform(horizon * 0.9, horizon * 1.5, random.integers(7, 18))):
            x, r = random.uniform(0, width), random.uniform(0.03, 0.13) * height
            turns = np.sort(random.uniform(0, 2 * np.pi, 9))
            reach = r * random.uniform(0.75, 1.1, 9)
            for shrink, shade in ((1.0, 0.55), (0.88, 0.85), (0.6, 1.08)):
                corners = zip(
                    x + 1.3 * shrink * reach * np.cos(turns),
                    foot - 0.7 * r + shrink * reach * 0.8 * np.sin(turns) - (1 - shrink) * 0.4 * r,
                    strict=True,
                )
                draw.polygon(list(corners), ink((0.52, 0.46, 0.42), shade * random.uniform(0.9, 1.1)))

    def shrubs(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(random.integers(3, 10)):
            x, y = random.uniform(0, width), random.uniform(horizon, 1.6 * horizon)
            for angle in random.uniform(0.15 * np.pi, 0.85 * np.pi, 25):
                long = random.uniform(0.02, 0.09) * height
                end = (x + long * np.cos(angle), y - long * np.sin(angle))
                draw.line([(x, y), end], ink(shrub, random.uniform(0.6, 1.3)), 1)

    return _painted(_painted(view, boulders, 0.7), shrubs, 0.4), np.array(shrub)


_PAINTERS = {"forest": _forest, "savanna": _savanna, "river": _river, "rocks": _rocks}
HABITATS = tuple(_PAINTERS)
