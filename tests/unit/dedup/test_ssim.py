import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from reidflow.dedup import ssim
from reidflow.dedup.images import grey
from reidflow.dedup.ssim import LEVELS, Alignment, align, aligned_ssim, pair_ssim
from reidflow.ingest.framing import GREY

WHOLE = np.array([-0.5, -0.5, 0.5, 0.5])


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(1)
    base = gaussian_filter(random.uniform(0, 255, (6, 96, 96, 3)), (0, 2, 2, 0)) * 4
    base = base - base.mean() + 128
    noisy = base + random.normal(0, 20, base.shape)
    flat = np.stack([np.zeros((96, 96, 3)), np.full((96, 96, 3), 255)])
    return np.clip(np.concatenate([base, noisy, base[:1] * 0.7, flat]), 0, 255).astype(np.uint8)


def test_ssim_is_that_of_scikit_image_whatever_the_threads(images):
    rows = np.arange(len(images))[::-1].copy()
    pairs = np.array([(i, j) for i in range(len(rows)) for j in range(i, len(rows))] * 5)
    found = pair_ssim(images, rows, pairs, 64)
    small = [grey(images[row], 64) for row in rows]
    expected = [structural_similarity(small[i], small[j], data_range=255) for i, j in pairs]
    assert np.abs(found - expected).max() <= 2.0**-21
    assert found.min() < 0.1 and (found[pairs[:, 0] == pairs[:, 1]] == 1).all()
    assert np.array_equal(pair_ssim(images, rows, pairs, 64, workers=3), found)


def framed(picture, side=128):
    """A picture (H, W, 3) as large as fits in the middle of a grey frame."""
    image = Image.fromarray(picture)
    scale = side / max(image.size)
    size = [round(length * scale) for length in image.size]
    canvas = Image.new("RGB", (side, side), GREY)
    canvas.paste(image.resize(size, Image.Resampling.LANCZOS), [(side - length) // 2 for length in size])
    return np.asarray(canvas)


@pytest.fixture(scope="module")
def scene():
    noise = np.random.default_rng(2).uniform(-128, 128, (200, 260, 3))
    layers = 128 + sum(width * gaussian_filter(noise, (width, width, 0)) for width in (2, 5, 12, 30))
    return np.clip(layers, 0, 255).astype(np.uint8)


def test_a_crop_aligns_with_its_image_and_a_moved_subject_does_not(scene):
    moved = scene.copy()
    moved[70:130, 60:200] = np.roll(scene, 17, axis=1)[70:130, 60:200]
    stack = np.stack([framed(part) for part in (scene, scene[12:190, 14:255], moved, scene[:, ::-1])])
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (0, 0)])
    crop, burst, mirrored, both, same = aligned_ssim(stack, np.arange(4), pairs)
    assert crop > 0.97 and burst < 0.9 and mirrored < 0.5 and both < 0.9 and same == 1
    assert pair_ssim(stack, np.arange(4), pairs)[0] < 0.7


def test_the_alignment_finds_scale_and_shift_whatever_brightness_and_contrast(scene):
    view = Image.fromarray(scene)
    levels = []
    for box in (
        (60, 40, 180, 160),
        (64, 44.5, 172, 152.5),
    ):  # 120 and 108 wide, the second's centre 2 to the left and 1.5 up
        part = np.asarray(view.resize((128, 128), Image.Resampling.BICUBIC, box=box))
        levels.append([grey(part, side).astype(np.float32) for side, *_ in LEVELS])
    found = align(levels[0], [0.7 * level + 30 for level in levels[1]], (WHOLE, WHOLE))
    assert (found.scale, found.across, found.down) == pytest.approx((120 / 108, 2 / 108, 1.5 / 108), abs=2e-3)


def test_images_that_hardly_overlap_are_not_similar():
    stack = np.full((2, 64, 64, 3), GREY, np.uint8)
    stack[0, :, :20], stack[1, :, 44:] = 30, 30
    assert aligned_ssim(stack, np.arange(2), np.array([(0, 1)])).tolist() == [0.0]


def test_images_that_hardly_correlate_are_not_aligned(scene):
    one, other = ([grey(part, side).astype(np.float32) for side, *_ in LEVELS] for part in (scene, scene[:, ::-1]))
    assert align(one, other, (WHOLE, WHOLE)) == Alignment()
    assert align(one, one, (WHOLE, WHOLE)) != align(one, [np.roll(level, 1, 1) for level in one], (WHOLE, WHOLE))


def test_a_poor_alignment_never_lowers_the_similarity_in_place(scene, monkeypatch):
    darker = (scene * 0.8).astype(np.uint8)
    stack, pairs = np.stack([framed(scene), framed(darker)]), np.array([(0, 1)])
    aligned = aligned_ssim(stack, np.arange(2), pairs)
    monkeypatch.setattr(ssim, "align", lambda *_: Alignment(1.05, 0.1, 0.1))
    assert aligned_ssim(stack, np.arange(2), pairs) == pytest.approx(aligned, abs=1e-3)
