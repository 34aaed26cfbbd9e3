"""Arms written once for several: `each` lists the values in which they differ, `parts` the components they are made of.

`parts` of an experiment's file maps a dotted path of the run spec, whose value is a list, to named parts of that list.
An arm with `add_one: path` becomes one arm per part that has this part alone, one with `leave_out: path` an arm per
part that has all the others, one with `every: path` has all parts. `{part}` in the arm's name, `why` or `against` is
the part's name, `{why}` in its `why` the part's own.
"""

from itertools import product
from string import Formatter
from typing import Any, NamedTuple

from reidflow.spec.errors import Problems
from reidflow.spec.merge import put_new

EACH = "each"


def expand(
    arms: dict[str, dict[str, Any]],
    where: str,
    problems: Problems,
    parts: dict[str, dict[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the arms of an experiment, those with `each` replaced by one for every combination of its values.

    Those made from `parts` are replaced by what spec/expansion.py says of them.

    `each` maps dotted paths of the run spec to lists of plain values, the first path slowest. Where `{key}` occurs in
    the arm's name, `why` or `against`, the value of the path that ends in `key` is written. Errors are added to `problems`.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, content in arms.items():
        made = arms_of_parts(name, content, parts or {}, where, problems) if made_from(content) else None
        for label, settings in _expanded(name, dict(content), where, problems) if made is None else made:
            if label in found:
                problems.add(f"{where}, arm '{name}'", f"there are two arms '{label}'.", "Rename one of them.")
            found[label] = settings
    return found


def _expanded(name: str, content: dict[str, Any], where: str, problems: Problems) -> list[tuple[str, dict[str, Any]]]:
    if EACH not in content:
        return [(name, content)]
    place, each = f"{where}, arm '{name}', key 'each'", content.pop(EACH)
    if not isinstance(each, dict) or not each or not all(isinstance(v, list) and v for v in each.values()):
        problems.add(place, "it must map dotted paths to lists of values.", "Write e.g. each: {epochs: [10, 20]}.")
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


ADD, LEAVE, EVERY = "add_one", "leave_out", "every"
KINDS = (ADD, LEAVE, EVERY)


class Role(NamedTuple):
    """What an arm made from parts is: its kind (one of KINDS), the path of the parts, and its part (none of EVERY)."""

    kind: str
    path: str
    part: str | None


def made_from(content: dict[str, Any]) -> str | None:
    """Return the kind of an arm that is made from parts, None of another one."""
    return next((kind for kind in KINDS if kind in content), None)


def roles(arms: dict[str, dict[str, Any]], parts: dict[str, dict[str, Any]]) -> dict[str, Role]:
    """Return the role of each arm that the arms of an experiment's file, which hold no error, make from its parts."""
    found = {}
    for name, content in arms.items():
        kind = made_from(content)
        if kind == EVERY:
            found[name] = Role(kind, content[kind], None)
        elif kind:
            found |= {name.format(part=part): Role(kind, content[kind], part) for part in parts[content[kind]]}
    return found


def arms_of_parts(
    name: str, content: dict[str, Any], parts: dict[str, dict[str, Any]], where: str, problems: Problems
) -> list[tuple[str, dict[str, Any]]]:
    """Return the arms (name, settings) that an arm of the file makes from its parts; errors are added to `problems`.

    parts: path -> part -> {value, why}.
    """
    kind = made_from(content)
    place, path = f"{where}, arm '{name}', key '{kind}'", content[kind]
    rest = {key: value for key, value in content.items() if key != kind}
    wrong = _wrong_parts(name, kind, path, rest, parts)
    if wrong:
        problems.add(place, *wrong)
        return []
    values = {part: written["value"] for part, written in parts[path].items()}
    if kind == EVERY:
        return [(name, put_new(rest, path, list(values.values())))]
    made = []
    for part, written in parts[path].items():
        chosen = [value for other, value in values.items() if (other == part) == (kind == ADD)]
        settings = {key: _with_part(key, value, part, written["why"]) for key, value in rest.items()}
        made.append((name.format(part=part), put_new(settings, path, chosen)))
    return made


def _wrong_parts(
    name: str, kind: str, path: Any, rest: dict[str, Any], parts: dict[str, dict[str, Any]]
) -> tuple[str, str] | None:
    if made_from(rest) or "each" in rest:
        return "an arm is made in one way.", f"Keep one of {', '.join(KINDS)} and each."
    if not isinstance(path, str) or path not in parts:
        return f"there are no parts of '{path}'.", f"Known under 'parts': {', '.join(parts) or 'none'}."
    if _has(rest, path.split(".")):
        return f"the arm sets '{path}' itself as well.", "Remove it: the parts are its value."
    named = fields(name)
    if named != (set() if kind == EVERY else {"part"}):
        wanted = "holds no braces" if kind == EVERY else "holds {part}, and no other braces"
        return f"the arm's name does not fit: it {wanted}.", f"Write e.g. {'all' if kind == EVERY else 'with_{part}'}."
    for key, known in (("why", {"part", "why"}), ("against", {"part"})):
        found = fields(rest.get(key, ""))
        if kind != EVERY and (found is None or found - known):
            return f"'{key}' holds braces that mean nothing here.", f"Known: {', '.join(f'{{{k}}}' for k in known)}."
    return None


def _has(tree: Any, path: list[str]) -> bool:
    return not path or (isinstance(tree, dict) and path[0] in tree and _has(tree[path[0]], path[1:]))


def _with_part(key: str, value: Any, part: str, why: str) -> Any:
    return value.format(part=part, why=why) if key in ("why", "against") and isinstance(value, str) else value


def fields(text: Any) -> set[str] | None:
    """Return the names in braces in a text; None where the braces do not match or hold more than a name.

    `{epochs:99999999}` or `{epochs.__class__}` would be formatting, and no name.
    """
    try:
        parsed = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
    except (ValueError, TypeError):
        return None
    if any(layout or conversion or not name.isidentifier() for name, layout, conversion in parsed):
        return None
    return {name for name, _, _ in parsed}
