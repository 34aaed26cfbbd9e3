"""Docs name every package, component kind and analysis input that there is."""

import re
from pathlib import Path

from reidflow.spec.components import KINDS

ROOT = Path(__file__).parents[3]


def test_architecture_names_every_package_in_its_picture():
    picture = re.search(r"```\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)[1]
    packages = {path.parent.name for path in (ROOT / "src/reidflow").glob("*/__init__.py")}
    assert {name for name in packages if not re.search(rf"\b{name}\b", picture)} == set()


def test_extending_names_every_component_kind_with_its_folder_and_function():
    rows = re.findall(r"^\| (\w+) \| `([\w/]+)` \| `(\w+)` \|", (ROOT / "docs/extending.md").read_text(), re.MULTILINE)
    kinds = {kind: (folder.removeprefix("reidflow.").replace(".", "/"), verb) for kind, (folder, verb) in KINDS.items()}
    assert {kind: (folder, verb) for kind, folder, verb in rows} == kinds
