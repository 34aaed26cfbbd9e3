"""Writes into an experiment's YAML which table its interpretation was written for, and touches nothing else there."""

from difflib import SequenceMatcher
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.util import load_yaml_guess_indent

from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import load, round_trip
from reidflow.store.atomic import replacing
from reidflow.tables.interpretation import stamped, stamped_numbers


def stamp(path: str | Path, dataset: str, results: pl.DataFrame) -> bool:
    """Rewrite the mappings `table` and `numbers` of the interpretation of `dataset` in the experiment file `path`.

    Comments, order and everything else stay as they are. Returns whether the file changed. Raises ReidflowError when
    there is not exactly one interpretation of that data set, or the file is written in a way that cannot be edited.
    """
    path = Path(path)
    content = load(path)
    entries = content.get("interpretation") or []
    own = [index for index, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("dataset") == dataset]
    if len(own) != 1:
        raise ReidflowError(
            f"{path}, key 'interpretation': there are {len(own)} entries for the data set '{dataset}'. "
            f"Write one: - {{dataset: {dataset}, text: what was learned, why, what next}}."
        )
    entry = entries[own[0]]
    written = {"table": stamped(results), "numbers": stamped_numbers(str(entry.get("text", "")), results)}
    changed = {key: value for key, value in written.items() if (entry.get(key) or {}) != value}
    if not changed:
        return False
    entry |= changed
    edited = _edit(path, own[0], changed)
    with replacing(path) as temporary:
        temporary.write_bytes(edited.encode("utf-8"))
        if load(temporary) != content:
            raise ReidflowError(
                f"{path}: cannot be edited safely. Write the table and numbers of '{dataset}' as plain 'name: value' lines."
            )
    return True


def _edit(path: Path, number: int, changed: dict[str, dict[str, str]]) -> str:
    """Return the text of an experiment file with other mappings in one of its interpretations."""
    text = path.read_bytes().decode("utf-8")
    line_break = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    _, indent, dash = load_yaml_guess_indent(text)
    editor, tree = round_trip(text)
    editor.indent(mapping=2, sequence=max(indent or 2, (dash or 0) + 2), offset=dash or 0)
    before = _dumped(editor, tree)
    entry = tree["interpretation"][number]
    for key, value in changed.items():
        old = entry.get(key)
        if getattr(old, "anchor", None) is not None and old.anchor.value:
            raise ReidflowError(f"{path}, key '{key}': is an alias of another place. Write it out: {key}: {{}}.")
        if isinstance(old, CommentedMap) and old and value:
            _update(old, value)
        elif key in entry:
            entry[key] = value
        else:
            after = "table" if key == "numbers" else "dataset"
            entry.insert(list(entry).index(after) + 1, key, value)
    return _carried_over(text, before, _dumped(editor, tree)).replace("\n", line_break)


def _update(old: CommentedMap, table: dict[str, str]) -> None:
    """Make a mapping equal to `table`, key by key, so that the comments on its lines survive."""
    gone = [arm for arm in old if arm not in table]
    for arm, value in table.items():
        if old.get(arm) != value:
            old[arm] = value
    for arm in gone:
        comment = old.ca.items.get(arm)
        del old[arm]
        if comment is not None:
            old.ca.items.setdefault(next(reversed(old)), comment)


def _dumped(editor: YAML, tree: Any) -> str:
    text = StringIO()
    editor.dump(tree, text)
    return text.getvalue()


def _carried_over(text: str, before: str, after: str) -> str:
    """Return `text` with the edit that leads from `before`, which is `text` in a normalised layout, to `after`."""
    lines, normal, edited = (part.splitlines(keepends=True) for part in (text, before, after))
    same = SequenceMatcher(None, normal, lines, autojunk=False).get_matching_blocks()
    own = {block.a + step: block.b + step for block in same for step in range(block.size)} | {-1: -1}
    own[len(normal)] = len(lines)
    found: list[str] = []
    done = 0
    for kind, start, end, first, last in SequenceMatcher(None, normal, edited, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        while start - 1 not in own:
            start, first = start - 1, first - 1
        while end not in own:
            end, last = end + 1, last + 1
        found += [*lines[done : own[start - 1] + 1], *edited[first:last]]
        done = own[end]
    return "".join([*found, *lines[done:]])
