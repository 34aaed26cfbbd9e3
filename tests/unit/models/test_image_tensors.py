import numpy as np
import pytest
import torch
from PIL import Image

from reidflow.models.images import to_pixels
from reidflow.spec.errors import ReidflowError


def stored(count=5, size=48):
    return np.random.Generator(np.random.PCG64(3)).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_smaller_pixels_are_those_of_an_antialiased_resize():
    images = stored()
    small = to_pixels(images, 20)
    assert small.dtype == torch.uint8 and small.shape == (5, 3, 20, 20)
    pillow = np.stack([np.asarray(Image.fromarray(i).resize((20, 20), Image.Resampling.BILINEAR)) for i in images])
    assert np.abs(small.permute(0, 2, 3, 1).numpy().astype(int) - pillow).max() <= 1


def test_a_row_does_not_depend_on_its_neighbours():
    images = stored()
    whole = to_pixels(images, 20)
    assert all(torch.equal(to_pixels(images[i : i + 1], 20)[0], whole[i]) for i in range(5))


def test_pixels_of_the_right_size_are_left_alone():
    images = stored()
    assert np.array_equal(to_pixels(images, 48).permute(0, 2, 3, 1).numpy(), images)


def test_images_are_never_enlarged_silently():
    with pytest.raises(ReidflowError, match="holds images of 48 pixels, the model needs 64"):
        to_pixels(stored(), 64)
