import subprocess
import sys

import open_clip
import pytest
import timm
from timm.models._registry import _deprecated_models

from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError
from reidflow.spec.network_names import _open_clip, _timm, unknown_network


def test_the_names_read_from_files_are_those_that_the_libraries_know():
    assert _timm() == set(timm.list_models()) | set(_deprecated_models)
    assert _open_clip() == set(open_clip.list_models())


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ({"name": "timm", "model": "resnet5o.a1_in1k"}, "timm has no model 'resnet5o'. Did you mean resnet50 or"),
        ({"name": "open_clip", "model": "ViT-B32"}, "open_clip has no model 'ViT-B32'. Did you mean ViT-B-32 or"),
    ],
)
def test_an_unknown_name_is_reported_with_its_neighbours(backbone, expected):
    assert unknown_network(backbone).startswith(expected)


@pytest.mark.parametrize(
    "backbone",
    [
        {"name": "timm", "model": "resnet50.a1_in1k"},
        {"name": "timm", "model": "tv_resnext50_32x4d"},
        {"name": "timm", "model": "hf-hub:BVRA/MegaDescriptor-L-384"},
        {"name": "open_clip", "model": "ViT-B-32"},
        {"name": "open_clip", "model": "mine", "vision": {"layers": 2}},
        {"name": "small", "family": "vit"},
        {"name": "mine.networks.tiny", "model": "whatever"},
    ],
)
def test_known_names_hubs_and_components_of_ones_own_pass(backbone):
    assert unknown_network(backbone) is None


def test_a_plan_names_the_arm_whose_network_no_library_knows(tmp_path):
    (tmp_path / "config/experiments").mkdir(parents=True)
    (tmp_path / "config/experiments/wrong.yaml").write_text(
        "question: q\nmotivation: m\nhypothesis: h\nvaries: [model.backbone]\nbaseline: a\narms:\n"
        "  a: {why: w}\n  b: {why: w, model: {backbone: {name: timm, model: resnet5o, weights: hub}}}\n"
    )
    with pytest.raises(ReidflowError, match=r"wrong\.yaml, arm 'b', key 'model\.backbone'.*no model 'resnet5o'"):
        plan.make(["config/config.yaml"], {"experiments": ["wrong"]}, tmp_path)


def test_reading_the_names_imports_neither_library():
    code = (
        "import sys; from reidflow.spec.network_names import unknown_network\n"
        "assert unknown_network({'name': 'timm', 'model': 'x'}) and unknown_network({'name': 'open_clip', 'model': 'x'})\n"
        "assert not {'torch', 'timm', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
