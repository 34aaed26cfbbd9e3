"""YAML 1.2 by ruamel.yaml: a repeated key is an error, `1e-4` is a number, `no`, `off`, dates and 010 are strings."""

import json
import re
from collections.abc import Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode
from ruamel.yaml.resolver import VersionedResolver

from reidflow.spec.errors import ReidflowError

MAX_DEPTH = 40
"""Levels of nesting: more than any config needs; far more would overflow the parser's stack."""
MAX_ALIASED = 20_000
"""Values that aliases may expand to: ten lines of aliases of aliases make billions."""

_PLAIN = re.compile(r"[^\W\d][\w./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "nan"}
"""Words that are texts in quotes alone, here or in another reader of YAML."""

# The core schema of YAML 1.2, but for octal numbers: ruamel's own table also reads dates, and 010 as ten.
_PLAIN_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|false|False", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+|[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)"
        r"|[-+]?\.(?:inf|Inf)|\.(?:nan|NaN)",
        list("-+0123456789."),
    ),
    "merge": (r"<<", ["<"]),
}
_BY_FIRST_CHARACTER: dict[str, list[tuple[str, re.Pattern]]] = {}
for _name, (_pattern, _first) in _PLAIN_SCALARS.items():
    for _character in _first:
        _rule = (f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"))
        _BY_FIRST_CHARACTER.setdefault(_character, []).append(_rule)


class _Resolver(VersionedResolver):
    @property
    def versioned_resolver(self) -> dict[str, list[tuple[str, re.Pattern]]]:
        return _BY_FIRST_CHARACTER


class _Constructor(SafeConstructor):
    def flatten_mapping(self, node: MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise ConstructorError(None, None, "'<<' does not merge here", key.start_mark)

    def check_mapping_key(self, node: MappingNode, key_node: Any, mapping: dict, key: Any, value: Any) -> bool:
        if not isinstance(key, str | int | float | bool):
            raise ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
        if key in mapping:
            first = next(other for other, _ in node.value if self.construct_object(other) == key)
            raise ReidflowError(
                f"line {key_node.start_mark.line + 1}: the key '{key}' is given twice (first in line "
                f"{first.start_mark.line + 1}). Rename or remove one of them."
            )
        return True

    def construct_config_mapping(self, node: MappingNode) -> dict:
        return self.construct_mapping(node, deep=True)

    def construct_config_int(self, node: ScalarNode) -> int:
        if len(node.value) > 100:
            raise ConstructorError(None, None, "a number of over 100 digits", node.start_mark)
        return self.construct_yaml_int(node)


_Constructor.add_constructor("tag:yaml.org,2002:map", _Constructor.construct_config_mapping)
_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_config_int)


@cache
def _yaml(pure: bool = False) -> YAML:
    found = YAML(typ="safe", pure=pure)
    found.Resolver, found.Constructor = _Resolver, _Constructor
    return found


def load(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ReidflowError with file, line and remedy."""
    path = Path(path)
    try:
        data = loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ReidflowError(f"{path}: there is no such file. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ReidflowError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error
    except OSError as error:
        raise ReidflowError(
            f"{path}: cannot be read ({error.strerror}). Check the path and its permissions."
        ) from error
    except ReidflowError as error:
        raise ReidflowError(f"{path}, {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ReidflowError(f"{path}: holds a {type(data).__name__}, not keys with values. Write 'key: value' lines.")
    return data


def loads(text: str) -> Any:
    """Return the value of a YAML text. Raises ReidflowError with line and remedy."""
    try:
        _check_size(text)
        return _yaml().load(text)
    except YAMLError as error:
        raise ReidflowError(_message(error, text)) from error


def dumps(data: Any) -> str:
    """Return `data` as YAML, keys in the order given."""
    writer = _yaml(pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.width = 120
    text = StringIO()
    writer.dump(data, text)
    return text.getvalue()


def flow(value: Any) -> str:
    """Return a value as YAML in one line, as messages and written configs show it; texts are in quotes where YAML needs them."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.casefold() not in _WORDS
    return value if plain else json.dumps(value, ensure_ascii=False)


def round_trip(text: str) -> tuple[YAML, Any]:
    """Return an editor of a YAML text, and its content with comments, quotes and order: edit it and `dump` it."""
    editor = YAML()
    editor.Resolver = _Resolver
    editor.preserve_quotes = True
    editor.width = 2**16
    editor.brace_single_entry_mapping_in_flow_sequence = True
    return editor, editor.load(text)


def _check_size(text: str) -> None:
    """Raise ReidflowError where a text nests too deeply, or where its aliases would make too many values."""
    made, copies, open_nodes, sizes = 0, 0, [], {}
    for event in _yaml().parse(text):
        if isinstance(event, AliasEvent):
            if any(event.anchor == anchor for anchor, _ in open_nodes):
                raise ReidflowError(
                    f"line {event.start_mark.line + 1}: the alias *{event.anchor} contains itself. "
                    "Write out what is meant."
                )
            made, copies = made + sizes.get(event.anchor, 0), copies + sizes.get(event.anchor, 0)
        elif isinstance(event, ScalarEvent):
            made, sizes[event.anchor] = made + 1, 1
        elif isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, made))
            made += 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor] = made - before
        if copies > MAX_ALIASED:
            raise ReidflowError(
                f"line {event.start_mark.line + 1}: the aliases (*name) up to here expand to over {MAX_ALIASED} values. "
                "Write out what is meant."
            )
        if len(open_nodes) > MAX_DEPTH:
            raise ReidflowError(
                f"line {event.start_mark.line + 1}: nested more than {MAX_DEPTH} levels deep. Check the brackets."
            )


def _message(error: YAMLError, text: str) -> str:
    """Return where a text is not YAML, why, and what is usually meant."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        return f"line {line}: not valid YAML: it holds a control character. Remove it."
    problem = str(error.problem or error.context)
    lines = text.splitlines()
    written = lines[mark.line] if mark.line < len(lines) else ""
    remedy = next((words for sign, words in _REMEDIES.items() if sign in problem), "Correct it.")
    if "\t" in written[: len(written) - len(written.lstrip())]:
        remedy = "Indent with blanks: tabs are not allowed."
    start = error.context_mark
    since = f" ({error.context}, from line {start.line + 1} on)" if start and start.line < mark.line else ""
    return f"line {mark.line + 1}: not valid YAML: {problem}{since}. {remedy}"


_REMEDIES = {
    "mapping values are not allowed": "Put a text that holds ': ' in quotes, and check the indentation.",
    "could not determine a constructor": "Remove the tag ('!…'): plain values and components by name are all there is.",
    "another document": "Keep one document: remove the line '---'.",
    "'<<'": "Write the keys out.",
    "undefined alias": "Define it above as &name, or put a text that begins with '*' in quotes.",
    "cannot start any token": "Put a text that begins with '@', '`' or '%' in quotes.",
    "plain word": "Write a word or a number before the ':'.",
}
