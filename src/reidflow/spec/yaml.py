"""YAML as people mean it: a key given twice is an error, `1e-4` is a number, `no` and `off` are words (YAML 1.2)."""

import re
from pathlib import Path
from typing import Any

import yaml

from reidflow.spec.errors import ReidflowError


# Every job reads all experiments; the parser in C takes a tenth of the time.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    pass


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf)$|^\.(?:nan|NaN)$"),
    list("-+0123456789."),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
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


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ReidflowError with file, line and remedy."""
    path = Path(path)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError as error:
        raise ReidflowError(f"{path}: there is no such file. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ReidflowError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ReidflowError(f"{path}: not valid YAML. {error} Correct the line.") from error
    except ReidflowError as error:
        raise ReidflowError(f"{path}, {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ReidflowError(f"{path}: holds a {type(data).__name__}, not keys with values. Write 'key: value' lines.")
    return data


def dump(data: Any) -> str:
    """Return `data` as YAML, keys in the order given."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
