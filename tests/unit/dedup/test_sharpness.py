import numpy as np
from scipy.ndimage import gaussian_filter

from reidflow.dedup.sharpness import sharpness


def test_a_blurred_animal_is_less_sharp_whatever_its_background():
    random = np.random.default_rng(6)
    noise = random.uniform(0, 255, (96, 96, 3))
    mask = np.zeros((96, 96), np.uint8)
    mask[24:72, 24:72] = 255
    animal = mask[..., None] > 0
    blurred = gaussian_filter(noise, (1.5, 1.5, 0))
    photos = np.stack([noise, np.where(animal, noise, 128), np.where(animal, blurred, noise), blurred]).astype(np.uint8)
    masks = np.stack([mask] * 4)
    whole, inside = sharpness(photos, np.arange(4)), sharpness(photos, np.arange(4), masks)
    assert whole[2] > whole[1] and inside[1] > 5 * inside[2]
    assert np.isclose(inside[0], inside[1]) and np.isclose(inside[2], inside[3])
    assert sharpness(photos, np.array([3, 0]))[1] == whole[0]


def test_an_animal_of_few_pixels_counts_as_the_whole_image():
    photo = np.random.default_rng(7).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[0, :3, :3] = 255
    assert sharpness(photo, np.array([0]), mask) == sharpness(photo, np.array([0]))
