import subprocess
import sys

import pytest

from reidflow.spec import plan
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.mbconv import block_strings, describe_blocks, describe_head, reduction, wrong_blocks
from reidflow.spec.network_names import unknown_network
from reidflow.spec.run import Model


def mbconv(**changes):
    return resolve("backbone", {"name": "mbconv", **changes})


def test_stages_are_written_in_timms_notation():
    assert block_strings(
        widths=[16, 24], depths=[1, 2], kernels=[3, 5], expansions=[1, 4], squeeze=[0.0, 0.25], strides=[1, 2]
    ) == [["ds_r1_k3_s1_e1_c16"], ["ir_r2_k5_s2_e4_c24_se0.25"]]


def test_an_architecture_is_described_in_a_line():
    line = describe_blocks(mbconv(squeeze=[0, 0, 0.5]))
    assert line == "stem 16 ds_r1_k3_s1_e1_c16 ir_r2_k3_s2_e4_c24 ir_r2_k3_s2_e4_c48_se0.5 features 192"
    assert not describe_blocks(mbconv(features=0)).endswith("features 0")


@pytest.mark.parametrize(
    ("pooling", "head", "expected"),
    [
        ("avg", {}, "avg, 128"),
        ({"name": "gem", "p": 4.5}, {"hidden": 256, "depth": 2, "dropout": 0.2}, "gem p=4.5, 256 batch relu, 256 batch relu, dropout 0.2, 128"),
        ({"name": "gem", "learned": True}, {"hidden": 8, "norm": "none", "dim": 4}, "gem p=3 learned, 8 relu, 4"),
        ("max", {"depth": 3, "activation": "gelu"}, "max, 128"),
    ],
)  # fmt: skip
def test_a_head_is_described_in_a_line(pooling, head, expected):
    backbone = {"name": "small", "family": "vit"}
    model = Model(backbone=backbone, pooling=pooling, head=head, trainable={"name": "all"})
    assert describe_head(model.model_dump(mode="json")) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"depths": [1, 2]}, r"an entry for every stage.*depths 2, kernels 3"),
        ({name: [] for name in ("widths", "depths", "kernels", "expansions", "squeeze", "strides")}, "an entry for"),
        ({"kernels": [3, 4, 3]}, "kernels: 4 is not an odd number"),
        ({"kernels": [1, 3, 3]}, "kernels: 1 is not an odd number from 3"),
        ({"widths": [16, 20, 24]}, "widths: 20 is not a multiple of 8"),
        ({"stem": 0}, "stem: 0 is not a multiple of 8"),
        ({"depths": [1, -1, 1]}, "depths: -1 is not a number of blocks"),
        ({"depths": [0, 0, 0]}, "no block in any stage"),
        ({"expansions": [0, 1, 1]}, "expansions: 0 is not at least 1"),
        ({"squeeze": [0, 0, 2]}, "squeeze: 2.0 is not 0"),
        ({"strides": [1, 3, 1]}, "strides: 3 is not 1 or 2"),
        ({"features": -1}, "cannot be negative"),
        (
            {"strides": [2] * 5, **{n: [v] * 5 for n, v in (("widths", 8), ("depths", 1), ("kernels", 3), ("expansions", 1), ("squeeze", 0.0))}},
            "64 times smaller than the image, more than 32",
        ),
    ],
)  # fmt: skip
def test_blocks_that_cannot_be_are_named(changes, expected):
    with pytest.raises(ReidflowError, match=expected):
        raise ReidflowError(wrong_blocks(mbconv(**changes)))
    assert unknown_network(mbconv(**changes)) == wrong_blocks(mbconv(**changes))


def test_a_stage_without_blocks_is_none():
    backbone = mbconv(depths=[1, 0, 2])
    assert describe_blocks(backbone) == "stem 16 ds_r1_k3_s1_e1_c16 ir_r2_k3_s2_e4_c48 features 192"
    assert reduction(backbone["strides"], backbone["depths"]) == 4
    assert wrong_blocks(backbone, 4) is None


def test_something_must_be_left_of_the_image():
    assert reduction([1, 2, 2], [1, 2, 2]) == 8
    assert wrong_blocks(mbconv()) is wrong_blocks(mbconv(), 8) is None
    assert "nothing is left of an image of 7 pixels" in wrong_blocks(mbconv(), 7)


def test_a_plan_names_the_arm_whose_blocks_cannot_be(tmp_path):
    (tmp_path / "config/experiments").mkdir(parents=True)
    (tmp_path / "config/experiments/wrong.yaml").write_text(
        "question: q\nmotivation: m\nhypothesis: h\nvaries: [model.backbone]\nbaseline: a\narms:\n"
        "  a: {why: w}\n  b: {why: w, model: {backbone: {name: mbconv, kernels: [3, 4, 3]}}}\n"
    )
    with pytest.raises(ReidflowError, match=r"wrong\.yaml, arm 'b', key 'model\.backbone'.*4 is not an odd number"):
        plan.make(["config/config.yaml"], {"experiments": ["wrong"]}, tmp_path)


def test_architectures_are_described_without_torch():
    code = "import sys, reidflow.spec.mbconv; assert not {'torch', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
