import numpy as np
from scipy.ndimage import gaussian_filter

from reidflow.dedup.images import equal_pairs, grey, sharpness


def test_every_pair_of_equal_digests_is_found_in_order():
    pairs, distances = equal_pairs(["x", "y", "x", "z", "y", "x"])
    assert pairs.tolist() == [[0, 2], [0, 5], [1, 4], [2, 5]] and distances.tolist() == [0, 0, 0, 0]
    assert equal_pairs(["x", "y"])[0].shape == (0, 2)


def test_grey_averages_areas_of_colour_images_and_of_masks():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 200
    assert grey(image, 2).tolist() == [[200, 0], [0, 0]] == grey(image[..., 0], 2).tolist()
    image[0, 0] = 0
    assert grey(image, 2)[0, 0] == 150


def test_a_blurred_animal_is_less_sharp_whatever_its_background():
    random = np.random.default_rng(6)
    noise = random.uniform(0, 255, (96, 96, 3))
    mask = np.zeros((96, 96), np.uint8)
    mask[24:72, 24:72] = 255
    animal = mask[..., None] > 0
    blurred = gaussian_filter(noise, (1.5, 1.5, 0))
    images = np.stack([noise, np.where(animal, noise, 128), np.where(animal, blurred, noise), blurred]).astype(np.uint8)
    masks = np.stack([mask] * 4)
    whole, inside = sharpness(images, np.arange(4)), sharpness(images, np.arange(4), masks)
    assert whole[2] > whole[1] and inside[1] > 5 * inside[2]
    assert np.isclose(inside[0], inside[1]) and np.isclose(inside[2], inside[3])
    assert sharpness(images, np.array([3, 0]))[1] == whole[0]


def test_the_outline_of_an_animal_is_not_mistaken_for_sharpness():
    image = np.full((1, 96, 96, 3), 255, np.uint8)
    mask = np.zeros((1, 96, 96), np.uint8)
    mask[:, 24:72, 24:72] = 255
    image[mask > 0] = 0
    assert sharpness(image, np.array([0]), mask)[0] == 0 < sharpness(image, np.array([0]))[0]


def test_an_animal_of_few_pixels_counts_as_the_whole_image():
    image = np.random.default_rng(7).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[0, :3, :3] = 255
    assert sharpness(image, np.array([0]), mask) == sharpness(image, np.array([0]))
