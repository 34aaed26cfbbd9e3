import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from reidflow.dedup.overlaid import overlaid_ssim
from reidflow.dedup.ssim import pair_ssim, resized, ssim
from reidflow.ingest.framing import GREY


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(1)
    base = gaussian_filter(random.uniform(0, 255, (6, 96, 96, 3)), (0, 2, 2, 0)) * 4
    base = base - base.mean() + 128
    noisy = base + random.normal(0, 20, base.shape)
    flat = np.stack([np.zeros((96, 96, 3)), np.full((96, 96, 3), 255)])
    return np.clip(np.concatenate([base, noisy, base[:1] * 0.7, flat]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("grey", [True, False])
def test_ssim_is_that_of_scikit_image(images, grey):
    rows = np.arange(len(images))[::-1].copy()
    pairs = np.array([(i, j) for i in range(len(rows)) for j in range(i, len(rows))])
    ours = pair_ssim(images, rows, pairs, 64, grey)
    axis = None if grey else 0
    small = [resized(images[row], 64, grey) for row in rows]
    small = [image[0] for image in small] if grey else small
    theirs = [structural_similarity(small[i], small[j], data_range=255, channel_axis=axis) for i, j in pairs]
    assert np.abs(ours - theirs).max() < 2e-6
    assert ours.min() < 0.1 and (ours[pairs[:, 0] == pairs[:, 1]] == 1).all()
    if grey:
        alone = [ssim(small[i].astype(np.float32), small[j].astype(np.float32)) for i, j in pairs]
        assert np.abs(np.subtract(alone, theirs)).max() < 1e-9


def framed(picture, side=128):
    """A picture (H, W, 3) as large as fits in the middle of a grey frame."""
    image = Image.fromarray(picture)
    scale = side / max(image.size)
    size = [round(length * scale) for length in image.size]
    canvas = Image.new("RGB", (side, side), GREY)
    canvas.paste(image.resize(size, Image.Resampling.LANCZOS), [(side - length) // 2 for length in size])
    return np.asarray(canvas)


def test_a_crop_is_laid_over_its_photograph_and_a_moved_subject_is_not():
    random = np.random.default_rng(2)
    noise = random.uniform(-128, 128, (200, 260, 3))
    scene = 128 + sum(width * gaussian_filter(noise, (width, width, 0)) for width in (2, 5, 12, 30))
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    moved = scene.copy()
    moved[70:130, 60:200] = np.roll(scene, 17, axis=1)[70:130, 60:200]
    stack = np.stack([framed(part) for part in (scene, scene[12:190, 14:255], moved, scene[:, ::-1])])
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (0, 0)])
    crop, burst, mirrored, both, same = overlaid_ssim(stack, np.arange(4), pairs)
    assert crop > 0.97 and burst < 0.9 and mirrored < 0.5 and both < 0.9 and same == 1
    assert pair_ssim(stack, np.arange(4), pairs)[0] < 0.7


def test_photographs_that_hardly_overlap_are_not_similar():
    stack = np.full((2, 64, 64, 3), GREY, np.uint8)
    stack[0, :, :20], stack[1, :, 44:] = 30, 30
    assert overlaid_ssim(stack, np.arange(2), np.array([(0, 1)])).tolist() == [0.0]
