"""The device that networks run on."""

import os
from functools import lru_cache

from reidflow.spec.errors import ReidflowError
from reidflow.store.gpus import allowed_gpus, gpu_names, lease

_LEASES: list[int] = []


@lru_cache(None)
def resolve_device(device: str) -> str:
    """Return `cpu` or a GPU (`cuda:<index>`) for a device as a config names it (`auto`, `cpu`, `cuda`).

    A GPU is leased once, until this process ends, so that two jobs on one machine never share one; on a machine whose
    GPUs are all taken this waits. Raises ReidflowError when a GPU is required and there is none.
    """
    import torch

    if device == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        if device == "cuda":
            raise ReidflowError("compute.device is 'cuda', but torch finds no GPU. Set it to auto or cpu.")
        return "cpu"
    return _leased()


@lru_cache(None)
def _leased() -> str:
    import torch

    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names = gpu_names([str(getattr(gpu, "uuid", "")) for gpu in gpus], os.environ)
    name, descriptor = lease([names[index] for index in allowed_gpus(len(names), os.environ)])
    _LEASES.append(descriptor)
    return f"cuda:{names.index(name)}"
