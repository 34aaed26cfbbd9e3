import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidflow.models.determinism import seeded
from reidflow.models.head import build_head
from reidflow.models.network import count_parameters
from reidflow.models.pooling import max as maximum
from reidflow.spec.run import Head
from reidflow.training.outputs import _forward

PINNED = [0.07485294342041016, -0.05276976525783539, 0.31268447637557983]


class _Tokens:
    name, prefix, class_token = "tokens", 2, True


class _Map:
    name, prefix, class_token = "map", 0, False


def layers(head) -> list[str]:
    return [type(layer).__name__ for layer in build_head(head, 10, 0)]


@pytest.mark.parametrize(
    ("head", "reference"),
    [
        (Head(dim=4), lambda: [nn.Linear(10, 4)]),
        (Head(dim=4, dropout=0.3), lambda: [nn.Dropout(0.3), nn.Linear(10, 4)]),
        (Head(hidden=6, dim=4), lambda: [nn.Linear(10, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)]),
    ],
)
def test_heads_with_no_or_one_hidden_layer_are_what_they_always_were(head, reference):
    built = build_head(head, 10, 7)
    with seeded(7, "head"):
        expected = nn.Sequential(*reference())
    assert list(built.state_dict()) == list(expected.state_dict())
    assert all(torch.equal(built.state_dict()[name], tensor) for name, tensor in expected.state_dict().items())
    assert [type(layer) for layer in built] == [type(layer) for layer in expected]


def test_initial_weights_are_those_of_every_earlier_version():
    assert build_head(Head(hidden=6, dim=4), 10, 7)[3].weight[0, :3].tolist() == pytest.approx(PINNED, abs=0)


def test_a_head_has_as_many_hidden_layers_as_it_is_deep():
    head = Head(hidden=6, depth=2, norm="layer", activation="gelu", dropout=0.1, dim=4)
    assert layers(head) == ["Linear", "LayerNorm", "GELU"] * 2 + ["Dropout", "Linear"]
    assert layers(Head(hidden=6, norm="none", activation="silu", dim=4)) == ["Linear", "SiLU", "Linear"]
    assert build_head(head, 10, 0).eval()(torch.zeros(3, 10)).shape == (3, 4)


def test_the_first_hidden_layer_does_not_depend_on_those_behind_it():
    shallow, deep = (build_head(Head(hidden=6, depth=depth), 10, 0) for depth in (1, 3))
    assert torch.equal(shallow[0].weight, deep[0].weight)


def test_without_hidden_layers_what_describes_them_says_nothing():
    plain = Head(dropout=0.2, dim=4)
    assert Head(hidden=0, depth=3, norm="layer", activation="silu", dropout=0.2, dim=4) == plain
    assert Head.model_validate({"depth": 2, "dropout": 0.2, "dim": 4}).model_dump() == plain.model_dump()
    assert Head(hidden=6, depth=3, norm="layer", activation="silu").model_dump() == {
        "hidden": 6, "depth": 3, "norm": "layer", "activation": "silu", "dropout": 0.0, "dim": 128,
    }  # fmt: skip


def test_a_wrong_value_is_an_error_even_where_it_would_say_nothing():
    for wrong in ({"depth": 0}, {"norm": "group"}, {"activation": "tanh"}, {"hidden": -1, "depth": 2}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Head(**wrong)


def test_parameters_and_operations_count_every_hidden_layer():
    class Frozen:
        frozen = True

    head = build_head(Head(hidden=6, depth=3, norm="layer", dim=4), 10, 0)
    weights = 10 * 6 + 6 * 6 + 6 * 6 + 6 * 4
    assert count_parameters(head).total == weights + 3 * (6 + 2 * 6) + 4
    assert _forward(Frozen, head, 32) == 2 * weights
    bare = build_head(Head(hidden=6, depth=3, norm="none", dim=4), 10, 0)
    assert count_parameters(bare).total == weights + 3 * 6 + 4


def test_max_pooling_is_torchs_and_leaves_out_what_is_no_patch():
    maps = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    ours, reference = maximum.build(_Map)(maps), F.adaptive_max_pool2d(maps, 1).flatten(1)
    assert torch.equal(ours, reference)
    gradients = [torch.autograd.grad(pooled.square().sum(), maps)[0] for pooled in (ours, reference)]
    assert torch.equal(*gradients)
    tokens = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = 9
    assert torch.equal(maximum.build(_Tokens)(tokens), tokens[:, 2:].amax(1))
