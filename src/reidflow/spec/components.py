"""Components (losses, samplers, ...) looked up by name; parameters read from the syntax tree, nothing is imported.

A component is one module with a function of the kind's verb. What it takes from the pipeline (an optimizer: the
parameters to optimize) comes first, positionally; the parameters that a config may set are keyword-only and typed,
each with a default unless the user must choose it.
"""

import ast
import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

from reidflow.spec.errors import ReidflowError

SOURCE_ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "source": ("reidflow.ingest.sources", "open_source"),
    "frame": ("reidflow.ingest.frames", "box"),
    "segmenter": ("reidflow.ingest.masks", "build"),
    "duplicates": ("reidflow.dedup.methods", "pairs"),
    "split": ("reidflow.splits.methods", "assign"),
    "background": ("reidflow.backgrounds.interventions", "apply"),
    "backbone": ("reidflow.models.backbones", "build"),
    "pooling": ("reidflow.models.pooling", "build"),
    "geometry": ("reidflow.models.geometries", "build"),
    "curation": ("reidflow.curation.methods", "select"),
    "loss": ("reidflow.training.losses", "build"),
    "miner": ("reidflow.training.miners", "build"),
    "sampler": ("reidflow.training.samplers", "build"),
    "optimizer": ("reidflow.training.optimizers", "build"),
    "scheduler": ("reidflow.training.schedulers", "build"),
    "augmentation": ("reidflow.training.augmentations", "build"),
    "algorithm": ("reidflow.search.algorithms", "build"),
    "pruner": ("reidflow.search.pruners", "build"),
    "inference": ("reidflow.retrieval.inference", "apply"),
    "index": ("reidflow.retrieval.indexes", "build"),
    "matcher": ("reidflow.matching.matchers", "build"),
    "comparison": ("reidflow.matching.comparisons", "build"),
}
MAY_BE_NONE = {"geometry"}
"""Kinds of which one component returns None: the hypersphere leaves embeddings as they are."""


@lru_cache(None)
def version() -> str:
    """Return the version of reidflow; 'not installed' where it runs from its sources alone."""
    from importlib import metadata

    try:
        return metadata.version("reidflow")
    except metadata.PackageNotFoundError:
        return "not installed"


def names(kind: str) -> list[str]:
    """Return the names of the components of a kind that ship with the project, sorted."""
    return list(_shipped(kind))


@lru_cache(None)
def _shipped(kind: str) -> tuple[str, ...]:
    folder = SOURCE_ROOT.joinpath(*KINDS[kind][0].split("."))
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def module_name(kind: str, name: str) -> str:
    """Return the dotted module of a component; a name with a dot is a user's own module.

    Raises ReidflowError that lists the valid names.
    """
    if "." in name:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ReidflowError(
                f"'{name}' is not a dotted path of a module. Write e.g. my_lab.losses, whose file is my_lab/losses.py."
            )
        if find_module(name) is None:
            raise ReidflowError(
                f"the module '{name}' is nowhere on the Python path. Check the name, or set PYTHONPATH."
            )
        return name
    if name not in names(kind):
        close = difflib.get_close_matches(name, names(kind), n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ReidflowError(f"there is no {kind} '{name}'.{hint} Choose one of: {', '.join(names(kind))}.")
    return f"{KINDS[kind][0]}.{name}"


def load(kind: str, name: str) -> ModuleType:
    """Import the module of a component."""
    return importlib.import_module(module_name(kind, name))


def call(kind: str, spec: dict[str, Any], *context: Any) -> Any:
    """Call a component with what the pipeline hands it and the parameters of its resolved `spec`.

    Raises ReidflowError where it returns nothing; a loss that does so raises it when it is first used.
    """
    parameters = {key: value for key, value in spec.items() if key != "name"}
    module, verb = load(kind, spec["name"]), KINDS[kind][1]
    made = getattr(module, verb)(*context, **parameters)
    if made is None and kind not in MAY_BE_NONE:
        raise ReidflowError(
            f"{module.__file__}: '{verb}' returns nothing. Let it return the {kind}: docs/extending.md shows one."
        )
    if kind == "loss" and hasattr(made, "register_forward_hook"):
        _check_first_loss(made, str(module.__file__))
    return made


def _check_first_loss(loss: Any, file: str) -> None:
    """Check the first value of a loss, a module of torch: what is no number fails far from its cause."""

    def check(module: Any, given: Any, value: Any) -> None:
        checking.remove()
        if not hasattr(value, "backward") or value.numel() != 1:
            found = "nothing" if value is None else getattr(value, "shape", type(value).__name__)
            raise ReidflowError(f"{file}: 'forward' returns {found}. Let it return the loss, a tensor of one number.")

    checking = loss.register_forward_hook(check)


def resolve(kind: str, spec: str | dict[str, Any]) -> dict[str, Any]:
    """Return `{name: ..., every parameter: its value or default}` for a component as written in a config.

    Raises ReidflowError for an unknown name, an unknown, missing or badly typed parameter.
    """
    # Arms repeat most components; `repr` distinguishes 1, 1.0 and True, which are equal but not of the same type.
    key = kind, repr(spec)
    if key not in _resolved:
        _resolved[key] = _resolve(kind, {"name": spec} if isinstance(spec, str) else dict(spec))
    return dict(_resolved[key])


_resolved: dict[tuple[str, str], dict[str, Any]] = {}


def _resolve(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise ReidflowError(
            f"a {kind} needs a name. Write e.g. {{name: {names(kind)[0]}}}; known: {', '.join(names(kind))}."
        )
    known = _signature(str(_path(kind, name)), KINDS[kind][1])
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ReidflowError(f"{kind} '{name}' has no parameter '{unknown[0]}'. It takes: {', '.join(known) or 'none'}.")
    resolved: dict[str, Any] = {"name": name}
    for key, (annotation, required, default) in known.items():
        if key not in given and required:
            raise ReidflowError(f"{kind} '{name}' needs the parameter '{key}' ({annotation}). Add it.")
        resolved[key] = _checked(kind, name, key, given[key], annotation) if key in given else default
    return resolved


def _checked(kind: str, name: str, key: str, value: Any, annotation: str) -> Any:
    place = f"{kind} '{name}', parameter '{key}'"
    fitted = _fit(value, annotation, place)
    if wrong := outside(kind, key, fitted):
        raise ReidflowError(f"{place}: {wrong}. Correct the value.")
    return fitted


def parameters(kind: str, name: str) -> dict[str, tuple[str, bool, Any]]:
    """Return the parameters of a component: name -> (type as written, whether required, default)."""
    return _signature(str(_path(kind, name)), KINDS[kind][1])


def context(kind: str, name: str) -> list[str]:
    """Return the names of the inputs that a component takes from the pipeline, in order: some take more than others."""
    return _context(str(_path(kind, name)), KINDS[kind][1])


def needing(kind: str, specs: Iterable[dict[str, Any]], wanted: str) -> list[str]:
    """Return the names of the resolved components that take the input `wanted`, in order."""
    return [spec["name"] for spec in specs if wanted in context(kind, spec["name"])]


def declared(kind: str, name: str, constant: str) -> Any:
    """Return the literal that a component's module gives a constant; None where it has none."""
    return _constants(str(_path(kind, name))).get(constant)


def is_given(split: dict[str, Any]) -> bool:
    """Return whether the roles of a resolved split come from the data."""
    return bool(declared("split", split["name"], "GIVEN"))


@lru_cache(None)
def _constants(path: str) -> dict[str, Any]:
    found = {}
    for node in _parsed(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and isinstance(getattr(node, "value", None), ast.Constant):
            found[target.id] = node.value.value
    return found


def _path(kind: str, name: str) -> Path:
    path = find_module(module_name(kind, name))
    if path is None:
        raise ReidflowError(f"the module of {kind} '{name}' cannot be found.")
    return path


@lru_cache(None)
def find_module(module: str) -> Path | None:
    """Locate a module's file by walking the Python path by hand: importlib would import the parents."""
    tail = module.replace(".", os.sep)
    # Strings, as thousands of paths are tried; a name too long for a path is no file, not an error.
    for root in [str(SOURCE_ROOT), *(p or os.curdir for p in sys.path)]:
        for candidate in (f"{root}/{tail}.py", f"{root}/{tail}/__init__.py"):
            if os.path.isfile(candidate):  # noqa: PTH113
                return Path(candidate)
    return None


@lru_cache(None)
def _signature(path: str, verb: str) -> dict[str, tuple[str, bool, Any]]:
    arguments, found = _arguments(path, verb), {}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        try:
            value = None if default is None else ast.literal_eval(default)
        except ValueError as error:
            raise ReidflowError(
                f"{path}: the default of '{argument.arg}' in '{verb}' is computed, and planning runs nothing. Write a "
                "plain number, text or list."
            ) from error
        found[argument.arg] = (
            ast.unparse(argument.annotation) if argument.annotation else "Any",
            default is None,
            value,
        )
    return found


@lru_cache(None)
def _context(path: str, verb: str) -> list[str]:
    return [a.arg for a in _arguments(path, verb).args]


def _arguments(path: str, verb: str) -> ast.arguments:
    for node in _parsed(path).body:
        if isinstance(node, ast.FunctionDef) and node.name == verb:
            return node.args
    raise ReidflowError(f"{path} has no function '{verb}'. A component of this kind must define it.")


@lru_cache(None)
def _parsed(path: str) -> ast.Module:
    try:
        return ast.parse(Path(path).read_bytes(), path)
    except (SyntaxError, ValueError, OSError) as error:
        raise ReidflowError(f"{path} is not valid Python ({error}). Correct the file.") from error


def _fit(value: Any, annotation: str, where: str) -> Any:
    """Return `value` as the annotated type (int for float is widened), or raise ReidflowError."""
    for option in _alternatives(annotation):
        fitted = _try(value, option)
        if fitted is not _MISFIT:
            return fitted
    raise ReidflowError(f"{where}: {value!r} is not of the type {annotation}. Correct the value.")


_MISFIT = object()
_DATE = re.compile(r"\d{4}(-\d\d){0,2}", re.ASCII)


@lru_cache(None)
def _alternatives(annotation: str) -> list[ast.expr]:
    return _options(ast.parse(annotation, mode="eval").body)


def _options(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _options(node.left) + _options(node.right)
    return [node]


def _try(value: Any, kind: ast.expr) -> Any:
    if isinstance(kind, ast.Constant) and kind.value is None:
        return None if value is None else _MISFIT
    if isinstance(kind, ast.Name):
        simple = {"int": int, "str": str, "bool": bool}
        if kind.id == "Any":
            return value
        if kind.id == "float":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return float(value) if number else _MISFIT
        if kind.id in simple:
            exact = type(value) is simple[kind.id]
            return value if exact else _MISFIT
        if kind.id in ("list", "dict"):
            return value if isinstance(value, {"list": list, "dict": dict}[kind.id]) else _MISFIT
    if isinstance(kind, ast.Subscript) and isinstance(kind.value, ast.Name):
        if kind.value.id == "Literal":
            allowed = ast.literal_eval(kind.slice)
            return value if value in (allowed if isinstance(allowed, tuple) else (allowed,)) else _MISFIT
        if kind.value.id == "list" and isinstance(value, list):
            fitted = [_try(v, kind.slice) for v in value]
            return _MISFIT if any(v is _MISFIT for v in fitted) else fitted
    return _MISFIT


_SHARE = (0.0, 1.0)
_COUNT = (1, 10**6)
_NOT_NEGATIVE = (0.0, 1e6)
_TINY = 1e-12
RANGES: dict[tuple[str, str], tuple[float, float]] = {
    **{("split", role): _SHARE for role in ("train", "val", "test")},
    ("split", "folds"): (0, 100),
    **{("sampler", name): _COUNT for name in ("batch", "identities", "images")},
    ("optimizer", "learning_rate"): (_TINY, 1e3),
    ("optimizer", "weight_decay"): _NOT_NEGATIVE,
    **{("optimizer", name): _SHARE for name in ("beta1", "beta2", "momentum", "decay")},
    **{("scheduler", name): _COUNT for name in ("cycles", "every")},
    ("augmentation", "p"): _SHARE,
    ("loss", "scale"): (_TINY, 1e6),
    ("loss", "temperature"): (_TINY, 1e6),
    ("loss", "centers"): (1, 1000),
    **{("source", name): _SHARE for name in ("shortcut", "occluded", "night", "duplicates", "defects")},
    **{("source", name): _COUNT for name in ("identities", "images")},
    ("source", "size"): (16, 4096),
    ("segmenter", "threshold"): _SHARE,
    ("segmenter", "size"): (16, 8192),
    ("segmenter", "divide"): (_TINY, 1e6),
    ("source", "depth"): (1, 20),
    **{("inference", name): _COUNT for name in ("k", "k1", "k2")},
    ("inference", "lambda_"): _SHARE,
    ("matcher", "size"): (64, 4096),
    ("matcher", "keypoints"): (1, 100_000),
    **{("matcher", name): _SHARE for name in ("contrast", "threshold")},
    ("matcher", "edge"): (1, 1000),
    ("comparison", "k"): (1, 1000),
    ("comparison", "confidence"): _SHARE,
    ("comparison", "verify"): (_TINY, 4096),
    **{("duplicates", name): _COUNT for name in ("candidates", "neighbours")},
    **{("algorithm", name): _COUNT for name in ("population", "startup", "candidates", "tournament")},
}


def outside(kind: str, parameter: str, value: Any) -> str | None:
    """Return what is wrong with the value of a parameter, or None."""
    if isinstance(value, list):
        return next((wrong for each in value if (wrong := outside(kind, parameter, each))), None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not isfinite(value) or abs(value) > 2**53:
        return f"{value!r} is no number that can be computed with"
    low, high = RANGES.get((kind, parameter), (float("-inf"), float("inf")))
    if low <= value <= high:
        return None
    return f"{value!r} is not {'above 0' if low == _TINY else f'from {low:g}'} to {high:g}"


def first_day(cutoff: str | int) -> date | None:
    """Return the first day of a date YYYY, YYYY-MM or YYYY-MM-DD; None for other text."""
    try:
        return date.fromisoformat(f"{cutoff}-01-01"[:10]) if _DATE.fullmatch(str(cutoff)) else None
    except ValueError:
        return None


def wrong_shares(split: dict[str, Any]) -> str | None:
    """Return what is wrong with the shares or the date of a resolved split, or None; a method of the user's own may have none."""
    if split["name"] == "time" and split["cutoff"] is not None and first_day(split["cutoff"]) is None:
        return f"the cutoff '{split['cutoff']}' is not a date such as 2024, 2024-05 or 2024-05-31"
    if split["name"] == "column" and (split["val"] or 0) >= 1:
        return (
            f"split: {{val: {split['val']:g}}} leaves no image to train on: val is the share of the training images that "
            "become validation images, below 1, e.g. split: {val: 0.2}"
        )
    if not {"train", "val", "test"} <= split.keys():
        return None
    train, val, test = (split[role] for role in ("train", "val", "test"))
    if min(train, test) > 0 and abs(train + val + test - 1) <= 1e-9:
        if val or not declared("split", split["name"], "NEW"):
            return None
        return (
            f"split '{split['name']}' with val 0: what is said of new individuals is chosen on those of validation. Write split: "
            "{train: 0.5, val: 0.2, test: 0.3}"
        )
    return (
        f"the shares train {train:g}, val {val:g}, test {test:g} add up to {train + val + test:g}: they must add up to 1, "
        "with train and test above 0"
    )
