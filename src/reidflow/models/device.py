"""Where networks run."""

from functools import lru_cache

from reidflow.spec.errors import ReidflowError
from reidflow.store.lease import lease, visible

_LEASES: list[int] = []


@lru_cache(None)
def resolve_device(device: str) -> str:
    """Return `cpu` or a card (`cuda:<index>`) for a device as a config names it (`auto`, `cpu`, `cuda`).

    A card is leased once, until this process ends, so that two jobs on one machine never share one; on a machine whose
    cards are all taken this waits. Raises ReidflowError when a card is demanded and there is none.
    """
    import torch

    if device == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        if device == "cuda":
            raise ReidflowError("compute.device is 'cuda', but torch finds no graphics card. Set it to auto or cpu.")
        return "cpu"
    names = visible(torch.cuda.device_count())
    name, descriptor = lease(names)
    _LEASES.append(descriptor)
    return f"cuda:{names.index(name)}"
