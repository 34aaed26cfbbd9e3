"""Arms written once: `each` lists the values in which they differ, `parts` the components that they are made of."""

from itertools import product
from typing import Any

from reidflow.spec.braces import fields
from reidflow.spec.errors import Problems
from reidflow.spec.merge import put_new
from reidflow.spec.parts import arms_of_parts, made_from

EACH = "each"


def expand(
    arms: dict[str, dict[str, Any]],
    where: str,
    problems: Problems,
    parts: dict[str, dict[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the arms of an experiment, those with `each` replaced by one for every combination of its values.

    Those made from `parts` are replaced by what spec/parts.py says of them.

    `each` maps dotted paths of the run spec to lists of plain values, the first path slowest. Where `{key}` stands in
    the arm's name, `why` or `against`, the value of the path that ends in `key` is written. Mistakes are noted.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, content in arms.items():
        made = arms_of_parts(name, content, parts or {}, where, problems) if made_from(content) else None
        for label, settings in _one(name, dict(content), where, problems) if made is None else made:
            if label in found:
                problems.add(f"{where}, arm '{name}'", f"there are two arms '{label}'.", "Rename one of them.")
            found[label] = settings
    return found


def _one(name: str, content: dict[str, Any], where: str, problems: Problems) -> list[tuple[str, dict[str, Any]]]:
    if EACH not in content:
        return [(name, content)]
    place, each = f"{where}, arm '{name}', key 'each'", content.pop(EACH)
    if not isinstance(each, dict) or not each or not all(isinstance(v, list) and v for v in each.values()):
        problems.add(
            place, "it is not dotted paths with a list of values each.", "Write e.g. each: {epochs: [10, 20]}."
        )
        return []
    keys = [path.rpartition(".")[2] for path in each]
    if len(set(keys)) != len(keys) or fields(name) != set(keys):
        problems.add(
            place,
            f"the arm's name must hold the last part of each path, in braces: {', '.join(f'{{{k}}}' for k in keys)}.",
            "Else its arms would share a name.",
        )
        return []
    for key in ("why", "against"):
        text = content.get(key)
        found = fields(text) if isinstance(text, str) else set()
        if found is None or found - set(keys):
            known = ", ".join(f"{{{k}}}" for k in keys)
            problems.add(place, f"'{key}' holds braces that mean nothing here.", f"Known: {known}.")
            return []
    if not all(type(value) in (int, float, str, bool) for values in each.values() for value in values):
        problems.add(place, "a value is not a plain number, text or truth value.", "Write such arms out.")
        return []
    return [_filled(name, content, dict(zip(each, values, strict=True))) for values in product(*each.values())]


def _filled(name: str, content: dict[str, Any], values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    shown = {path.rpartition(".")[2]: value for path, value in values.items()}
    settings = dict(content)
    for key in ("why", "against"):
        if isinstance(settings.get(key), str):
            settings[key] = settings[key].format(**shown)
    for path, value in values.items():
        settings = put_new(settings, path, value)
    return name.format(**shown), settings
