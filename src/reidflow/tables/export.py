"""An experiment's table for readers: CSV with every column, Markdown and LaTeX with a caption."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from reidflow.tables import text
from reidflow.tables.experiment import blocks
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section, section_blocks

Caption = Sequence[tuple[str, str]]


def exports(
    results: pl.DataFrame,
    efficiency: pl.DataFrame,
    caption: Caption,
    sections: Sequence[Section] = (),
    design: Caption = (),
    arms: Block | None = None,
    quantities: pl.DataFrame | None = None,
) -> dict[str, str]:
    """Return results and efficiency joined, one row an arm, as texts: `csv`, `markdown` and `latex`.

    The tables of `sections` follow in the latter two, then `arms`: the arms with why each is there, in LaTeX with the design
    as its caption. quantities: QUANTITIES of the headline.
    """
    title = results["experiment"][0]
    parts = [*blocks(results, efficiency, quantities), *section_blocks(sections)]
    latex = latex_table(title, parts, caption)
    if arms is not None:
        parts.append(arms)
        latex += "\n" + latex_block(arms, _caption(f"{title}: {arms.title}", design))
    return {
        "csv": csv_table(results, efficiency),
        "markdown": markdown_table(title, parts, caption),
        "latex": latex,
    }


def csv_table(results: pl.DataFrame, efficiency: pl.DataFrame) -> str:
    """Return both tables joined as CSV: full precision, lists as text, no cell that a spreadsheet would execute."""
    joined = results.join(efficiency.drop("experiment"), on="arm", how="left", maintain_order="left")
    return csv_of(joined)


def csv_of(frame: pl.DataFrame) -> str:
    """Return any table as CSV under the same rules."""
    return frame.select(_flat(frame[column]) for column in frame.columns).write_csv()


def _flat(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.List):
        texts = [None if value is None else "; ".join(map(_entry, value)) for value in column.to_list()]
        column = pl.Series(column.name, texts, dtype=pl.String)
    if column.dtype == pl.String:
        safe = [value if value is None else text.csv(value) for value in column]
        return pl.Series(column.name, safe, dtype=pl.String)
    return column


def _entry(value: Any) -> str:
    return ": ".join(str(part) for part in value.values()) if isinstance(value, dict) else str(value)


def markdown_table(title: str, parts: list[Block], caption: Caption) -> str:
    """Return the table as Markdown, the first part over the caption, the others below it."""
    first, *rest = [f"## {text.markdown(part.title)}\n\n{markdown_block(part)}" for part in parts]
    lines = "\n".join(f"- **{heading}:** {text.markdown(sentence)}" for heading, sentence in caption)
    return "\n\n".join([f"# {text.markdown(title)}", first, lines, *rest]) + "\n"


def markdown_block(part: Block) -> str:
    """Return one part as a Markdown table, its numbers aligned to the right."""
    rules = ["---" if _left(part, column) else "---:" for column in range(len(part.headings))]
    rows = [[text.markdown(heading) for heading in part.headings], rules]
    rows += [[text.markdown(cell) for cell in row] for row in part.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def latex_table(title: str, parts: list[Block], caption: Caption) -> str:
    """Return the table as LaTeX floats that need no package; the first has the caption.

    Names beyond Latin letters need LuaLaTeX or XeLaTeX with a font that has them.
    """
    floats = [latex_block(parts[0], _caption(title, caption))]
    floats += [latex_block(part, f"{text.latex(title)}: {text.latex(part.title)}") for part in parts[1:]]
    return "\n".join(floats)


def _caption(title: str, sentences: Caption) -> str:
    """Return a caption as LaTeX: the title, then a sentence under each heading."""
    rest = " ".join(rf"\textbf{{{heading}:}} {text.latex(sentence)}" for heading, sentence in sentences)
    return rf"{text.latex(title)}. {rest}"


def latex_block(part: Block, caption: str) -> str:
    """Return one part as a LaTeX float with a caption that is LaTeX already."""
    kinds = "".join(_alignment(part, column) for column in range(len(part.headings)))
    rows = [" & ".join(text.latex(cell) for cell in row) + r" \\" for row in [part.headings, *part.rows]]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\footnotesize",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{kinds}}}",
            r"\hline",
            rows[0],
            r"\hline",
            *rows[1:],
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _alignment(part: Block, column: int) -> str:
    """Return how LaTeX aligns a column: sentences are broken into lines."""
    if part.formats and part.formats[column] == "prose":
        return r"p{0.6\linewidth}"
    return "l" if _left(part, column) else "r"


def _left(part: Block, column: int) -> bool:
    """Return whether a column is aligned to the left: the first one and words; numbers are aligned to the right."""
    if part.formats:
        return column == 0 or part.formats[column] in text.WORDS
    return column == 0 or any(row[column][:1].isalpha() for row in part.rows)
