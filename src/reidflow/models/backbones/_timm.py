"""Networks of timm brought to the interface of a backbone."""

import difflib
from typing import Any

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone, PooledNorm
from reidflow.models.backbones._sizes import TimmSizes
from reidflow.spec.errors import ReidflowError

UNTRAINED = (0.5, 0.5, 0.5)
PIXELS = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Mean and std that leave pixels as they are, in 0..1."""
NORMS_OF_MAPS = ("LayerNorm2d", "LayerNormFp322d", "RmsNorm2d", "RmsNormFp322d")


class TimmBackbone(Backbone):
    """A network of timm up to its last features, classifier and unused layers removed.

    Images may have another size than the one it was built for, where its architecture can see them.
    """

    def __init__(self, net: nn.Module, size: int, mean: tuple, std: tuple, name: str) -> None:
        super().__init__(net, mean, std, name)
        self.dim = int(net.num_features)
        self.after = _norm_after_pooling(net)
        features = _drop_unused(net, size)
        self.sizes = TimmSizes(net, size, name)
        self.tokens = features.ndim == 3
        self.channels_last = not self.tokens and features.shape[1] != self.dim
        if self.tokens:
            self.prefix = int(getattr(net, "num_prefix_tokens", 0))
            self.class_token = getattr(net, "cls_token", None) is not None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the map (B, C, H, W) or the tokens (B, T, C) of normalised images (B, 3, S, S).

        Raises ReidflowError for an S that the network cannot see.
        """
        features = self.sizes.features(images)
        return features.permute(0, 3, 1, 2) if self.channels_last else features


def create(size: int, model: str, *, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    """Return timm's network for images of `size` pixels, without classifier.

    Architectures that are built for one image size (ViT, Swin) are built for this one.
    Raises ReidflowError for an unknown name or a size or argument that the architecture refuses.
    """
    import timm

    _check_name(model)
    try:
        try:
            return timm.create_model(model, pretrained=pretrained, num_classes=0, img_size=size, **arguments)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            return timm.create_model(model, pretrained=pretrained, num_classes=0, **arguments)
    except (TypeError, AssertionError, ValueError) as error:
        raise ReidflowError(
            f"backbone '{model}' cannot be built for images of {size} pixels with {arguments}: {error}. "
            "Choose another size or argument."
        ) from error


def normalisation(net: nn.Module, trained: bool) -> tuple[tuple, tuple]:
    """Return mean and std that the weights expect; 0.5 and 0.5 for a network that has none."""
    if not trained:
        return UNTRAINED, UNTRAINED
    return tuple(net.pretrained_cfg["mean"]), tuple(net.pretrained_cfg["std"])


def _check_name(model: str) -> None:
    import timm

    name, _, tag = model.partition(".")
    if ":" in model:
        return
    if timm.is_model(name):
        _check_tag(name, tag)
        return
    close = difflib.get_close_matches(name, timm.list_models(), n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise ReidflowError(f"timm has no model '{name}'.{hint} `timm.list_models()` lists the names.")


def _check_tag(name: str, tag: str) -> None:
    """Raise ReidflowError where timm's network `name` has no weights called `tag`."""
    import timm

    tags = sorted(found.partition(".")[2] for found in timm.list_models(f"{name}.*", pretrained=True))
    if tag and tag not in tags:
        have = f"Choose one of: {', '.join(tags)}." if tags else "It has none at all."
        raise ReidflowError(f"timm's '{name}' has no weights '{tag}'. {have}")


def _norm_after_pooling(net: nn.Module) -> nn.Module:
    """Take the norm that the architecture applies to the pooled vector out of `net`; Identity where there is none."""
    fc_norm = getattr(net, "fc_norm", None)
    if isinstance(fc_norm, nn.LayerNorm):
        net.fc_norm = nn.Identity()
        return fc_norm
    head_norm = getattr(getattr(net, "head", None), "norm", None)
    if type(head_norm).__name__ in NORMS_OF_MAPS:
        return PooledNorm(head_norm)
    return nn.Identity()


def _drop_unused(net: nn.Module, size: int) -> torch.Tensor:
    """Replace the parts whose parameters the features do not depend on, and return the features of one image.

    The layers of a classifier would else count as parameters and receive no gradient.
    """
    training = net.training
    parameters = dict(net.eval().named_parameters())
    with torch.enable_grad():
        features = net.forward_features(torch.zeros(1, 3, size, size))
        gradients = torch.autograd.grad(features.sum(), list(parameters.values()), allow_unused=True)
    used = {name.split(".")[0] for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    for name, child in list(net.named_children()):
        if name not in used and any(True for _ in child.parameters()):
            setattr(net, name, nn.Identity())
    net.train(training)
    return features.detach()
