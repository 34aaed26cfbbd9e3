"""What an analysis adds to an experiment: sections of Markdown, tables and figures, carried as one JSON file.

An analysis writes its findings as a Jinja2 template of Markdown; each heading `## ` of the rendered text begins a section.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reidflow.spec import code
from reidflow.store.atomic import write_text
from reidflow.tables import text as texts
from reidflow.tables.layout import Block

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class Section:
    """A part of the findings.

    title: its heading, plain text. text: Markdown; a list of sentences becomes its list items. tables: blocks of plain
    text. figures: name of a figure (without suffix) -> its caption; the file is among the experiment's figures. links:
    names of further figures that the text refers to, which another section shows.
    """

    title: str
    text: str | list[str] = ""
    tables: list[Block] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            object.__setattr__(self, "text", "\n".join(f"- {sentence}" for sentence in self.text))

    @property
    def statements(self) -> list[str]:
        """The list items and paragraphs of the text, one string each."""
        return [line.removeprefix("- ") for line in self.text.splitlines() if line.strip()]


def render(template: str | Path, **context: Any) -> str:
    """Return a Jinja2 template filled with `context`; an undefined name is an error.

    template: path of the file. In a template of HTML (`.html.j2`) values are escaped; in Markdown they are not: names of
    arms and other data go through the filters `markdown`, `name` or `names`. Filters: every format of `text.FORMATS`
    (`{{ row.delta | signed }}`, `{{ row.delta_low | interval(row.delta_high) }}`) and those of FILTERS.
    """
    path = Path(template)
    return _environment(path.parent, ".html" in path.suffixes).get_template(path.name).render(**context)


def each(rows: Iterable[Mapping[str, Any]], pattern: str) -> list[str]:
    """Return the pattern filled with each row: `{arm:name} {delta:signed} {delta_low,delta_high:interval}`.

    In braces are the fields of the row and the filter that prints them, or several: `{value:setting|markdown}`.
    """

    def cell(match: re.Match, row: Mapping[str, Any]) -> str:
        first, *others = [(texts.FORMATS | FILTERS)[name] for name in (match[2] or "text").split("|")]
        return reduce(lambda text, show: show(text), others, first(*(row[field] for field in match[1].split(","))))

    return [re.sub(r"\{([\w,]+)(?::([\w|]+))?\}", partial(cell, row=row), pattern) for row in rows]


FILTERS = {
    "each": each,
    "extent": texts.extent,
    "markdown": texts.markdown,
    "name": texts.bold,
    "names": texts.bold_names,
    "listed": texts.listed,
    "one_line": texts.one_line,
    "plural": texts.plural,
    "p_value": texts.p_value,
}
"""`markdown`: a name escaped; `name`, `names`: in bold and escaped, several as `**a**, **b** and **c**`; `listed`: texts that
are Markdown already as `a, b and c`; `each`: rows as texts for it;
`extent`: the size of a difference with its interval; `one_line`: text of a page; `plural`: `{{ 3 | plural("image") }}`; `p_value`: `p = 0.012`."""


@lru_cache
def _environment(folder: Path, html: bool) -> "jinja2.Environment":
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: code.read_data(folder / name)),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=html,
        keep_trailing_newline=True,
    )
    found.filters |= texts.FORMATS | FILTERS
    return found


def sections_of(
    text: str,
    tables: Mapping[str, Sequence[Block]] | None = None,
    figures: Mapping[str, Mapping[str, str]] | None = None,
    links: Mapping[str, Sequence[str]] | None = None,
) -> list[Section]:
    """Return the sections of a rendered text, one for each heading `## `; those without any content are left out.

    tables, figures, links: heading -> the content of that section, as in `Section`. Lines that continue a list item or a
    paragraph are joined, and blank lines between list items dropped. Raises ValueError for text before the first heading
    and for tables or figures under a heading that the text lacks.
    """
    before, *parts = re.split(r"^## +(.*?) *$", text, flags=re.MULTILINE)
    titles = parts[::2]
    added = {"tables": tables or {}, "figures": figures or {}, "links": links or {}}
    lost = sorted({title for given in added.values() for title in given} - set(titles))
    if before.strip() or lost:
        raise ValueError(f"text before the first heading: {before.strip()!r}; headings that the text lacks: {lost}")
    found = [
        Section(
            title,
            _tidy(body),
            list(added["tables"].get(title, [])),
            dict(added["figures"].get(title, {})),
            list(added["links"].get(title, [])),
        )
        for title, body in zip(titles, parts[1::2], strict=True)
    ]
    return [section for section in found if section.text or section.tables or section.figures]


def _tidy(body: str) -> str:
    """Return Markdown with one line for each list item and paragraph, and no blank line within a list."""
    found: list[str] = []
    for line in map(str.rstrip, body.strip().splitlines()):
        continues = line and found and found[-1] and not re.match(r" *([-*] |\d+\. |[|>#])", line)
        if continues:
            found[-1] += f" {line.strip()}"
        elif line or (found and found[-1]):
            found.append(line)
    text = re.sub(r"^(- .*)\n\n(?=- )", r"\1\n", "\n".join(found), flags=re.MULTILINE)
    return text.strip()


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
        replace(table, title=": ".join(filter(None, [section.title, table.title])))
        for section in sections
        for table in section.tables
    ]
