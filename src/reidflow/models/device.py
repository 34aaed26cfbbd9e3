"""Where networks run."""

import os
from functools import lru_cache

from reidflow.spec.errors import ReidflowError
from reidflow.store.lease import allowed_cards, card_names, lease, shared_on_purpose

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
    return _card()


@lru_cache(None)
def _card() -> str:
    import torch

    if shared_on_purpose(os.environ):
        return "cuda:0"
    cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names = card_names([str(getattr(card, "uuid", "")) for card in cards], os.environ)
    name, descriptor = lease([names[index] for index in allowed_cards(len(names), os.environ)])
    _LEASES.append(descriptor)
    return f"cuda:{names.index(name)}"
