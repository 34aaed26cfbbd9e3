"""What differs between what a job was told before and what it would be told now, key by key."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

LONGEST = 60  # characters of a value


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


class Change(NamedTuple):
    """A key whose value differs. path: the keys that lead to it; old, new: ABSENT where there was or is none."""

    path: tuple[str, ...]
    old: Any
    new: Any


def changes(old: Any, new: Any, path: tuple[str, ...] = ()) -> list[Change]:
    """Return what differs between two JSON documents, each change as deep down as it can be named.

    A component of another name is one change, as is a list of another length. A list of [name, value] counts as a
    mapping, whose order is told where it alone changed.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        if "name" in old and "name" in new and old["name"] != new["name"]:
            return [Change(path, old, new)]
        keys = dict.fromkeys([*old, *new])
        found = [c for key in keys for c in changes(old.get(key, ABSENT), new.get(key, ABSENT), (*path, str(key)))]
        # Keys are sorted wherever their order means nothing.
        return found or ([Change((*path, "order"), list(old), list(new))] if list(old) != list(new) else [])
    if isinstance(old, list) and isinstance(new, list):
        return _in_lists(old, new, path)
    # 1, 1.0 and true are equal in Python, and different texts in a param.
    return [] if old == new and type(old) is type(new) else [Change(path, old, new)]


def _in_lists(old: list, new: list, path: tuple[str, ...]) -> list[Change]:
    if json.dumps(old) == json.dumps(new):
        return []
    before, after = _named(old), _named(new)
    if before is not None and after is not None:
        found = changes(before, after, path)
        return found or [Change((*path, "order"), list(before), list(after))]
    nested = all(isinstance(value, dict | list) for value in [*old, *new])
    if nested and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True), start=1)
        return [c for number, (a, b) in pairs for c in changes(a, b, (*path, str(number)))]
    return [Change(path, old, new)]


def _named(values: list) -> dict[str, Any] | None:
    """Return a list of [name, value] as a mapping, where it is one."""
    if not values or not all(isinstance(v, list) and len(v) == 2 and isinstance(v[0], str) for v in values):
        return None
    found = dict(values)
    return found if len(found) == len(values) else None


def sentence(change: Change) -> str:
    """Return a change in words: `loss.margin 0.5 -> 0.3`."""
    key = ".".join(change.path)
    if change.old is ABSENT:
        return f"{key} is new: {shown(change.new)}"
    if change.new is ABSENT:
        return f"{key} is gone (was {shown(change.old)})"
    old, new = shown(change.old), shown(change.new)
    if old == new or "…" in old + new:
        old, new = _parted(change.old, change.new)
    return f"{key} {old} -> {new}".strip()


def shown(value: Any) -> str:
    """Return a value as it would be written in a config, cut where it is long."""
    if isinstance(value, str):
        # Names come from outside: nothing of them may move a terminal's cursor or break a line.
        return _cut(value if value.isprintable() and value else json.dumps(value))
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        rest = {key: inner for key, inner in value.items() if key != "name"}
        inside = ", ".join(f"{key} {shown(inner)}" for key, inner in rest.items())
        return _cut(shown(value["name"]) + (f" ({inside})" if inside else ""))
    if isinstance(value, dict):
        return _cut("{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}")
    if isinstance(value, list):
        return _cut("[" + ", ".join(map(shown, value)) + "]")
    return "none" if value is None else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _parted(old: Any, new: Any) -> tuple[str, str]:
    """Return two long texts from where they begin to differ."""
    texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (old, new)]
    start = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, start - 15)
    return tuple(json.dumps(("…" if start else "") + _cut(text[start:]), ensure_ascii=False) for text in texts)


def few(names: Iterable[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    names = list(names)
    rest = len(names) - most
    return ", ".join(names) if rest <= 1 else f"{', '.join(names[:most])} and {rest} more"
