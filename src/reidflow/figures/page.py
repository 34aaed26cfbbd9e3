"""One page per experiment that needs nothing but itself: tables that sort, figures, findings."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Protocol

from markdown_it import MarkdownIt

from reidflow.figures.page_parts import SCRIPT, STYLE
from reidflow.figures.style import VERDICTS, Heading
from reidflow.figures.text import clean
from reidflow.store.atomic import write_text
from reidflow.tables.sections import Section

KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}
CAPTIONS = {
    "arms": "Arms, and their differences from the baseline",
    "curves": "Training curves",
    "identities": "Differences per identity",
    "tuning": "Tuned settings on validation",
    "pareto": "Value against cost",
}


class Block(Protocol):
    """A part of a table: a title, headings, and rows of plain text, the arm's name first."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def write_page(
    heading: Heading,
    caption: Sequence[tuple[str, str]],
    blocks: Sequence[Block],
    findings: str,
    figures: Mapping[str, str | Path],
    out: str | Path,
    baseline: str | None = None,
    sections: Sequence[Section] = (),
) -> None:
    """Write the page of an experiment as one HTML file that fetches nothing.

    caption: (heading, sentence) pairs. blocks: the parts of the table. findings: Markdown; its HTML and pictures are
    shown as text, and its links to a figure lead to that figure on the page. figures: name -> SVG, PNG or JPEG file.
    baseline: the arm whose rows are marked. sections: what analyses add; their figures and tables stand together below
    the findings, which hold their statements.
    """
    added = {name for section in sections for name in section.figures}
    body = [
        f"<header><h1>{_text(heading.title)}</h1><p>{_text(heading.subtitle)}</p></header>",
        *_first(blocks, baseline),
        *(_figure(name, Path(path), CAPTIONS.get(name, name)) for name, path in figures.items() if name not in added),
        f'<section class="findings">{_markdown(findings, set(figures))}</section>' if findings.strip() else "",
        *(_section(section, figures, baseline) for section in sections),
        *(_table(block, baseline) for block in blocks[1:]),
        _caption(caption),
    ]
    write_text(out, _document(clean(heading.title), "\n".join(part for part in body if part)))


def _first(blocks: Sequence[Block], baseline: str | None) -> list[str]:
    return [_table(block, baseline) for block in blocks[:1]]


def _text(value: str) -> str:
    return escape(clean(value)) if value.strip() else ""


def _document(title: str, body: str) -> str:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(section: Section, figures: Mapping[str, str | Path], baseline: str | None) -> str:
    parts = [_figure(n, Path(figures[n]), words) for n, words in section.figures.items() if n in figures]
    parts += [_table(block, baseline, level=3) for block in section.tables]
    return f"<section><h2>{_text(section.title)}</h2>{''.join(parts)}</section>" if parts else ""


def _table(block: Block, baseline: str | None, level: int = 2) -> str:
    heads = "".join(f'<th scope="col"><button type="button">{_text(name)}</button></th>' for name in block.headings)
    rows = "".join(_row(row, block.headings, baseline) for row in block.rows)
    head = f"<h{level}>{_text(block.title)}</h{level}>" if block.title.strip() else ""
    return (
        f'<section>{head}<div class="wide"><table class="sortable">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(row: list[str], headings: list[str], baseline: str | None) -> str:
    cells = [f'<th scope="row">{_text(row[0])}</th>']
    for name, value in zip(headings[1:], row[1:], strict=True):
        kind = f' class="{value}"' if name == "verdict" and value in VERDICTS else ""
        cells.append(f"<td{kind}>{_text(value)}</td>")
    mark = ' class="baseline"' if row[0] == baseline else ""
    return f"<tr{mark}>{''.join(cells)}</tr>"


def _figure(name: str, path: Path, words: str) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure id="figure-{escape(_anchor(name))}"><img alt="{_text(words)}" '
        f'src="data:{KINDS[path.suffix]};base64,{content}"><figcaption>{_text(words)}</figcaption></figure>'
    )


def _anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _caption(caption: Sequence[tuple[str, str]]) -> str:
    if not caption:
        return ""
    lines = "".join(f"<dt>{_text(name)}</dt><dd>{_text(sentence)}</dd>" for name, sentence in caption)
    return f"<section><h2>How to read these numbers</h2><dl>{lines}</dl></section>"


def _markdown(text: str, figures: set[str]) -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        for child in token.children or []:
            if child.type == "link_open":
                name = Path(str(child.attrGet("href"))).stem
                if name in figures:
                    child.attrSet("href", f"#figure-{_anchor(name)}")
    return parser.renderer.render(tokens, parser.options, {})
