"""Writes into an experiment's YAML which table its interpretation was written for, and touches nothing else there."""

import re
from pathlib import Path

import polars as pl
import yaml

from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import load
from reidflow.store.atomic import replacing
from reidflow.tables.interpretation import stamped

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS_WITH_MEANING = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def stamp(path: str | Path, dataset: str, results: pl.DataFrame) -> bool:
    """Rewrite the `table:` mapping of the interpretation of `dataset` in the experiment file `path`.

    Comments, order and everything else stay as they are. Returns whether the file changed. Raises ReidflowError when
    there is not exactly one interpretation of that data set, or the file is written in a way that cannot be edited.
    """
    path = Path(path)
    content = load(path)
    entries = content.get("interpretation") or []
    own = [place for place, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("dataset") == dataset]
    if len(own) != 1:
        raise ReidflowError(
            f"{path}, key 'interpretation': there are {len(own)} entries for the data set '{dataset}'. "
            f"Write one: - {{dataset: {dataset}, text: what was learned, why, what next}}."
        )
    text = path.read_bytes().decode("utf-8")
    table = stamped(results)
    entry = _child(yaml.compose(text, yaml.SafeLoader), "interpretation").value[own[0]]
    edited = _edit(text, entry, table, path)
    if edited == text:
        return False
    entries[own[0]]["table"] = table
    with replacing(path) as temporary:
        temporary.write_bytes(edited.encode("utf-8"))
        if load(temporary) != content:
            raise ReidflowError(
                f"{path}: cannot be edited safely. Write the table of '{dataset}' as plain 'arm: value' lines."
            )
    return True


def _child(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _edit(text: str, entry: yaml.MappingNode, table: dict[str, str], path: Path) -> str:
    old = _child(entry, "table")
    flow = bool(entry.flow_style)
    if old is None:
        after = next(name_value for name_value in entry.value if name_value[0].value == "dataset")
        column = after[0].start_mark.column
        if flow:
            return _insert(text, after[1].end_mark.index, f", table: {_flow(table)}")
        return _insert(text, _line_end(text, after[1].end_mark.index), _block(table, column, text, head=True))
    key = next(name for name, _ in entry.value if name.value == "table")
    if old.start_mark.index < key.end_mark.index:
        raise ReidflowError(f"{path}, key 'table': is an alias of another place. Write it out: table: {{}}.")
    if flow:
        return text[: old.start_mark.index] + _flow(table) + text[old.end_mark.index :]
    if isinstance(old, yaml.MappingNode) and not old.flow_style:
        return _update(text, old, table)
    start, end = old.start_mark.index, old.end_mark.index
    cut = text[:start].rstrip(" ") + text[end:]
    return _insert(cut, _line_end(cut, len(text[:start].rstrip(" "))), _block(table, key.start_mark.column, text))


def _update(text: str, old: yaml.MappingNode, table: dict[str, str]) -> str:
    """Return the text with the lines of a block mapping changed one by one, so that remarks on them survive."""
    column = old.value[0][0].start_mark.column
    new = {arm: value for arm, value in table.items() if arm not in {key.value for key, _ in old.value}}
    kept = [value for key, value in old.value if key.value in table]
    place = (kept or [old.value[-1][1]])[-1].end_mark.index
    edits = [(_line_end(text, place), _line_end(text, place), _block(new, column - 2, text))]
    for key, value in old.value:
        if key.value not in table:
            begin = text.rindex("\n", 0, key.start_mark.index)
            edits.append((begin, _line_end(text, value.end_mark.index), ""))
        elif value.value != table[key.value]:
            edits.append((value.start_mark.index, value.end_mark.index, table[key.value]))
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _block(table: dict[str, str], column: int, text: str, head: bool = False) -> str:
    """Return the lines of a block mapping two columns right of `column`, each with its line break before it."""
    lines = [" " * column + "table:"] if head else []
    lines += [f"{' ' * (column + 2)}{_key(arm)}: {value}" for arm, value in table.items()]
    line_break = "\r\n" if "\r\n" in text else "\n"
    return "".join(line_break + line for line in lines)


def _flow(table: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_key(arm)}: {value}" for arm, value in table.items()) + "}"


def _key(arm: str) -> str:
    if _PLAIN_KEY.fullmatch(arm) and arm.lower() not in _WORDS_WITH_MEANING:
        return arm
    return yaml.safe_dump(arm, default_style='"', allow_unicode=True, width=float("inf")).rstrip("\n")


def _line_end(text: str, index: int) -> int:
    """Return where the line that holds the end of a value at `index` ends, before its line break."""
    if index and text[index - 1] == "\n":  # a block scalar ends behind its last line break
        index -= 1
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    return end - 1 if end and text[end - 1] == "\r" else end


def _insert(text: str, index: int, addition: str) -> str:
    return text[:index] + addition + text[index:]
