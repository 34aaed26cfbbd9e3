"""What decides the meaning of a Python file: its syntax tree without layout, comments and docstrings; and its imports."""

import ast
import hashlib
from collections.abc import Callable
from functools import lru_cache

from reidflow.spec.errors import ReidflowError

Imported = tuple[int, str, str | None]
"""An import: its level (dots), module and name."""

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_IGNORED = ("kind", "type_ignores", "ctx", "type_comment")


def read(source: bytes, path: str) -> tuple[str, frozenset[Imported]]:
    """Return the digest of a file's syntax tree, and what it imports. Raises ReidflowError for what is not Python."""
    try:
        tree = ast.parse(source, path)
    except SyntaxError as error:
        raise ReidflowError(f"{path}, line {error.lineno}: not valid Python ({error.msg}). Correct it.") from error
    text: list[str] = []
    imports: set[Imported] = set()
    _serialise(tree, text.append, imports)
    return hashlib.sha256("".join(text).encode()).hexdigest(), frozenset(imports)


@lru_cache(None)
def _fields(kind: type[ast.AST]) -> list[tuple[str, str]]:
    return [(name, f"{name}=") for name in kind._fields if name not in _IGNORED]


def _serialise(node: ast.AST, write: Callable[[str], None], imports: set[Imported]) -> None:
    """Write a text of the tree that is the same on every Python version that gives the same tree; note its imports."""
    kind = node.__class__
    if kind is ast.Import:
        imports.update((0, alias.name, None) for alias in node.names)
    elif kind is ast.ImportFrom:
        imports.update((node.level, node.module or "", alias.name) for alias in node.names)
    write(kind.__name__ + "(")
    for name, label in _fields(kind):
        value = getattr(node, name, None)
        if value is None or value == []:
            continue
        if name == "body" and kind in _DOCUMENTED and _is_docstring(value[0]):
            value = value[1:]
        write(label)
        if isinstance(value, ast.AST):
            _serialise(value, write, imports)
        elif isinstance(value, list):
            write("[")
            for item in value:
                if isinstance(item, ast.AST):
                    _serialise(item, write, imports)
                else:
                    write(_leaf(item))
                write(",")
            write("]")
        else:
            write(_leaf(value))
    write(")")


def _leaf(value: object) -> str:
    return f"{type(value).__name__}:{value!r}"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
