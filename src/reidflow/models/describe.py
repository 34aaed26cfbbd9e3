"""A network in numbers: availability, size, operations and speed."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from reidflow.models.available import circumstances
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.determinism import deterministic, seeded
from reidflow.models.network import Network, count_flops, count_parameters
from reidflow.spec.components import call


def build(network: dict[str, Any]) -> Network:
    """Return a network of `Plan.backbones` without a head, on the CPU, in evaluation mode."""
    with seeded(0, "backbone"):
        body = call("backbone", network["backbone"], network["size"])
    return Network(body, call("pooling", network["pooling"], body), nn.Identity()).eval()


def describe(network: dict[str, Any]) -> tuple[dict[str, Any], Network | None]:
    """Return what is known of a network of `Plan.backbones`, and the network where it is available.

    The description has: `available`, `reason` (empty where available), `name`; `parameters`; `flops` of one image of
    `size` pixels by torch's counter, multiply-adds as two; `features`, the length of its feature vector; `kind`, a map
    or tokens; `mean` and `std` of its normalisation of images in 0..1. Unavailable weights leave them null.
    Raises ReidflowError for an unknown name, or a size that the network refuses.
    """
    known = {"available": True, "reason": "", "name": _name(network["backbone"]), "size": network["size"]}
    facts: dict[str, Any] = dict.fromkeys(("parameters", "flops", "features", "kind", "mean", "std"))
    try:
        built = build(network)
    except MissingWeightsError as error:
        return known | {"available": False, "reason": str(error)} | facts | circumstances(), None
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


BATCH = {"cpu": 16, "cuda": 128}
"""Images in a pass when throughput is measured."""
WARM_UP = 3
REPEATS = (5, 50)
SECONDS = 1.0
"""Passes go on for so long, but at least REPEATS[0] and at most REPEATS[1] of them."""
MEASURED = (
    "latency_ms",
    "latency_ms_low",
    "latency_ms_high",
    "throughput",
    "throughput_low",
    "throughput_high",
    "batch",
    "repeats",
    "device",
    "threads",
    "precision",
)


def measure(network: Network | None, size: int, *, device: str, threads: int, precision: str) -> dict[str, Any]:
    """Return the speed of a forward pass from uint8 pixels on the device to features; null for all without a network.

    latency_ms: of one image alone, milliseconds; throughput: images per second in batches of `batch`. Each is the
    median of `repeats` passes after a warm-up, with the quartiles beside it (low, high).
    """
    if network is None:
        return dict.fromkeys(MEASURED)
    kind = torch.device(device).type
    network = network.to(device=device, memory_format=torch.channels_last).eval()
    with deterministic(threads, device), torch.inference_mode():
        one = _passes(network, 1, size, device, precision)
        many = _passes(network, BATCH[kind], size, device, precision)
    low, middle, high = _quartiles(one)
    slow, usual, fast = (BATCH[kind] / seconds for seconds in reversed(_quartiles(many)))
    found = (1e3 * middle, 1e3 * low, 1e3 * high, usual, slow, fast)
    stated = (BATCH[kind], [len(one), len(many)], _device(device), threads, precision)
    return dict(zip(MEASURED, (*found, *stated), strict=True))


def _passes(network: Network, batch: int, size: int, device: str, precision: str) -> list[float]:
    """Return the seconds that passes of `batch` images took, in order."""
    kind = torch.device(device).type
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)
    pixels = pixels.to(device).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
            network(pixels)

    return timed(forward, (lambda: torch.cuda.synchronize(device)) if kind == "cuda" else (lambda: None))


def timed(
    action: Callable[[], None], finish: Callable[[], None], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return how long `action` took each time, in seconds; `finish` waits for what it started on another device."""
    for _ in range(WARM_UP):
        action()
    finish()
    found: list[float] = []
    least, most = REPEATS
    while len(found) < least or (len(found) < most and sum(found) < SECONDS):
        started = clock()
        action()
        finish()
        found.append(clock() - started)
    return found


def _quartiles(seconds: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, middle, high


def _device(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "cpu"
