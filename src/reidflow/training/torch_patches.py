"""Optimizers without torch's compiler.

torch.optim imports the compiler only to tell it that a step is not to be compiled. That costs a job 1 s and 90 MB, and a
job's runs on frozen features take less together.
"""

import inspect
from collections.abc import Callable

import torch
from torch.optim import Optimizer


def skip_compiler_import() -> None:
    """Keep the bookkeeping methods of all optimizers from importing the compiler.

    Their decorator caches the undecorated function under this name. Where a version of torch does it otherwise, the
    import comes back and nothing else changes.
    """
    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        plain = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if plain is not None:
            plain.__dict__.setdefault("__dynamo_disable", plain)


def unwrapped_step(optimizer: Optimizer) -> Callable[[], None]:
    """Return `optimizer.step` without the wrappers around it (compiler, profiler, hooks): the same arithmetic."""
    step = inspect.unwrap(type(optimizer).step)
    # What torch's schedulers look at to warn about a scheduler that steps before its optimizer.
    optimizer._opt_called = True

    def run() -> None:
        with torch.no_grad():
            step(optimizer)

    return run
