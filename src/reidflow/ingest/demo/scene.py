"""Photographs: an animal in a pose, in a habitat, under a light, seen by an imperfect camera.

Outline, pose, light and occluders are independent of the identity: within the mask only the coat identifies the animal;
outside it, the site does, as often as the parameter `shortcut` says.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reidflow.ingest.demo.body import FORELEG, GROUND, HINDLEG, TAIL, TORSO, Camera, Pose, joints, surface
from reidflow.ingest.demo.coat import Coat, coat
from reidflow.ingest.demo.habitat import Site, ink, site
from reidflow.ingest.demo.noise import blend, fractal, generator, smooth
from reidflow.ingest.demo.plan import Photograph, habitat_of
from reidflow.ingest.demo.settings import DemoSettings

LAYERS = (((*FORELEG, *HINDLEG), True), (TAIL, False), ((*TORSO, *FORELEG, *HINDLEG), False))
BARK = (0.33, 0.27, 0.21)
GREY = np.array([0.45, 0.42, 0.13], np.float32)


@dataclass(frozen=True)
class Light:
    """The light of a burst: direction of the sun (right, down, to the camera), shares, and a tint of the picture."""

    sun: tuple[float, float, float]
    ambient: float
    dapples: float
    tint: np.ndarray
    noise: float


def photograph(settings: DemoSettings, plan: Photograph) -> np.ndarray:
    """Return the photograph (height, width, 4) uint8: the colours seen everywhere, alpha where the animal is seen."""
    burst = plan.burst
    random = generator(settings.seed, "burst", plan.identity, burst.number)
    chance = generator(settings.seed, "frame", plan.identity, burst.number, plan.frame)
    camera = _camera(random, settings, burst.flank)
    place = site(settings.seed, burst.site, habitat_of(burst.site), settings.size)
    picture = _backdrop(random, place, camera.width, camera.height)
    light = _light(random, burst.light)
    pose = Pose.sample(random)
    cover, cover_alpha = _occluder(random, burst.occluder, place, camera.width, camera.height)
    for frame in range(plan.frame):
        pose = pose.later(generator(settings.seed, "pose", plan.identity, burst.number, frame))
    camera = _follow(chance, camera, plan.frame, plan.defect == "truncated")
    fur = coat(settings.seed, plan.identity, burst.flank, settings.variety, settings.size / 2)
    if burst.light == "night":
        picture = picture * _vignette(camera)[..., None]
    picture, alpha = _animal(picture, camera, pose, fur, light, chance)
    picture = blend(picture, cover, cover_alpha)
    return _exposed(chance, picture, alpha * (1 - cover_alpha), light, burst.light == "night", plan.defect)


def _camera(random: np.random.Generator, settings: DemoSettings, flank: str) -> Camera:
    width, height = settings.size, round(settings.size * random.uniform(0.66, 0.86))
    scale = settings.size * random.uniform(0.82, 1.05) / 2.32
    ground = height * random.uniform(0.86, 0.95)
    return Camera(
        width=width,
        height=height,
        scale=scale,
        middle=complex(random.uniform(-0.08, 0.08), GROUND + (ground - height / 2) / scale),
        facing=1 if flank == "right" else -1,
        roll=random.uniform(-0.06, 0.06),
        yaw=random.uniform(-0.32, 0.32),
        pitch=random.uniform(-0.16, 0.16),
    )


def _follow(chance: np.random.Generator, camera: Camera, frame: int, truncated: bool) -> Camera:
    """Return the camera as it sees the animal a few steps on; `truncated`: when the animal half left the picture."""
    shift, scale = frame * chance.uniform(-0.12, 0.02) + chance.uniform(-0.02, 0.02), camera.scale
    if truncated:
        shift, scale = chance.choice((-1, 1)) * chance.uniform(0.50, 0.80), scale * 1.12
    moved = (camera.middle - 1j * GROUND) * camera.scale / scale + 1j * GROUND
    return Camera(
        camera.width, camera.height, scale, moved + shift, camera.facing, camera.roll, camera.yaw, camera.pitch
    )


def _backdrop(random: np.random.Generator, place: Site, width: int, height: int) -> np.ndarray:
    """Return the part (height, width, 3) of a site that the camera of a burst sees."""
    zoom = random.uniform(0.85, 1.2)
    wide, high = width / zoom, height / zoom
    left = random.uniform(0, place.view.width - wide)
    top = min(max(place.horizon - random.uniform(0.28, 0.42) * high, 0), place.view.height - high)
    seen = place.view.resize((width, height), Image.Resampling.BILINEAR, (left, top, left + wide, top + high))
    return np.asarray(seen, np.float32) / 255


def _light(random: np.random.Generator, kind: str) -> Light:
    tint = random.uniform(0.90, 1.12) * random.uniform(0.97, 1.03, 3)
    if kind == "dusk":
        tint = tint * (1.0, 0.88, 0.78) * random.uniform(0.8, 1.0)
    sun = (random.uniform(-0.7, 0.7), random.uniform(-0.7, -0.2), 0.8)
    noise = random.uniform(0.006, 0.014) * (2 if kind == "night" else 1)
    return Light(sun, random.uniform(0.5, 0.72), random.uniform(0, 0.25), tint.astype(np.float32), noise)


def _vignette(camera: Camera) -> np.ndarray:
    x = np.linspace(-1, 1, camera.width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, camera.height, dtype=np.float32)[:, None]
    return np.float32(0.62) * np.exp(-0.5 * (x**2 + y**2))


def _animal(
    picture: np.ndarray, camera: Camera, pose: Pose, fur: Coat, light: Light, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture with the animal and its shadow, and the animal's alpha (height, width)."""
    plane = camera.plane()
    shadow = np.exp(-((plane.real / 0.75) ** 2) - ((plane.imag - GROUND - 0.02) / 0.07) ** 2)
    picture = picture * (1 - 0.55 * shadow[..., None])
    alpha = np.zeros(plane.shape, np.float32)
    dapples = smooth(chance, *plane.shape, 0.12 * camera.width)
    brightness = 1 - light.dapples * np.clip(dapples, 0, 1)
    for bones, far in LAYERS:
        seen = surface(bones, joints(pose, far), camera, plane)
        shown = seen.alpha > 0
        shade = _shade(seen.height * np.float32(camera.scale), light) * brightness * (0.6 if far else 1.0)
        picture[shown] = blend(picture[shown], fur.at(seen.rest[shown]) * shade[shown][:, None], seen.alpha[shown])
        alpha = np.maximum(alpha, seen.alpha)
    return picture, alpha


def _shade(height: np.ndarray, light: Light) -> np.ndarray:
    """Return how bright a surface of `height` pixels over the picture's plane is, 1 where it faces the camera."""
    down, right = np.gradient(height)
    x, y, z = light.sun
    facing = (z - x * right - y * down) / np.sqrt(1 + right**2 + down**2) / z
    return light.ambient + (1 - light.ambient) * np.clip(facing, 0, 1.35)


def _occluder(
    random: np.random.Generator, kind: str | None, place: Site, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what occludes the animal: colours (height, width, 3) and alpha (height, width)."""
    if kind is None:
        return np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    cover = Image.new("RGB", (width, height), ink(BARK if kind == "trunk" else place.plants, 0.7))
    mask = Image.new("L", (width, height))
    colour, shape = ImageDraw.Draw(cover), ImageDraw.Draw(mask)
    middle = width * random.uniform(0.2, 0.8)
    if kind == "grass":
        for x in random.normal(middle, 0.16 * width, 70):
            long, lean = random.uniform(0.12, 0.42) * height, random.uniform(-0.3, 0.3) * height * 0.4
            line, thick = [(x, height), (x + lean, height - long)], int(random.integers(1, 2 + width // 128))
            colour.line(line, ink(place.plants, random.uniform(0.5, 1.2)), thick)
            shape.line(line, 255, thick)
    elif kind == "leaves":
        top = height * random.uniform(0.2, 0.7)
        for _ in range(22):
            x, y = random.normal(middle, 0.10 * width), random.normal(top, 0.12 * height)
            r = random.uniform(0.012, 0.03) * width
            box = (x - 1.8 * r, y - r, x + 1.8 * r, y + r)
            colour.ellipse(box, ink(place.plants, random.uniform(0.5, 1.2)))
            shape.ellipse(box, 255)
    else:
        wide, lean = random.uniform(0.05, 0.10) * width, random.uniform(-0.12, 0.12) * height
        for i in range(5):
            a, b = middle + wide * i / 5, middle + wide * (i + 1.2) / 5
            corners = [(a + lean, 0), (b + lean, 0), (b, height), (a, height)]
            colour.polygon(corners, ink(BARK, (0.6, 0.85, 1.05, 1.0, 0.75)[i]))
            shape.polygon(corners, 255)
    bark = 1 + 0.2 * fractal(random, height, width, 0.03 * width, 2)
    softened = mask.filter(ImageFilter.GaussianBlur(width / 512))
    return np.asarray(cover, np.float32) / 255 * bark[..., None], np.asarray(softened, np.float32) / 255


def _exposed(
    chance: np.random.Generator, picture: np.ndarray, alpha: np.ndarray, light: Light, night: bool, defect: str | None
) -> np.ndarray:
    """Return the sensor's image: (height, width, 4) uint8, smaller if the resolution is low."""
    picture = picture * light.tint
    if night:
        picture = np.repeat((picture * GREY).sum(axis=-1, keepdims=True) * 1.1, 3, axis=-1)
    if defect == "motion_blur":
        reach = max(2, round(picture.shape[1] * chance.uniform(0.025, 0.045)))
        sums = np.cumsum(np.pad(picture, ((0, 0), (reach // 2 + 1, reach - reach // 2 - 1), (0, 0)), "edge"), axis=1)
        sums = np.pad(sums, ((0, 0), (0, 1), (0, 0)), "edge")
        picture = (sums[:, reach:][:, : picture.shape[1]] - sums[:, : picture.shape[1]]) / reach
    gain = {"dark": chance.uniform(0.16, 0.28), "over_exposed": chance.uniform(2.0, 2.6)}.get(defect, 1.0)
    grain = chance.standard_normal(picture.shape[:2], np.float32)[..., None]
    picture = picture * np.float32(gain) + grain * np.float32(light.noise)
    pixels = np.concatenate([picture, alpha[..., None]], axis=-1)
    pixels = (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
    if defect == "low_resolution":
        share = chance.uniform(0.35, 0.50)
        pixels = resized(pixels, round(pixels.shape[1] * share), round(pixels.shape[0] * share))
    return pixels


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return RGBA `pixels` at another size. Alpha goes separately: resized together, PIL would lose the background."""
    colours, alpha = Image.fromarray(pixels[..., :3].copy()), Image.fromarray(pixels[..., 3].copy())
    size = (width, height)
    filtered = [np.asarray(p.resize(size, Image.Resampling.BICUBIC, reducing_gap=None)) for p in (colours, alpha)]
    return np.dstack(filtered)
