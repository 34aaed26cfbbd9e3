"""The animal's body: bones, walking poses, and the surface that a camera sees.

Points of the body plane are complex numbers (x forward, y up; shoulder to hip is about 0.9), so that a rotation is a
product. Every bone is a rounded cone. The body is their smooth union, and the same weights carry each visible point
back to the pose at rest, where the coat is painted: the coat moves with the limbs.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

GROUND = -0.70

REST = {
    "rump": -0.60 + 0.04j,
    "hip": -0.44 + 0.00j,
    "loin": -0.05 - 0.02j,
    "chest": 0.36 - 0.03j,
    "neck": 0.52 + 0.06j,
    "nape": 0.76 + 0.15j,
    "skull": 0.85 + 0.185j,
    "brow": 0.94 + 0.185j,
    "snout": 0.97 + 0.14j,
    "nose": 1.085 + 0.115j,
    "cheek": 0.90 + 0.09j,
    "chin": 1.05 + 0.055j,
    "ear": 0.80 + 0.325j,
    "ear_tip": 0.785 + 0.35j,
    "shoulder": 0.42 - 0.05j,
    "elbow": 0.35 - 0.33j,
    "wrist": 0.40 - 0.56j,
    "palm": 0.42 - 0.63j,
    "fingers": 0.52 - 0.655j,
    "thigh": -0.43 - 0.04j,
    "knee": -0.30 - 0.31j,
    "hock": -0.53 - 0.47j,
    "sole": -0.47 - 0.635j,
    "toes": -0.37 - 0.655j,
    "tail_0": -0.70 + 0.06j,
    "tail_1": -0.86 - 0.10j,
    "tail_2": -0.93 - 0.30j,
    "tail_3": -0.98 - 0.48j,
    "tail_4": -1.10 - 0.56j,
}

TORSO = (
    ("rump", "hip", 0.175, 0.235),
    ("hip", "loin", 0.235, 0.225),
    ("loin", "chest", 0.225, 0.265),
    ("chest", "neck", 0.265, 0.225),
    ("neck", "nape", 0.22, 0.165),
    ("skull", "brow", 0.168, 0.148),
    ("snout", "nose", 0.110, 0.078),
    ("cheek", "chin", 0.112, 0.058),
    ("ear", "ear_tip", 0.055, 0.046),
)
FORELEG = (
    ("shoulder", "elbow", 0.175, 0.105),
    ("elbow", "wrist", 0.098, 0.066),
    ("wrist", "palm", 0.066, 0.062),
    ("palm", "fingers", 0.062, 0.044),
)
HINDLEG = (
    ("thigh", "knee", 0.21, 0.125),
    ("knee", "hock", 0.115, 0.064),
    ("hock", "sole", 0.062, 0.055),
    ("sole", "toes", 0.058, 0.044),
)
TAIL = (
    ("tail_0", "tail_1", 0.060, 0.052),
    ("tail_1", "tail_2", 0.052, 0.050),
    ("tail_2", "tail_3", 0.050, 0.048),
    ("tail_3", "tail_4", 0.048, 0.045),
)
HEAD = ("skull", "brow", "snout", "nose", "cheek", "chin", "ear", "ear_tip")

Bones = tuple[tuple[str, str, float, float], ...]
Joints = dict[str, complex]


@dataclass(frozen=True)
class Pose:
    """A pose: phase of the walk (0..1), angles in radians, lengths in body units."""

    phase: float = 0.0
    stride: float = 0.0
    crouch: float = 0.0
    arch: float = 0.0
    neck: float = 0.0
    head: float = 0.0
    tail: float = 0.0
    curl: float = 0.0

    @staticmethod
    def sample(random: np.random.Generator) -> "Pose":
        """Return a random pose."""
        return Pose(
            phase=random.uniform(),
            stride=random.uniform(0.03, 0.2),
            crouch=max(0.0, random.uniform(-0.08, 0.10)),
            arch=random.uniform(-0.035, 0.035),
            neck=random.uniform(-0.6, 0.25),
            head=random.uniform(-0.3, 0.3),
            tail=random.uniform(-0.35, 0.55),
            curl=random.uniform(-0.35, 0.5),
        )

    def later(self, random: np.random.Generator) -> "Pose":
        """Return the pose about a second later: the walk goes on, the rest hardly moves."""
        return Pose(
            phase=(self.phase + random.uniform(0.08, 0.35)) % 1,
            stride=self.stride,
            crouch=self.crouch,
            arch=self.arch + random.uniform(-0.01, 0.01),
            neck=self.neck + random.uniform(-0.12, 0.12),
            head=self.head + random.uniform(-0.1, 0.1),
            tail=self.tail + random.uniform(-0.15, 0.15),
            curl=self.curl + random.uniform(-0.15, 0.15),
        )


def joints(pose: Pose, far: bool = False) -> Joints:
    """Return the position of every joint in `pose`; with `far`, the legs of the far side, half a step ahead."""
    placed = dict(REST)
    for name in ("rump", "hip", "loin", "chest", "neck", "shoulder", "thigh"):
        x = REST[name].real
        placed[name] = REST[name] + 1j * (pose.arch * (1 - (x / 0.5) ** 2) - pose.crouch)
    _bend_neck(placed, pose)
    _bend_tail(placed, pose)
    phase = pose.phase + (0.5 if far else 0.0)
    offset = 0.045 + 0.03j if far else 0j
    for name in ("shoulder", "thigh"):
        placed[name] += offset
    _step(placed, ("shoulder", "elbow", "wrist", "palm", "fingers"), phase + 0.25, pose.stride, -1, offset)
    _step(placed, ("thigh", "knee", "hock", "sole", "toes"), phase, pose.stride, 1, offset)
    return placed


def _bend_neck(placed: Joints, pose: Pose) -> None:
    turn = np.exp(1j * pose.neck)
    placed["nape"] = placed["neck"] + (REST["nape"] - REST["neck"]) * turn
    both = turn * np.exp(1j * pose.head)
    for name in HEAD:
        placed[name] = placed["nape"] + (REST[name] - REST["nape"]) * both


def _bend_tail(placed: Joints, pose: Pose) -> None:
    placed["tail_0"] = placed["rump"] + REST["tail_0"] - REST["rump"]
    for i in range(1, 5):
        bone = REST[f"tail_{i}"] - REST[f"tail_{i - 1}"]
        placed[f"tail_{i}"] = placed[f"tail_{i - 1}"] + bone * np.exp(-1j * (pose.tail + pose.curl * (i - 1)))


def _step(placed: Joints, names: tuple[str, ...], phase: float, stride: float, bend: int, offset: complex) -> None:
    """Place a leg: the paw on its path over the ground, then the knee by the law of cosines."""
    root, middle, low, paw, tip = names
    swing = np.cos(2 * np.pi * phase)
    lift = max(0.0, np.sin(2 * np.pi * phase)) * stride * 0.45
    target = REST[paw] + offset + stride * swing + 1j * lift
    tilt = np.exp(1j * (0.25 * swing * stride / 0.2 - 1.8 * lift))
    ankle = target + (REST[low] - REST[paw]) * tilt
    upper, lower = abs(REST[middle] - REST[root]), abs(REST[low] - REST[middle])
    reach = ankle - placed[root]
    length = min(abs(reach), 0.995 * (upper + lower))
    angle = np.arccos(np.clip((upper**2 + length**2 - lower**2) / (2 * upper * length), -1, 1))
    direction = reach / abs(reach)
    placed[middle] = placed[root] + upper * direction * np.exp(1j * bend * angle)
    placed[low] = placed[root] + length * direction
    placed[paw] = placed[low] + (REST[paw] - REST[low]) * tilt
    placed[tip] = placed[paw] + (REST[tip] - REST[paw]) * np.exp(-2.2j * lift)


@dataclass(frozen=True)
class Camera:
    """Maps the body plane to pixels: `middle` of the picture in body units, pixels per unit, turn, yaw, perspective.

    A negative `facing` shows the animal walking to the left. `yaw` and `pitch` (radians) also shift the part of the
    coat that is seen.
    """

    width: int
    height: int
    scale: float
    middle: complex
    facing: int
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def pixel(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels (x + iy, y down) at which `points` of the body plane are seen."""
        points = points - self.middle
        depth = 1 + 0.25 * np.sin(self.yaw) * points.real
        seen = (points.real * np.cos(self.yaw) + 1j * points.imag) / depth * np.exp(1j * self.roll) * self.scale
        return (self.width / 2 + self.facing * seen.real) + 1j * (self.height / 2 - seen.imag)

    def plane(self) -> np.ndarray:
        """Return for every pixel (height, width) complex64 the point of the body plane seen there."""
        x = self.facing * (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2)
        y = self.height / 2 - np.arange(self.height, dtype=np.float32) - 0.5
        seen = (x[None, :] + 1j * y[:, None]) * np.exp(-1j * self.roll) / self.scale
        across = seen.real / (np.cos(self.yaw) - 0.25 * np.sin(self.yaw) * seen.real)
        points = across + 1j * seen.imag * (1 + 0.25 * np.sin(self.yaw) * across)
        return (points + self.middle).astype(np.complex64)


@dataclass(frozen=True)
class Surface:
    """Some bones as seen by a camera: alpha (height, width) 0..1, height over the body plane, point at rest."""

    alpha: np.ndarray
    height: np.ndarray
    rest: np.ndarray


def surface(bones: Bones, placed: Joints, camera: Camera, plane: np.ndarray) -> Surface:
    """Return the smooth union of `bones` with their joints at `placed`, as `camera` sees it."""
    sharp, soft = 0.018, 0.05
    union = np.full(plane.shape, np.float32(1e-12))
    weight = np.full(plane.shape, np.float32(1e-9))
    height = np.zeros(plane.shape, np.float32)
    rest = np.zeros(plane.shape, np.complex64)
    for start, end, thick, thin in bones:
        a, b = placed[start], placed[end]
        window = _window(camera, a, b, max(thick, thin) + 8 * sharp)
        local = plane[window] - np.complex64(a)
        along = np.clip((local * np.complex64(np.conj(b - a))).real / np.float32(abs(b - a) ** 2), 0, 1)
        away = np.abs(local - along * np.complex64(b - a))
        radius = np.float32(thick) + along * np.float32(thin - thick)
        distance = np.clip(away - radius, -0.3, 0.3)
        union[window] += np.exp(distance * np.float32(-1 / sharp))
        share = np.exp(distance * np.float32(-1 / soft))
        weight[window] += share
        height[window] += share * np.sqrt(np.maximum(radius**2 - away**2, 0))
        turn = (REST[end] - REST[start]) / abs(REST[end] - REST[start]) * abs(b - a) / (b - a)
        rest[window] += share * (np.complex64(REST[start]) + local * np.complex64(turn))
    alpha = np.clip(0.5 + np.log(union) * np.float32(sharp * camera.scale), 0, 1)
    height = gaussian_filter(height / weight, 0.02 * camera.scale)
    shift = np.complex64(np.sin(camera.yaw) + 1j * np.sin(camera.pitch))
    return Surface(alpha, height, rest / weight + height * shift)


def _window(camera: Camera, a: complex, b: complex, margin: float) -> tuple[slice, slice]:
    corners = [end + margin * complex(dx, dy) for end in (a, b) for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1))]
    seen = camera.pixel(np.array(corners))
    left, right = np.clip([seen.real.min(), seen.real.max() + 1], 0, camera.width).astype(int)
    top, bottom = np.clip([seen.imag.min(), seen.imag.max() + 1], 0, camera.height).astype(int)
    return slice(top, bottom), slice(left, right)
