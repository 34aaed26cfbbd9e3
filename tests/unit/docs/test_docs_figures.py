"""Pictures of README and docs show the tables that the demo's interpretations were written for."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_SPEC = importlib.util.spec_from_file_location("docs_update", ROOT / "docs" / "update.py")
update = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(update)


@pytest.mark.parametrize("picture", [*update.FIGURES, update.IDENTITIES, update.PAGE])
def test_a_picture_shows_the_current_table(picture):
    path = ROOT / "docs" / "figures" / picture
    assert update.recorded(path) == update.shown_by(picture), f"{picture} is stale: `make tables docs-figures`"


def test_every_picture_of_the_docs_is_made_by_the_script():
    used = {
        match
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for match in re.findall(r"figures/(\w+\.\w+)\)", page.read_text())
    }
    assert used == {*update.FIGURES, update.IDENTITIES, update.PAGE}
    assert {path.name for path in (ROOT / "docs" / "figures").iterdir()} == used
