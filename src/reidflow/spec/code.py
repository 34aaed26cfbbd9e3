"""Digest of the code that a job executes. Nothing is imported, only parsed.

The digest covers the syntax tree without comments, docstrings and positions, so formatting costs nothing and every
change of meaning counts. It follows absolute and relative imports, those inside functions too, and the `__init__.py`
of every parent package, since Python executes them.
"""

import ast
import hashlib
import sys
from functools import lru_cache
from pathlib import Path

from reidflow.spec.components import SOURCE_ROOT, find_module
from reidflow.spec.errors import ReidflowError

PACKAGE = "reidflow"
# Modules that run jobs and keep files: no number of a result depends on them, so they are not part of a run's identity.
ORCHESTRATION = (
    "reidflow/store/",
    "reidflow/spec/canonical.py",
    "reidflow/spec/code.py",
    "reidflow/spec/components.py",
    "reidflow/spec/errors.py",
    "reidflow/spec/inference.py",
    "reidflow/spec/merge.py",
    "reidflow/spec/run.py",
    "reidflow/training/progress.py",
)


@lru_cache(None)
def digest(*roots: str) -> str:
    """Return the digest of everything that `roots` (dotted modules, paths of scripts) execute: 16 hex digits."""
    return _combine(closure(*roots))


@lru_cache(None)
def run_digest(*roots: str) -> str:
    """Return the digest of the code behind `roots` that decides numbers: the closure without orchestration."""
    return _combine({path: d for path, d in closure(*roots).items() if not path.startswith(ORCHESTRATION)})


def closure(*roots: str) -> dict[str, str]:
    """Return {path, relative to the source folder where possible: digest of its syntax tree}.

    roots: dotted modules, or scripts as paths relative to the project's folder.

    Raises ReidflowError for a root that does not exist or a file that is not Python.
    """
    todo: list[tuple[str | None, Path, bool]] = []
    for root in roots:
        if root.endswith(".py"):
            todo.append((None, (SOURCE_ROOT.parent / root).resolve(), False))
            continue
        found = _files(root)
        if not found:
            raise ReidflowError(f"there is no module '{root}' on the Python path. Check the name.")
        todo += found
    seen: dict[Path, str] = {}
    while todo:
        module, path, is_package = todo.pop()
        if path in seen:
            continue
        seen[path], imports = _scan(str(path))
        for level, base, name in imports:
            base = _absolute(module, is_package, level, base, path)
            todo += _own(base)
            if name and name != "*":
                todo += _own(f"{base}.{name}")
    return {_label(path): d for path, d in sorted(seen.items())}


def unseen(*roots: str) -> list[str]:
    """Return the package's files that this process has imported although the closure of `roots` does not list them."""
    known = set(closure(*roots))
    loaded = {
        _label(Path(module.__file__).resolve())
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == PACKAGE and getattr(module, "__file__", None)
    }
    return sorted(loaded - known)


def forget() -> None:
    """Empty the caches, so that the next digest reads the files again."""
    for known in (_scan, _own, _files):
        known.cache_clear()
    digest.cache_clear()
    run_digest.cache_clear()


def _combine(files: dict[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{k} {v}" for k, v in files.items()).encode()).hexdigest()[:16]


def _label(path: Path) -> str:
    for base in (SOURCE_ROOT, SOURCE_ROOT.parent):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.as_posix()


def _absolute(module: str | None, is_package: bool, level: int, base: str, path: Path) -> str:
    if not level:
        return base
    if module is None:
        raise ReidflowError(f"{path}: a script cannot import relatively. Use the absolute name.")
    parts = module.split(".")
    parts = parts if is_package else parts[:-1]
    parts = parts[: len(parts) - (level - 1)]
    return ".".join([*parts, base] if base else parts)


@lru_cache(None)
def _own(module: str) -> list[tuple[str, Path, bool]]:
    """Return the files behind an import if they are the project's, or lie beside a user's component; else nothing."""
    top = module.split(".")[0]
    if top == PACKAGE:
        return _files(module)
    if top in sys.stdlib_module_names:
        return []
    found = find_module(top)
    if found is None or "site-packages" in found.parts or "dist-packages" in found.parts:
        return []
    return _files(module)


@lru_cache(None)
def _files(module: str) -> list[tuple[str, Path, bool]]:
    """Return (name, path, is package) of a module with the `__init__` of each of its parents."""
    parts, found = module.split("."), []
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        path = find_module(name)
        if path is not None:
            found.append((name, path.resolve(), path.name == "__init__.py"))
    return found


@lru_cache(None)
def _scan(path: str) -> tuple[str, frozenset[tuple[int, str, str | None]]]:
    return _parsed(Path(path).read_bytes(), path)


# By content: a job looks at its code again before it trains, and parsing takes longest.
@lru_cache(None)
def _parsed(source: bytes, path: str) -> tuple[str, frozenset[tuple[int, str, str | None]]]:
    """Return the digest of a file's syntax tree, and what it imports: (level, module, name)."""
    try:
        tree = ast.parse(source, path)
    except SyntaxError as error:
        raise ReidflowError(f"{path}, line {error.lineno}: not valid Python ({error.msg}). Correct it.") from error
    text: list[str] = []
    _serialise(tree, text)
    imports: set[tuple[int, str, str | None]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {(0, alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports |= {(node.level, node.module or "", alias.name) for alias in node.names}
    return hashlib.sha256("".join(text).encode()).hexdigest(), frozenset(imports)


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_IGNORED = ("kind", "type_ignores", "ctx", "type_comment")


def _serialise(node: object, out: list[str]) -> None:
    """Append a text of the tree that is the same on every Python version that gives the same tree."""
    if isinstance(node, ast.AST):
        out.append(type(node).__name__ + "(")
        for name, value in ast.iter_fields(node):
            if value is None or value == [] or name in _IGNORED:
                continue
            if name == "body" and isinstance(node, _DOCUMENTED) and _is_docstring(value[0]):
                value = value[1:]
            out.append(name + "=")
            _serialise(value, out)
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for item in node:
            _serialise(item, out)
            out.append(",")
        out.append("]")
    else:
        out.append(f"{type(node).__name__}:{node!r}")


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
