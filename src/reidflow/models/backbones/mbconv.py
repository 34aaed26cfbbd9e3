"""A network of inverted residual blocks (MBConv) whose architecture is its settings, for training from scratch."""

from reidflow.models.backbones._backbone import Backbone
from reidflow.spec.errors import ReidflowError
from reidflow.spec.mbconv import block_strings, wrong_blocks


def build(
    size: int,
    *,
    stem: int = 16,
    widths: list[int] = [16, 24, 48],  # noqa: B006
    depths: list[int] = [1, 2, 2],  # noqa: B006
    kernels: list[int] = [3, 3, 3],  # noqa: B006
    expansions: list[int] = [1, 4, 4],  # noqa: B006
    squeeze: list[float] = [0.0, 0.0, 0.0],  # noqa: B006
    strides: list[int] = [1, 2, 2],  # noqa: B006
    features: int = 192,
    drop_path: float = 0.0,
) -> Backbone:
    """Return a randomly initialised network for images of `size` pixels: its last map (B, C, H, W), C being `features`.

    A 3x3 convolution of stride 2 to `stem` channels, stages of inverted residual blocks (MobileNetV2, Sandler et al.
    2018; with squeeze-excite as in EfficientNet, Tan and Le 2019), a 1x1 convolution to `features` channels; batch norm
    and SiLU. Built by timm's EfficientNet from `spec.mbconv.block_strings`. Entry i of each list is of stage i:

    widths: channels, multiples of 8. depths: blocks; 0: there is no such stage, whatever the other lists say of it.
    kernels: side of the depthwise convolution, odd.
    expansions: channels within a block, in multiples of those that enter it; 1: depthwise separable blocks.
    squeeze: channels of squeeze-excite as a share of those that enter a block; 0: none.
    strides: of the first block, 1 or 2; the map's side is the image's divided by all of them and by 2 for the stem.
    features: 0 leaves the last convolution out, and C is the width of the last stage.
    drop_path: rate of stochastic depth in training (Huang et al. 2016).
    Images are normalised with mean and std 0.5. Raises ReidflowError for lists of unequal length and values that cannot
    be, or where nothing would be left of an image.
    """
    stages = {
        "widths": widths,
        "depths": depths,
        "kernels": kernels,
        "expansions": expansions,
        "squeeze": squeeze,
        "strides": strides,
    }
    if wrong := wrong_blocks({**stages, "stem": stem, "features": features}, size):
        raise ReidflowError(wrong)
    from timm.models._efficientnet_builder import decode_arch_def
    from timm.models.efficientnet import EfficientNet
    from torch.nn import SiLU

    from reidflow.models.backbones._timm import UNTRAINED, TimmBackbone

    net = EfficientNet(
        decode_arch_def(block_strings(**stages)),
        num_classes=0,
        num_features=features,
        stem_size=stem,
        act_layer=SiLU,
        drop_path_rate=drop_path,
    )
    return TimmBackbone(net, size, UNTRAINED, UNTRAINED, "mbconv")
