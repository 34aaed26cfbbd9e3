"""What is worked out once for each object: Snakemake asks the same of every job, several times."""

from collections.abc import Callable
from functools import wraps
from typing import Any


def once_each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function, working out its value once for each object; neither object nor value may be changed.

    Equal objects are looked at apart, so that they need no hash.
    """
    known: dict[int, tuple[Any, Any]] = {}

    @wraps(function)
    def remembering(thing: Any) -> Any:
        if id(thing) not in known:
            # The object is held, so that no other one can get its id.
            known[id(thing)] = (thing, function(thing))
        return known[id(thing)][1]

    return remembering
