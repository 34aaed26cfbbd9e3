"""Small members of the usual families, for training from scratch on small images (32 to 128 pixels)."""

from typing import Literal

from reidflow.models.backbones._backbone import Backbone
from reidflow.spec.errors import ReidflowError


def build(
    size: int,
    *,
    family: Literal[
        "resnet", "resnet_half", "efficientnet", "mobilenetv3", "vit", "swin", "eva02", "dinov3", "convnext"
    ],
    drop_path: float = 0.0,
) -> Backbone:
    """Return a randomly initialised network of the family: its last map (B, C, H, W) or tokens (B, T, C).

    The architecture is timm's: ResNet-10-t and the same at half its width, TinyNet-E (an EfficientNet shrunk for small
    images, Han et al. 2020), MobileNetV3-Small 0.5, ConvNeXt-Atto, and narrowed ViT, EVA-02, DINOv3 (patches of 8
    pixels, six blocks, width 128) and Swin (patches of 4 pixels, windows of 4, two blocks a stage, width 32). Images are
    normalised with mean and std 0.5. drop_path: rate of stochastic depth in training (Huang et al. 2016).
    Raises ReidflowError where `size` is not a multiple of the patches' side.
    """
    from reidflow.models.backbones._timm import UNTRAINED, TimmBackbone, create

    transformer = {"patch_size": 8, "depth": 6, "embed_dim": 128, "num_heads": 2}
    members = {
        "resnet": ("resnet10t", {}),
        "resnet_half": ("resnet10t", {"channels": (32, 64, 128, 256), "stem_width": 16}),
        "efficientnet": ("tinynet_e", {}),
        "mobilenetv3": ("mobilenetv3_small_050", {}),
        "vit": ("vit_tiny_patch16_224", transformer),
        "swin": (
            "swin_tiny_patch4_window7_224",
            {"embed_dim": 32, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 4, 8), "window_size": 4},
        ),
        "eva02": ("eva02_tiny_patch14_224", transformer),
        "dinov3": ("vit_small_patch16_dinov3", transformer),
        "convnext": ("convnext_atto", {}),
    }
    model, arguments = members[family]
    patch = arguments.get("patch_size", 1)
    if size % patch:
        raise ReidflowError(
            f"backbone 'small', family '{family}', has patches of {patch} pixels: a size of {size} is not a multiple. "
            f"Choose a multiple of {patch}."
        )
    if drop_path:
        arguments = {**arguments, "drop_path_rate": drop_path}
    net = create(size, model, pretrained=False, arguments=arguments)
    return TimmBackbone(net, size, UNTRAINED, UNTRAINED, f"small {family}")
