from collections import Counter

import numpy as np
import pytest

from reidflow.spec import components

LABELS = np.repeat(np.arange(10), [1, 2, 3, 5, 8, 13, 21, 2, 2, 40])
NAMES = components.names("sampler")


def build(name: str, labels: np.ndarray = LABELS, seed: int = 3, **parameters):
    return components.call("sampler", components.resolve("sampler", {"name": name, **parameters}), labels, seed)


@pytest.mark.parametrize("name", NAMES)
def test_an_epoch_depends_on_seed_and_number_alone(name):
    sampler, again = build(name), build(name)
    fifth = [batch.tolist() for batch in sampler.epoch(5)]
    for epoch in range(1, 5):
        again.epoch(epoch)
    assert [batch.tolist() for batch in again.epoch(5)] == fifth
    assert [batch.tolist() for batch in again.epoch(6)] != fifth
    assert [batch.tolist() for batch in build(name, seed=4).epoch(5)] != fifth


@pytest.mark.parametrize("name", NAMES)
def test_every_epoch_has_the_promised_number_of_steps(name):
    sampler = build(name)
    assert {len(sampler.epoch(n)) for n in range(1, 9)} == {sampler.steps}
    assert all(batch.dtype == np.int64 for batch in sampler.epoch(1))


@pytest.mark.parametrize("batch", [1, 8, 96, 97, 500])
def test_shuffled_shows_every_image_once_in_even_batches(batch):
    batches = build("shuffled", batch=batch).epoch(1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LABELS)))
    sizes = {len(b) for b in batches}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_pk_batches_hold_p_identities_with_k_images_each():
    for batch in build("pk", identities=4, images=3).epoch(1):
        assert len(batch) == 12
        assert sorted(Counter(LABELS[batch]).values()) == [3] * 4


def test_pk_repeats_no_image_where_the_identity_has_enough():
    for batch in build("pk", identities=4, images=3).epoch(1):
        times = Counter(batch.tolist())
        for row, count in times.items():
            size = int((LABELS[row] == LABELS).sum())
            assert count == 1 if size >= 3 else count in (3 // size, -(-3 // size))


def test_pk_identities_and_their_images_take_turns():
    batches = build("pk", identities=4, images=2).epoch(2)
    seen = Counter(int(label) for batch in batches for label in np.unique(LABELS[batch]))
    assert max(seen.values()) - min(seen[i] for i in range(10)) <= 1
    images = Counter(np.concatenate(batches).tolist())
    for identity in range(10):
        counts = [images[row] for row in np.flatnonzero(identity == LABELS)]
        assert max(counts) - min(counts) <= 1


def test_pk_with_too_few_identities_takes_them_all():
    labels = np.array([4, 4, 9, 9, 9])
    batches = build("pk", labels, identities=8, images=2).epoch(1)
    assert all(sorted(Counter(labels[batch]).items()) == [(4, 2), (9, 2)] for batch in batches)


def test_balanced_draws_identities_equally_often():
    drawn = np.concatenate([np.concatenate(build("balanced", batch=16).epoch(n)) for n in range(1, 201)])
    share = np.bincount(LABELS[drawn]) / len(drawn)
    assert np.abs(share - 0.1).max() < 5 * np.sqrt(0.1 * 0.9 / len(drawn))
    last = np.bincount(drawn)[LABELS == 9] / len(drawn)
    assert np.abs(last - 0.1 / 40).max() < 5 * np.sqrt(0.1 / 40 / len(drawn))
