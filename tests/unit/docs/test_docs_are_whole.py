"""Docs name every package, component kind and analysis input that there is."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from reidflow.spec import plan
from reidflow.spec.components import KINDS
from reidflow.spec.errors import ReidflowError
from reidflow.workflow.files import Files
from reidflow.workflow.inputs import Inputs

ROOT = Path(__file__).parents[3]


def test_architecture_names_every_package_in_its_picture():
    picture = re.search(r"```\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)[1]
    packages = {path.parent.name for path in (ROOT / "src/reidflow").glob("*/__init__.py")}
    assert {name for name in packages if not re.search(rf"\b{name}\b", picture)} == set()


def test_extending_names_every_component_kind_with_its_folder_and_function():
    rows = re.findall(r"^\| (\w+) \| `([\w/]+)` \| `(\w+)` \|", (ROOT / "docs/extending.md").read_text(), re.MULTILINE)
    kinds = {kind: (folder.removeprefix("reidflow.").replace(".", "/"), verb) for kind, (folder, verb) in KINDS.items()}
    assert {kind: (folder, verb) for kind, folder, verb in rows} == kinds


def test_extending_names_every_input_of_an_analysis():
    inputs = Inputs(Files(plan.make([ROOT / "config/tiny.yaml"], root=ROOT)))
    with pytest.raises(ReidflowError) as error:
        inputs.named("", SimpleNamespace(experiment="tiny_losses"))
    known = set(re.findall(r"\w+", str(error.value).split("may name:")[1]))
    listed = (ROOT / "docs/extending.md").read_text().split("`INPUTS` may name")[1].split("\n\n`run`")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == known


def test_packages_import_from_those_above_them_alone():
    picture = re.search(r"```\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)[1]
    packages = {path.parent.name for path in (ROOT / "src/reidflow").glob("*/__init__.py")}
    order = [name for name in dict.fromkeys(re.findall(r"\w+", re.sub(r"─.*|│.*", "", picture))) if name in packages]
    beside = [["dedup", "splits", "backgrounds"], ["search", "retrieval"]]
    rank = {name: place for place, name in enumerate(order)}
    for row in beside:
        rank |= dict.fromkeys(row, min(rank.get(name, len(order)) for name in row))
    assert set(rank) == packages
    wrong = []
    for path in sorted((ROOT / "src/reidflow").rglob("*.py")):
        package = path.relative_to(ROOT / "src/reidflow").parts[0]
        text = path.read_text().split("if TYPE_CHECKING:")
        text = text[0] + "\n".join(re.split(r"\n(?=\S)", part, maxsplit=1)[-1] for part in text[1:])
        for other in re.findall(r"^\s*from reidflow\.(\w+)", text, re.MULTILINE):
            if package in rank and rank[other] > rank[package] and (package, other) != ("training", "evaluation"):
                wrong.append(f"{path.name} of {package} imports {other}")
    assert not wrong, wrong
