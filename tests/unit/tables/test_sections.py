import re

from arms_folder import a_setting, a_table

from reidflow.tables.caption import caption
from reidflow.tables.export import export
from reidflow.tables.findings import findings
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section, read_all, section_blocks, write_sections

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


def test_statements_stand_in_the_findings_each_with_its_figures(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "up": 0.05})
    text = findings(experiment, a_setting(), tables, figures="pictures", sections=SECTIONS)
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    after = titles.index("Training and stability") + 1
    assert titles[after : after + 4] == [
        r"What was_left \*out\*", "Reliance", "Figures alone", "Whether to believe it",
    ]  # fmt: skip
    links = "([kept sharpest](pictures/kept_sharpest.png), [kept](pictures/kept.png))"
    assert f"- **nearest** drops most. {links}\n- Nothing else does. {links}\n" in text
    assert "- It shows. ([figure](pictures/reliance.png))\n" in text
    assert "- Image by_image \\*. ([figure](pictures/sheet.png))\n" in text
    assert findings(experiment, a_setting(), tables, sections=[]) == findings(experiment, a_setting(), tables)


def test_tables_of_sections_follow_in_markdown_and_latex_with_every_row(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0})
    lines = caption(experiment, a_setting(), tables.results)
    for name, sections in (("with", SECTIONS), ("without", [])):
        export(tables.results, tables.efficiency, lines, tmp_path / name, sections)
    text, latex = ((tmp_path / f"with.{suffix}").read_text() for suffix in ("md", "tex"))
    assert r"## What was_left \*out\*: Kept" in text
    assert text.count(r"| a\|b \& c_d |") == 45
    assert latex.count(r"a\textbar{}b \& c\_d \\") == 45
    assert text.startswith((tmp_path / "without.md").read_text().rstrip("\n"))
    assert latex.startswith((tmp_path / "without.tex").read_text())
    assert (tmp_path / "with.csv").read_bytes() == (tmp_path / "without.csv").read_bytes()


def test_a_table_without_a_title_of_its_own_has_its_sections():
    assert [block.title for block in section_blocks(SECTIONS)] == [
        "What was_left *out*: Kept", "What was_left *out*", "Tables alone: T",
    ]  # fmt: skip
