import numpy as np
import pytest
import skimage.data
import torch
from kornia.geometry.transform import get_perspective_transform

from reidflow.spec.components import call, names, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.training.augment import make_augment
from reidflow.training.augmentations._parameters import Draws, draws_for
from reidflow.training.augmentations.perspective import CORNERS, homographies

ALL = ["blur", "colour", "crop", "erasing", "flip", "grayscale", "perspective", "rotation"]
KEYS = [f"animal/{i}.png" for i in range(12)]


def specs(*wanted, **parameters):
    return [resolve("augmentation", {"name": name, **parameters}) for name in wanted]


def batch(count=12, size=48):
    image = torch.from_numpy(skimage.data.astronaut()[: size * 4 : 4, : size * 4 : 4].copy()).permute(2, 0, 1)
    shades = torch.linspace(0.5, 1, count)[:, None, None, None]
    return (image[None].float() * shades).round().to(torch.uint8)


def apply(name, images, masks=None, keys=None, seed=0, **parameters):
    step = call("augmentation", resolve("augmentation", {"name": name, **parameters}), images.shape[-1])
    return step(images, masks, draws_for(seed, keys or KEYS[: len(images)], 0))


def test_the_list_of_augmentations_is_whole():
    assert names("augmentation") == sorted([*ALL, "background_swap", "cutmix", "mixup"])


@pytest.mark.parametrize("name", [*ALL, "all"])
def test_an_image_does_not_depend_on_its_company(name):
    augment = make_augment(specs(*(ALL if name == "all" else [name])), 48, seed=4)
    images, order = batch(), np.random.Generator(np.random.PCG64(0)).permutation(12)
    whole = augment(images, KEYS, 3)
    mixed = augment(images[order], [KEYS[i] for i in order], 3)
    assert torch.equal(mixed, whole[order])
    for count in (1, 5):
        assert torch.equal(augment(images[-count:], KEYS[-count:], 3), whole[-count:])


@pytest.mark.parametrize("name", ALL)
def test_seed_epoch_and_key_each_change_the_result(name):
    certain = {"p": 1.0} if name not in ("flip", "grayscale") else {"p": 0.5}
    images = batch()
    first = make_augment(specs(name, **certain), 48, 0)(images, KEYS, 0)
    assert torch.equal(first, make_augment(specs(name, **certain), 48, 0)(images, KEYS, 0))
    assert not torch.equal(first, make_augment(specs(name, **certain), 48, 1)(images, KEYS, 0))
    assert not torch.equal(first, make_augment(specs(name, **certain), 48, 0)(images, KEYS, 1))
    assert not torch.equal(first, make_augment(specs(name, **certain), 48, 0)(images, KEYS[::-1], 0))


@pytest.mark.parametrize("name", ALL)
def test_probability_zero_leaves_the_image_alone(name):
    images = batch().float() / 255
    assert torch.equal(apply(name, images, p=0.0)[0], images)


@pytest.mark.parametrize("name", ALL)
def test_results_stay_in_range_and_global_randomness_alone(name):
    state = torch.get_rng_state()
    result = make_augment(specs(name), 48, 0)(batch(), KEYS, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert result.shape == (12, 3, 48, 48) and result.dtype == torch.float32
    assert result.isfinite().all() and result.min() >= 0 and result.max() <= 255 and result.max() > 60


def test_leaving_one_out_changes_nothing_in_the_others():
    images = batch()
    both = make_augment(specs("flip", "erasing", p=0.5), 48, 0)(images, KEYS, 0)
    alone = make_augment(specs("erasing", p=0.5), 48, 0)(images, KEYS, 0)
    erased, erased_alone = (both == 127.5).all(1), (alone == 127.5).all(1)
    assert erased_alone.any() and torch.equal(erased, erased_alone)


def test_the_same_augmentation_twice_draws_twice():
    one, two = (make_augment(specs(*["erasing"] * n, p=1.0), 48, 0)(batch(), KEYS, 0) for n in (1, 2))
    assert ((two == 127.5).all(1) & ~(one == 127.5).all(1)).any()


def test_no_augmentation_returns_the_images_themselves():
    images = batch()
    assert make_augment([], 48, 0)(images, KEYS, 0) is images


def test_draws_are_uniform_and_independent():
    draws = draws_for(0, [str(i) for i in range(20000)], 0)
    first, second, other = draws.uniform(), draws.uniform(), draws.named("blur", 1).uniform()
    for sample in (first, second, other):
        assert abs(sample.mean() - 0.5) < 0.01 and abs(sample.var() - 1 / 12) < 0.003
        counts = np.histogram(sample, 20, (0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 44
    assert abs(np.corrcoef([first, second, other])[np.triu_indices(3, 1)]).max() < 0.03
    assert abs(draws.chance(0.3).mean() - 0.3) < 0.015


def test_draws_are_splitmix64():
    bits = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    draws = Draws(np.zeros(1, np.uint64))
    assert [float(draws.uniform()[0]) for _ in bits] == [(b >> 11) * 2.0**-53 for b in bits]


def test_the_flip_exchanges_left_and_right_of_image_and_mask():
    images = batch().float() / 255
    masks = (images[:, :1] > 0.3).float()
    flipped, moved = apply("flip", images, masks, p=1.0)
    assert torch.equal(flipped, images.flip(-1)) and torch.equal(moved, masks.flip(-1))
    some = apply("flip", images, p=0.5)[0]
    changed = [not torch.equal(a, b) for a, b in zip(some, images, strict=True)]
    assert 0 < sum(changed) < 12


def test_warps_that_do_nothing_keep_every_pixel():
    images = batch().float() / 255
    fixed = {"scale_low": 1.0, "scale_high": 1.0, "ratio_low": 1.0, "ratio_high": 1.0}
    for name, parameters in (("crop", fixed), ("rotation", {"degrees": 0.0}), ("perspective", {"strength": 0.0})):
        torch.testing.assert_close(apply(name, images, p=1.0, **parameters)[0], images, rtol=0, atol=1e-4)


def ramp(size=65):
    """An image whose red and green are the coordinates x and y, -1 to 1, moved into 0..1."""
    axis = torch.linspace(0, 1, size)
    x, y = axis[None, :].expand(size, size), axis[:, None].expand(size, size)
    return torch.stack([x, y, torch.zeros(size, size)])[None].repeat(12, 1, 1, 1)


def seen(images):
    """Return the places (x, y), -1 to 1, that the pixels of a warped ramp show."""
    return (images[:, :2] * 2 - 1).permute(0, 2, 3, 1).double()


def test_a_crop_shows_a_rectangle_of_the_asked_area_within_the_image():
    fixed = {"scale_low": 0.25, "scale_high": 0.25, "ratio_low": 0.5, "ratio_high": 2.0, "fill": "zeros"}
    shown = seen(apply("crop", ramp(), p=1.0, **fixed)[0])
    low, high = shown[:, 0, 0], shown[:, -1, -1]
    sides = (high - low) / 2
    torch.testing.assert_close(sides.prod(1), torch.full((12,), 0.25, dtype=torch.float64), rtol=0, atol=1e-3)
    assert (low >= -1 - 1e-4).all() and (high <= 1 + 1e-4).all()
    assert (sides[:, 0] / sides[:, 1]).log().abs().max() <= np.log(2) + 1e-3
    assert low.std(0).min() > 0.05


def test_a_rotation_keeps_the_centre_and_turns_by_the_asked_angle_at_most():
    shown = seen(apply("rotation", ramp(), p=1.0, degrees=20.0, fill="border")[0])
    assert shown[:, 32, 32].abs().max() < 1e-4
    right = shown[:, 32, 32 + 16]
    torch.testing.assert_close(right.norm(dim=1), torch.full((12,), 0.5, dtype=torch.float64), rtol=0, atol=1e-3)
    angles = torch.rad2deg(torch.atan2(right[:, 1], right[:, 0]))
    assert angles.abs().max() <= 20.01 and angles.min() < -5 and angles.max() > 5


def test_perspective_takes_corners_where_they_belong():
    corners = CORNERS + np.random.Generator(np.random.PCG64(1)).uniform(-0.4, 0.4, (6, 4, 2))
    source = torch.from_numpy(np.broadcast_to(CORNERS, corners.shape).copy())
    expected = get_perspective_transform(source, torch.from_numpy(corners))
    torch.testing.assert_close(torch.from_numpy(homographies(corners)), expected, rtol=1e-8, atol=1e-8)


def test_masks_follow_the_image_through_every_warp():
    disc = (ramp()[:, :1] - 0.5).square() + (ramp()[:, 1:2] - 0.5).square() < 0.09
    for name in ("crop", "rotation", "perspective", "flip"):
        images, masks = apply(name, disc.float().repeat(1, 3, 1, 1), disc.float(), p=1.0)
        assert set(masks.unique().tolist()) <= {0.0, 1.0}
        assert ((images[:, :1] > 0.5).float() != masks).float().mean() < 0.02


def test_grey_images_have_three_equal_channels():
    result = apply("grayscale", batch().float() / 255, p=1.0)[0]
    assert torch.equal(result[:, 0], result[:, 1]) and torch.equal(result[:, 0], result[:, 2])
    assert result.std() > 0.05


def test_each_colour_parameter_does_its_own_work():
    images = 0.2 + 0.4 * batch().float() / 255
    nothing = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "p": 1.0}
    torch.testing.assert_close(apply("colour", images, **nothing)[0], images, rtol=0, atol=1e-5)
    brighter = apply("colour", images, **nothing | {"brightness": 0.3})[0] / images
    assert brighter.flatten(1).std(1).max() < 1e-4 and 0.7 <= brighter.min() < 0.95 < 1.05 < brighter.max() <= 1.3
    contrast = apply("colour", images, **nothing | {"contrast": 0.3})[0]
    assert (contrast.flatten(1).std(1) / images.flatten(1).std(1) - 1).abs().max() > 0.05
    spread = [x.amax(1) - x.amin(1) for x in (apply("colour", images, **nothing | {"saturation": 0.5})[0], images)]
    assert (spread[0] / spread[1].clamp(min=1e-3)).flatten(1).median(1).values.std() > 0.05
    turned = apply("colour", images, **nothing | {"hue": 0.3})[0]
    torch.testing.assert_close(turned.amax(1), images.amax(1), rtol=0, atol=1e-4)
    assert (turned - images).abs().max() > 0.05


def test_a_blur_smooths_by_the_asked_width():
    point = torch.zeros(12, 3, 41, 41)
    point[:, :, 20, 20] = 1
    result = apply("blur", point, sigma_low=2.0, sigma_high=2.0, p=1.0)[0].double()
    assert result.sum((2, 3)).sub(1).abs().max() < 1e-4
    axis = torch.arange(41, dtype=torch.float64) - 20
    variance = (result.sum(2) * axis.square()).sum(-1)
    assert (variance - 4).abs().max() < 0.15


def test_erasing_paints_one_rectangle_of_the_asked_area():
    fixed = {"scale_low": 0.1, "scale_high": 0.1, "ratio_low": 0.5, "ratio_high": 2.0, "value": 1.0, "p": 1.0}
    painted = apply("erasing", torch.zeros(12, 3, 100, 100), **fixed)[0][:, 0].bool()
    for patch in painted:
        rows, columns = patch.any(1).nonzero(), patch.any(0).nonzero()
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert patch.sum() == height * width
        assert abs(int(patch.sum()) - 1000) < 80
    assert len({int(p.any(1).nonzero().min()) for p in painted}) > 5


def test_impossible_parameters_are_errors():
    for name, wrong in (
        ("crop", {"scale_low": 0.9, "scale_high": 0.5}),
        ("rotation", {"degrees": 200.0}),
        ("perspective", {"strength": 0.6}),
        ("colour", {"hue": 0.7}),
        ("blur", {"sigma_low": 3.0}),
        ("erasing", {"value": 2.0}),
    ):
        with pytest.raises(ReidflowError, match=f"augmentation '{name}: .*must be increasing and within"):
            call("augmentation", resolve("augmentation", {"name": name, **wrong}), 48)
