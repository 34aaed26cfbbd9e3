"""Seeds derived by name, so that a new consumer of randomness shifts no other."""

import hashlib


def seed_for(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the consumer called `names` of the randomness that `seed` stands for."""
    text = "\0".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
