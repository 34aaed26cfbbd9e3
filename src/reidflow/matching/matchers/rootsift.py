"""SIFT with square-rooted descriptors: blobs of all sizes, described by the gradients around them. It needs no weights."""

import numpy as np

from reidflow.matching.features import Features, Matcher, interior, strongest

EMPTY = Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))


def build(*, size: int = 512, keypoints: int = 500, contrast: float = 0.02, edge: float = 10.0) -> Matcher:
    """Return what extracts RootSIFT features.

    size: side of the square that it sees, pixels. keypoints: the most that an image has, the strongest. contrast: below
    which a keypoint is dropped; lower finds more. edge: ratio of curvatures above which a keypoint is dropped as an edge.
    Source: Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94; Arandjelovic & Zisserman 2012,
    doi:10.1109/CVPR.2012.6248018. Library: OpenCV, SIFT.
    """
    import cv2

    def extract(images: np.ndarray, masks: np.ndarray | None) -> list[Features]:
        sift = cv2.SIFT_create(contrastThreshold=contrast, edgeThreshold=edge)
        return [one(sift, image, None if masks is None else masks[i]) for i, image in enumerate(images)]

    def one(sift: cv2.SIFT, image: np.ndarray, mask: np.ndarray | None) -> Features:
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        found = sift.detect(grey, None if mask is None else interior(mask))
        if not found:
            return EMPTY
        points = np.array([keypoint.pt for keypoint in found], np.float32)
        chosen = strongest(points, np.array([keypoint.response for keypoint in found]), keypoints)
        found, raw = sift.compute(grey, [found[place] for place in chosen])
        return Features(np.array([keypoint.pt for keypoint in found], np.float32), root(raw))

    extract.versions = {"opencv": cv2.__version__}
    return extract


def root(descriptors: np.ndarray) -> np.ndarray:
    """Return the square roots of descriptors (K, 128) that sum to 1: their Euclidean distance is Hellinger's of SIFT."""
    return np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
