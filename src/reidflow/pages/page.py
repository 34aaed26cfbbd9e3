"""One page per experiment that needs nothing but itself: the answer, tables that sort, figures, evidence and limits."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from reidflow.figures.kinds import TITLES
from reidflow.figures.style import BLUE, VERDICTS, VERMILLION
from reidflow.spec import code
from reidflow.store.atomic import write_text
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section, render
from reidflow.tables.text import markdown

TEMPLATE, STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("html.j2", "css", "js"))
KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}


def write_page(
    title: str,
    subtitle: str,
    caption: Sequence[tuple[str, str]],
    blocks: Sequence[Block],
    findings: str,
    figures: Mapping[str, str | Path],
    out: str | Path,
    baseline: str | None = None,
    sections: Sequence[Section] = (),
    browsed: dict[str, Any] | None = None,
) -> None:
    """Write the page of an experiment as one HTML file that fetches nothing.

    caption: (heading, sentence) pairs. blocks: the tables of the experiment; the first is placed with the first section of
    the findings, the others below. findings: Markdown; each section is followed by the figures that it links, once, and
    HTML and images in it are shown as text. figures: name -> SVG, PNG or JPEG file. baseline: the arm whose rows are
    marked. sections: what analyses add; their tables are placed with the section of the findings that has their title.
    browsed: what `browse` returns.
    """
    script = code.read_data(SCRIPT)
    captions = TITLES | {name: title for section in sections for name, title in section.figures.items()}
    texts = re.split(r"^(?=## )", findings, flags=re.MULTILINE)[1:] if "## " in findings else [findings]
    rest = dict(figures)
    by_title: dict[str, list[Section]] = {}
    for section in sections:
        by_title.setdefault(f"## {markdown(section.title)}", []).append(section)
    parts = []
    for text in filter(str.strip, texts):
        own = by_title.pop(text.split("\n", 1)[0].rstrip(), [])
        rendered, linked = _markdown(text, set(figures))
        shown = [name for name in dict.fromkeys(linked) if name in rest]
        parts.append(
            {
                "text": rendered,
                "first": [] if parts else [_table(table) for table in blocks[:1]],
                "figures": [_figure(name, Path(rest.pop(name)), captions) for name in shown],
                "tables": [_table(table) for section in own for table in section.tables],
            }
        )
    unsaid = [section for found in by_title.values() for section in found if section.tables]
    below = [*([] if parts else blocks[:1]), *blocks[1:]]
    tables = [*(_table(table, section.title) for section in unsaid for table in section.tables), *map(_table, below)]
    every = [*blocks, *(table for section in sections for table in section.tables)]
    page = render(
        TEMPLATE,
        title=title,
        subtitle=subtitle,
        script_digests=[_digest(text) for text in (script, *([browsed["script"]] if browsed else []))],
        script=Markup(script),
        style=Markup(code.read_data(STYLE)),
        blue=BLUE,
        vermillion=VERMILLION,
        parts=parts,
        figures=[_figure(name, Path(path), captions) for name, path in rest.items()],
        tables=tables,
        caption=caption,
        meanings=list(
            dict.fromkeys(pair for table in every for pair in zip(table.headings, table.meanings, strict=False))
        ),
        baseline=baseline,
        browse=browsed,
    )
    write_text(out, page)


def _digest(script: str) -> str:
    """Return the digest by which the page's policy allows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _table(block: Block, section: str = "") -> dict[str, Any]:
    """Return a block as the template takes it: headings with their meanings, cells with the class that marks a verdict."""
    kinds = [kind == "verdict" for kind in block.formats] or [False] * len(block.headings)
    rows = [
        {
            "cells": row,
            "others": [
                (cell, cell if kind and cell in VERDICTS else "") for cell, kind in zip(row[1:], kinds[1:], strict=True)
            ],
        }
        for row in block.rows
    ]
    heads = list(zip_longest(block.headings, block.meanings, fillvalue=""))
    return {"title": ": ".join(filter(None, [section, block.title])), "heads": heads, "rows": rows}


def _figure(name: str, path: Path, captions: Mapping[str, str]) -> dict[str, str]:
    content = base64.b64encode(path.read_bytes()).decode()
    source = f"data:{KINDS[path.suffix]};base64,{content}"
    return {"anchor": _anchor(name), "caption": captions.get(name, name), "source": source}


def _anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _markdown(text: str, figures: set[str]) -> tuple[Markup, list[str]]:
    """Return Markdown as HTML, and the names of the figures that it links, which lead to the figures on the page."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens, linked = parser.parse(text), []
    for token in tokens:
        for child in token.children or []:
            if child.type == "link_open":
                name = Path(str(child.attrGet("href"))).stem
                if name in figures:
                    child.attrSet("href", f"#figure-{_anchor(name)}")
                    linked.append(name)
    return Markup(parser.renderer.render(tokens, parser.options, {})), linked
