"""Image towers of open_clip brought to the interface of a backbone."""

from typing import Any

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.models.backbones._sizes import OtherSizes, check_patches
from reidflow.models.backbones._timm import UNTRAINED, TimmBackbone
from reidflow.spec.errors import ReidflowError


class ClipTransformer(Backbone):
    """CLIP's vision transformer: the normalised tokens of its last block, class token first."""

    def __init__(self, tower: nn.Module, mean: tuple, std: tuple, name: str) -> None:
        super().__init__(tower, mean, std, name)
        self.dim = int(tower.ln_post.normalized_shape[0])
        self.prefix = 1
        self.class_token = True
        self.others = OtherSizes(tower, "positional_embedding", self.prefix)
        if tower.proj is not None:
            tower.proj = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the tokens (B, T, C) of normalised images (B, 3, S, S).

        Raises ReidflowError for an S that does not fall into whole patches.
        """
        size, patch, grid = images.shape[-1], self.net.patch_size[0], self.net.grid_size[0]
        check_patches(size, patch, self.name)
        if size // patch == grid:
            return self._tokens(images)
        return self.others.call(self._tokens, images, (grid, size // patch))

    def _tokens(self, images: torch.Tensor) -> torch.Tensor:
        found = self.net.forward_intermediates(
            images,
            indices=1,
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt="NLC",
            output_extra_tokens=True,
        )
        return torch.cat([found["image_intermediates_prefix"][0], found["image_intermediates"][0]], dim=1)

    def blocks(self) -> list[nn.ModuleList]:
        """Return the transformer's blocks in order; the final norm belongs to the last one."""
        groups = [nn.ModuleList([block]) for block in self.net.transformer.resblocks]
        groups[-1].append(self.net.ln_post)
        return groups


def create(model: str, pretrained: str | None, size: int) -> nn.Module:
    """Return the image tower of open_clip's `model`. Raises ReidflowError for an unknown model or tag."""
    import open_clip

    if ":" not in model and model not in open_clip.list_models():
        raise ReidflowError(f"open_clip has no model '{model}'. `open_clip.list_models()` lists the names.")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained is not None and ":" not in model and pretrained not in tags:
        raise ReidflowError(f"open_clip's '{model}' has no weights '{pretrained}'. Choose one of: {', '.join(tags)}.")
    whole = open_clip.create_model(model, pretrained=pretrained, force_image_size=size, pretrained_text=False)
    return whole.visual


def create_custom(name: str, vision: dict[str, Any], size: int) -> nn.Module:
    """Return an image tower of open_clip with random weights. vision: its `vision_cfg`, without `image_size`.

    Raises ReidflowError for a key or a value that open_clip refuses.
    """
    from open_clip import CLIP

    # A CLIP model has a text tower too: the smallest there is.
    text = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}
    try:
        return CLIP(embed_dim=1, vision_cfg={**vision, "image_size": size}, text_cfg=text).visual
    except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError) as error:
        raise ReidflowError(
            f"backbone 'open_clip': the custom tower '{name}' cannot be built from vision: {vision} ({error}). "
            "open_clip.CLIPVisionCfg lists the keys."
        ) from error


def wrap(tower: nn.Module, size: int, *, trained: bool, name: str) -> Backbone:
    """Return the tower as a backbone. Raises ReidflowError for a tower that is neither a ViT nor one of timm's."""
    config = getattr(tower, "preprocess_cfg", {})
    mean = tuple(config["mean"]) if trained else UNTRAINED
    std = tuple(config["std"]) if trained else UNTRAINED
    if hasattr(tower, "trunk"):
        return TimmBackbone(tower.trunk, size, mean, std, name)
    if hasattr(tower, "ln_post"):
        return ClipTransformer(tower, mean, std, name)
    raise ReidflowError(f"the image tower of '{name}' is not a vision transformer. Choose a ViT or a model of timm.")
