"""What computed the runs behind a table, and whether it was the same for all of them.

A run's `versions` is a text such as "torch 2.15.0, timm 1.0.31, device cpu"; runs that used other libraries besides
agree as long as no library has two versions. Several such texts are joined by "; ".
"""

from collections.abc import Iterable


def merged(texts: Iterable[str | None]) -> dict[str, list[str]]:
    """Return library (and `device`) -> its different versions, both sorted."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for part in (text or "").replace("; ", ", ").split(", "):
            name, _, version = part.partition(" ")
            if name:
                found.setdefault(name, set()).add(version)
    return {name: sorted(found[name]) for name in sorted(found)}


def mixed(texts: Iterable[str | None]) -> list[str]:
    """Return the libraries of which the runs had different versions."""
    return [name for name, versions in merged(texts).items() if len(versions) > 1]


def as_line(texts: Iterable[str | None]) -> str:
    """Return a sentence that names all versions, with a warning where they differ."""
    found = merged(texts)
    line = ", ".join(f"{name} {' and '.join(versions)}".strip() for name, versions in found.items()) or "not recorded"
    differing = [name for name, versions in found.items() if len(versions) > 1]
    return (
        f"WARNING: the runs come from different versions ({', '.join(differing)}): {line}." if differing else f"{line}."
    )
