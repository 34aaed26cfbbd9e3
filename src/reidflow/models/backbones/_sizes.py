"""Own resampling of position embeddings, as timm's has no deterministic backward pass on CUDA: networks at other image sizes.

Vision transformers: the position embedding is resampled to the grid of the image as timm does it (bicubic with
antialiasing), but as a product with a constant matrix. The parameter keeps its own grid, and with it its gradient and the
optimizer's state, which timm's `set_input_size` replaces. Rotary embeddings are computed for the grid of the image by
timm. Swin: timm pads maps to whole windows (Liu et al. 2021) and computes the masks of shifted windows (`dynamic_mask`).
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from reidflow.spec.errors import ReidflowError

ABLE = "ResNet, EfficientNet, MobileNet, ConvNeXt and other convolutional networks, ViT, EVA-02, DINOv3, CLIP, Swin"


def grid_matrix(old: int, new: int) -> torch.Tensor:
    """Return the matrix (new * new, old * old) that resamples a grid of vectors, rows of the grid one after another."""
    cells = torch.eye(old * old).view(old * old, 1, old, old)
    seen = F.interpolate(cells, size=(new, new), mode="bicubic", antialias=True, align_corners=False)
    return seen.flatten(1).T.contiguous()


def resample(embedding: torch.Tensor, prefix: int, matrix: torch.Tensor) -> torch.Tensor:
    """Return position embeddings (..., T, C), the first `prefix` of which belong to no patch, on another grid."""
    with torch.autocast(embedding.device.type, enabled=False):
        grid = matrix @ embedding[..., prefix:, :]
    return torch.cat([embedding[..., :prefix, :], grid], dim=-2)


def check_patches(size: int, patch: int, name: str) -> None:
    """Raise ReidflowError where an image of `size` pixels does not fall into whole patches."""
    if size % patch:
        raise ReidflowError(
            f"backbone '{name}' has patches of {patch} pixels: a size of {size} is not a multiple. "
            f"Choose a multiple of {patch}."
        )


class _Call(nn.Module):
    """A function of a network as a module of its own, which functional_call can call."""

    def __init__(self, net: nn.Module, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.net = net
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(images)


class OtherSizes:
    """What changes in a network when its images have another size; computed once for each size."""

    def __init__(self, net: nn.Module, embedding: str, prefix: int) -> None:
        self.net, self.embedding, self.prefix = net, embedding, prefix
        self.known: dict[tuple[int, torch.device], dict[str, torch.Tensor]] = {}

    def call(
        self, function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, grids: tuple[int, int]
    ) -> torch.Tensor:
        """Return function(images), a function of the network, for patches on grids[1], built for grids[0], a side."""
        seen = dict(self._constants(images.device, *grids))
        if self.embedding:
            seen[self.embedding] = resample(self.net.get_parameter(self.embedding), self.prefix, seen.pop("matrix"))
        module = _Call(self.net, function)
        return functional_call(module, {f"net.{name}": t for name, t in seen.items()}, images, tie_weights=False)

    def _constants(self, device: torch.device, old: int, new: int) -> dict[str, torch.Tensor]:
        """Return the buffers for a grid, and the `matrix` that resamples to it."""
        if (new, device) not in self.known:
            # A tensor made in inference mode could not take part in training later.
            with torch.inference_mode(False), torch.no_grad():
                found = {"matrix": grid_matrix(old, new)} if self.embedding else {}
                found |= _rotary(self.net, new)
                self.known[new, device] = {name: tensor.to(device) for name, tensor in found.items()}
        return self.known[new, device]


class TimmSizes:
    """A network of timm called with images of any size that its architecture can see."""

    def __init__(self, net: nn.Module, size: int, name: str) -> None:
        self.net, self.size, self.name = net, size, name
        self.patches = _patches(net)
        self.masked = [block for block in net.modules() if hasattr(block, "dynamic_mask")]
        if self.patches is not None:
            self.patches.strict_img_size = False
        embedding = "pos_embed" if isinstance(getattr(net, "pos_embed", None), nn.Parameter) else ""
        prefix = 0 if getattr(net, "no_embed_class", False) else int(getattr(net, "num_prefix_tokens", 0))
        self.others = OtherSizes(net, embedding, prefix)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last features of images (B, 3, S, S). Raises ReidflowError for an S that the network cannot see."""
        size = images.shape[-1]
        if size == self.size:
            return self.net.forward_features(images)
        if self.patches is None:
            return self._convolved(images)
        if not _able(self.net):
            raise ReidflowError(
                f"backbone '{self.name}' is built for images of {self.size} pixels and cannot see {size}. "
                f"Choose one that can: {ABLE}."
            )
        patch = self.patches.patch_size[0]
        check_patches(size, patch, self.name)
        self._masks_follow_images(True)
        try:
            return self.others.call(self.net.forward_features, images, (self.size // patch, size // patch))
        finally:
            self._masks_follow_images(False)

    def _masks_follow_images(self, follow: bool) -> None:
        """Let timm compute Swin's masks for each image size, or use those of the size that it was built for."""
        for block in self.masked:
            block.dynamic_mask = follow

    def _convolved(self, images: torch.Tensor) -> torch.Tensor:
        try:
            return self.net.forward_features(images)
        except RuntimeError as error:
            if "Kernel size" not in str(error):
                raise
            raise ReidflowError(
                f"backbone '{self.name}': nothing is left of an image of {images.shape[-1]} pixels in its last layers. "
                "Choose a larger size."
            ) from error


def _patches(net: nn.Module) -> nn.Module | None:
    """Return the layer that cuts images of one fixed size into patches; None for a network without."""
    found = getattr(net, "patch_embed", None)
    return found if getattr(found, "img_size", None) is not None else None


def _able(net: nn.Module) -> bool:
    from timm.layers import PatchEmbed
    from timm.models.eva import Eva
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.vision_transformer import VisionTransformer

    return isinstance(net, Eva | SwinTransformer | VisionTransformer) and type(net.patch_embed) is PatchEmbed


def _rotary(net: nn.Module, grid: int) -> dict[str, torch.Tensor]:
    """Return the buffers with the rotary embedding of a grid; none where there is none, or timm computes it each time."""
    rope = getattr(net, "rope", None)
    if rope is None or not hasattr(rope, "update_feat_shape"):
        return {}
    moved = deepcopy(rope).cpu()
    moved.update_feat_shape([grid, grid])
    own = dict(rope.named_buffers())
    return {f"rope.{name}": buffer for name, buffer in moved.named_buffers() if buffer.shape != own[name].shape}
