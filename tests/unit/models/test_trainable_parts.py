import pytest
import torch
from torch import nn

from reidflow.models.network import build_network, count_parameters
from reidflow.spec.run import Model

FAMILIES = ["resnet", "efficientnet", "mobilenetv3", "vit", "swin", "eva02", "dinov3", "convnext"]
# At 32 pixels one token is left in the last stage of Swin, and its attention has nothing to learn.
SIZES = {"swin": 64}


def trained(family, trainable):
    model = {"backbone": {"name": "small", "family": family}, "size": SIZES.get(family, 32), "trainable": trainable}
    return build_network(Model(**model), seed=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_trained_moves_and_what_is_frozen_does_not_in_any_family(family):
    whole, part = trained(family, {"name": "all"}), trained(family, {"name": "last_blocks", "blocks": 1})
    counts = count_parameters(whole), count_parameters(part)
    assert counts[0].total == counts[0].trainable == counts[1].total
    assert 0 < counts[1].trainable < counts[1].total
    last = {id(p) for p in part.backbone.blocks()[-1].parameters()} | {id(p) for p in part.head.parameters()}
    assert counts[1].trainable == sum(p.numel() for p in part.parameters() if id(p) in last)
    before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    part.train()
    optimizer = torch.optim.Adam([p for p in part.parameters() if p.requires_grad], lr=0.01)
    size = SIZES.get(family, 32)
    pixels = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    # Not one step alone: what a branch ends in starts at zero in some networks, and hides all before it.
    for _ in range(3):
        optimizer.zero_grad()
        (part(pixels) - 1).square().mean().backward()
        optimizer.step()
    moved = {name for name, tensor in part.state_dict().items() if not torch.equal(tensor, before[name])}
    names = {name for name, p in part.named_parameters() if id(p) in last}
    statistics = {name for name in moved if "running_" in name or "num_batches" in name}
    assert moved - statistics == names
    frozen_norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm2d) and id(m.weight) not in last]
    trained_norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm2d) and id(m.weight) in last]
    assert [m.training for m in frozen_norms] == [False] * len(frozen_norms)
    assert [m.training for m in trained_norms] == [True] * len(trained_norms)
    assert len(statistics) == 3 * len(trained_norms)
