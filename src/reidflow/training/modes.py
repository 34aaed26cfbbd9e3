"""The part of a network's state that a run must keep: what trains."""

import torch
from torch import nn


def trained_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the trainable parameters and the buffers of the parts that train, by name; not copied.

    What is left out is what a fresh build brings along (pretrained, frozen weights). A part without parameters belongs
    to the part that contains it.
    """
    state: dict[str, torch.Tensor] = {}
    _collect(module, "", True, state)
    return state


def _collect(module: nn.Module, prefix: str, inherited: bool, state: dict[str, torch.Tensor]) -> None:
    parameters = list(module.parameters())
    trains = any(p.requires_grad for p in parameters) if parameters else inherited
    if not trains:
        return
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.requires_grad:
            state[prefix + name] = parameter.detach()
    for name, buffer in module.named_buffers(recurse=False):
        state[prefix + name] = buffer
    for name, child in module.named_children():
        _collect(child, f"{prefix}{name}.", trains, state)


def copy_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of `trained_state(module)`."""
    return {name: tensor.clone() for name, tensor in trained_state(module).items()}


def load_state(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Put a state that `copy_state` returned back into `module`, in place. Raises KeyError for another module's."""
    own = trained_state(module)
    if own.keys() != state.keys():
        raise KeyError(f"another network's state: {sorted(own.keys() ^ state.keys())}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
