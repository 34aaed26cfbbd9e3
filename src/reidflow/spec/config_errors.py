"""Validation errors of pydantic as messages: the key, what is wrong, what would be right."""

import difflib
from collections.abc import Collection
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reidflow.spec.errors import Problems

SHOWN = 80
NO_KEYS = ("[key]", "[list]", "[keys]")
"""Parts of the place of an error that pydantic adds: the error is about a key itself, or about one of two forms of a value."""
ErrorKey = tuple[tuple[int | str, ...], str]


def error_keys(error: ValidationError) -> set[ErrorKey]:
    """Return (place, message) of every error."""
    return {(detail["loc"], detail["msg"]) for detail in error.errors(include_url=False)}


def add_errors(
    error: ValidationError,
    model: type[BaseModel],
    where: str | None,
    problems: Problems,
    *,
    only: Collection[ErrorKey] | None = None,
    known: Collection[ErrorKey] = (),
) -> None:
    """Add each error with file, key and remedy.

    model: what the content was taken for. where: the file, None for the config, whose files `problems` knows. only: note those alone; known: those are noted elsewhere.
    """
    seen = set()
    for detail in error.errors(include_url=False):
        key_of_error = detail["loc"], detail["msg"]
        # For a field of int | float, pydantic reports both attempts.
        place = detail["loc"][:-1] if detail["loc"][-1:] in (("int",), ("float",)) else detail["loc"]
        doubled = place != detail["loc"] and place in seen
        seen.add(place)
        if not doubled and key_of_error not in known and (only is None or key_of_error in only):
            key = ".".join(str(part) for part in place if part not in NO_KEYS)
            if where is None:
                problems.add_key(key, *_message(detail, model))
            else:
                problems.add(f"{where}, key '{key}'" if key else where, *_message(detail, model))


def first_message(error: ValidationError, model: type[BaseModel]) -> str:
    """Return what is wrong with the first error, and the remedy."""
    return " ".join(filter(None, _message(error.errors(include_url=False)[0], model)))


def _message(detail: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """Return what is wrong, and the remedy."""
    place, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        return _unknown(str(place[-1]), keys_at(model, place[:-1]), len(place) == 1 and model.__name__ == "RunSpec")
    if kind == "missing":
        return "this key is missing.", "Add it; config/README.md describes every key."
    if kind == "invalid_key" or (place[-1:] == ("[key]",) and not isinstance(detail["input"], str)):
        return "a key must be a text.", f"Put {_shown(detail['input'])} in quotes."
    if kind == "model_type":
        keys = ", ".join(keys_at(model, place))
        return "must be keys with values.", f"It is {_shown(detail['input'])}. Known keys: {keys}."
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message += "" if message.endswith(".") else "."
    return message, "" if kind == "value_error" else f"Correct the value (it is {_shown(detail['input'])})."


def _unknown(key: str, known: list[str], of_a_run: bool) -> tuple[str, str]:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    if not known:
        return "this key is unknown.", "Remove it, or correct its name."
    if of_a_run:
        return "a run has no such setting.", f"Settings are: {', '.join(known)}.{hint}"
    return "this key is unknown.", f"Known here: {', '.join(known)}.{hint}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that a model knows at a path below it; none where anything is allowed."""
    kinds: list[Any] = [model]
    for part in place:
        inner = [below for kind in kinds for below in _inside(kind, part)]
        # A tag that pydantic puts into the place of an error is no key, but says which of several models is meant.
        tagged = [kind for kind in _branches(kinds) if getattr(kind, "__name__", "").lower() == part]
        kinds = inner or tagged or kinds
    models = [kind for kind in _branches(kinds) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return list(models[0].model_fields) if models else []


def _branches(kinds: list[Any]) -> list[Any]:
    """Return the types behind optional, annotated and alternative ones."""
    found = []
    for kind in kinds:
        if get_origin(kind) is Annotated:
            found += _branches([get_args(kind)[0]])
        elif get_origin(kind) in (Union, UnionType):
            found += _branches(list(get_args(kind)))
        else:
            found.append(kind)
    return found


def _inside(kind: Any, part: int | str) -> list[Any]:
    found = []
    for branch in _branches([kind]):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            field = branch.model_fields.get(str(part))
            found += [field.annotation] if field else []
        elif get_origin(branch) is list and isinstance(part, int):
            found.append(get_args(branch)[0])
        elif get_origin(branch) is dict:
            found.append(get_args(branch)[1])
    return found
