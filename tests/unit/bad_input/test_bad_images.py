"""An image that cannot be used is left out with its reason; one that is merely unusual is read as it is meant."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from bad_cases import Case, check_quarantined, good_folder, of_cases, read, write
from bad_files import (
    LEFT,
    RIGHT,
    animated,
    box_mask,
    camera_raw,
    damaged_png,
    floats,
    gif_larger_than_it_says,
    half,
    jpeg_of_no_pixels,
    noise,
    on_its_side,
    picture,
    png,
    png16,
    saved,
    tiff_of_huge_tiles,
    transparent_palette,
    with_alpha,
)
from PIL import Image

NOTHING = np.zeros((30, 40))


def unusable(what: str, name: str, content: bytes, said: str) -> Case:
    """Return the case of a bad file among good images."""

    def lay(data):
        write(data / name, content)
        return good_folder(data)

    return Case(what, lay, (f"{name}: {said}",))


def masked(what: str, mask: bytes, said: str) -> Case:
    """Return the case of a good image with a bad mask."""

    def lay(data):
        write(data / "masks" / "leo" / "1.png", mask)
        return {**good_folder(data), "masks": "masks"}

    return Case(what, lay, (f"leo/1.png: {said}",))


CASES = [
    unusable(
        "a pointer of Git LFS",
        "leo/9.jpg",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n",
        "unreadable: 'leo/9.jpg' is a pointer of Git LFS, not the file: run `git lfs pull`",
    ),
    unusable("a JPEG cut in half", "leo/9.jpg", half(saved(noise(), "JPEG")), "truncated: "),
    unusable("a PNG cut in half", "leo/9.png", half(saved(noise())), "truncated: "),
    unusable("a WebP cut in half", "leo/9.webp", half(saved(noise(), "WEBP")), "truncated: the file has "),
    unusable("a PNG cut within its header", "leo/9.png", saved(picture())[:20], "truncated: "),
    unusable("a PNG with a flipped byte", "leo/9.png", damaged_png(), "unreadable: SyntaxError: broken PNG"),
    unusable("a file of no bytes", "leo/9.jpg", b"", "zero_size: the file has no bytes"),
    unusable(
        "a text called .jpg",
        "leo/9.jpg",
        b"see you at the river",
        "unreadable: no image format begins like that: b'see",
    ),
    unusable(
        "an error page called .png", "leo/9.png", b"<!doctype html><p>404", "unreadable: no image format begins like"
    ),
    unusable("a HEIC that ends after its header", "leo/9.heic", b"\0\0\0\x18ftypheic" + bytes(40), "unreadable: "),
    unusable(
        "a PNG that says 0 pixels", "leo/9.png", png(0, 5, b""), "unreadable: the header is truncated, damaged, or"
    ),
    unusable(
        "a JPEG that says 0 pixels", "leo/9.jpg", jpeg_of_no_pixels(), "unreadable: the header is truncated, damaged"
    ),
    unusable(
        "a PNG of 900 million pixels in 100 bytes",
        "leo/9.png",
        png(30000, 30000, b""),
        "too_large: 30000 x 30000 pixels are over max_pixels (1000000)",
    ),
    unusable(
        "a GIF whose frame is larger than it says",
        "leo/9.gif",
        gif_larger_than_it_says(),
        "too_large: 5000 x 5000 pixels are over max_pixels (1000000)",
    ),
    unusable("a TIFF of one tile of 2^48 pixels", "leo/9.tif", tiff_of_huge_tiles(), "unreadable: "),
    unusable("a TIFF with NaN", "leo/9.tif", floats(np.nan, 3), "unreadable: 3 of 1200 pixels are not finite"),
    unusable("a TIFF of nothing but NaN", "leo/9.tif", floats(np.nan, 1200), "unreadable: 1200 of 1200 pixels are no"),
    unusable("a TIFF with infinity", "leo/9.tif", floats(np.inf, 1), "unreadable: 1 of 1200 pixels are not finite"),
    unusable("a camera's raw file", "leo/9.tif", camera_raw(), "unreadable: a camera's raw file"),
    unusable("alpha 0 everywhere", "leo/9.png", saved(with_alpha(NOTHING)), "empty_mask: alpha is 0 everywhere"),
    unusable("an image in no animal's folder", "9.png", saved(picture()), "no_identity: the label is blank"),
    masked(
        "a mask of other proportions", saved(box_mask(20, 20)), "mask_size: its mask: 20 x 20 pixels, but the image"
    ),
    masked("a mask that is no image", b"no mask", "unreadable: its mask: no image format begins like that: b'no mask'"),
    masked("a mask of no bytes", b"", "zero_size: its mask: the file has no bytes"),
    masked("a mask cut in half", half(saved(noise())), "truncated: its mask: "),
    masked("a mask that is black everywhere", saved(NOTHING.astype(np.uint8)), "empty_mask: its mask: the mask is 0"),
    masked(
        "a mask of 900 million pixels", png(30000, 30000, b""), "too_large: its mask: 30000 x 30000 pixels are over"
    ),
]


@of_cases(CASES)
def test_a_bad_photograph_is_left_out_with_its_reason_and_the_others_are_kept(case, tmp_path):
    check_quarantined(case, tmp_path / "data", tmp_path / "out")


@dataclass(frozen=True)
class Unusual:
    """A file that shows the picture in an unusual way."""

    what: str
    name: str
    content: Callable[[], bytes]
    mask: str = "none"
    colours: tuple[tuple[int, int, int], tuple[int, int, int]] = (LEFT, RIGHT)


GREY = ((101, 101, 101), (81, 81, 81))  # the two colours' luma, as ITU-R 601 weights it

UNUSUAL = [
    Unusual("a PNG called .jpg", "leo/9.jpg", partial(saved, picture())),
    Unusual("an image without a suffix", "leo/9", partial(saved, picture())),
    Unusual("16 bits a channel", "leo/9.png", png16),
    Unusual("grey", "leo/9.png", lambda: saved(picture().convert("L")), colours=GREY),
    Unusual("grey of 16 bits", "leo/9.png", lambda: saved(sixteen_bits(picture())), colours=GREY),
    Unusual("CMYK", "leo/9.jpg", lambda: saved(picture().convert("CMYK"), "JPEG", quality=95)),
    Unusual("a palette with a transparent entry", "leo/9.png", transparent_palette, mask="alpha"),
    Unusual("an animated GIF", "leo/9.gif", partial(animated, "GIF")),
    Unusual("an animated WebP", "leo/9.webp", partial(animated, "WEBP")),
    Unusual("stored on its side, as cameras do", "leo/9.jpg", on_its_side),
    Unusual("an alpha that hides nothing", "leo/9.png", lambda: saved(with_alpha(NOTHING + 255))),
    Unusual("an animal cut out by alpha", "leo/9.png", lambda: saved(with_alpha(box_mask())), mask="alpha"),
    Unusual("one pixel", "leo/9.png", lambda: saved(Image.new("RGB", (1, 1), LEFT)), colours=(LEFT, LEFT)),
    Unusual("a strip of 20000 x 1 pixels", "leo/9.png", partial(saved, picture(20000, 1))),
    Unusual("a strip of 60000 x 2 pixels", "leo/9.jpg", partial(saved, picture(60000, 2), "JPEG", quality=95)),
]


def sixteen_bits(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L")).astype(np.uint16) * 257


@pytest.mark.parametrize("unusual", UNUSUAL, ids=[unusual.what for unusual in UNUSUAL])
def test_an_unusual_photograph_comes_out_as_it_is_meant(unusual, tmp_path):
    write(tmp_path / "data" / unusual.name, unusual.content())
    found = read(tmp_path / "data", tmp_path / "out", good_folder(tmp_path / "data"))
    row = found.manifest["image"].to_list().index(unusual.name)
    assert (found.quarantined, found.manifest["mask"][row]) == ([], unusual.mask)
    square = found.pixels[row].astype(int)
    for part, colour in zip((square[:, :3], square[:, 5:]), unusual.colours, strict=True):
        assert np.abs(part - colour).max() <= 12
