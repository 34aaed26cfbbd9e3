"""Sheets show what the network sees: the images that training itself would make."""

import numpy as np
import polars as pl
import pytest
import torch
from training_cases import small_spec

from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.training.augmented_samples import augmented, batch_rows
from reidflow.training.image_inputs import ImageInputs

SIZE, KEYS = 32, [f"{i}.png" for i in range(6)]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3)).astype(np.uint8)
MASKS = np.zeros((6, 48, 48), np.uint8)
MASKS[:, 12:36, 12:36] = 255


def test_versions_are_those_of_the_epochs_of_a_run():
    names = ["crop", {"name": "background_swap", "p": 1.0}, {"name": "mixup", "p": 1.0}]
    specs = [resolve("augmentation", name) for name in names]
    shown = augmented(specs, SIZE, PIXELS, MASKS, KEYS, shown=2, versions=3)
    assert shown.shape == (2, 4, SIZE, SIZE, 3) and shown.dtype == np.uint8
    spec = small_spec(augmentation=names, model={"trainable": {"name": "all"}})
    inputs = ImageInputs(PIXELS, KEYS, spec, "cpu", masks=MASKS)
    for epoch in (1, 2, 3):
        ((images, _),) = inputs.epoch(epoch, [np.arange(6)])
        expected = images[:2].round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        assert np.array_equal(shown[:, epoch], expected)
    plain = inputs.plain.gather(np.arange(2)).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(shown[:, 0], plain)


def test_without_masks_the_error_says_what_to_do():
    with pytest.raises(ReidflowError, match="Give the images masks"):
        augmented([resolve("augmentation", "background_swap")], SIZE, PIXELS, MASKS | 255, KEYS, shown=1, versions=1)


def test_training_images_with_a_mask_come_first():
    images = [str(i) for i in range(40)]
    manifest = pl.DataFrame(
        {
            "image": images,
            "mask": ["none" if i < 10 else "alpha" for i in range(40)],
            "background_present": [None if i < 10 else True for i in range(40)],
        }
    )
    split = pl.DataFrame({"image": images, "role": ["train" if i % 2 else "test" for i in range(40)]})
    assert batch_rows(manifest, split, 4) == [11, 19, 29, 39]
    assert len(batch_rows(manifest, split, 18)) == 18 and min(batch_rows(manifest, split, 18)) < 10
    assert batch_rows(manifest, split, 99) == [*range(11, 40, 2), *range(1, 10, 2)]
