"""The image towers of CLIP models in open_clip (Ilharco et al., https://github.com/mlfoundations/open_clip)."""

from typing import Literal

from reidflow.models.backbones._backbone import Backbone
from reidflow.spec.errors import ReidflowError


def build(
    size: int,
    *,
    model: str = "ViT-B-32",
    pretrained: str = "laion2b_s34b_b79k",
    weights: Literal["hub", "none"] = "hub",
    vision: dict | None = None,
) -> Backbone:
    """Return the image tower for images of `size` pixels, before its projection: tokens (B, T, C) or a map.

    model: a name of open_clip, e.g. `ViT-B-32`. pretrained: the tag of its weights. weights: `hub`, downloaded or from
    the cache; `none`, random initialisation (normalised with mean and std 0.5). vision: open_clip's `vision_cfg` of a
    custom tower, e.g. `{patch_size: 8, width: 64, layers: 2, head_width: 32}`; it has random weights, and `model` is its
    display name.
    Raises ReidflowError for an unknown model, tag or vision setting, MissingWeightsError for unavailable weights.
    """
    from reidflow.models.backbones._hub import hub_weights
    from reidflow.models.backbones._open_clip import create, create_custom, wrap

    if vision is not None:
        if weights != "none":
            raise ReidflowError(
                f"backbone 'open_clip': no weights exist for the custom tower '{model}'. Set weights: none."
            )
        return wrap(create_custom(model, vision, size), size, trained=False, name=model)
    if weights == "none":
        return wrap(create(model, None, size), size, trained=False, name=model)
    with hub_weights(f"open_clip's '{model}' ({pretrained})"):
        tower = create(model, pretrained, size)
    return wrap(tower, size, trained=True, name=model)
