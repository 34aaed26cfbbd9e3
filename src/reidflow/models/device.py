"""Where networks run."""

from reidflow.spec.errors import ReidflowError


def resolve_device(device: str) -> str:
    """Return `cpu` or `cuda` for a device as a config names it (`auto`, `cpu`, `cuda`).

    Raises ReidflowError when a card is demanded and there is none.
    """
    import torch

    if device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise ReidflowError("compute.device is 'cuda', but torch finds no graphics card. Set it to auto or cpu.")
    return "cpu"
