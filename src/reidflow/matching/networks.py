"""Networks that find and describe keypoints, of kornia, with their published weights."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reidflow.matching.features import Features, inside, interior, strongest
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.network import weights_digest
from reidflow.spec.extras import install

Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Detect = Callable[[torch.Tensor, torch.Tensor], Found]
"""(1, 3, S, S) in 0 to 1 and where keypoints may lie, (1, 1, S, S) -> points (K, 2), responses (K,), descriptors (K, D)."""


class Extractor:
    """A matcher made of a network: see `features.Matcher`."""

    def __init__(self, network: torch.nn.Module, detect: Detect, keypoints: int, device: str) -> None:
        import kornia

        self.versions = {"kornia": kornia.__version__, "torch": torch.__version__, "weights": weights_digest(network)}
        self.network, self.detect, self.keypoints, self.device = network.to(device).eval(), detect, keypoints, device

    def __call__(self, images: np.ndarray, masks: np.ndarray | None) -> list[Features]:
        """Return the features of images: one by one, as their bits depend on what is computed together."""
        return [self._one(image, None if masks is None else masks[i]) for i, image in enumerate(images)]

    @torch.inference_mode()
    def _one(self, image: np.ndarray, mask: np.ndarray | None) -> Features:
        allowed = np.full(image.shape[:2], 255, np.uint8) if mask is None else interior(mask)
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).permute(2, 0, 1)[None].float() / 255
        where = torch.from_numpy(allowed).to(self.device)[None, None].float() / 255
        points, responses, descriptors = (part.float().cpu().numpy() for part in self.detect(pixels, where))
        kept = np.flatnonzero(inside(points, allowed) & (responses > 0))
        kept = kept[strongest(points[kept], responses[kept], self.keypoints)]
        return Features(points[kept], descriptors[kept])


def load_weights(package: str, file: str, urls: list[str]) -> dict[str, Any]:
    """Return published weights: from the installed package that carries them, else downloaded into torch's cache.

    Only the file of the package is read, its code never runs. Raises MissingWeightsError where neither works.
    """
    from kornia.core.download import load_state_dict_from_url

    found = find_spec(package)
    path = Path(found.origin or "").parent / file if found else None
    if path and path.is_file():
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        return load_state_dict_from_url(urls, file_name=Path(file).name, map_location="cpu")
    except Exception as error:
        raise MissingWeightsError(
            f"the weights {Path(file).name} are not installed, and cannot be downloaded ({type(error).__name__}). Install them: "
            f"{install('local')}"
        ) from error
