import importlib
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.training.fitting import Epoch
from reidflow.training.losses._counting import take_terms

LOSSES = components.names("loss")


def build(name: str, dim: int, classes: int, **parameters) -> torch.nn.Module:
    torch.manual_seed(0)
    return components.call("loss", components.resolve("loss", {"name": name, **parameters}), dim, classes)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 5, generator=generator), torch.tensor([0, 0, 1, 1, 2, 2])


def unit(x: torch.Tensor, axis: int = 1) -> np.ndarray:
    x = x.detach().double().numpy()
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


def softmax_loss(logits: np.ndarray, labels: torch.Tensor) -> float:
    own = logits[np.arange(len(labels)), labels.numpy()]
    return float(np.mean(np.log(np.exp(logits).sum(1)) - own))


def pairs(labels: torch.Tensor):
    count = len(labels)
    every = [(i, j) for i in range(count) for j in range(count) if i != j]
    return [p for p in every if labels[p[0]] == labels[p[1]]], [p for p in every if labels[p[0]] != labels[p[1]]]


def mean_above_zero(values: list[float]) -> float:
    return float(np.mean([v for v in values if v > 0]))


def test_the_ten_losses_and_the_plain_classifier_ship():
    assert set(LOSSES) == {
        "cross_entropy", "triplet", "contrastive", "arcface", "cosface", "subcenter_arcface", "circle", "proxy_anchor",
        "supcon", "multi_similarity", "softmax",
    }  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_decreases_on_a_separable_problem(name):
    loss = build(name, 4, 3)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat_interleave(2)
    features = 6 + torch.eye(3)[labels] + 0.1 * torch.randn(6, 3, generator=generator)
    layer = torch.nn.Linear(3, 4)
    optimizer = torch.optim.Adam([*layer.parameters(), *loss.parameters()], lr=0.02)
    values = []
    for _ in range(80):
        value = loss(layer(features), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]


def test_cross_entropy_is_softmax_over_scaled_cosines(batch):
    embeddings, labels = batch
    loss = build("cross_entropy", 5, 3, scale=7.0)
    cosine = unit(embeddings) @ unit(loss.W, 0)
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loss(7 * cosine, labels), rel=1e-5)


def test_softmax_is_that_of_a_linear_classifier_with_bias(batch):
    embeddings, labels = batch
    loss = build("softmax", 5, 3)
    weight, bias = (part.detach().double().numpy() for part in (loss.classifier.weight, loss.classifier.bias))
    logits = embeddings.double().numpy() @ weight.T + bias
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loss(logits, labels), rel=1e-5)


def test_arcface_adds_its_margin_in_radians_to_the_own_angle(batch):
    embeddings, labels = batch
    loss = build("arcface", 5, 3, margin=0.3, scale=9.0)
    cosine = unit(embeddings) @ unit(loss.W, 0)
    own = np.arange(6), labels.numpy()
    cosine[own] = np.cos(np.arccos(cosine[own]) + 0.3)
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loss(9 * cosine, labels), rel=1e-5)


def test_subcenter_arcface_counts_the_nearest_center_of_a_class(batch):
    embeddings, labels = batch
    loss = build("subcenter_arcface", 5, 3, margin=0.3, scale=9.0, centers=2)
    cosine = (unit(embeddings) @ unit(loss.W, 0)).reshape(6, 3, 2).max(axis=2)
    own = np.arange(6), labels.numpy()
    cosine[own] = np.cos(np.arccos(cosine[own]) + 0.3)
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loss(9 * cosine, labels), rel=1e-5)


def test_cosface_subtracts_its_margin_from_the_own_cosine(batch):
    embeddings, labels = batch
    loss = build("cosface", 5, 3, margin=0.2, scale=9.0)
    cosine = unit(embeddings) @ unit(loss.W, 0)
    cosine[np.arange(6), labels.numpy()] -= 0.2
    assert loss(embeddings, labels).item() == pytest.approx(softmax_loss(9 * cosine, labels), rel=1e-5)


def test_triplet_is_the_mean_over_violating_triplets(batch):
    embeddings, labels = batch
    x = unit(embeddings)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    positive, negative = pairs(labels)
    terms = [distance[a, p] - distance[b, n] + 0.4 for a, p in positive for b, n in negative if a == b]
    loss = build("triplet", 5, 3, margin=0.4)
    assert loss(embeddings, labels).item() == pytest.approx(mean_above_zero(terms), rel=1e-5)
    assert take_terms(loss) == pytest.approx((np.mean([t > 0 for t in terms]), mean_above_zero(terms)))
    assert take_terms(loss) == (None, None)


def test_an_epoch_pools_the_terms_of_its_batches(batch):
    embeddings, labels = batch
    loss, epoch = build("contrastive", 5, 3, negative_margin=1.4), Epoch(0.1)
    terms = []
    for step in (1, 2):
        vectors, own = embeddings[: 3 * step], labels[: 3 * step]
        x = unit(vectors)
        distance = np.linalg.norm(x[:, None] - x[None], axis=2)
        positive, negative = pairs(own)
        terms += [distance[p] for p in positive] + [1.4 - distance[n] for n in negative]
        epoch.add(loss(vectors, own).detach(), torch.ones(()))
    epoch.close(loss)
    assert epoch.row()["active"] == pytest.approx(np.mean([t > 0 for t in terms]))
    assert 0 < epoch.row()["active"] < 1
    assert epoch.row()["hardness"] == pytest.approx(mean_above_zero(terms), rel=1e-5)


def test_what_counts_no_terms_has_neither_share_nor_hardness(batch):
    loss, epoch = build("arcface", 5, 3), Epoch(0.1)
    epoch.add(loss(*batch).detach(), torch.ones(()))
    epoch.close(loss)
    assert (epoch.row()["active"], epoch.row()["hardness"]) == (None, None)
    satisfied = build("triplet", 5, 3, margin=0.1)
    satisfied(torch.eye(5)[[0, 0, 1, 1, 2, 2]], batch[1])
    assert take_terms(satisfied) == (0.0, None)


def test_contrastive_is_the_mean_over_active_pairs_of_either_kind(batch):
    embeddings, labels = batch
    x = unit(embeddings)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    positive, negative = pairs(labels)
    expected = mean_above_zero([distance[p] - 0.1 for p in positive]) + mean_above_zero(
        [1.4 - distance[n] for n in negative]
    )
    loss = build("contrastive", 5, 3, positive_margin=0.1, negative_margin=1.4)
    assert loss(embeddings, labels).item() == pytest.approx(expected, rel=1e-5)


def test_supcon_is_the_mean_log_softmax_of_the_positives(batch):
    embeddings, labels = batch
    logits = unit(embeddings) @ unit(embeddings).T / 0.2
    positive, _ = pairs(labels)
    terms = []
    for anchor in range(6):
        others = math.log(sum(math.exp(logits[anchor, j]) for j in range(6) if j != anchor))
        terms.append(np.mean([others - logits[a, p] for a, p in positive if a == anchor]))
    assert build("supcon", 5, 3, temperature=0.2)(embeddings, labels).item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_multi_similarity_matches_its_formula(batch):
    embeddings, labels = batch
    cosine = unit(embeddings) @ unit(embeddings).T
    positive, negative = pairs(labels)
    terms = [
        math.log(1 + sum(math.exp(-2 * (cosine[a, p] - 0.4)) for a, p in positive if a == anchor)) / 2
        + math.log(1 + sum(math.exp(30 * (cosine[a, n] - 0.4)) for a, n in negative if a == anchor)) / 30
        for anchor in range(6)
    ]
    loss = build("multi_similarity", 5, 3, alpha=2.0, beta=30.0, base=0.4)
    assert loss(embeddings, labels).item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_circle_matches_its_formula(batch):
    embeddings, labels = batch
    cosine = unit(embeddings) @ unit(embeddings).T
    positive, negative = pairs(labels)
    m, gamma = 0.3, 5.0
    terms = []
    for anchor in range(6):
        ps = [gamma * max(0, 1 + m - cosine[p]) * (cosine[p] - (1 - m)) for p in positive if p[0] == anchor]
        ns = [gamma * max(0, cosine[n] + m) * (cosine[n] - m) for n in negative if n[0] == anchor]
        terms.append(math.log(1 + sum(map(math.exp, ns)) * sum(math.exp(-v) for v in ps)))
    loss = build("circle", 5, 3, margin=m, scale=gamma)
    assert loss(embeddings, labels).item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_proxy_anchor_matches_its_formula(batch):
    embeddings, labels = batch
    loss = build("proxy_anchor", 5, 4, margin=0.1, scale=6.0)
    cosine = unit(embeddings) @ unit(loss.proxies).T
    positive = negative = 0.0
    for c in range(4):
        own = [cosine[i, c] for i in range(6) if labels[i] == c]
        other = [cosine[i, c] for i in range(6) if labels[i] != c]
        positive += math.log(1 + sum(math.exp(-6 * (s - 0.1)) for s in own))
        negative += math.log(1 + sum(math.exp(6 * (s + 0.1)) for s in other))
    assert loss(embeddings, labels).item() == pytest.approx(positive / 3 + negative / 4, rel=1e-5)


@pytest.mark.parametrize("name", ["arcface", "subcenter_arcface"])
def test_an_embedding_on_its_class_weight_gives_a_finite_gradient(name):
    loss = build(name, 5, 3)
    embeddings = torch.eye(5)[:3].clone().requires_grad_()
    loss.W.data = embeddings.detach().T.repeat_interleave(loss.W.shape[1] // 3, dim=1).contiguous()
    loss(embeddings, torch.arange(3)).backward()
    assert torch.isfinite(embeddings.grad).all()
    assert torch.isfinite(loss.W.grad).all()


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative(batch):
    embeddings, labels = batch
    distance = torch.cdist(*[torch.nn.functional.normalize(embeddings)] * 2)
    anchors, positives, negatives = components.call("miner", {"name": "batch_hard"})(embeddings, labels)
    assert anchors.tolist() == list(range(6))
    for a, p, n in zip(anchors, positives, negatives, strict=True):
        same = labels == labels[a]
        assert distance[a, p] == distance[a][same].max()
        assert distance[a, n] == distance[a][~same].min()


@pytest.mark.parametrize(("name", "low"), [("semihard", 0.0), ("violating", -3.0)])
def test_margin_miners_give_exactly_the_triplets_within_their_bounds(batch, name, low):
    embeddings, labels = batch
    x = unit(embeddings)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    positive, negative = pairs(labels)
    expected = {
        (a, p, n) for a, p in positive for b, n in negative if a == b and low < distance[a, n] - distance[a, p] <= 0.5
    }
    found = components.call("miner", {"name": name, "margin": 0.5})(embeddings, labels)
    assert expected
    assert set(zip(*(index.tolist() for index in found), strict=True)) == expected


def test_multi_similarity_miner_keeps_pairs_harder_than_the_hardest_of_the_other_kind(batch):
    embeddings, labels = batch
    cosine = unit(embeddings) @ unit(embeddings).T
    positive, negative = pairs(labels)
    a, p, b, n = components.call("miner", {"name": "multi_similarity", "epsilon": 0.1})(embeddings, labels)
    hard_negatives = {(i, j) for i, j in negative if cosine[i, j] + 0.1 > min(cosine[q] for q in positive if q[0] == i)}
    hard_positives = {(i, j) for i, j in positive if cosine[i, j] - 0.1 < max(cosine[q] for q in negative if q[0] == i)}
    assert set(zip(a.tolist(), p.tolist(), strict=True)) == hard_positives
    assert set(zip(b.tolist(), n.tolist(), strict=True)) == hard_negatives


def own_loss(folder, monkeypatch, text):
    (folder / "own_loss.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_loss", raising=False)
    module = importlib.import_module("own_loss")
    monkeypatch.setattr(components, "load", lambda *_: module)
    return components.call("loss", {"name": "own_loss"}, 4, 3)


def test_the_loss_of_the_docs_is_a_triplet_loss(tmp_path, monkeypatch):
    page = (Path(__file__).parents[3] / "docs" / "extending.md").read_text()
    loss = own_loss(tmp_path, monkeypatch, re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    embeddings = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = [0, 0, 1, 1, 2, 2, 0, 1]
    unit = embeddings.detach().numpy() / np.linalg.norm(embeddings.detach().numpy(), axis=1, keepdims=True)
    distance = lambda i, j: np.linalg.norm(unit[i] - unit[j])  # noqa: E731
    violated = [
        max(
            0,
            max(distance(i, j) for j in range(8) if labels[i] == labels[j])
            - min(distance(i, j) for j in range(8) if labels[i] != labels[j])
            + 0.2,
        )
        for i in range(8)
    ]
    value = loss(embeddings, torch.tensor(labels))
    assert value.item() == pytest.approx(np.mean(np.square(violated)), rel=1e-4)
    value.backward()
    assert torch.isfinite(embeddings.grad).all() and embeddings.grad.abs().sum() > 0


BUILT = "from torch import nn\nclass Loss(nn.Module):\n    def forward(self, e, l, t=None): {}\ndef build(dim, classes): return Loss()"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(dim, classes): ...", "own_loss.py: 'build' returns nothing. Let it return the loss"),
        (BUILT.format("..."), "own_loss.py: 'forward' returns nothing. Let it return the loss"),
        (BUILT.format("return e.sum(1)"), r"'forward' returns torch.Size\(\[2\]\)"),
        (BUILT.format("return 3.0"), "'forward' returns float"),
    ],
)
def test_a_loss_that_returns_no_number_is_named(tmp_path, monkeypatch, text, message):
    with pytest.raises(ReidflowError, match=message):
        own_loss(tmp_path, monkeypatch, text)(torch.ones(2, 4), torch.tensor([0, 1]))
