"""What identifies the weights of a network."""

import hashlib

from torch import nn


def weights_digest(network: nn.Module) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of every persistent tensor of `network`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}\0{plain.dtype}\0{tuple(plain.shape)}\0".encode())
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()
