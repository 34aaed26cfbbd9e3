"""What an analysis adds to an experiment's table: statements, tables and figures, carried as one JSON file."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from reidflow.store.atomic import write_text
from reidflow.tables.layout import Block


@dataclass(frozen=True)
class Section:
    """A part of the findings.

    title: its heading. statements: sentences of Markdown; each gets links to the figures, and where there is none the
    first caption stands in. tables: blocks of plain text. figures: name of a figure (without suffix) -> its caption; the
    file lies among the experiment's figures. links: names of further figures that the statements lead to, shown elsewhere.
    """

    title: str
    statements: list[str] = field(default_factory=list)
    tables: list[Block] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)


def write_sections(path: str | Path, sections: Iterable[Section]) -> None:
    """Write sections as JSON, in their order."""
    write_text(path, json.dumps([asdict(section) for section in sections], indent=1, ensure_ascii=False) + "\n")


def read_sections(path: str | Path) -> list[Section]:
    """Return the sections of a file that `write_sections` wrote."""
    return [
        Section(**{**part, "tables": [Block(**table) for table in part["tables"]]})
        for part in json.loads(Path(path).read_text())
    ]


def read_all(paths: Iterable[str | Path]) -> list[Section]:
    """Return the sections of several files, in their order."""
    return [section for path in paths for section in read_sections(path)]


def section_blocks(sections: Iterable[Section]) -> list[Block]:
    """Return the tables of all sections, each with its section's title before its own."""
    return [
        Block(": ".join(filter(None, [section.title, table.title])), table.headings, table.rows)
        for section in sections
        for table in section.tables
    ]
