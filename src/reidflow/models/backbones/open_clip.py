"""The image towers of CLIP models in open_clip (Ilharco et al., https://github.com/mlfoundations/open_clip)."""

from typing import Literal

from reidflow.models.backbones._backbone import Backbone


def build(
    size: int,
    *,
    model: str = "ViT-B-32",
    pretrained: str = "laion2b_s34b_b79k",
    weights: Literal["hub", "none"] = "hub",
) -> Backbone:
    """Return the image tower for images of `size` pixels, before its projection: tokens (B, T, C) or a map.

    model: a name of open_clip, e.g. `ViT-B-32`. pretrained: the tag of its weights. weights: `hub`, downloaded or from
    the cache; `none`, random initialisation (normalised with mean and std 0.5).
    Raises ReidflowError for an unknown model or tag, MissingWeightsError for weights that cannot be had.
    """
    from reidflow.models.backbones._hub import hub_weights
    from reidflow.models.backbones._open_clip import create, wrap

    if weights == "none":
        return wrap(create(model, None, size), size, trained=False, name=model)
    with hub_weights(f"open_clip's '{model}' ({pretrained})"):
        tower = create(model, pretrained, size)
    return wrap(tower, size, trained=True, name=model)
