"""The background blurred, which leaves its colours and their layout."""

import numpy as np

from reidflow.backgrounds.interventions._smooth import gaussian, smooth
from reidflow.backgrounds.photo import Photo
from reidflow.spec.errors import ReidflowError


def apply(photo: Photo, *, sigma: float = 0.05) -> np.ndarray:
    """Return the unblurred animal on its blurred background, uint8 (S, S, 3).

    sigma: standard deviation of the Gaussian, as a share of the image's side. The average is over the surroundings
    alone and divided by their weight (normalised convolution; Knutsson and Westin, CVPR 1993), so that neither coat nor
    padding flows into the background, and no halo surrounds the animal. Raises ReidflowError unless sigma > 0.
    """
    if not sigma > 0:
        raise ReidflowError(f"the background 'blur' has sigma = {sigma}. Set it above 0.")
    known = photo.surroundings()
    if not known.any():
        known = photo.background()
    if not known.any():
        return photo.pixels
    side = len(known)
    weight = known.astype(np.float64)
    planes = photo.pixels.transpose(2, 0, 1).astype(np.float64, order="C") * weight
    kernel = gaussian(np.arange(side), side, sigma * side)
    *sums, total = smooth(kernel, kernel, np.concatenate([planes, weight[None]]))
    mean = planes.sum(axis=(1, 2), keepdims=True) / weight.sum()
    # Pixels too far from the surroundings to have any weight get their mean.
    blurred = np.where(total > 0, np.stack(sums) / np.maximum(total, 1e-300), mean)
    return photo.composite(np.rint(blurred).astype(np.uint8).transpose(1, 2, 0))
