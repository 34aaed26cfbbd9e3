"""Digest of the code that a job executes. Nothing is imported, only parsed.

The digest covers the syntax tree without comments, docstrings and positions, so formatting costs nothing and every
change of meaning counts. It follows absolute and relative imports, those inside functions too, and the `__init__.py`
of every parent package, since Python executes them.
"""

import hashlib
import json
import sys
from functools import lru_cache
from pathlib import Path

from reidflow.spec import syntax
from reidflow.spec.components import SOURCE_ROOT, find_module
from reidflow.spec.errors import ReidflowError
from reidflow.spec.syntax import Imported

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
    "reidflow/spec/ranking.py",
    "reidflow/spec/run.py",
    "reidflow/spec/strict.py",
    "reidflow/spec/syntax.py",
    "reidflow/spec/yaml.py",
    "reidflow/training/progress.py",
)

MOST_RECALLED = 5000  # files, edits of a file counting as files

# What was parsed, by the SHA-256 of the file: parsing takes longest, and each job computes the digest of its code.
_parsed: dict[str, tuple[str, frozenset[Imported]]] = {}
_recalled: dict[str, tuple[str, list[Imported]]] = {}
_opened: set[Path] = set()


def recall(path: Path) -> None:
    """Take what another process has read off files and noted in `path`, where this one would read the same."""
    try:
        saved = json.loads(path.read_text())
    except (OSError, ValueError):
        return
    if saved["reader"] == _reader():
        _recalled.update(saved["files"])


def news() -> str | None:
    """Return what `recall` takes, where this process has read files that it could not recall; else None."""
    if not _parsed.keys() - _recalled.keys():
        return None
    files = {content: [text, sorted(imports, key=str)] for content, (text, imports) in _parsed.items()}
    kept = _recalled if len(_recalled) < MOST_RECALLED else {}
    return json.dumps({"reader": _reader(), "files": {**kept, **files}})


def _reader() -> str:
    """Return what decides how a file is read: Python's grammar and the module that reads the tree."""
    return f"{sys.version} {hashlib.sha256(Path(syntax.__file__).read_bytes()).hexdigest()}"


@lru_cache(None)
def digest(*roots: str) -> str:
    """Return the digest of everything that `roots` execute and read: 16 hex digits.

    roots: dotted modules, paths of scripts, and paths of data files such as templates.
    """
    return _combine(closure(*roots))


@lru_cache(None)
def run_digest(*roots: str) -> str:
    """Return the digest of the code behind `roots` that decides numbers: the closure without orchestration."""
    return _combine({path: d for path, d in closure(*roots).items() if not path.startswith(ORCHESTRATION)})


def closure(*roots: str) -> dict[str, str]:
    """Return {path, relative to the source folder where possible: digest of its syntax tree}.

    roots: dotted modules, or paths relative to the project's folder: of scripts, and of data files, which count byte by
    byte.

    Raises ReidflowError for a root that does not exist or a file that is not Python.
    """
    found: dict[Path, str] = {}
    for root in roots:
        found |= _reached(root)
    return {_label(path): found[path] for path in sorted(found, key=_parts)}


def unseen(*roots: str) -> list[str]:
    """Return the files that this process has imported, or read by `read_data`, which the closure of `roots` does not list.

    Looked at are reidflow's and those of the packages of the user's own components among `roots`, unless they are
    installed: of these the digest follows no imports.
    """
    known = set(closure(*roots))
    packages = {PACKAGE, *(r.split(".")[0] for r in roots if "/" not in r and not r.endswith(".py"))}
    loaded = {
        _label(Path(module.__file__).resolve())
        for name, module in list(sys.modules.items())
        if name.split(".")[0] in packages and getattr(module, "__file__", None) and _own(name)
    }
    return sorted((loaded | set(map(_label, _opened))) - known)


def data_files(package: str) -> list[str]:
    """Return the files of a package's folder that are not Python, such as templates, as roots of a digest."""
    module = find_module(package)
    if module is None:
        raise ReidflowError(f"there is no package '{package}' on the Python path. Check the name.")
    base = SOURCE_ROOT.parent
    files = sorted(path.resolve() for path in module.parent.iterdir() if path.is_file() and path.suffix != ".py")
    return [(path.relative_to(base) if path.is_relative_to(base) else path).as_posix() for path in files]


def read_data(path: Path) -> str:
    """Return the text of a data file that belongs to the code (a template, a style sheet): see `unseen`."""
    _opened.add(path.resolve())
    return path.read_text(encoding="utf-8")


def forget() -> None:
    """Empty the caches, so that the next digest reads the files again."""
    for known in (digest, run_digest, _reached, _label, _imported, _own, _files, _file, _scan):
        known.cache_clear()


def _combine(files: dict[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{k} {v}" for k, v in files.items()).encode()).hexdigest()[:16]


@lru_cache(None)
def _reached(root: str) -> dict[Path, str]:
    """Return file -> digest of its syntax tree, of all that one root executes; a data file -> digest of its bytes."""
    if "/" in root and not root.endswith(".py"):
        path = (SOURCE_ROOT.parent / root).resolve()
        if not path.is_file():
            raise ReidflowError(f"there is no file '{root}'. Check the name.")
        return {path: hashlib.sha256(path.read_bytes()).hexdigest()}
    if root.endswith(".py"):
        todo: list[tuple[str | None, Path, bool]] = [(None, (SOURCE_ROOT.parent / root).resolve(), False)]
    else:
        todo = [*_files(root)]
    if not todo:
        raise ReidflowError(f"there is no module '{root}' on the Python path. Check the name.")
    seen: dict[Path, str] = {}
    while todo:
        module, path, is_package = todo.pop()
        if path not in seen:
            seen[path] = _scan(str(path))[0]
            todo += _imported(module, path, is_package)
    return seen


@lru_cache(None)
def _parts(path: Path) -> tuple[str, ...]:
    return path.parts


@lru_cache(None)
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
def _imported(module: str | None, path: Path, is_package: bool) -> list[tuple[str, Path, bool]]:
    """Return the project's files that a file imports, as `_files` does."""
    found = []
    for level, base, name in _scan(str(path))[1]:
        base = _absolute(module, is_package, level, base, path)
        found += _own(base)
        if name and name != "*":
            found += _own(f"{base}.{name}")
    return list(dict.fromkeys(found))


@lru_cache(None)
def _own(module: str) -> list[tuple[str, Path, bool]]:
    """Return the files behind an import if they are the project's, or are beside a user's component; else nothing."""
    top = module.split(".")[0]
    if top == PACKAGE:
        return _files(module)
    if top in sys.stdlib_module_names:
        return []
    # A folder without `__init__.py` is a package as well: there the module's own file decides.
    found = find_module(top) or find_module(module)
    if found is None or "site-packages" in found.parts or "dist-packages" in found.parts:
        return []
    return _files(module)


@lru_cache(None)
def _files(module: str) -> list[tuple[str, Path, bool]]:
    """Return (name, path, is package) of a module with the `__init__` of each of its parents."""
    parts = module.split(".")
    found = [_file(".".join(parts[:count])) for count in range(1, len(parts) + 1)]
    return [file for file in found if file]


@lru_cache(None)
def _file(module: str) -> tuple[str, Path, bool] | None:
    path = find_module(module)
    if path is None:
        return None
    # The source folder is resolved already; resolving hundreds of paths below it takes a while.
    known = str(path).startswith(f"{SOURCE_ROOT}/")
    return module, path if known else path.resolve(), path.name == "__init__.py"


@lru_cache(None)
def _scan(path: str) -> tuple[str, frozenset[Imported]]:
    source = Path(path).read_bytes()
    content = hashlib.sha256(source).hexdigest()
    if content not in _parsed:
        text, imports = _recalled.get(content) or syntax.read(source, path)
        _parsed[content] = (text, frozenset(map(tuple, imports)))
    return _parsed[content]
