"""Unknown components and invalid parameters are reported while planning, which imports none of them."""

import sys

import pytest
from config_cases import Case, Planning, of_cases, planning

from reidflow.spec import components

__all__ = ["planning"]

CASES = [
    Case(
        "an unknown loss",
        "protocol.loss: arcfase",
        ("there is no loss 'arcfase'. Did you mean 'arcface'? Choose one of: arcface,",),
    ),
    Case(
        "an unknown parameter",
        "protocol.loss: {name: arcface, m: 1}",
        ("loss 'arcface' has no parameter 'm'. It takes: margin, scale.",),
    ),
    Case(
        "a word for a number",
        "protocol.loss: {name: arcface, margin: big}",
        ("parameter 'margin': 'big' is not of the type float.",),
    ),
    Case("a number in quotes", "protocol.loss: {name: arcface, margin: '0.5'}", ("'0.5' is not of the type float.",)),
    Case("a share for a count", "protocol.sampler.images: 1.5", ("parameter 'images': 1.5 is not of the type int.",)),
    Case(
        "a negative count",
        "protocol.sampler.images: -4",
        ("sampler 'pk', parameter 'images': -4 is not from 1 to 1e+06.",),
    ),
    Case(
        "a rate of zero",
        "protocol.optimizer.learning_rate: 0",
        ("parameter 'learning_rate': 0.0 is not above 0 to 1000.",),
    ),
    Case("a negative rate", "protocol.optimizer.learning_rate: -0.1", ("'learning_rate': -0.1 is not above 0",)),
    Case(
        "a rate that is no number",
        "protocol.optimizer.learning_rate: .nan",
        ("nan is no number that can be computed with.",),
    ),
    Case(
        "an infinite rate", "protocol.optimizer.learning_rate: .inf", ("inf is no number that can be computed with.",)
    ),
    Case(
        "a required parameter that is missing",
        "dataset.source: {name: folder}",
        ("source 'folder' needs the parameter 'path' (str). Add it.",),
    ),
    Case(
        "a component without a name",
        "protocol.loss: {margin: 0.5}",
        ("a loss needs a name. Write e.g. {name: arcface}",),
    ),
    Case("a list for a component", "protocol.loss: [arcface]", ("a loss is its name or {name: ..., parameters}.",)),
    Case("a word for a list", "protocol.augmentation: flip", ("key 'protocol.augmentation': must be a valid list.",)),
    Case(
        "an unknown augmentation",
        "protocol.augmentation: [flp]",
        ("'protocol.augmentation.0': there is no augmentation 'flp'. Did you mean 'flip'?",),
    ),
    Case(
        "an unknown network",
        "protocol.model.backbone: {name: timm, model: resnet5}",
        ("timm has no model 'resnet5'. Did you mean resnet50",),
        2,
    ),
    Case(
        "a module that is not there",
        "protocol.loss: lab.nothing",
        ("the module 'lab.nothing' is nowhere on the Python path. Check the name, or set PYTHONPATH.",),
    ),
    Case(
        "a module without the function",
        "protocol.loss: lab.other",
        ("lab/other.py has no function 'build'. A component of this kind must define it.",),
    ),
    Case("a module that is no Python", "protocol.loss: lab.broken", ("lab/broken.py is not valid Python (",)),
    Case("a module of bytes", "protocol.loss: lab.bytes", ("lab/bytes.py is not valid Python (",)),
    Case(
        "a default that is computed",
        "protocol.loss: lab.computed",
        ("the default of 'power' in 'build' is computed, and planning runs nothing.",),
    ),
    Case(
        "a parameter that it has not",
        "protocol.loss: {name: lab.raises, powr: 1}",
        ("loss 'lab.raises' has no parameter 'powr'. It takes: power.",),
    ),
    Case(
        "a path in place of a module",
        "protocol.loss: ../lab.raises",
        ("'../lab.raises' is not a dotted path of a module. Write e.g. my_lab.losses",),
    ),
    Case(
        "a command in place of a module",
        "protocol.loss: 'lab.raises; import os'",
        ("is not a dotted path of a module.",),
    ),
    Case("a module of 300 letters", f"protocol.loss: {'x' * 300}.y", ("is nowhere on the Python path.",)),
]
MODULES = {
    "__init__": "raise RuntimeError('imported')\n",
    "raises": "raise RuntimeError('imported')\n\n\ndef build(dim, classes, *, power: float = 2.0):\n    return None\n",
    "other": "def make():\n    return None\n",
    "broken": "def build(:\n",
    "bytes": "\0\0",
    "computed": "import math\n\n\ndef build(dim, classes, *, power: float = math.pi):\n    return None\n",
}


@pytest.fixture
def lab(planning: Planning, monkeypatch) -> Planning:
    """The planning's folder with a package of the user's own, which must not be imported."""
    for name, text in MODULES.items():
        planning.write(f"lab/{name}.py", text)
    monkeypatch.syspath_prepend(str(planning.folder))
    for cached in vars(components).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    components._resolved.clear()
    return planning


@of_cases(CASES)
def test_a_component_that_cannot_be_is_reported_while_planning(lab: Planning, case):
    lab.check("config.yaml", case)
    assert "lab" not in sys.modules


def test_a_component_that_raises_on_import_is_planned_without_importing_it(lab: Planning):
    lab.change("config.yaml", "protocol.loss: {name: lab.raises, power: 3}\n")
    assert lab.make().config.protocol.loss == {"name": "lab.raises", "power": 3.0}
    assert "lab" not in sys.modules
