import re

import jinja2
import pytest
from arms_folder import a_description, a_table

from reidflow.spec import code
from reidflow.tables.caption import caption
from reidflow.tables.export import exports
from reidflow.tables.findings import findings
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section, each, read_all, render, section_blocks, sections_of, write_sections

ROWS = [[f"image {n}", "0.100", "a|b & c_d"] for n in range(45)]
SECTIONS = [
    Section(
        "What was_left *out*",
        ["**nearest** drops most.", "Nothing else does."],
        [Block("Kept", ["image", "score", "why"], ROWS), Block("", ["x"], [["1"]])],
        {"kept_sharpest": "The sharpest", "kept": "All kept"},
    ),
    Section("Reliance", ["It shows."], figures={"reliance": "Reliance on the background"}),
    Section("Figures alone", figures={"sheet": "Image by_image *"}),
    Section("Tables alone", tables=[Block("T", ["x"], [["1"]])]),
]


def test_sections_come_back_as_they_were_written(tmp_path):
    write_sections(tmp_path / "a.json", SECTIONS[:1])
    write_sections(tmp_path / "b.json", SECTIONS[1:])
    assert read_all([tmp_path / "a.json", tmp_path / "b.json"]) == SECTIONS
    assert read_all([]) == []


def test_sections_stand_in_the_findings_before_the_limits_each_with_its_figures(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "up": 0.05})
    text = findings(experiment, a_description(), tables, figures="pictures", sections=SECTIONS)
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    after = titles.index("Training and stability") + 1
    assert titles[after : after + 5] == [
        r"What was_left \*out\*",
        "Reliance",
        "Figures alone",
        "Motivation and design",
        "Limits",
    ]
    links = "Figures: [kept sharpest](pictures/kept_sharpest.png), [kept](pictures/kept.png)"
    assert f"- **nearest** drops most.\n- Nothing else does.\n\n{links}\n" in text
    assert "- It shows.\n\nFigure: [reliance](pictures/reliance.png)\n" in text
    assert "- Image by_image \\*.\n\nFigure: [sheet](pictures/sheet.png)\n" in text
    assert findings(experiment, a_description(), tables, sections=[]) == findings(experiment, a_description(), tables)


def test_tables_of_sections_follow_in_markdown_and_latex_with_every_row(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0})
    lines = caption(experiment, a_description(), tables.results)
    whole, alone = (exports(tables.results, tables.efficiency, lines, sections) for sections in (SECTIONS, []))
    assert r"## What was_left \*out\*: Kept" in whole["markdown"]
    assert whole["markdown"].count(r"| a\|b \& c_d |") == 45
    assert whole["latex"].count(r"a\textbar{}b \& c\_d \\") == 45
    assert whole["markdown"].startswith(alone["markdown"].rstrip("\n"))
    assert whole["latex"].startswith(alone["latex"])
    assert whole["csv"] == alone["csv"]


def test_a_table_without_a_title_of_its_own_has_its_sections():
    assert [block.title for block in section_blocks(SECTIONS)] == [
        "What was_left *out*: Kept", "What was_left *out*", "Tables alone: T",
    ]  # fmt: skip


TEMPLATE = """\
## What was found
{% for row in rows %}

- {{ row.arm | name }} differs by {{ row.delta | signed }} {{ row.low | interval(row.high) }},
  {{ row.p | p_value }}.
{% endfor %}

A paragraph on
two lines, {{ 1 | plural("image") }} of {{ 2000 | plural("image") }}.
{% if missing %}

## Nothing here
{% endif %}

## Only a figure
"""
ROW = {"arm": "a_*", "delta": 0.1, "low": -0.1, "high": 0.3, "p": 0.0001}


def written(tmp_path, text=TEMPLATE):
    (tmp_path / "findings.md.j2").write_text(text)
    return tmp_path / "findings.md.j2"


def test_a_rendered_template_falls_into_sections_by_its_headings(tmp_path):
    text = render(written(tmp_path), rows=[ROW, {**ROW, "arm": "b"}], missing=False)
    found = sections_of(text, {"What was found": [SECTIONS[0].tables[0]]}, {"Only a figure": {"sheet": "All"}})
    assert [section.title for section in found] == ["What was found", "Only a figure"]
    assert found[0].text == (
        "- **a\\_\\*** differs by +0.100 [-0.100, +0.300], p <0.001.\n"
        "- **b** differs by +0.100 [-0.100, +0.300], p <0.001.\n\n"
        "A paragraph on two lines, 1 image of 2,000 images."
    )
    assert found[0].tables == SECTIONS[0].tables[:1]
    assert found[1].figures == {"sheet": "All"}


def test_lines_that_begin_with_a_number_or_a_name_continue_a_statement():
    (found,) = sections_of("## Here\n- It is\n  0.31 here,\n  **a** there,\n  -0.2 else.\n- b\n\n1. one\n2. two\n")
    assert found.text == "- It is 0.31 here, **a** there, -0.2 else.\n- b\n\n1. one\n2. two"


def test_tables_for_a_heading_that_is_not_there_are_an_error_and_so_is_an_undefined_name(tmp_path):
    with pytest.raises(ValueError, match="Nowhere"):
        sections_of("## Here\n\ntext", {"Nowhere": []})
    with pytest.raises(ValueError, match="stray"):
        sections_of("stray\n## Here\n")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        render(written(tmp_path), rows=[])


def test_html_is_escaped_and_markdown_is_not(tmp_path):
    for name in ("page.html.j2", "page.md.j2"):
        (tmp_path / name).write_text("{{ value }}")
    assert render(tmp_path / "page.html.j2", value="<b>") == "&lt;b&gt;"
    assert render(tmp_path / "page.md.j2", value="<b>") == "<b>"


def test_a_template_that_the_digest_does_not_list_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "_opened", set())
    template = written(tmp_path)
    render(template, rows=[], missing=False)
    assert template.as_posix() in code.unseen("reidflow.tables.sections")
    assert template.as_posix() not in code.unseen("reidflow.tables.sections", template.as_posix())


def test_rows_become_texts_by_a_pattern():
    rows = [{"arm": "a_*", "low": -0.1, "high": 0.1, "value": [0.1]}]
    pattern = "{arm:name} {low,high:interval} {value:setting|markdown}"
    assert each(rows, pattern) == [r"**a\_\*** [-0.100, +0.100] \[0.1\]"]
