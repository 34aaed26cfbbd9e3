"""One page per experiment that needs nothing but itself: the answer on the first screen, everything else below, folded."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from reidflow.figures.kinds import TITLES
from reidflow.figures.style import BLUE, GREEN, VERDICTS, VERMILLION
from reidflow.spec import code
from reidflow.store.atomic import write_text
from reidflow.tables.findings import ARMS, INTERPRETATION
from reidflow.tables.interpretation import Reading
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section, render
from reidflow.tables.text import authored, markdown, one_line

TEMPLATE, STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("html.j2", "css", "js"))
KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}
ROWS, GROUPED_ROWS = 10, 7
"""Rows of the first table before the others are folded, as in page.css; fewer where several quantities have a verdict,
which takes two lines a row. The baseline is never folded."""
NAMES = 5
"""Names of a list on the first screen before the others are folded."""
HELD = {
    "yes": "The hypothesis held",
    "no": "The hypothesis did not hold",
    "partly": "The hypothesis held in part",
    "undecided": "The hypothesis is undecided",
}


@dataclass(frozen=True)
class Opening:
    """What a page says first.

    name, question, subtitle: plain text. answer, hypothesis, interpretation: Markdown. held: a key of HELD, or nothing
    where no statement is made. state: that of the interpretation, as `tables.interpretation.State`, and the reasons for
    it. ties: arms that are not significantly different from the best. plan: Markdown, what would make verdicts more certain.
    figure: the name of the figure beside the table.
    """

    name: str
    question: str
    subtitle: str = ""
    answer: str = ""
    hypothesis: str = ""
    held: str | None = None
    interpretation: str = ""
    state: str = ""
    reasons: Sequence[str] = ()
    ties: Sequence[str] = ()
    plan: str = ""
    figure: str = ARMS

    @classmethod
    def of(cls, answer: Mapping[str, Any], subtitle: str, read: Reading, figure: str) -> "Opening":
        """Return the opening of an experiment. answer: the content of its answer.json; read: its interpretation."""
        return cls(
            answer["experiment"],
            answer["question"],
            subtitle,
            answer["answer"],
            answer["hypothesis"],
            answer["held"],
            authored(read.text),
            read.state,
            read.reasons,
            answer["best"]["ties"] if answer["best"] else [],
            answer["plan"],
            figure,
        )


@dataclass(frozen=True)
class Fold:
    """A folded section as the template takes it. name: plain text, from which its permalink is made; title: HTML or text."""

    name: str
    title: str
    html: Markup | str = ""
    figures: Sequence[Mapping[str, str]] = ()
    tables: Sequence[Mapping[str, Any]] = ()

    @property
    def id(self) -> str:
        """Its permalink."""
        return f"section-{_anchor(self.name)}"


def write_page(
    opening: Opening,
    table: Block,
    blocks: Sequence[Block],
    findings: str,
    figures: Mapping[str, str | Path],
    out: str | Path,
    *,
    caption: Sequence[tuple[str, str]] = (),
    baseline: str | None = None,
    sections: Sequence[Section] = (),
    siblings: Sequence[str] = (),
    browsed: Mapping[str, Any] | None = None,
) -> None:
    """Write the page of an experiment as one HTML file that fetches nothing.

    table: the table of the first screen. blocks: the experiment's tables with every column. findings: Markdown; each
    section is folded, with the figures that it links, once; HTML and images in it are shown as text. figures: name -> SVG,
    PNG or JPEG file. caption: (heading, sentence) pairs of plain text. baseline: the arm whose rows are marked.
    sections: what analyses add; their tables are placed with the section of the findings that has their title.
    siblings: the config's experiments, this one included, in their order. browsed: what `browse` returns.
    """
    titles = TITLES | {name: title for section in sections for name, title in section.figures.items()}
    rest = {name: _figure(name, Path(path), titles) for name, path in figures.items()}
    first = rest.pop(opening.figure, None)
    folded = [*_findings(findings, opening, sections, rest)]
    if blocks:
        folded.append(Fold("All columns", "All columns", tables=[_table(block, "All columns") for block in blocks]))
    if rest:
        folded.append(Fold("Further figures", "Further figures", figures=[*rest.values()]))
    notes = [pair for pair in caption if markdown(pair[1]) not in findings]
    every = [table, *blocks, *(own for section in sections for own in section.tables)]
    meanings = dict.fromkeys(pair for own in every for pair in zip(own.headings, own.meanings, strict=False))
    first_table = _table(table)
    reading, more = _first_paragraph(opening.interpretation)
    scripts = [code.read_data(SCRIPT), *([browsed["script"]] if browsed else [])]
    page = render(
        TEMPLATE,
        opening=opening,
        held=HELD.get(opening.held or ""),
        answer=_markdown(opening.answer)[0],
        hypothesis=_inline(opening.hypothesis),
        plan=_inline(opening.plan),
        reading=reading,
        more=more,
        names=NAMES,
        table=first_table,
        rows=GROUPED_ROWS if first_table["grouped"] else ROWS,
        figure=first,
        folded=folded,
        notes=notes,
        meanings=list(meanings),
        baseline=baseline,
        siblings=siblings,
        **neighbours(opening.name, siblings),
        policy=Markup(" ").join(map(script_digest, scripts)),
        scripts=[Markup(script) for script in scripts],
        style=Markup(styles()),
        browse=browsed,
    )
    write_text(out, page)


def styles() -> str:
    """Return the styles of a page, with the colours that figures have."""
    return f":root {{ --blue: {BLUE}; --vermillion: {VERMILLION}; --green: {GREEN} }}\n{code.read_data(STYLE)}"


def neighbours(name: str, siblings: Sequence[str]) -> dict[str, str | None]:
    """Return the experiments before and after one of them: `previous` and `following`."""
    place = siblings.index(name) if name in siblings else -1
    found = place >= 0
    return {
        "previous": siblings[place - 1] if found and place > 0 else None,
        "following": siblings[place + 1] if found and place + 1 < len(siblings) else None,
    }


def script_digest(script: str) -> Markup:
    """Return a script as a content security policy names it."""
    return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'")


def _findings(
    findings: str, opening: Opening, sections: Sequence[Section], rest: dict[str, dict[str, str]]
) -> Iterable[Fold]:
    """Return the sections of the findings, and of analyses that say nothing in them; takes their figures out of `rest`."""
    by_title: dict[str, list[Section]] = {}
    for section in sections:
        by_title.setdefault(markdown(section.title), []).append(section)
    _, *parts = re.split(r"^## +(.*?) *$", findings, flags=re.MULTILINE)
    shown_above = [opening.figure]
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        if title == INTERPRETATION and opening.state:
            continue
        own = by_title.pop(title, [])
        names = list(dict.fromkeys(name for name in re.findall(r"/([^/()]+)\.png\)", text) if name in rest))
        body, linked = _markdown(_without_links(text, [*names, *shown_above]), {*rest, opening.figure})
        names += [name for name in linked if name in rest and name not in names]
        tables = [_table(block, title) for section in own for block in section.tables]
        yield Fold(title, _inline(title), body, [rest.pop(name) for name in names], tables)
    for found in by_title.values():
        tables = [_table(block, found[0].title) for section in found for block in section.tables]
        if tables:
            yield Fold(found[0].title, found[0].title, tables=tables)


def _without_links(text: str, names: Sequence[str]) -> str:
    """Return a section without the line that links its figures, where all of them are shown with it."""

    def kept(match: re.Match) -> str:
        return "" if set(re.findall(r"/([^/()]+)\.png\)", match[0])) <= set(names) else match[0]

    return re.sub(r"^Figures?: \[.*\n?", kept, text, flags=re.MULTILINE)


def _table(block: Block, section: str = "") -> dict[str, Any]:
    """Return a block as the template takes it: headings with their meanings, cells with the classes that mark them.

    groups: how many quantities have columns of their own, each with its difference, interval and verdict as far as there
    are any. grouped: whether the first screen shows the columns of a quantity below each other, as several have verdicts.
    """
    formats = block.formats or [""] * len(block.headings)
    classes, groups = _classes(formats)
    rows = []
    for row in block.rows:
        cells = [
            (cell, f"{kind} {cell}" if format_ == "verdict" and cell in VERDICTS else kind)
            for cell, format_, kind in zip(row, formats, classes, strict=True)
        ]
        rows.append({"name": row[0], "others": cells[1:]})
    heads = list(zip_longest(block.headings, block.meanings, classes, fillvalue=""))
    anchor = f"table-{_anchor(section)}-{_anchor(block.title)}" if block.title and section else ""
    grouped = formats.count("verdict") > 1
    return {"id": anchor, "title": block.title, "heads": heads, "rows": rows, "groups": groups, "grouped": grouped}


def _classes(formats: Sequence[str]) -> tuple[list[str], int]:
    """Return the classes of columns: the format, the place in its group (value, difference, interval, verdict), the group."""
    found, group, before = formats[:1], 0, ""
    for format_ in formats[1:]:
        if format_ in ("verdict", "estimate", "yes_no"):
            kind = format_
        elif format_.startswith("interval"):
            kind = "interval"
        elif format_.startswith(("signed", "points")) and before == "value":
            kind = "difference"
        else:
            kind, group = "value", group + 1
        found.append(f"{format_} {kind} g{group}" if format_ != kind else f"{kind} g{group}")
        before = kind
    return list(found), group


def _figure(name: str, path: Path, titles: Mapping[str, str]) -> dict[str, str]:
    content = base64.b64encode(path.read_bytes()).decode()
    source = f"data:{KINDS[path.suffix]};base64,{content}"
    return {"anchor": _anchor(name), "title": titles.get(name, name), "source": source}


def _anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).lower()


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def _inline(text: str) -> Markup:
    """Return Markdown without blocks as HTML."""
    return Markup(_parser().renderInline(one_line(text)))


def _first_paragraph(text: str) -> tuple[Markup, Markup]:
    """Return the first paragraph of Markdown, without its tags, and the rest as HTML; all is rest without a paragraph."""
    parser = _parser()
    tokens = parser.parse(text)
    if [token.type for token in tokens[:3]] != ["paragraph_open", "inline", "paragraph_close"]:
        return Markup(""), Markup(parser.renderer.render(tokens, parser.options, {}))
    parts = tokens[1:2], tokens[3:]
    first, rest = (Markup(parser.renderer.render(part, parser.options, {})) for part in parts)
    return first, rest


def _markdown(text: str, figures: Iterable[str] = ()) -> tuple[Markup, list[str]]:
    """Return Markdown as HTML, and the names of the figures that it links, which lead to the figures on the page."""
    parser, linked, figures = _parser(), [], set(figures)
    tokens = parser.parse(text)
    for token in tokens:
        for child in token.children or []:
            if child.type == "link_open":
                name = Path(str(child.attrGet("href"))).stem
                if name in figures:
                    child.attrSet("href", f"#figure-{_anchor(name)}")
                    linked.append(name)
    return Markup(parser.renderer.render(tokens, parser.options, {})), linked
