"""What no code of the project may call: everything that reads pickles, or runs what a file says."""

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

MODULES = {"_pickle", "cloudpickle", "copyreg", "dill", "joblib", "jsonpickle", "marshal", "pandas", "pickle", "shelve"}
"""Modules that exist to read pickles, or that read them from an innocent name (`pandas.read_pickle`)."""

CALLS = (
    "__import__",
    "compile",
    "eval",
    "exec",
    "numpy.loads",
    "optuna.storages.JournalRedisBackend",
    "optuna.storages.RDBStorage",
    "os.popen",
    "os.system",
    "polars.DataFrame.deserialize",
    "polars.LazyFrame.deserialize",
    "sklearn.datasets.fetch_lfw_people",
    "timm.models.load_checkpoint",
    "torch.export.load",
    "torch.hub",
    "torch.jit.load",
    "torch.package",
    "yaml.full_load",
    "yaml.load_all",
    "yaml.unsafe_load",
)
"""Calls, and all that begins with them and a dot."""

SAFE_LOADERS = {"CSafeLoader", "SafeLoader"}
KEYWORDS = {"allow_pickle": False, "shell": False, "trust_remote_code": False, "weights_only": True}
"""Arguments that may have this value alone."""

PATHS = {"checkpoint_path", "pretrained_image_path", "pretrained_text_path"}
"""Arguments by which a library would read a checkpoint from a file."""


def in_python(source: str) -> list[str]:
    """Return what a Python file calls or imports though it may not: `line: what`."""
    tree = ast.parse(source)
    known = _imported(tree)
    found = [f"{node.lineno}: {name}" for node in ast.walk(tree) for name in _wrong(node, known)]
    return sorted(found, key=lambda line: int(line.split(":")[0]))


def in_rules(path: Path) -> list[str]:
    """Return the names in a file of rules that have no place there: rules load nothing at all."""
    words = {"eval", "exec", "ruamel", "torch", "yaml", *MODULES}
    with path.open("rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type == tokenize.NAME]
    return [f"{token.start[0]}: {token.string}" for token in tokens if token.string in words]


def _imported(tree: ast.AST) -> dict[str, str]:
    """Return local name -> what it stands for."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
            }
        if isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return known


def _wrong(node: ast.AST, known: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in MODULES)
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
        yield f"from {node.module}"
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (f"from {name}" for name in names if _forbidden(name))
    if isinstance(node, ast.Call):
        yield from _wrong_call(node, _dotted(node.func, known))


def _wrong_call(call: ast.Call, name: str) -> Iterator[str]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if _forbidden(name):
        yield name
    if name == "torch.load" and "weights_only" not in given:
        yield "torch.load without weights_only=True"
    if name == "yaml.load" and not _safe(call.args[1:2] or [given.get("Loader")]):
        yield "yaml.load without a safe loader"
    if name == "ruamel.yaml.YAML" and getattr(given.get("typ"), "value", "safe") not in ("safe", "rt"):
        yield f"{name}(typ={ast.unparse(given['typ'])})"
    for argument, allowed in KEYWORDS.items():
        value = given.get(argument)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is allowed):
            yield f"{name}({argument}={ast.unparse(value)})"
    yield from (f"{name}({argument}=...)" for argument in sorted(PATHS & set(given)))


def _safe(loader: list[ast.expr | None]) -> bool:
    """Return whether the loader is a safe one by its name, or the C one of them with the other for want of it."""
    node = loader[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        return node.args[1].value in SAFE_LOADERS and _safe(node.args[2:3])
    return isinstance(node, ast.Name | ast.Attribute) and getattr(node, "attr", getattr(node, "id", "")) in SAFE_LOADERS


def _forbidden(name: str) -> bool:
    return any(name == call or name.startswith(f"{call}.") for call in CALLS)


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    """Return what is called, by its full name as far as the imports tell it."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else ""
