"""A run on fewer images can take as many steps an epoch as one on all of them."""

import numpy as np
import pytest

from reidflow.spec.components import call, resolve
from reidflow.training.epochs import Recut


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_the_batches_are_those_of_the_sampler_in_a_row(steps):
    sampler = call("sampler", resolve("sampler", {"name": "shuffled", "batch": 4}), np.arange(12) % 3, 5)
    whole = [batch.tolist() for epoch in range(1, 9) for batch in sampler.epoch(epoch)]
    recut = [batch.tolist() for epoch in range(1, 4) for batch in Recut(sampler, steps).epoch(epoch)]
    assert recut == whole[: 3 * steps]


def test_an_epoch_alone_is_the_same_as_in_a_row():
    sampler = call("sampler", resolve("sampler", {"name": "pk", "identities": 2, "images": 2}), np.arange(9) % 3, 0)
    one, other = Recut(sampler, 5), Recut(sampler, 5)
    for epoch in (1, 2):
        one.epoch(epoch)
    assert [b.tolist() for b in one.epoch(3)] == [b.tolist() for b in other.epoch(3)]
