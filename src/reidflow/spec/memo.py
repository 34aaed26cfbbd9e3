"""Results cached per object: Snakemake evaluates the functions of each job several times."""

from collections.abc import Callable
from functools import wraps
from typing import Any


def cached_by_identity(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function with its result cached for each object, by identity: specs hold dicts and have no hash.

    Neither object nor result may be changed.
    """
    known: dict[int, tuple[Any, Any]] = {}

    @wraps(function)
    def cached(thing: Any) -> Any:
        if id(thing) not in known:
            # The object is kept, so that no other one can get its id.
            known[id(thing)] = (thing, function(thing))
        return known[id(thing)][1]

    return cached
