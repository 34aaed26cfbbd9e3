"""Hyperbolic space as the hyperboloid (Lorentz model): the same space as the ball, without its edge."""

from typing import Any

import numpy as np

from reidflow.models.geometries._pairs import as_points, ball_distances


def build(*, curvature: float = -1.0, learned: bool = False, clip: float | None = 2.0, scale: float = 0.1) -> Any:
    """Return the map of the head's output (B, D) onto the hyperboloid, a `Geometry`.

    The output is multiplied by `scale` and shortened to the length `clip` (null: not at all), then the exponential map
    at the origin takes it onto the hyperboloid: a length r comes to lie r from the origin, half as far as in `poincare`,
    whatever the curvature. An untrained head gives lengths of several units; without a small scale, embeddings start at
    the clipping radius. `curvature` is below 0; `learned` makes it a parameter of the model that starts there.
    Coordinates are the space-like ones, scaled to curvature -1.
    Source: Nickel & Kiela 2018, arXiv:1806.03417; clipping: Guo et al. 2022, arXiv:2107.11472; scale: Desai et al.
    2023, arXiv:2304.09172 (learned there). Library: geoopt.
    """
    # geoopt takes most of a second to import, and a run in another space does without.
    from reidflow.models.geometries._hyperbolic import Hyperboloid

    return Hyperboloid(curvature, learned, clip, scale)


def similarity(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return minus the geodesic distances (q, G) of space-like coordinates (q, D) and (G, D), curvature -1, float64.

    For any other curvature the order is the same. NaN for points that are not finite. They are measured in the ball,
    where near points do not cancel.
    """
    queries, gallery = as_points(queries), as_points(gallery)
    outer, inner = _time(queries), _time(gallery)
    return -ball_distances(
        queries / (1 + outer)[:, None], gallery / (1 + inner)[:, None], 2 / (1 + outer), 2 / (1 + inner)
    )


def _time(points: np.ndarray) -> np.ndarray:
    return np.sqrt(1 + np.square(points).sum(axis=1))
