import numpy as np
import pytest
from made_images import blob, encoded, picture, rgba
from PIL import Image

from reidflow.ingest.decode import Photo, decode
from reidflow.ingest.frames import mask_box, pad, squash
from reidflow.ingest.framing import GREY, cut, scale_for
from reidflow.spec.errors import ReidflowError


def photo(array: np.ndarray) -> Photo:
    return decode(encoded(array), None, max_pixels=10**7)


def near(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return float(np.abs(a.astype(int) - b.astype(int)).mean()) < tolerance


def test_pad_puts_the_whole_image_in_the_middle_of_grey():
    pixels, mask = cut(photo(picture(64, 32)), pad.box(64, 32, None), 32)
    assert (pixels[:8] == GREY).all() and (pixels[24:] == GREY).all()
    truth = np.asarray(Image.fromarray(picture(64, 32)).resize((32, 16), Image.Resampling.BOX))
    assert near(pixels[8:24], truth, 3)
    assert (mask == 255).all()


def test_squash_fills_the_square_with_the_whole_image():
    pixels, _ = cut(photo(picture(64, 32)), squash.box(64, 32, None), 32)
    assert near(pixels, np.asarray(Image.fromarray(picture(64, 32)).resize((32, 32), Image.Resampling.BOX)), 3)


def test_a_box_at_full_size_is_a_plain_crop():
    array = rgba(width=60, height=50)
    pixels, mask = cut(photo(array), (10.0, 5.0, 42.0, 37.0), 32)
    assert (pixels == array[5:37, 10:42, :3]).all()
    assert (mask == array[5:37, 10:42, 3]).all()


@pytest.mark.parametrize("bounds", [(10, 10, 30, 20), (0, 0, 12, 30), (70, 20, 100, 60), (40, 0, 50, 60)])
def test_mask_box_is_square_holds_the_mask_and_stays_inside_where_it_fits(bounds):
    left, top, right, bottom = mask_box.box(100, 60, bounds, margin=0.1)
    longest = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    assert right - left == pytest.approx(bottom - top) == pytest.approx(1.2 * longest)
    assert left <= bounds[0] and top <= bounds[1] and right >= bounds[2] and bottom >= bounds[3]
    assert left >= 0 and right <= 100
    if 1.2 * longest <= 60:
        assert top >= 0 and bottom <= 60
    else:
        assert top <= 0 and bottom >= 60


def test_mask_box_is_centred_on_the_mask_where_there_is_room():
    assert mask_box.box(200, 200, (90, 80, 110, 120), margin=0.25) == (70, 70, 130, 130)


def test_mask_box_without_a_mask_shows_the_whole_image():
    assert mask_box.box(100, 60, None, margin=0.3) == pad.box(100, 60, None)


def test_outside_the_image_is_grey_and_no_animal():
    array = rgba(width=40, height=20)
    array[..., 3] = 255
    array[0, 0, 3] = 0
    pixels, mask = cut(photo(array), pad.box(40, 20, None), 40)
    assert (pixels[:10] == GREY).all() and (pixels[30:] == GREY).all()
    assert not mask[:10].any() and not mask[30:].any()
    assert mask[11:30].all()


def test_masks_are_black_or_white_and_cover_what_they_covered():
    _, mask = cut(photo(rgba(width=400, height=300)), squash.box(400, 300, None), 64)
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).mean() == pytest.approx((blob(400, 300) > 0).mean(), abs=0.02)


def test_a_tiny_animal_does_not_vanish():
    array = np.dstack([picture(500, 500), np.zeros((500, 500), np.uint8)])
    array[250, 250, 3] = 255
    _, mask = cut(photo(array), pad.box(500, 500, None), 32)
    assert 1 <= (mask > 0).sum() <= 4
    assert mask[14:18, 14:18].any()


def test_colours_under_alpha_do_not_fade_when_resized():
    array = np.zeros((64, 64, 4), np.uint8)
    array[..., 0] = 200
    array[:, 32:, 3] = 255
    pixels, _ = cut(photo(array), squash.box(64, 64, None), 16)
    assert (pixels[..., 0] == 200).all()


def test_fine_patterns_are_averaged_not_sampled():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels, _ = cut(photo(stripes), squash.box(512, 512, None), 64)
    assert np.abs(pixels.astype(int) - 127.5).max() < 3


def test_small_images_are_enlarged():
    pixels, _ = cut(photo(picture(8, 8)), squash.box(8, 8, None), 64)
    assert near(pixels[4::8, 4::8], picture(8, 8), 12)


def test_a_jpeg_decoded_small_looks_like_one_decoded_whole():
    data = encoded(picture(1400, 1200), "JPEG", quality=92)
    box = mask_box.box(1400, 1200, (300, 200, 1100, 900))
    whole = decode(data, None, max_pixels=10**7)
    small = decode(data, None, max_pixels=10**7, wanted=lambda w, h, b: scale_for(box, 128))
    assert small.colours.width < whole.colours.width == 1400
    assert near(cut(whole, box, 128)[0], cut(small, box, 128)[0], 1.0)


def test_an_image_is_never_shrunk_below_twice_the_square():
    assert scale_for((0, 0, 1000, 500), 100) == pytest.approx(0.4)
    assert scale_for((0, 0, 500, 1000), 100) == pytest.approx(0.4)
    assert scale_for((0, 0, 100, 100), 100) == 1.0


def test_a_frame_that_shows_nothing_is_an_error():
    with pytest.raises(ReidflowError, match="shows nothing"):
        cut(photo(picture()), (100.0, 100.0, 120.0, 120.0), 16)
