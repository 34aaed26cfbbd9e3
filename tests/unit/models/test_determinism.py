import pytest
import torch

from reidflow.models.determinism import deterministic, seeded


def switches():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return (
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        cudnn.benchmark,
        cudnn.allow_tf32,
        matmul.allow_tf32,
        torch.utils.deterministic.fill_uninitialized_memory,
    )


def test_switches_that_decide_bits_are_set_within_the_block_and_restored_after_an_error():
    before = switches()
    cudnn = torch.backends.cudnn
    cudnn.benchmark = cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        outside = switches()
        with pytest.raises(KeyError), deterministic(2, "cpu"):
            inside = switches()
            raise KeyError
        assert inside == (2, 2, False, False, False, False)
        assert switches() == outside
    finally:
        cudnn.benchmark, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before[2:5]


def test_names_of_a_seed_are_independent_and_the_generator_is_restored():
    torch.manual_seed(5)
    state = torch.get_rng_state()

    def first(*names):
        with seeded(*names):
            return torch.rand(1).item()

    assert first(0, "head") == first(0, "head")
    assert (
        len({first(0, "head"), first(0, "loss"), first(0, "dropout", 1), first(0, "dropout", 2), first(1, "head")}) == 5
    )
    assert torch.equal(torch.get_rng_state(), state)
