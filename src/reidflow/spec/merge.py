"""Merging settings into a protocol, and comparing settings."""

from collections.abc import Iterator
from typing import Any


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `over`, key by key, at every depth.

    A component written with its `name` (or as a bare name) replaces the whole component below it, parameters
    included; written without, it changes the parameters that it gives. Lists are replaced.
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, dict) and "name" not in value:
            if isinstance(below, str):
                below = {"name": below}
            result[key] = merge(below, value) if isinstance(below, dict) else value
        else:
            result[key] = value
    return result


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, leaf) of nested mappings, in sorted order; a list is a leaf."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from flatten(value[key], f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the dotted paths at which two nested mappings differ, sorted."""
    return sorted(_differences(one, other, ""))


def _differences(one: Any, other: Any, prefix: str) -> set[str]:
    if one == other:
        return set()
    if isinstance(one, dict) and isinstance(other, dict) and one and other:
        found: set[str] = set()
        for key in {*one, *other}:
            path = f"{prefix}.{key}" if prefix else key
            if key in one and key in other:
                found |= _differences(one[key], other[key], path)
            else:
                found |= {leaf for leaf, _ in flatten(one.get(key, other.get(key)), path)}
        return found
    return {leaf for tree in (one, other) for leaf, _ in flatten(tree, prefix)}


def covers(prefix: str, path: str) -> bool:
    """Return whether a dotted path is `prefix` or below it."""
    return path == prefix or path.startswith(prefix + ".")


def put(tree: Any, path: str, value: Any) -> Any:
    """Return a copy of `tree` with `value` at the dotted `path`, in which a number counts the entries of a list from 0.

    Raises KeyError where the path does not exist.
    """
    head, _, rest = path.partition(".")
    if isinstance(tree, list):
        if not head.isdecimal() or int(head) >= len(tree):
            raise KeyError(path)
        place = int(head)
        return [*tree[:place], put(tree[place], rest, value) if rest else value, *tree[place + 1 :]]
    if not isinstance(tree, dict) or head not in tree:
        raise KeyError(path)
    return {**tree, head: put(tree[head], rest, value) if rest else value}


def put_new(tree: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `tree` with `value` at the dotted `path`, made where it is missing.

    A bare component name on the way becomes a mapping with this name.
    """
    head, _, rest = path.partition(".")
    if not rest:
        return {**tree, head: value}
    below = tree.get(head, {})
    if not isinstance(below, dict):
        below = {"name": below} if isinstance(below, str) else {}
    return {**tree, head: put_new(below, rest, value)}
