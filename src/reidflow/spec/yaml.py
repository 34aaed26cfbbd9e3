"""YAML as people mean it: a key given twice is an error, `1e-4` is a number, `no` and `off` are words (YAML 1.2)."""

import re
from pathlib import Path
from typing import Any

import yaml

from reidflow.spec.errors import ReidflowError

DEEPEST = 40
"""So many levels hold whatever a config may say; far deeper ones would break the parser."""
COPIES = 20_000
"""So many values may come out of aliases: ten lines of aliases of aliases make billions."""
# Dates and 1:30 are words as well, and 010 is neither eight nor ten.
_PLAIN = {
    "bool": (r"true|True|false|False", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+|[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)"
        r"|[-+]?\.(?:inf|Inf)|\.(?:nan|NaN)",
        "-+0123456789.",
    ),
}


# Every job reads all experiments; the parser in C takes a tenth of the time.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    pass


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in {*_PLAIN, "timestamp"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise yaml.constructor.ConstructorError(None, None, "'<<' does not merge here", key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise ReidflowError(
                f"line {line}: the key '{key}' stands twice (first in line {seen[key]}). Rename or remove one of them."
            )
        seen[key] = line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value) > 100:
        raise yaml.constructor.ConstructorError(None, None, "a number of over 100 digits", node.start_mark)
    return yaml.SafeLoader.construct_yaml_int(loader, node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def load(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ReidflowError with file, line and remedy."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_size(text)
        data = yaml.load(text, _Loader)
    except FileNotFoundError as error:
        raise ReidflowError(f"{path}: there is no such file. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ReidflowError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error
    except OSError as error:
        raise ReidflowError(
            f"{path}: cannot be read ({error.strerror}). Check the path and its permissions."
        ) from error
    except yaml.YAMLError as error:
        raise ReidflowError(f"{path}, {_told(error, text)}") from error
    except ReidflowError as error:
        raise ReidflowError(f"{path}, {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ReidflowError(f"{path}: holds a {type(data).__name__}, not keys with values. Write 'key: value' lines.")
    return data


def _check_size(text: str) -> None:
    """Raise ReidflowError where a text nests too deeply, or where its aliases would make too many values."""
    made, copies, open_nodes, sizes = 0, 0, [], {}
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            made, copies = made + sizes.get(event.anchor, 0), copies + sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            made, sizes[event.anchor] = made + 1, 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, made))
            made += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor] = made - before
        if copies > COPIES:
            raise ReidflowError(
                f"line {event.start_mark.line + 1}: the aliases (*name) up to here stand for over {COPIES} values. "
                "Write out what is meant."
            )
        if len(open_nodes) > DEEPEST:
            raise ReidflowError(
                f"line {event.start_mark.line + 1}: nested more than {DEEPEST} levels deep. Check the brackets."
            )


def _told(error: yaml.YAMLError, text: str) -> str:
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


def dump(data: Any) -> str:
    """Return `data` as YAML, keys in the order given."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
