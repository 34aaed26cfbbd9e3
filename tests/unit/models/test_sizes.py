from copy import deepcopy

import pytest
import torch
from timm.layers import resample_abs_pos_embed

from reidflow.models.backbones._sizes import grid_matrix, resample
from reidflow.models.determinism import deterministic, seeded
from reidflow.models.network import Network, count_flops
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError

FAMILIES = ["resnet", "efficientnet", "mobilenetv3", "vit", "swin", "eva02", "dinov3", "convnext"]
BUILT = 48


def built(size=BUILT, **spec):
    with seeded(0, "backbone"):
        return call("backbone", resolve("backbone", {"name": "small", **spec}), size)


def images(size, count=2):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(size))


def gradients(backbone, size):
    backbone.zero_grad()
    with deterministic(1, "cpu"), seeded(0, "dropout"):
        features = backbone.train()(images(size))
        features.square().sum().backward()
    return features.detach(), {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_at_sizes_it_was_not_built_for_with_the_same_bits_each_time(family):
    backbone, other = built(family=family), built(family=family)
    own = set(gradients(backbone, BUILT)[1])
    for size in (32, 72):
        features, found = gradients(backbone, size)
        assert features.shape[0] == 2 and features.isfinite().all()
        assert set(found) == own
        gradients(other, BUILT)
        again, repeated = gradients(other, size)
        assert torch.equal(features, again) and all(torch.equal(found[name], repeated[name]) for name in own)


@pytest.mark.parametrize("family", ["vit", "swin", "eva02", "dinov3"])
def test_seeing_other_sizes_changes_nothing_at_the_built_one(family):
    backbone = built(family=family).eval()
    before, state = backbone(images(BUILT)), deepcopy(backbone.state_dict())
    backbone(images(72))
    assert torch.equal(backbone(images(BUILT)), before)
    with torch.no_grad():
        expected = backbone.net.forward_features(images(BUILT))
    assert torch.equal(expected if expected.shape == before.shape else expected.permute(0, 3, 1, 2), before)
    assert {name: t.shape for name, t in backbone.state_dict().items()} == {name: t.shape for name, t in state.items()}


@pytest.mark.parametrize("family", ["vit", "eva02", "dinov3"])
@pytest.mark.parametrize("size", [24, 80])
def test_a_transformer_sees_what_timm_sees_after_it_set_another_size(family, size):
    backbone = built(family=family).eval()
    reference = deepcopy(backbone.net)
    reference.set_input_size((size, size))
    with torch.no_grad():
        expected = reference.forward_features(images(size))
        torch.testing.assert_close(backbone(images(size)), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(backbone(images(size)), expected + 1e-2)


@pytest.mark.parametrize("size", [24, 40, 72])
def test_a_swin_sees_what_timm_sees_with_masks_made_anew(size):
    backbone = built(family="swin").eval()
    reference = deepcopy(backbone.net)
    reference.patch_embed.strict_img_size = False
    for module in reference.modules():
        if hasattr(module, "dynamic_mask"):
            module.dynamic_mask = True
    with torch.no_grad():
        assert torch.equal(backbone(images(size)), reference.forward_features(images(size)).permute(0, 3, 1, 2))


def test_the_image_tower_of_clip_sees_other_sizes():
    clip = resolve("backbone", {"name": "open_clip", "model": "ViT-S-32-alt", "weights": "none"})
    with seeded(0, "backbone"):
        backbone, reference = (call("backbone", clip, size).eval() for size in (64, 96))
    weights = backbone.state_dict()
    positions = resample_abs_pos_embed(weights["net.positional_embedding"][None], [3, 3], [2, 2])[0]
    reference.load_state_dict({**weights, "net.positional_embedding": positions})
    with torch.no_grad():
        torch.testing.assert_close(backbone(images(96)), reference(images(96)), rtol=1e-4, atol=1e-5)
    with pytest.raises(ReidflowError, match="has patches of 32 pixels: a size of 80 is not a multiple"):
        backbone(images(80))


@pytest.mark.parametrize(("old", "new", "prefix"), [(6, 3, 1), (6, 9, 0), (14, 21, 5), (4, 4, 1)])
def test_resampling_and_its_gradient_are_those_of_the_interpolation(old, new, prefix):
    embedding = torch.randn(1, prefix + old * old, 8, generator=torch.Generator().manual_seed(old))
    ours, theirs = (embedding.clone().requires_grad_() for _ in range(2))
    seen = resample(ours, prefix, grid_matrix(old, new))
    expected = resample_abs_pos_embed(theirs, [new, new], [old, old], prefix)
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(seen)
    (seen * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def test_positions_are_resampled_in_full_precision():
    embedding, matrix = torch.randn(1, 17, 8), grid_matrix(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        half = resample(embedding, 1, matrix)
    assert half.dtype == torch.float32 and torch.equal(half, resample(embedding, 1, matrix))


def test_a_network_that_was_tested_at_a_size_first_can_be_trained_at_it():
    backbone = built(family="vit")
    with torch.inference_mode():
        backbone(images(32))
    assert "net.pos_embed" in gradients(backbone, 32)[1]


def test_operations_are_counted_at_each_size():
    for family in ("resnet", "vit", "swin"):
        network = Network(built(family=family), torch.nn.Identity(), torch.nn.Identity())
        network.backbone.after = torch.nn.Identity()
        small, full, large = (count_flops(network, size) for size in (32, BUILT, 80))
        assert small < full < large


def test_sizes_that_a_network_cannot_see_are_named():
    with pytest.raises(ReidflowError, match="'small vit' has patches of 8 pixels: a size of 60 is not a multiple"):
        built(family="vit")(images(60))
    with pytest.raises(ReidflowError, match="nothing is left of an image of 16 pixels"):
        built(family="convnext")(images(16))
    with pytest.raises(ReidflowError, match=r"built for images of 64 pixels and cannot see 96.*ViT.*Swin"):
        call("backbone", resolve("backbone", {"name": "timm", "model": "swinv2_tiny_window8_256"}), 64)(images(96, 1))
