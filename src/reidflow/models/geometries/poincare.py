"""Hyperbolic space as the Poincare ball: room grows with the distance from the origin as in a tree."""

from typing import Any

import numpy as np

from reidflow.models.geometries._pairs import as_points, ball_distances

OUTERMOST = 1e-12


def build(*, curvature: float = -1.0, learned: bool = False, clip: float | None = 1.0, scale: float = 0.1) -> Any:
    """Return the map of the head's output (B, D) into the ball, a `Geometry`.

    The output is multiplied by `scale` and shortened to the length `clip` (null: not at all), then the exponential map
    at the origin takes it into the ball: a length r comes to lie 2 r from the origin, whatever the curvature. An
    untrained head gives lengths of several units; without a small scale, embeddings start at the clipping radius.
    `curvature` is below 0; `learned` makes it a parameter of the model that starts there. Coordinates are scaled to the
    unit ball.
    Source: Nickel & Kiela 2017, arXiv:1705.08039; clipping: Guo et al. 2022, arXiv:2107.11472; scale: Desai et al.
    2023, arXiv:2304.09172 (learned there). Library: geoopt.
    """
    # geoopt takes most of a second to import, and a run in another space does without.
    from reidflow.models.geometries._hyperbolic import Ball

    return Ball(curvature, learned, clip, scale)


def similarity(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return minus the geodesic distances (q, G) of points (q, D) and (G, D) of the unit ball, curvature -1, float64.

    For any other curvature the order is the same. NaN for points that are not finite.
    """
    queries, gallery = as_points(queries), as_points(gallery)
    return -ball_distances(queries, gallery, _gaps(queries), _gaps(gallery))


def _gaps(points: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.square(points).sum(axis=1), OUTERMOST)
