import numpy as np
import pytest
from planted_animals import SIDE, animals, row_of, surroundings, variant
from scipy.ndimage import binary_dilation

from reidflow.backgrounds.interventions import blur, silhouette
from reidflow.backgrounds.interventions._habitat import habitat
from reidflow.backgrounds.photo import Photo
from reidflow.ingest.framing import GREY, inside
from reidflow.spec.errors import ReidflowError

BEFORE_ANOTHER = ["original", "gray", "black", "blur", "noise", "random"]
RED = 120
"""More red than any background has, and less than any coat."""


@pytest.fixture(scope="module")
def planted():
    return animals()


def photo(planted, row):
    random = np.random.default_rng(row)
    return Photo(planted.images[row], planted.animal[row], planted.inside[row], random, None)


@pytest.mark.parametrize("name", BEFORE_ANOTHER)
def test_the_animal_and_the_padding_keep_their_pixels(planted, name, tmp_path):
    result = variant(planted, name, tmp_path)
    kept = planted.animal | ~planted.inside
    assert (~planted.inside).any() and planted.animal.any(axis=(1, 2)).all()
    assert np.array_equal(result[kept], planted.images[kept])
    assert np.array_equal(result[planted.behind], planted.images[planted.behind]) == (name == "original")


@pytest.mark.parametrize("name", [name for name in BEFORE_ANOTHER if name not in ("original", "noise")])
def test_no_coat_is_left_outside_the_mask(planted, name, tmp_path):
    assert (planted.images[planted.behind][:, 0] > RED).any()
    assert (variant(planted, name, tmp_path)[planted.behind][:, 0] <= RED + 5).all()


def test_one_colour_fills_all_that_is_behind_the_animal(planted, tmp_path):
    assert (variant(planted, "gray", tmp_path)[~planted.animal] == GREY).all()
    assert (variant(planted, "black", tmp_path)[planted.behind] == 0).all()
    assert (variant(planted, {"name": "gray", "colour": "#0a141E"}, tmp_path)[planted.behind] == (10, 20, 30)).all()


def test_holes_and_narrow_gaps_of_a_poor_mask_give_no_coat_to_the_background(tmp_path):
    poor = animals()
    coat = poor.animal.copy()
    middle = np.zeros((SIDE, SIDE), bool)
    middle[20:33, 15:34] = True
    middle[20:22], middle[:, 17:20], middle[30] = False, False, False
    poor.masks[:, middle] = 0
    for name in ("blur", "random"):
        result = variant(poor, name, tmp_path)
        assert (result[poor.behind][:, 0] <= 60).all()
        assert (poor.behind & coat).sum(axis=(1, 2)).min() > 80


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_blur_is_the_normalised_average_of_the_surroundings(planted, sigma, tmp_path):
    result = variant(planted, {"name": "blur", "sigma": sigma}, tmp_path)
    for row in (0, 5):
        known = surroundings(planted.animal[row], planted.inside[row])
        ys, xs = np.nonzero(known)
        values = planted.images[row][known].astype(float)
        for y, x in np.argwhere(planted.behind[row])[::7]:
            weights = np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * (sigma * SIDE) ** 2))
            assert np.abs(result[row, y, x] - weights @ values / weights.sum()).max() <= 0.5001


def test_blur_leaves_an_even_background_even_up_to_mask_and_padding(planted, tmp_path):
    even = animals()
    known = [surroundings(*parts) for parts in zip(even.animal, even.inside, strict=True)]
    even.images[np.stack(known)] = (20, 90, 170)
    assert (variant(even, "blur", tmp_path)[even.behind] == (20, 90, 170)).all()


def test_blur_of_almost_no_background_is_still_a_colour(planted):
    mask = np.ones((SIDE, SIDE), bool)
    mask[0, 0] = False
    mask[20:22, 20:22] = False
    one = Photo(planted.images[0], mask, np.ones_like(mask), np.random.default_rng(0), None)
    values = blur.apply(one, sigma=0.005)[~mask]
    own = planted.images[0][~mask]
    assert (values >= own.min(axis=0)).all() and (values <= own.max(axis=0)).all()


def test_noise_covers_the_whole_range_evenly(planted, tmp_path):
    values = variant(planted, "noise", tmp_path)[planted.behind]
    counts = np.bincount(values.ravel(), minlength=256)
    assert counts.min() > 0 and 0.9 < np.percentile(counts, 95) / counts.mean() < 1.2


def test_a_random_background_is_that_of_another_identity(planted, tmp_path):
    result = variant(planted, "random", tmp_path)
    donors = [row_of(result[row], planted.behind[row]) for row in range(len(result))]
    identity = planted.manifest["identity"].to_list()
    assert all(identity[donor] != identity[row] for row, donor in enumerate(donors))
    assert len(set(donors)) > 4


def test_a_habitat_keeps_its_surroundings_and_shows_no_animal(planted):
    for row in range(4):
        made = habitat(photo(planted, row), np.random.default_rng(row))
        known = surroundings(planted.animal[row], planted.inside[row])
        assert np.array_equal(made[known], planted.images[row][known])
        assert (made[..., 0] <= 60).all() and (np.abs(made[..., 1].astype(int) - (12 + 20 * row)) < 40).all()


def test_a_habitat_does_not_look_at_the_animal(planted):
    one, other = photo(planted, 1), photo(planted, 1)
    pixels = other.pixels.copy()
    pixels[binary_dilation(other.mask, np.ones((3, 3)))] = (1, 2, 3)
    other = Photo(pixels, other.mask, other.inside, other.random, None)
    made = [habitat(each, np.random.default_rng(0)) for each in (one, other)]
    assert np.array_equal(*made)


def test_the_filled_place_has_texture_and_repeats_no_patch(planted):
    made = habitat(photo(planted, 0), np.random.default_rng(0)).astype(int)
    hole = planted.animal[0]
    known = surroundings(hole, planted.inside[0])
    assert 0.6 < made[hole].std(axis=0).mean() / made[known].std(axis=0).mean() < 1.5
    patches = np.lib.stride_tricks.sliding_window_view(made, (4, 4), axis=(0, 1)).reshape(-1, 48)
    assert len(np.unique(patches, axis=0)) == len(patches)


def box_of(mask, dilation):
    ys, xs = np.nonzero(mask)
    more_y, more_x = (np.ceil(dilation * (np.ptp(v) + 1) / 2) for v in (ys, xs))
    y, x = np.mgrid[: len(mask), : len(mask)]
    inside_y = (y >= ys.min() - more_y) & (y <= ys.max() + more_y)
    return inside_y & (x >= xs.min() - more_x) & (x <= xs.max() + more_x)


@pytest.mark.parametrize("dilation", [0.1, 0.5])
def test_background_only_takes_the_box_away_and_nothing_else(planted, dilation, tmp_path):
    result = variant(planted, {"name": "background_only", "dilation": dilation}, tmp_path)
    for row, mask in enumerate(planted.animal):
        box = box_of(mask, dilation)
        assert (result[row][box] == GREY).all()
        assert np.array_equal(result[row][~box], planted.images[row][~box])
        assert (result[row][~box & planted.inside[row]][:, 0] < RED).all()


def test_the_control_has_the_same_box_and_padding_and_no_other_pixel_of_the_photograph(planted, tmp_path):
    probe = variant(planted, "background_only", tmp_path)
    control = variant(planted, "unrelated_background", tmp_path)
    identity = planted.manifest["identity"].to_list()
    for row, mask in enumerate(planted.animal):
        shown = planted.inside[row] & ~box_of(mask, 0.1)
        assert np.array_equal(control[row][~shown], probe[row][~shown])
        assert (control[row][shown][:, 0] < RED).all()
        assert identity[row_of(control[row], shown)] != identity[row]
        assert not (control[row] == planted.images[row]).all(axis=2)[shown].any()


def test_the_silhouettes_of_two_coats_are_equal(planted):
    one, other = photo(planted, 0), photo(planted, 7)
    other = Photo(other.pixels, one.mask, other.inside, other.random, None)
    made = silhouette.apply(one, animal="#010203", background="#040506")
    assert np.array_equal(made, silhouette.apply(other, animal="#010203", background="#040506"))
    assert (made[one.mask] == (1, 2, 3)).all() and (made[~one.mask] == (4, 5, 6)).all()


def test_padding_is_whole_grey_rows_and_columns_at_the_border(planted):
    for picture, expected in zip(planted.images, planted.inside, strict=True):
        assert np.array_equal(inside(picture), expected)
    picture = planted.images[0].copy()
    picture[10:12] = picture[:5, :5] = GREY
    assert inside(picture).all()
    assert inside(np.full((8, 8, 3), GREY, np.uint8)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "gray", "colour": "grey"}, "colour 'grey' is not '#' and six"),
        ({"name": "gray", "colour": "#12 45 "}, "colour '#12 45 ' is not '#' and six"),
        ({"name": "blur", "sigma": 0.0}, "sigma = 0.0. Set it above 0"),
        ({"name": "background_only", "dilation": -0.1}, "-0.1. Set it to at least 0"),
    ],
)
def test_an_invalid_parameter_is_named(planted, wrong, message, tmp_path):
    with pytest.raises(ReidflowError, match=message):
        variant(planted, wrong, tmp_path)
