"""Damaged files whose decoders merely warn, and whole files that look damaged."""

import io
import re

import numpy as np
import pytest
from made_images import encoded, picture
from PIL import Image

from reidflow.ingest.decode import decode
from reidflow.ingest.opening import UnusableError

END = b"\xff\xd9"


def noisy(side: int = 128) -> np.ndarray:
    random = np.random.Generator(np.random.PCG64(5))
    return np.clip(picture(side, side) + random.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)


def reason(data: bytes) -> str | None:
    """Return why an image is unusable, None where it is not."""
    try:
        decode(data, None, max_pixels=10**6)
    except UnusableError as error:
        return error.reason
    return None


def silent(data: bytes) -> bool:
    """Return whether Pillow decodes a file without an error."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except OSError:
        return False
    return True


def with_hole(data: bytes, length: int = 300) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(length) + data[middle + length :]


JPEG = encoded(noisy(), "JPEG", quality=90)
PROGRESSIVE = encoded(noisy(), "JPEG", quality=90, progressive=True)
RESTARTS = encoded(noisy(), "JPEG", quality=90, restart_marker_rows=1)
CMYK = encoded(noisy(), "JPEG", mode="CMYK", quality=90)
GREY = encoded(noisy()[..., 0], "JPEG", quality=90)
DAMAGED = {
    **{
        f"{name}, cut and closed": whole[: len(whole) // 2] + END
        for name, whole in {"baseline": JPEG, "progressive": PROGRESSIVE, "cmyk": CMYK, "grey": GREY}.items()
    },
    "half of it never copied": JPEG[: len(JPEG) // 2] + bytes(len(JPEG) // 2),
    "a sector of zeros": with_hole(JPEG),
    "a sector of zeros in a progressive one": with_hole(PROGRESSIVE),
    "a sector that is missing": JPEG[: len(JPEG) // 2] + JPEG[len(JPEG) // 2 + 300 :],
    "a restart marker that is missing": re.sub(rb"\xff\xd3", b"", RESTARTS, count=1),
    "a WebP never copied to its end": encoded(noisy(), "WEBP", quality=90)[:-2000] + bytes(2000),
    "an AVIF never copied to its end": encoded(noisy(), "AVIF", quality=90)[:-2000] + bytes(2000),
    "a deflated TIFF with a hole": with_hole(encoded(noisy(), "TIFF", compression="tiff_adobe_deflate")),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_file_at_which_the_decoder_merely_warns_is_refused(data):
    assert silent(data) or data == DAMAGED["a deflated TIFF with a hole"]
    assert reason(data) in ("truncated", "unreadable")


def test_a_jpeg_that_was_cut_and_closed_is_called_truncated():
    assert reason(JPEG[: len(JPEG) // 2] + END) == "truncated"


WHOLE = {
    "baseline": JPEG,
    "progressive": PROGRESSIVE,
    "with restarts": RESTARTS,
    "cmyk": CMYK,
    "grey": GREY,
    "bytes after the end": JPEG + b"SEFT" * 100,
    "zeros after the end": JPEG + bytes(4096),
    "another JPEG after the end": JPEG + JPEG[: len(JPEG) // 2],
    "zeros before the end": JPEG[:-2] + bytes(3000) + END,
    "filling before the end": JPEG[:-2] + b"\xff" * 64 + END,
    "a few bytes before the end": JPEG[:-2] + b"\x13\x37\x42" + END,
    "grey of 128": encoded(np.full((64, 64, 3), 128, np.uint8), "JPEG"),
    "black": encoded(np.zeros((512, 512, 3), np.uint8), "JPEG"),
    "a black WebP": encoded(np.zeros((512, 512, 3), np.uint8), "WEBP"),
    "a black QOI": encoded(np.zeros((512, 512, 3), np.uint8), "QOI"),
    "a black AVIF": encoded(np.zeros((512, 512, 3), np.uint8), "AVIF"),
    "a black TIFF": encoded(np.zeros((512, 512, 3), np.uint8), "TIFF"),
    "a deflated TIFF": encoded(noisy(), "TIFF", compression="tiff_adobe_deflate"),
    "damaged EXIF data": encoded(noisy(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_whole_file_is_read_whatever_is_odd_about_it(data):
    assert reason(data) is None


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"mode": "L"}, {"keep_rgb": True}]
)
def test_jpegs_have_the_bits_that_pillow_gives_them(options, scale):
    data = encoded(noisy(131), "JPEG", quality=80, **options)
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, (131 // scale, 131 // scale))
        expected = np.asarray(image.convert("RGB"))
    photo = decode(data, None, max_pixels=10**6, wanted=lambda width, height, bounds: 1 / scale)
    assert photo.colours.size[0] == -(-131 // scale)
    assert (np.asarray(photo.colours) == expected).all()


def test_a_jpeg_of_several_pictures_is_read():
    buffer = io.BytesIO()
    first, second = (Image.fromarray(noisy(side)) for side in (64, 32))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert reason(buffer.getvalue()) is None
    broken = (
        with_hole(buffer.getvalue()[: len(buffer.getvalue()) // 2], 100)
        + buffer.getvalue()[len(buffer.getvalue()) // 2 :]
    )
    assert reason(broken) in ("truncated", "unreadable")
