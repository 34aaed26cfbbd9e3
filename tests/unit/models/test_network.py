import pytest
import torch

from reidflow.models.head import build_head
from reidflow.models.network import build_features, build_network, count_flops, count_parameters
from reidflow.models.pooling import avg, cls, gem
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import Head, Model


def model(trainable, family="mobilenetv3", blocks=0, **more):
    return Model(
        backbone={"name": "small", "family": family},
        size=64,
        head={"dim": 8},
        trainable={"name": trainable, "blocks": blocks},
        **more,
    )


def pixels(count=2):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=generator)


def moved(network):
    """Train one step and return the names of the tensors, buffers included, that changed."""
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    network(pixels()).square().mean().backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1).step()
    return {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}


def test_training_the_head_moves_nothing_else_not_even_batch_statistics():
    assert {name.split(".")[0] for name in moved(build_network(model("head"), 0))} == {"head"}


def test_training_the_last_blocks_moves_them_and_what_follows_alone():
    network = build_network(model("last_blocks", "resnet", blocks=2), 0)
    changed = moved(network)
    assert {".".join(name.split(".")[:3]) for name in changed if name.startswith("backbone")} == {
        "backbone.net.layer3",
        "backbone.net.layer4",
    }
    assert any("running_mean" in name for name in changed)


def test_the_last_block_of_a_transformer_owns_the_final_norm():
    changed = moved(build_network(model("last_blocks", "vit", blocks=1), 0))
    places = {name.removeprefix("backbone.net.").split(".")[0] for name in changed if name.startswith("backbone")}
    assert places == {"blocks", "norm"}
    assert {name.split(".")[3] for name in changed if ".blocks." in name} == {"5"}


def test_training_all_moves_the_stem_too():
    assert any(name.startswith("backbone.net.conv_stem") for name in moved(build_network(model("all"), 0)))


def test_nothing_trained_gives_the_frozen_features():
    network = build_network(model("none"), 0)
    assert count_parameters(network).trainable == 0
    features = build_features({"name": "small", "family": "mobilenetv3", "drop_path": 0.0}, 64, {"name": "avg"}, 0)
    assert torch.equal(network.eval()(pixels()), features(pixels()))


def test_more_blocks_than_there_are_is_an_error():
    with pytest.raises(ReidflowError, match=r"needs 9 blocks.*has 4"):
        build_network(model("last_blocks", "resnet", blocks=9), 0)


def test_initialisation_follows_the_seed_and_leaves_global_randomness_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build_network(model("all"), 7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = build_network(model("all"), 7).state_dict(), build_network(model("all"), 8).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["head.0.weight"], other["head.0.weight"])
    assert not torch.equal(first["backbone.net.conv_stem.weight"], other["backbone.net.conv_stem.weight"])


def test_a_head_alone_is_the_head_of_the_whole_network():
    network = build_network(model("head"), 7)
    alone = build_head(Head(dim=8), network.backbone.dim, 7)
    assert torch.equal(network.head[0].weight, alone[0].weight)


def test_a_head_has_the_layers_that_its_spec_names():
    head = build_head(Head(hidden=16, dropout=0.3, dim=4), 10, 0)
    assert [type(layer).__name__ for layer in head] == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]
    assert head.eval()(torch.zeros(3, 10)).shape == (3, 4)
    assert [type(layer).__name__ for layer in build_head(Head(dim=4), 10, 0)] == ["Linear"]


def test_bytes_and_floats_are_the_same_pixels():
    network = build_network(model("head"), 0).eval()
    assert torch.equal(network(pixels()), network(pixels().float()))


def test_parameters_and_operations_are_counted():
    head = build_head(Head(hidden=16, dim=4), 10, 0)
    assert count_parameters(head).total == 10 * 16 + 16 + 2 * 16 + 16 * 4 + 4
    network = build_network(model("head", "resnet"), 0)
    counts = count_parameters(network)
    assert counts.trainable == network.backbone.dim * 8 + 8 < counts.total
    first = network.backbone.net.conv1[0]
    alone = 2 * first.weight.numel() * 32 * 32
    assert count_flops(network, 64) > alone
    assert count_flops(_Wrapped(first), 64) == alone


class _Wrapped(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, images):
        return self.layer(images)


class _Tokens:
    name, prefix, class_token = "tokens", 2, True


class _Map:
    name, prefix, class_token = "map", 0, False


def test_poolings_leave_out_what_is_no_patch():
    tokens = torch.arange(24, dtype=torch.float32).reshape(1, 6, 4)
    assert torch.equal(avg.build(_Tokens)(tokens), tokens[:, 2:].mean(1))
    assert torch.equal(cls.build(_Tokens)(tokens), tokens[:, 0])
    maps = tokens[:, 2:].transpose(1, 2).reshape(1, 4, 2, 2)
    assert torch.equal(avg.build(_Map)(maps), tokens[:, 2:].mean(1))


def test_the_generalised_mean_lies_between_average_and_maximum():
    maps = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.testing.assert_close(gem.build(_Map, p=1.0)(maps), maps.mean((2, 3)))
    torch.testing.assert_close(gem.build(_Map, p=3.0)(maps), maps.pow(3).mean((2, 3)).pow(1 / 3))
    torch.testing.assert_close(gem.build(_Map, p=60.0)(maps), maps.amax((2, 3)), rtol=0.05, atol=0)


def test_poolings_that_cannot_be_are_errors():
    with pytest.raises(ReidflowError, match="needs a class token"):
        build_network(model("head", pooling={"name": "cls"}), 0)
    with pytest.raises(ReidflowError, match="greater than 0"):
        gem.build(_Map, p=0.0)
    with pytest.raises(ReidflowError, match="backbone is frozen"):
        build_network(model("head", pooling={"name": "gem", "learned": True}), 0)


def test_a_learned_power_is_trained_and_a_fixed_one_is_not():
    learned = build_network(model("all", pooling={"name": "gem", "learned": True}), 0)
    fixed = build_network(model("last_blocks", blocks=1, pooling={"name": "gem"}), 0)
    assert learned.pooling.p.requires_grad and not fixed.pooling.p.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_counting_operations_leaves_mode_and_batch_statistics_alone(training):
    network = build_network(model("all", "resnet"), 0).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_flops(network, 64)
    assert network.training is training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_features_are_pooled_from_normalised_pixels_and_normalised_as_the_architecture_does():
    network = build_features({"name": "small", "family": "convnext"}, 64, {"name": "avg"}, 0)
    body, images = network.backbone, pixels()
    mean, std = (values[:, None, None] for values in (body.mean, body.std))
    with torch.no_grad():
        pooled = network.pooling(body((images.float() / 255 - mean) / std))
        expected = torch.nn.functional.layer_norm(pooled, pooled.shape[1:], eps=1e-6)
        assert torch.allclose(network(images), expected, atol=1e-5)
        assert not torch.allclose(pooled, expected, atol=1e-2)
    assert body.mean.min() > 0.3 and body.std.max() < 0.6
