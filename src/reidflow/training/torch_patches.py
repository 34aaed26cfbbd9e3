"""The private parts of torch that training relies on; tried with the versions in pyproject.toml.

torch.optim imports torch's compiler only to exclude a step from compilation. That costs a job 1 s and 90 MB, and a job's
runs on frozen features take less together.
"""

import inspect
from collections.abc import Callable

import torch
from torch.optim import Optimizer

BOOKKEEPING = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def patch_optimizers() -> None:
    """Keep the bookkeeping methods of all optimizers from importing the compiler.

    Their decorator caches the undecorated function as its attribute `__dynamo_disable`. Where a version of torch does
    otherwise, the import comes back and nothing else changes; a test says so.
    """
    for name in BOOKKEEPING:
        plain = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if plain is not None:
            plain.__dict__.setdefault("__dynamo_disable", plain)


def unwrapped_step(optimizer: Optimizer) -> Callable[[], None]:
    """Return `optimizer.step` without the wrappers around it (compiler, profiler, hooks): the same arithmetic."""
    step = inspect.unwrap(type(optimizer).step)
    # Read by torch's schedulers, which warn about a scheduler that steps before its optimizer.
    optimizer._opt_called = True

    def run() -> None:
        with torch.no_grad():
            step(optimizer)

    return run
