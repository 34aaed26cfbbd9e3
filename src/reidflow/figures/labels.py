"""Positions of the labels of points, so that no label covers another label or point."""

from collections.abc import Sequence
from math import cos, pi, sin

Box = tuple[float, float, float, float]
ANGLES = [0, 1, -1, 0.5, -0.5, 0.25, -0.25, 0.75, -0.75, 0.125, -0.125, 0.875, -0.875, 0.375, -0.375, 0.625, -0.625]
DISTANCES = [0.05, 0.1, 0.17, 0.26, 0.36, 0.48, 0.62, 0.78, 0.96]


def place_labels(
    points: list[tuple[float, float]],
    sizes: list[tuple[float, float]],
    width: float,
    height: float,
    radius: float,
    avoid: Sequence[tuple[float, float]] = (),
) -> list[tuple[float, float]]:
    """Return the centre of the label of each point, everything in inches inside a `width` x `height` area.

    Greedy, in the order of the points: the nearest place, in a fixed order of directions, that covers nothing yet;
    where there is none, the one that covers least. `radius` is that of the points' marks; `avoid` are further points to leave free,
    such as those of a line.
    """
    marks = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    marks += [(x - 0.02, y - 0.02, x + 0.02, y + 0.02) for x, y in avoid]
    placed: list[Box] = []
    centres = []
    for (x, y), (wide, tall) in zip(points, sizes, strict=True):
        best: tuple[float, Box] | None = None
        for box in _candidates(x, y, wide, tall, radius):
            cost = _outside(box, width, height) + sum(_overlap(box, other) for other in [*marks, *placed])
            cost += 0.01 * sum(_crosses((x, y), box, other) for other in placed)
            cost += 0.01 * sum(_crosses(point, other, box) for point, other in zip(points, placed, strict=False))
            if best is None or cost < best[0] - 1e-9:
                best = (cost, box)
            if cost == 0:
                break
        box = best[1]
        placed.append(box)
        centres.append(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    return centres


def _candidates(x: float, y: float, wide: float, tall: float, radius: float) -> list[Box]:
    boxes = []
    for distance in DISTANCES:
        for angle in ANGLES:
            dx, dy = cos(angle * pi), sin(angle * pi)
            reach_x, reach_y = radius + distance + wide / 2, radius + distance + tall / 2
            cx, cy = x + dx * reach_x, y + dy * reach_y
            boxes.append((cx - wide / 2, cy - tall / 2, cx + wide / 2, cy + tall / 2))
    return boxes


def _overlap(a: Box, b: Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    return wide * tall if wide > 0 and tall > 0 else 0.0


def _crosses(point: tuple[float, float], box: Box, other: Box) -> bool:
    """Return whether the line from a point to its label runs through another label."""
    end = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    for step in range(1, 10):
        x = point[0] + (end[0] - point[0]) * step / 10
        y = point[1] + (end[1] - point[1]) * step / 10
        if other[0] < x < other[2] and other[1] < y < other[3]:
            return True
    return False


def _outside(box: Box, width: float, height: float) -> float:
    inside = _overlap(box, (0.0, 0.0, width, height))
    # Being cut off is worse than covering something.
    return 10 * max(0.0, (box[2] - box[0]) * (box[3] - box[1]) - inside - 1e-9)
