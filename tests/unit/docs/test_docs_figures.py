"""Figures and numbers of README and docs show the tables that the demo's interpretations were written for."""

import importlib.util
import re
from pathlib import Path

import pytest

from reidflow.tables.interpretation import TOLERANCE

ROOT = Path(__file__).parents[3]
_SPEC = importlib.util.spec_from_file_location("docs_update", ROOT / "docs" / "update.py")
update = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(update)


@pytest.mark.parametrize("picture", [*update.FIGURES, update.IDENTITIES])
def test_a_picture_shows_the_current_table(picture):
    path = ROOT / "docs" / "figures" / picture
    assert update.recorded(path) == update.shown_by(picture), f"{picture} is stale: `make tables docs-figures`"


def test_every_picture_of_the_docs_is_made_by_the_script():
    used = {
        match
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for match in re.findall(r"figures/(\w+\.\w+)\)", page.read_text())
    }
    assert used == {*update.FIGURES, update.IDENTITIES}
    assert {path.name for path in (ROOT / "docs" / "figures").iterdir()} == used


def test_the_table_of_the_readme_is_the_one_that_was_interpreted():
    experiment, begin, end = update.TABLE
    text = (ROOT / "README.md").read_text()
    rows = re.search(f"{begin}\n(.*?)\n{end}", text, re.DOTALL)[1].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    headings = cells[0]
    verdict = headings.index("verdict")
    expected = {arm: entry.split() for arm, entry in update.stamped(experiment).items()}
    found = {row[0].replace("\\", ""): (float(row[1]), row[verdict]) for row in cells[2:]}
    assert {arm: row[1] for arm, row in found.items()} == {arm: entry[1] for arm, entry in expected.items()}
    for arm, (value, _) in found.items():
        assert value == pytest.approx(float(expected[arm][0]), abs=TOLERANCE), arm
