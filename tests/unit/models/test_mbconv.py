import json

import pytest
import timm
import torch
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet

from reidflow.models.determinism import seeded
from reidflow.models.network import build_network, count_flops, count_parameters
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.mbconv import STAGES, block_strings
from reidflow.spec.run import RunSpec

EFFICIENTNET_B0 = {
    "stem": 32,
    "widths": [16, 24, 40, 80, 112, 192, 320],
    "depths": [1, 2, 2, 3, 3, 4, 1],
    "kernels": [3, 3, 5, 3, 5, 5, 3],
    "expansions": [1, 6, 6, 6, 6, 6, 6],
    "squeeze": [0.25] * 7,
    "strides": [1, 2, 2, 2, 1, 2, 1],
    "features": 1280,
}


def spec(**changes) -> RunSpec:
    return RunSpec(
        model={
            "backbone": {"name": "mbconv", **changes},
            "size": 32,
            "trainable": {"name": "all"},
            "head": {"hidden": 16, "depth": 2, "norm": "layer", "activation": "gelu", "dim": 8},
        },
        loss="supcon",
        sampler="shuffled",
        optimizer="adamw",
        scheduler="constant",
        seed=3,
    )


def same(one, other) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_its_settings_can_say_efficientnet_b0_to_the_bit():
    with seeded(5, "backbone"):
        ours = call("backbone", resolve("backbone", {"name": "mbconv", **EFFICIENTNET_B0}), 32).eval()
    with seeded(5, "backbone"):
        reference = timm.create_model("efficientnet_b0", num_classes=0).eval()
    assert same(ours.net, reference)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(images), reference.forward_features(images))


def test_the_network_is_what_timm_builds_from_the_block_strings_alone():
    run = spec(kernels=[3, 5, 7], squeeze=[0, 0.25, 0.5], expansions=[2, 1, 6])
    backbone = run.model.backbone
    strings = block_strings(**{name: backbone[name] for name in STAGES})
    assert [stage[0][:2] for stage in strings] == ["ir", "ds", "ir"]
    with seeded(run.seed, "backbone"):
        reference = EfficientNet(
            decode_arch_def(strings), num_features=192, stem_size=16, act_layer=torch.nn.SiLU, num_classes=0
        )
    assert same(build_network(run.model, run.seed).backbone.net, reference)


def test_a_model_is_rebuilt_from_the_plain_spec_of_a_row():
    run = spec(widths=[8, 16, 40], depths=[1, 1, 2], drop_path=0.1)
    again = RunSpec.model_validate(json.loads(json.dumps(run.plain())))
    assert again == run
    assert same(build_network(run.model, run.seed), build_network(again.model, again.seed))
    assert not same(build_network(run.model, run.seed), build_network(run.model, 4))


def test_features_are_those_of_the_last_layer_on_the_map_that_the_strides_leave():
    network = build_network(spec().model, 0).eval()
    assert network.backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 192, 4, 4)
    assert network.backbone(torch.zeros(2, 3, 48, 48)).shape == (2, 192, 6, 6)
    bare = build_network(spec(features=0).model, 0).eval()
    assert bare.backbone.dim == 48 and bare.backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 48, 4, 4)
    assert len(network.backbone.blocks()) == 3


def test_a_stage_without_blocks_leaves_the_network_that_never_had_it():
    three = {"widths": [16, 24, 48], "depths": [1, 0, 2], "kernels": [3, 5, 3], "expansions": [1, 4, 4]}
    two = {"widths": [16, 48], "depths": [1, 2], "kernels": [3, 3], "expansions": [1, 4]}
    ours = build_network(spec(**three).model, 0)
    assert same(ours, build_network(spec(**two, squeeze=[0, 0], strides=[1, 2]).model, 0))
    assert ours.backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 192, 8, 8)


@pytest.mark.parametrize(
    "larger", [{"widths": [16, 24, 64]}, {"depths": [1, 3, 2]}, {"expansions": [1, 4, 6]}, {"kernels": [3, 3, 5]}]
)
def test_parameters_and_operations_grow_with_the_architecture(larger):
    small, large = build_network(spec().model, 0), build_network(spec(**larger).model, 0)
    assert count_parameters(large).total > count_parameters(small).total
    assert count_flops(large, 32) > count_flops(small, 32)


def test_settings_that_cannot_be_are_errors_before_anything_is_built():
    with pytest.raises(ReidflowError, match="kernels: 4 is not an odd number"):
        build_network(spec(kernels=[3, 4, 3]).model, 0)
    with pytest.raises(ReidflowError, match="nothing is left of an image of 16 pixels"):
        call("backbone", resolve("backbone", {"name": "mbconv", **EFFICIENTNET_B0}), 16)
