"""Initialisation that neither reads nor moves the global random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reidflow.spec.seeds import seed_for


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Within the block, torch's CPU generator runs from the seed called `names`; afterwards it is as it was.

    Only the CPU generator is touched (`torch.manual_seed` would also reset every CUDA device): build on the CPU.
    """
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(seed_for(seed, *names))
    try:
        yield
    finally:
        generator.set_state(before)
