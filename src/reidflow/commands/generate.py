"""Generated files: schemas, defaults and documentation of the config, the conda environment, reference pages and tables.

`python -m reidflow.commands.generate` writes them; a test shows the difference when one has drifted.
"""

import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reidflow.commands.reference import pages
from reidflow.spec import components
from reidflow.spec.config import Config
from reidflow.spec.experiment_file import ExperimentFile
from reidflow.spec.yaml import dumps
from reidflow.store.atomic import write_text

ROOT = components.SOURCE_ROOT.parent
NOTE = "# Generated from the models in src/reidflow/spec by `make generated`; edit those.\n"


def files() -> dict[str, str]:
    """Return path (relative to the project's folder) -> content of every generated file."""
    return {
        "config/schema.json": _schema(Config),
        "config/experiment.schema.json": _schema(ExperimentFile),
        "config/README.md": _documentation((ROOT / "config" / "README.md").read_text()),
        "config/defaults.yaml": NOTE + _defaults(Config, 0) + "\n" + _components(),
        "envs/reidflow.yaml": _environment(),
        **_documented_columns(),
        **pages(),
    }


def main() -> None:
    """Write every generated file whose content changed."""
    for name, content in files().items():
        path = ROOT / name
        if not path.is_file() or path.read_text() != content:
            write_text(path, content)
            print(f"wrote {name}")


def _documented_columns() -> dict[str, str]:
    from reidflow.tables.columns import METRICS, columns, documented
    from reidflow.tables.experiment import EFFICIENCY, RESULTS

    groups = {"metrics": columns(*METRICS), "results": RESULTS.declared, "efficiency": EFFICIENCY.declared}
    pages = ("docs/metric.md", "docs/report.md")
    return {name: documented((ROOT / name).read_text(), groups) for name in pages}


def _schema(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), indent=1) + "\n"


def _defaults(model: type[BaseModel], depth: int) -> str:
    """Return YAML with every key of a model: its description, its default, `required` where it has none."""
    pad, lines = "  " * depth, []
    for name, field in model.model_fields.items():
        nested = _nested(field)
        if field.description:
            lines += textwrap.wrap(field.description, 110, initial_indent=f"{pad}# ", subsequent_indent=f"{pad}#   ")
        if nested and get_origin(field.annotation) is list and not field.is_required():
            for key, inner in nested.model_fields.items():
                lines += textwrap.wrap(
                    f"{key}: {inner.description}", 110, initial_indent=f"{pad}#   ", subsequent_indent=f"{pad}#     "
                )
            lines.append(f"{pad}{name}: {_flow(field.get_default(call_default_factory=True))}")
        elif nested:
            lines += [f"{pad}{name}:", _defaults(nested, depth + 1).rstrip("\n")]
        elif field.is_required():
            lines.append(f"{pad}# {name}: required")
        else:
            lines.append(f"{pad}{name}: {_flow(field.get_default(call_default_factory=True))}")
    return "\n".join(lines) + "\n"


KEYS = re.compile(r"(<!-- keys: (\w+) [^\n]*-->\n).*?(<!-- end of keys -->)", re.DOTALL)
"""A table of keys in a page: what it documents, and its end."""


def _documentation(page: str) -> str:
    """Return a page with its tables of keys and of components renewed."""
    tables = {"config": _keys(Config), "experiment": _keys(ExperimentFile), "components": _component_rows()}

    def table(match: re.Match) -> str:
        headings = (
            ["kind", "folder", "components"] if match[2] == "components" else ["key", "type", "default", "meaning"]
        )
        rows = [headings, ["---"] * len(headings), *tables[match[2]]]
        return match[1] + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n" + match[3]

    return KEYS.sub(table, page)


def _keys(model: type[BaseModel], prefix: str = "") -> list[list[str]]:
    """Return dotted key, type, default and meaning of every key of a model and of the models below it."""
    rows = []
    for name, field in model.model_fields.items():
        key, below = f"{prefix}{name}", list(_below(field.annotation))
        default = "required" if field.is_required() else _flow(_plain(field.get_default(call_default_factory=True)))
        shown = default if field.is_required() else "" if below and default != "null" else f"`{default}`"
        meaning = field.description or (below[0][1].__doc__ or "").split("\n")[0]
        rows.append([f"`{key}`", _type(field), shown, meaning.replace("|", "\\|")])
        for suffix, inner in below:
            rows += _keys(inner, f"{key}{suffix}.")
    return rows


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _below(annotation: Any, suffix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models that may be below a key, each with the prefix of its keys: `[]` in a list, `.*` in names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield suffix, annotation
    more = {list: "[]", dict: ".*"}.get(get_origin(annotation), "")
    for inner in get_args(annotation):
        if not isinstance(inner, str | FieldInfo):
            yield from _below(inner, suffix + more)


def _type(field: FieldInfo) -> str:
    """Return a type in words, with the range of its numbers."""
    found = _words(field.annotation, field.metadata, field.json_schema_extra)
    return found.replace("|", "\\|")


def _words(annotation: Any, metadata: Iterable[Any] = (), extra: Any = None) -> str:
    kind = next(
        (e["component"] for e in [extra, *(getattr(m, "json_schema_extra", None) for m in metadata)] if e), None
    )
    if kind:
        return f"[{kind}](#components)"
    origin, inner = get_origin(annotation), get_args(annotation)
    limits = [m for entry in metadata for m in ([entry] if not isinstance(entry, FieldInfo) else entry.metadata)]
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    text = " and ".join(f"{sign} {getattr(m, key)}" for m in limits for key, sign in signs.items() if hasattr(m, key))
    if origin is Annotated:
        return _words(inner[0], [*inner[1:], *metadata])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(each) for each in inner))
    if origin is list:
        return f"list of {_words(inner[0])}"
    if origin is dict:
        return f"{'name' if inner[0] is str else _words(inner[0])} → {_words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys below"
    words = {int: "integer", float: "number", str: "text", bool: "true or false", type(None): "null", Any: "any value"}
    return f"{words[annotation]} {text}".strip()


def _component_rows() -> list[list[str]]:
    return [
        [kind, f"`src/{package.replace('.', '/')}/`", ", ".join(f"`{name}`" for name in components.names(kind))]
        for kind, (package, _) in components.KINDS.items()
    ]


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    candidates = [field.annotation, *get_args(field.annotation)]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _components() -> str:
    """Return comments that list every component with its parameters and defaults."""
    lines = ["# Components: the values of the keys above that take one."]
    for kind in components.KINDS:
        lines.append(f"# {kind}:")
        for name in components.names(kind):
            given = components.parameters(kind, name)
            text = ", ".join(f"{k}: {_flow(v) if not need else t}" for k, (t, need, v) in given.items())
            lines += textwrap.wrap(
                f"{{name: {name}{', ' if text else ''}{text}}}", 112, initial_indent="#   ", subsequent_indent="#     "
            )
    return "\n".join(lines) + "\n"


def _environment() -> str:
    """Return the conda environment: the project's direct dependencies at the versions of the lock."""
    locked = lock_versions((ROOT / "requirements.lock").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ ]", d)[0]).lower() for d in project["dependencies"]]
    pins = [f"{name}=={locked[name]}" for name in direct]
    environment = {
        "channels": ["conda-forge", "nodefaults"],
        "dependencies": ["python=3.11", "pip", {"pip": pins}],
    }
    return NOTE.replace("the models in src/reidflow/spec", "pyproject.toml and requirements.lock") + dumps(environment)


def lock_versions(text: str) -> dict[str, str]:
    """Return name -> version of the packages in a requirements lock, as Python 3.11 on Linux installs them."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.match(r"([A-Za-z0-9_.-]+)==([^ ;\\]+)\s*(?:;\s*(.*?))?\s*\\?$", line)
        if match and "python_full_version >= '3.12'" not in (match[3] or ""):
            found[match[1].lower()] = match[2]
    return found


if __name__ == "__main__":
    main()
