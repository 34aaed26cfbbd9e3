"""Distances between all queries and a gallery in float64, for rankings; no torch."""

import numpy as np

NEAR = 1e-6
"""Squared distances below this share of the squared norms have lost digits to cancellation."""
CHUNK = 2**14


def as_points(vectors: np.ndarray) -> np.ndarray:
    """Return (N, D) float64; a row that is not finite becomes NaN."""
    points = np.array(vectors, dtype=np.float64, order="C", ndmin=2)
    points[~np.isfinite(points).all(axis=1)] = np.nan
    return points


def squared_distances(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances (q, G) of float64 points, exactly 0 for equal ones.

    Near pairs, where the inner products cancel, are computed from their differences.
    """
    sizes = np.square(queries).sum(axis=1)[:, None] + np.square(gallery).sum(axis=1)
    squared = sizes - 2 * (queries @ gallery.T)
    near = np.flatnonzero(squared <= NEAR * sizes)
    for start in range(0, len(near), CHUNK):
        place = near[start : start + CHUNK]
        rows, columns = np.unravel_index(place, squared.shape)
        squared.ravel()[place] = np.square(queries[rows] - gallery[columns]).sum(axis=1)
    return squared


def ball_distances(
    queries: np.ndarray, gallery: np.ndarray, query_gaps: np.ndarray, gallery_gaps: np.ndarray
) -> np.ndarray:
    """Return the hyperbolic distances (q, G) of points of the unit ball, curvature -1.

    gaps: 1 - |x|^2 of each point. The distance is 2 arsinh(|x - y| / sqrt(gap_x gap_y)).
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratio = squared_distances(queries, gallery) / query_gaps[:, None] / gallery_gaps
        return 2 * np.arcsinh(np.sqrt(ratio))
