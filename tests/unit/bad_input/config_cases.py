"""A small valid config and experiment, and the errors that planning reports when a case changes them."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import load

CONFIG = """
title: tiny
dataset: {source: {name: folder, path: photographs}}
split: {name: closed_set, train: 0.5, val: 0.2, test: 0.3}
protocol:
  model: {backbone: {name: small, family: resnet}, size: 64}
  loss: cross_entropy
  sampler: {name: pk, identities: 4, images: 4}
  optimizer: {name: adamw, learning_rate: 0.001}
  scheduler: cosine
seeds: [0, 1]
sweep_seeds: [100]
experiments: [losses]
"""
EXPERIMENT = """
question: Which loss?
motivation: It matters.
hypothesis: None is better.
varies: [loss]
baseline: softmax
arms:
  softmax: {why: The usual one.}
  triplet: {why: Another one., loss: triplet}
"""
REMOVED = "(removed)"


class Case(NamedTuple):
    """What is wrong; the changes, as lines `dotted.key: value`; parts of the message; the number of errors."""

    what: str
    lines: str
    said: tuple[str, ...]
    errors: int = 1


def of_cases(cases: list[Case]) -> Any:
    """Return the decorator that runs a test for each case."""
    names = [case.what for case in cases]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("case", cases, ids=names)


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of nested mappings with some keys, given as dotted paths, changed or removed."""
    tree = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split(".")
        branch = tree
        for part in parents:
            branch = branch.setdefault(part, {})
        if value == REMOVED:
            del branch[last]
        else:
            branch[last] = value
    return tree


class Planning:
    """A working folder with a config and an experiment, and the errors that planning raises for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("config.yaml", CONFIG)
        self.write("config/experiments/losses.yaml", EXPERIMENT)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def change(self, name: str, lines: str) -> None:
        """Change a file by `dotted.key: value` lines."""
        from reidflow.spec.yaml import dumps

        changes = load(self.write("changes.yaml", lines))
        (self.folder / "changes.yaml").unlink()
        self.write(name, dumps(changed(load(self.folder / name), changes)))

    def make(self) -> plan.Plan:
        """Plan as the Snakefile does."""
        made = plan.make(["config.yaml"])
        made.banks(), made.splits(), made.backbones(), made.subsets(), made.store_size()
        return made

    def said(self) -> str:
        """Return the message of planning's ReidflowError. Any other exception fails the test."""
        with pytest.raises(ReidflowError) as error:
            self.make()
        return str(error.value)

    def check(self, name: str, case: Case) -> None:
        """Change a file as a case says, and check that planning reports the expected errors and no others."""
        self.change(name, case.lines)
        text = self.said()
        for part in case.said:
            assert part in text
        assert f"{case.errors} error{'s' if case.errors > 1 else ''}\n" in text
        assert "Traceback" not in text and "pydantic" not in text


@pytest.fixture
def planning(tmp_path, monkeypatch) -> Planning:
    """A working folder in which planning finds no error, until a test adds one."""
    monkeypatch.chdir(tmp_path)
    return Planning(tmp_path)
