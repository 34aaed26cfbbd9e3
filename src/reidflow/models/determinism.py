"""The settings of torch and numpy on which the bits of a result depend."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from reidflow.spec.seeds import seed_for


@contextmanager
def deterministic(threads: int, device: str) -> Iterator[None]:
    """Run the body with deterministic algorithms and `threads` threads on the CPU (sums depend on their number).

    numpy's linear algebra gets as many: left alone it takes every core, and its waiting threads halve the speed of
    everything between two validations. The caller's settings come back afterwards.
    """
    cudnn, matmul, fill = torch.backends.cudnn, torch.backends.cuda.matmul, torch.utils.deterministic
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    flags = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32, fill.fill_uninitialized_memory
    if torch.device(device).type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # The same switch as use_deterministic_algorithms(True), which would also import torch's compiler .
    torch.set_deterministic_debug_mode("error")
    cudnn.benchmark = cudnn.allow_tf32 = matmul.allow_tf32 = False
    # Filling fresh memory with NaN shows reads of uninitialised memory and costs a pass over every new tensor.
    fill.fill_uninitialized_memory = False
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32, fill.fill_uninitialized_memory = flags


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
