import numpy as np
import pytest
import torch
from training_cases import small_data, small_spec, stored_bytes

from reidflow.models.determinism import deterministic
from reidflow.spec.components import needing, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.training.augment import make_augment
from reidflow.training.augmentations.background_swap import filled
from reidflow.training.building import build_module
from reidflow.training.fitting import Fitting
from reidflow.training.image_inputs import ImageInputs
from reidflow.training.loop import train

MIXING = ["background_swap", "cutmix", "mixup"]
KEYS = [f"animal/{i}.png" for i in range(8)]
SIZE = 32


def augment(*specs, seed=0, masks=True):
    return make_augment([resolve("augmentation", spec) for spec in specs], SIZE, seed, masks=masks)


def flat(count=8):
    """Images of one colour each, all different."""
    return torch.arange(0, 240, 240 // count)[:count, None, None, None].expand(-1, 3, SIZE, SIZE).to(torch.uint8)


def noise(count=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def discs(count=8):
    """Masks of a disc that is a little larger from one image to the next."""
    axis = torch.arange(SIZE) - SIZE / 2 + 0.5
    inside = [(axis[:, None] ** 2 + axis[None] ** 2) < (5 + i) ** 2 for i in range(count)]
    return torch.stack(inside)[:, None].to(torch.uint8) * 255


@pytest.mark.parametrize("name", MIXING)
def test_seed_epoch_and_batch_decide_how_images_are_mixed(name):
    def result(seed=0, keys=KEYS, epoch=0):
        return augment({"name": name, "p": 1.0}, seed=seed)(noise(), keys, epoch, discs())

    first = result()
    assert torch.equal(first, result())
    others = [result(seed=1), result(epoch=1), result(keys=[*KEYS[:-1], "another"])]
    assert not any(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", MIXING)
def test_probability_zero_mixes_nothing(name):
    images, mixed = augment({"name": name, "p": 0.0}).mixed(noise(), KEYS, 0, discs())
    torch.testing.assert_close(images, noise().float(), rtol=0, atol=1e-3)
    assert mixed is None


def test_cutmix_shows_the_partner_in_one_rectangle_whose_area_the_share_tells():
    images, shares = flat(), []
    for epoch in range(60):
        shown, mixed = augment({"name": "cutmix", "p": 1.0}).mixed(images, KEYS, epoch)
        own, partner = images.float(), images[mixed.partner].float()
        foreign = (shown - own).abs().amax(1) > 0.5
        for i in (mixed.partner != torch.arange(8)).nonzero().flatten().tolist():
            rows, columns = foreign[i].any(1), foreign[i].any(0)
            assert torch.equal(foreign[i], rows[:, None] & columns[None])
            assert torch.allclose(shown[i][:, foreign[i]], partner[i][:, foreign[i]], atol=1e-3)
            assert 1 - foreign[i].float().mean().item() == pytest.approx(mixed.share, abs=1e-9)
        shares.append(mixed.share)
    assert min(shares) < 0.3 and max(shares) > 0.9


def test_mixup_is_the_weighted_sum_of_an_image_and_its_partner():
    images, shares = noise(), []
    for epoch in range(400):
        shown, mixed = augment({"name": "mixup", "p": 1.0, "alpha": 0.5}).mixed(images, KEYS, epoch)
        shares.append(mixed.share)
    expected = mixed.share * images.float() + (1 - mixed.share) * images[mixed.partner].float()
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-2)
    assert sorted(mixed.partner.tolist()) == list(range(8))
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.5 + 1)), abs=0.02), "variance of Beta(0.5, 0.5)"


@pytest.mark.parametrize("names", [["mixup", "cutmix"], ["cutmix", "mixup"]])
def test_a_batch_is_mixed_once(names):
    both = augment(*({"name": name, "p": 1.0} for name in names)).mixed(noise(), KEYS, 0)
    alone = augment({"name": names[0], "p": 1.0}).mixed(noise(), KEYS, 0)
    assert torch.equal(both[0], alone[0]) and both[1].share == alone[1].share


def test_nothing_is_left_of_the_batch_before():
    step = augment({"name": "mixup", "p": 0.5})
    mixed = [step.mixed(noise(), KEYS, epoch)[1] is not None for epoch in range(40)]
    assert 10 < sum(mixed) < 30


def test_the_new_background_is_another_images_and_bears_no_coat_colour():
    masks, places = discs(), flat().float()
    animal = torch.tensor([255.0, 0.0, 255.0])[:, None, None]
    images = torch.where(masks > 0, animal, places)
    swapped = augment({"name": "background_swap", "p": 1.0})(images, KEYS, 0, masks)
    for i in range(8):
        inside, outside = masks[i, 0] > 0, masks[i, 0] == 0
        assert torch.equal(swapped[i][:, inside], images[i][:, inside])
        shades = swapped[i][:, outside]
        other = shades.mean()
        assert (shades - other).abs().max() < 1e-2, "one even colour: none of an animal"
        assert (places[:, 0, 0, 0] - other).abs().min() < 1e-2 and (places[i, 0, 0, 0] - other).abs() > 1


def test_gaps_are_filled_with_what_surrounds_them():
    ramp = torch.linspace(0, 1, SIZE)[None, None, None].expand(1, 3, SIZE, SIZE)
    seen = (discs(1) == 0).float()
    found = filled(torch.where(seen > 0, ramp, torch.full_like(ramp, 50.0)), seen)
    assert torch.allclose(found[:, :, seen[0, 0] > 0], ramp[:, :, seen[0, 0] > 0], atol=1e-6)
    assert (found - ramp).abs().max() < 0.2 and found[0, 0, 16, 12] < found[0, 0, 16, 20]


def test_without_a_mask_a_background_stays_and_is_lent_to_nobody():
    masks = discs()
    masks[3] = 255
    images = flat().float() + 10
    swapped = augment({"name": "background_swap", "p": 1.0})(images, KEYS, 0, masks)
    assert torch.allclose(swapped[3], images[3], atol=1e-3)
    corners = swapped[:, 0, 0, 0]
    assert (corners[:, None] - images[None, :, 0, 0, 0]).abs().amin(1).max() < 1e-2, "nothing but known backgrounds"
    assert ((corners - images[3, 0, 0, 0]).abs() < 1e-2).sum() == 1
    assert (corners - images[:, 0, 0, 0]).abs().gt(1).sum() >= 6


def test_no_mask_at_all_is_an_error_that_says_what_to_do():
    assert needing("augmentation", [{"name": "cutmix"}, {"name": "background_swap"}], "masks") == ["background_swap"]
    with pytest.raises(ReidflowError, match="Give the images masks"):
        augment("background_swap", masks=False)


def image_data(**changes):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (6 * 7, SIZE, SIZE, 3)).astype(np.uint8)
    return small_data(features=None, pixels=pixels, **changes)


def image_spec(**changes):
    model = {"trainable": {"name": "all"}, "head": {"dim": 8}}
    return small_spec(**({"model": model, "epochs": 1, "loss": "cross_entropy"} | changes))


def test_the_loss_is_that_of_both_labels_by_their_shares():
    spec, data = image_spec(augmentation=[{"name": "mixup", "p": 1.0, "alpha": 1.0}]), image_data()
    with deterministic(1, "cpu"):
        module, dim = build_module(spec, None, "cpu")
        inputs = ImageInputs(data.pixels, data.images, spec, "cpu")
        fitting = Fitting(spec, data, module, inputs, dim, "cpu")
        batch = data.rows("train")[:8]
        ((images, mixed),) = inputs.epoch(1, [batch])
        fitting.both.eval()
        with torch.no_grad():
            vectors, labels = module(images), fitting.labels[torch.from_numpy(batch)]
            own, other = (fitting.loss(vectors, given, None) for given in (labels, labels[mixed.partner]))
        assert abs(own - other) > 1e-3
        loss = fitting._step(images, labels, mixed)[0]
    assert float(loss) == pytest.approx(float(mixed.share * own + (1 - mixed.share) * other), rel=1e-5)


def test_masks_follow_their_images_into_training(tmp_path):
    masks = np.zeros((42, SIZE, SIZE), np.uint8)
    masks[:, 8:24, 8:24] = 255
    spec = image_spec(augmentation=[{"name": "background_swap", "p": 1.0}])
    data = image_data(masks=masks)
    inputs = ImageInputs(data.pixels, data.images, spec, "cpu", masks=masks)
    rows = data.rows("train")[:4]
    ((images, _),) = inputs.epoch(1, [rows])
    plain = torch.from_numpy(data.pixels[rows]).permute(0, 3, 1, 2).float()
    assert torch.allclose(images[:, :, 8:24, 8:24], plain[:, :, 8:24, 8:24], atol=1e-3)
    assert (images - plain).abs()[:, :, :7].mean() > 20
    outs = []
    for name in ("a", "b"):
        train(spec, data, tmp_path / name / "work", tmp_path / name / "out", "cpu", key="key")
        outs.append(stored_bytes(tmp_path / name / "out"))
    assert outs[0] == outs[1]


def test_images_made_smaller_once_are_the_same_pixels():
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (42, 80, 80, 3)).astype(np.uint8)
    inputs = ImageInputs(pixels, [str(i) for i in range(42)], image_spec(), "cpu")
    kept = inputs.plain
    rows = np.array([4, 1, 4, 30])
    first, again = kept.gather(rows), kept.gather(rows[::-1].copy())
    assert torch.equal(first, kept._scaled(pixels[rows])) and torch.equal(again, first.flip(0))
    assert sorted(np.flatnonzero(kept.known)) == [1, 4, 30]
