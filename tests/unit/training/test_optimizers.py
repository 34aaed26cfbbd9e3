import copy

import pytest
import torch

from reidflow.spec import components
from reidflow.training.torch_patches import unwrapped_step

NAMES = components.names("optimizer")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))


def build(name: str, module: torch.nn.Module, weights: list | None = None, **parameters):
    groups = [{"name": "model", "params": list(module.parameters())}]
    if weights:
        groups.append({"name": "loss", "params": weights})
    return components.call("optimizer", components.resolve("optimizer", {"name": name, **parameters}), groups)


def descend(module, step, optimizer, count: int) -> list[float]:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 6, generator=generator), torch.randn(32, 3, generator=generator)
    values = []
    for _ in range(count):
        loss = (module(x) - y).square().mean()
        loss.backward()
        step()
        optimizer.zero_grad()
        values.append(loss.item())
    return values


def test_the_optimizers_ship():
    assert NAMES == ["adam", "adamw", "lamb", "lion", "muon", "nadam", "rmsprop", "sgd"]


@pytest.mark.parametrize("name", NAMES)
def test_descends(name):
    module = network()
    optimizer = build(name, module, learning_rate=0.01)
    values = descend(module, unwrapped_step(optimizer), optimizer, 60)
    assert values[-1] < 0.95 * values[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_lean_step_is_the_step(name):
    module, other = network(), network()
    optimizer, plain = build(name, module, learning_rate=0.01), build(name, other, learning_rate=0.01)
    assert descend(module, unwrapped_step(optimizer), optimizer, 5) == descend(other, plain.step, plain, 5)


@pytest.mark.parametrize("name", NAMES)
def test_going_on_from_the_state_gives_the_same_bits(name):
    module = network()
    optimizer = build(name, module, learning_rate=0.01)
    descend(module, unwrapped_step(optimizer), optimizer, 7)
    other = network()
    again = build(name, other, learning_rate=0.01)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    other.load_state_dict(module.state_dict())
    assert descend(module, optimizer.step, optimizer, 5) == descend(other, again.step, again, 5)


def test_sgd_is_the_gradient_with_momentum():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    module = torch.nn.Module()
    module.weight = weight
    optimizer = build("sgd", module, learning_rate=0.1, momentum=0.5)
    for _ in range(2):
        weight.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    first = 1 - 0.1 * 2
    assert weight[0].item() == pytest.approx(first - 0.1 * (0.5 * 2 + 2 * first))


def test_muon_takes_the_matrices_of_the_network_and_adamw_the_rest():
    module, proxies = network(), torch.nn.Parameter(torch.randn(4, 3))
    optimizer = build("muon", module, [proxies], learning_rate=0.01)
    muon, adamw = optimizer.parts
    assert [p.shape for p in muon.param_groups[0]["params"]] == [(5, 6), (3, 5)]
    assert {id(p) for p in adamw.param_groups[0]["params"]} == {id(module[0].bias), id(module[2].bias), id(proxies)}
    optimizer.param_groups[0]["lr"] = 0.5
    assert muon.param_groups[0]["lr"] == 0.5


def first_step(name: str, rate: float, **parameters) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a matrix, its gradient, and what the first step adds to it."""
    generator = torch.Generator().manual_seed(2)
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.randn(12, 20, generator=generator))
    before, gradient = module.weight.detach().clone(), torch.randn(12, 20, generator=generator)
    module.weight.grad = gradient.clone()
    build(name, module, learning_rate=rate, weight_decay=0.0, **parameters).step()
    return before, gradient, module.weight.detach() - before


def test_lion_moves_every_weight_equally_far_against_its_gradient():
    _, gradient, change = first_step("lion", 0.01)
    torch.testing.assert_close(change, -0.01 * gradient.sign(), atol=1e-6, rtol=0)


def test_lamb_moves_a_matrix_by_a_share_of_its_norm_without_weight_decay_too():
    before, _, change = first_step("lamb", 0.01)
    assert (change.norm() / before.norm()).item() == pytest.approx(0.01, rel=1e-3)


def test_muon_moves_a_matrix_equally_far_in_every_direction():
    _, gradient, change = first_step("muon", 0.01)
    values = torch.linalg.svdvals(change) / (0.01 * 0.2 * 20**0.5)
    assert values.min() > 0.6 and values.max() < 1.25
    assert torch.linalg.svdvals(gradient).max() / torch.linalg.svdvals(gradient).min() > 4
