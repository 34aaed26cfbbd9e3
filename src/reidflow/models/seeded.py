"""Randomness that depends on a seed of its own and shifts no other."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reidflow.spec.seeds import seed_for


@contextmanager
def seeded(seed: int, *names: str | int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Within the block, torch's generators of the CPU and of `device` run from the seed called `names`.

    Afterwards they are as they were. Each is seeded by itself: `torch.manual_seed` would touch every device, and takes
    a millisecond.
    """
    generators = [torch.default_generator]
    kind = torch.device(device)
    if kind.type == "cuda":
        torch.cuda.init()
        generators.append(torch.cuda.default_generators[kind.index or 0])
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed_for(seed, *names))
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)
