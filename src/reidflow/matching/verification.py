"""Spatial verification: the matches of two images that one affine transformation explains."""

import numpy as np

LEAST = 4
"""Matches below which nothing is verified: three always fit."""
ROUNDS = 1000


def versions(tolerance: float | None) -> dict[str, str]:
    """Return what decides which matches fit, beside the code; nothing where none is verified."""
    import cv2

    return {} if tolerance is None else {"opencv": cv2.__version__}


def inliers(first: np.ndarray, second: np.ndarray, tolerance: float) -> np.ndarray:
    """Return which matches fit the affine transformation that most fit, bool (M,).

    first, second: the matched points, (M, 2). tolerance: pixels by which a match may miss. Fewer than LEAST never fit.
    Source: Barath et al. 2020, arXiv:1912.05909. Library: OpenCV, USAC_MAGSAC, which starts from a fixed seed.
    """
    import cv2

    if len(first) < LEAST:
        return np.zeros(len(first), bool)
    points = (np.ascontiguousarray(part, np.float64) for part in (first, second))
    found, mask = cv2.estimateAffine2D(
        *points, method=cv2.USAC_MAGSAC, ransacReprojThreshold=tolerance, maxIters=ROUNDS
    )
    if found is None:
        return np.zeros(len(first), bool)
    kept = mask.ravel().astype(bool)
    return kept if kept.sum() >= LEAST else np.zeros(len(first), bool)
