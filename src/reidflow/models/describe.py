"""A network in numbers: whether it can be had, how large it is, what it computes."""

from typing import Any

from torch import nn

from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.network import Network, count_flops, count_parameters
from reidflow.models.seeded import seeded
from reidflow.spec.components import call


def build(network: dict[str, Any]) -> Network:
    """Return a network of `Plan.backbones` without a head, on the CPU, in evaluation mode."""
    with seeded(0, "backbone"):
        body = call("backbone", network["backbone"], network["size"])
    return Network(body, call("pooling", network["pooling"], body), nn.Identity()).eval()


def describe(network: dict[str, Any]) -> tuple[dict[str, Any], Network | None]:
    """Return what is known of a network of `Plan.backbones`, and the network where it can be had.

    The description has: `available`, `reason` (empty where available), `name`; `parameters`; `flops` of one image of
    `size` pixels by torch's counter, multiply-adds as two; `features`, the length of its feature vector; `kind`, a map
    or tokens; `mean` and `std` of its normalisation of images in 0..1. Weights that cannot be had leave them null.
    Raises ReidflowError for a mistake of the user: an unknown name, a size that the network refuses.
    """
    known = {"available": True, "reason": "", "name": _name(network["backbone"]), "size": network["size"]}
    facts: dict[str, Any] = dict.fromkeys(("parameters", "flops", "features", "kind", "mean", "std"))
    try:
        built = build(network)
    except MissingWeightsError as error:
        return known | {"available": False, "reason": str(error)} | facts, None
    body = built.backbone
    facts |= {
        "parameters": count_parameters(built).total,
        "flops": count_flops(built, network["size"]),
        "features": body.dim,
        "kind": "tokens" if getattr(body, "tokens", body.class_token) else "map",
        "mean": [round(value, 6) for value in body.mean.tolist()],
        "std": [round(value, 6) for value in body.std.tolist()],
    }
    return known | facts, built


def _name(backbone: dict[str, Any]) -> str:
    """Return the name by which people know a resolved backbone."""
    return str(backbone.get("model") or backbone.get("family") or backbone["name"])
