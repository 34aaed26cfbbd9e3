"""geoopt's maths as plain functions.

geoopt compiles each of its functions with TorchScript, which optimises a function after its first calls: a run that
resumes would compute its first steps with other code than one that never stopped. Where a version of torch has no such
switch, the functions come compiled and nothing else changes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def _uncompiled() -> Iterator[None]:
    state = getattr(torch.jit, "_state", None)
    switch = getattr(state, "_enabled", None)
    before = getattr(switch, "enabled", None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
        if before is not None:
            switch.enabled = False
        try:
            yield
        finally:
            if before is not None:
                switch.enabled = before


with _uncompiled():
    from geoopt.manifolds.lorentz import math as hyperboloid
    from geoopt.manifolds.stereographic import math as ball

__all__ = ["ball", "hyperboloid"]
