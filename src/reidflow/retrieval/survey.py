"""The networks that a competition may use: which can be had, and how fast each embeds its images here and now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from reidflow.features.bank import BATCH, Augment
from reidflow.models.arithmetic import deterministic
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.images import to_pixels
from reidflow.models.network import Network, build_features, count_flops
from reidflow.retrieval.budget import Budget, Clock
from reidflow.spec.canonical import canonical

PASSES = 2
"""Timed batches, after one that is not timed."""

HOPELESS = 5.0
"""An image alone takes at most so many times as long as one in a batch."""


@dataclass(frozen=True)
class Candidate:
    """A network of `Plan.backbones`, by the name that people read, with what is known of it.

    left_out: why it does not take part, or None. flops: of one image. seconds: of one forward pass of an image, where
    it was measured.
    """

    name: str
    network: dict[str, Any]
    left_out: str | None = None
    flops: int | None = None
    seconds: float | None = None

    def without(self, reason: str) -> "Candidate":
        """Return the same network, left out for a reason."""
        return replace(self, left_out=reason)


def named(networks: Sequence[dict[str, Any]]) -> list[Candidate]:
    """Return the candidates in the order given, each network once, with names that differ."""
    once = list({canonical(network): network for network in networks}.values())
    names = [f"{_known_as(network['backbone'])} at {network['size']}" for network in once]
    told = [name if names.count(name) == 1 else f"{name} ({place + 1})" for place, name in enumerate(names)]
    return [Candidate(name, network) for name, network in zip(told, once, strict=True)]


def look(candidates: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    """Return the candidates with their operations, or with the reason why their weights cannot be had.

    Once time is up, one that can be had is enough.
    """
    found: list[Candidate] = []
    for candidate in candidates:
        had = any(other.left_out is None for other in found)
        if had and budget.usable() <= 0:
            found.append(candidate.without("no time was left to look at it"))
            continue
        try:
            flops = count_flops(build(candidate), candidate.network["size"])
        except MissingWeightsError as error:
            found.append(candidate.without(str(error)))
        else:
            found.append(replace(candidate, flops=flops))
    return found


def build(candidate: Candidate) -> Network:
    """Return the frozen network from pixels to pooled features. Raises MissingWeightsError."""
    network = candidate.network
    return build_features(network["backbone"], network["size"], network["pooling"], seed=0)


def seconds_per_image(
    network: Network,
    settings: dict[str, Any],
    images: np.ndarray,
    device: str,
    clock: Clock,
    augment: Augment | None = None,
    limit: float = float("inf"),
) -> float:
    """Return the measured seconds from a stored image to its features, in the feature bank's batches.

    settings: the network as a candidate tells of it. images: (N, S0, S0, 3) uint8, of which the first are used.
    augment: what makes augmented views, where there are any; then the time of one such view. limit: seconds that are
    too many; a network that is sure to exceed them is not measured any further than it takes to know that.
    """
    network = network.to(device=device, memory_format=torch.channels_last)
    kind = torch.device(device).type
    some = images[np.resize(np.arange(len(images)), BATCH[kind])]

    def seconds(count: int) -> float:
        started = clock()
        pixels = to_pixels(torch.from_numpy(some[:count]).to(device), settings["size"])
        if augment:
            pixels = augment(pixels, [str(place) for place in range(count)], 1)
        with torch.autocast(kind, torch.bfloat16, enabled=settings["precision"] == "bf16"):
            network(pixels.contiguous(memory_format=torch.channels_last)).float().cpu()
        return (clock() - started) / count

    with deterministic(settings["threads"], device), torch.inference_mode():
        seconds(1)
        alone = seconds(1) / HOPELESS
        if alone > limit:
            return alone
        seconds(len(some))
        return sum(seconds(len(some)) for _ in range(PASSES)) / PASSES


def _known_as(backbone: dict[str, Any]) -> str:
    return str(backbone.get("model") or backbone.get("family") or backbone["name"])
