import io
import struct
import zlib

import numpy as np
import pytest
from made_images import blob, encoded, picture, png, rgba
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from reidflow.ingest.decode import decode
from reidflow.ingest.opening import UnusableError

LIMIT = 10**6
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
"""How a camera that states an EXIF orientation has stored an upright picture."""


def colours(data: bytes, sidecar: bytes | None = None) -> np.ndarray:
    return np.asarray(decode(data, sidecar, max_pixels=LIMIT).colours).astype(int)


def reason(data: bytes, sidecar: bytes | None = None, limit: int = LIMIT) -> str:
    with pytest.raises(UnusableError) as caught:
        decode(data, sidecar, max_pixels=limit)
    assert caught.value.detail
    return caught.value.reason


def error(data: bytes, truth: np.ndarray) -> float:
    return float(np.abs(colours(data) - truth).mean())


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "QOI"])
def test_lossless_files_keep_every_value(kind):
    truth = picture() if kind != "GIF" else np.dstack([picture()[..., 0]] * 3)
    options = {"lossless": True} if kind == "WEBP" else {}
    array = truth if kind != "GIF" else truth[..., 0]
    assert (colours(encoded(array, kind, **options)) == truth).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000", "AVIF"])
def test_lossy_files_come_out_nearly_as_they_were(kind):
    assert error(encoded(picture(), kind, quality=95), picture()) < 4


@pytest.mark.parametrize("value", [0, 257, 12345, 40000, 65535])
def test_sixteen_bits_are_scaled_not_clipped(value):
    samples = np.full((6, 8), value, np.uint16)
    samples[0] = 65535
    body = samples.astype(">u2").tobytes()
    files = [
        png(samples, 0, 16),
        png(np.dstack([samples] * 3), 2, 16),
        b"P5 8 6 65535\n" + body,
        b"P6 8 6 65535\n" + np.dstack([samples] * 3).astype(">u2").tobytes(),
        encoded(samples, "TIFF"),
    ]
    for data in files:
        assert abs(colours(data)[3, 3, 0] - value / 257) <= 1
        assert colours(data)[0, 0].tolist() == [255, 255, 255]


def test_whole_numbers_of_32_bits_and_floats_use_their_own_range():
    ramp = np.linspace(-2.0, 5.0, 48).reshape(6, 8)
    expected = np.round(np.linspace(0, 255, 48)).reshape(6, 8)
    assert np.abs(colours(encoded(ramp.astype(np.float32), "TIFF"))[..., 0] - expected).max() <= 1
    whole = (ramp * 10000).astype(np.int32)
    assert np.abs(colours(encoded(whole, "TIFF"))[..., 0] - expected).max() <= 1


def test_a_pgm_with_another_white_is_scaled_to_it():
    assert colours(b"P5 2 1 100\n\x00\x64")[0, :, 0].tolist() == [0, 255]
    assert colours(b"P2 2 1 4\n0 2")[0, :, 0].tolist() == [0, 128]


def test_a_palette_keeps_its_colours():
    palette = [10, 20, 30, 200, 100, 50, 0, 0, 0]
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert colours(buffer.getvalue())[0].tolist() == [[10, 20, 30], [200, 100, 50]]


def test_a_transparent_palette_entry_is_mask_and_keeps_its_colour():
    indices = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    data = png(indices, 3, 8, (b"PLTE", bytes([10, 20, 30, 200, 100, 50])), (b"tRNS", bytes([0, 255])))
    photo = decode(data, None, max_pixels=LIMIT)
    assert np.asarray(photo.mask).tolist() == [[0, 255, 255], [255, 0, 255]]
    assert np.asarray(photo.colours)[0, 0].tolist() == [10, 20, 30]
    assert not photo.background_present


def test_cmyk_jpeg_is_neither_inverted_nor_tinted():
    data = encoded(picture(), "JPEG", mode="CMYK", quality=95)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert error(data, picture()) < 5


def test_grey_and_black_and_white_become_three_equal_channels():
    grey = picture()[..., 0]
    assert (colours(encoded(grey)) == grey[..., None]).all()
    bits = grey > 128
    assert (colours(encoded(bits)) == 255 * bits[..., None]).all()
    assert (colours(b"P4 8 1\n\xa5")[0, :, 0] == 255 - 255 * np.array([1, 0, 1, 0, 0, 1, 0, 1])).all()


def test_grey_with_alpha_keeps_what_is_under_the_alpha():
    grey = picture()[..., 0]
    photo = decode(png(np.dstack([grey, blob()]), 4, 8), None, max_pixels=LIMIT)
    assert (np.asarray(photo.colours) == grey[..., None]).all()
    assert (np.asarray(photo.mask) == blob()).all()


def test_lab_becomes_the_same_colour():
    from PIL import ImageCms

    lab = ImageCms.profileToProfile(
        Image.fromarray(picture()), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    buffer = io.BytesIO()
    lab.save(buffer, "TIFF")
    assert error(buffer.getvalue(), picture()) < 3


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_images_are_turned_upright(kind, orientation):
    stored = np.ascontiguousarray(TURNS[orientation](picture()))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    photo = decode(encoded(stored, kind, exif=exif, **options), None, max_pixels=LIMIT)
    assert (photo.width, photo.height) == (40, 30) == photo.colours.size
    assert np.abs(np.asarray(photo.colours).astype(int) - picture()).mean() < 3


def test_an_image_decoded_small_is_turned_upright_too():
    upright = picture(400, 300)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(np.ascontiguousarray(np.rot90(upright)), "JPEG", exif=exif, quality=95)
    photo = decode(data, None, max_pixels=LIMIT, wanted=lambda width, height, bounds: 0.25)
    assert (photo.width, photo.height, photo.colours.size) == (400, 300, (100, 75))
    truth = np.asarray(Image.fromarray(upright).resize((100, 75), Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(photo.colours) - truth).mean() < 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_counts(kind):
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (40, 90, 200)]
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    assert (colours(buffer.getvalue()) == 40).all()


def test_alpha_becomes_the_mask_and_colours_under_it_stay():
    photo = decode(encoded(rgba()), None, max_pixels=LIMIT)
    assert (np.asarray(photo.colours) == picture()).all()
    assert (np.asarray(photo.mask) == blob()).all()
    assert (photo.source, photo.bounds, photo.background_present) == ("alpha", (5, 6, 20, 24), True)
    assert photo.foreground == pytest.approx((blob() > 0).mean())


def test_a_background_that_was_zeroed_is_noticed():
    zeroed = rgba()
    zeroed[blob() == 0, :3] = 0
    assert not decode(encoded(zeroed), None, max_pixels=LIMIT).background_present
    zeroed[0, 0, 1] = 9
    assert decode(encoded(zeroed), None, max_pixels=LIMIT).background_present


@pytest.mark.parametrize("alpha", [255, 200])
def test_a_constant_alpha_is_no_mask(alpha):
    photo = decode(encoded(np.dstack([picture(), np.full((30, 40), alpha, np.uint8)])), None, max_pixels=LIMIT)
    assert (photo.mask, photo.source, photo.foreground, photo.bounds) == (None, "none", None, None)


@pytest.mark.parametrize(
    "mask",
    [blob(), blob() // 255, blob() > 0, np.dstack([blob() // 2, blob() * 0, blob() * 0]), rgba(), blob().astype("u2")],
    ids=["0-255", "0-1", "bits", "coloured", "its own alpha", "16 bits"],
)
def test_masks_from_a_file_of_their_own(mask):
    mask = mask * np.uint16(257) if mask.dtype == np.uint16 else mask
    photo = decode(encoded(picture(), "JPEG"), encoded(mask), max_pixels=LIMIT)
    assert photo.source == "sidecar"
    assert (np.asarray(photo.mask) == blob()).all()
    assert photo.background_present


def test_a_file_of_its_own_goes_before_alpha():
    other = np.roll(blob(), 10, axis=1)
    assert (np.asarray(decode(encoded(rgba()), encoded(other), max_pixels=LIMIT).mask) == other).all()


def test_empty_masks_and_masks_of_another_size_are_refused():
    empty = np.zeros((30, 40), np.uint8)
    assert reason(encoded(np.dstack([picture(), empty]))) == "empty_mask"
    assert reason(encoded(picture()), encoded(empty)) == "empty_mask"
    assert reason(encoded(picture()), encoded(blob().T)) == "mask_size"
    assert reason(encoded(picture()), b"") == "zero_size"
    assert reason(encoded(picture()), b"no image") == "unreadable"


def test_the_time_of_capture_is_read():
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2025:06:01 05:04:03"}
    assert decode(encoded(picture(), "JPEG", exif=exif), None, max_pixels=LIMIT).time == "2025-06-01T05:04:03"
    exif[0x8769] = {0x9003: "0000:00:00 00:00:00"}
    assert decode(encoded(picture(), "JPEG", exif=exif), None, max_pixels=LIMIT).time is None


def test_damaged_exif_data_do_not_cost_the_image():
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff")
    assert error(data, picture()) < 5


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_a_file_cut_in_half_is_refused(kind):
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    whole = encoded(noise, kind)
    assert reason(whole[: len(whole) // 2]) in ("truncated", "unreadable")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "PPM", "GIF"])
def test_a_file_cut_in_half_is_called_truncated(kind):
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    whole = encoded(noise, kind)
    assert reason(whole[: len(whole) // 2]) == "truncated"


@pytest.mark.parametrize(
    "data",
    [b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"P5\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 99],
)
def test_what_is_no_image_is_unreadable(data):
    assert reason(data) == "unreadable"


def test_an_empty_file_is_called_so():
    assert reason(b"") == "zero_size"


def test_a_decompression_bomb_is_refused_from_its_header():
    lines = zlib.compress(b"\0" * 1000)
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    bomb += struct.pack(">I", len(lines)) + b"IDAT" + lines + struct.pack(">I", zlib.crc32(b"IDAT" + lines))
    assert reason(bomb, limit=200_000_000) == "too_large"
    assert reason(encoded(picture()), limit=1199) == "too_large"
    assert (colours(encoded(picture())) == picture()).all()
    assert reason(encoded(picture()), encoded(np.zeros((999, 999), np.uint8)), limit=1200) == "too_large"


def test_the_limit_is_that_of_the_setting_alone():
    header_alone = b"P5 180000000 1 255\n"
    assert reason(header_alone, limit=200_000_000) == "truncated"
    assert reason(header_alone, limit=179_999_999) == "too_large"


def test_the_thumbnail_of_a_raw_file_is_not_taken_for_the_image():
    tags = ImageFileDirectory_v2()
    tags[254] = 1
    assert reason(encoded(picture(), "TIFF", tiffinfo=tags)) == "unreadable"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xef\xbb\xbf\n<HTML><body>Sign in", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "text of a server"),
        (b'{"error": "not found"}', "text of a server"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
        (b"\0\0\0\x18ftypcrx ", "a camera's raw file"),
        (b"\0" * 900, "never finished"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"\0\5\x16\7\0\2", "macOS"),
        (b"PK\3\4", "an archive"),
        (b"\x93NUMPY\1\0", "an array"),
    ],
)
def test_files_taken_for_images_are_named(data, what):
    with pytest.raises(UnusableError, match=what) as caught:
        decode(data, None, max_pixels=100)
    assert caught.value.reason == "unreadable"


def test_random_damage_never_escapes_without_a_reason():
    random = np.random.Generator(np.random.PCG64(3))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [encoded(rgba(), kind, exif=exif) for kind in ("PNG", "WEBP", "TIFF")]
    files += [encoded(picture(), kind) for kind in ("JPEG", "GIF", "BMP", "PPM")]
    refused = 0
    for data in files:
        for _ in range(60):
            bad = bytearray(data)
            for place in random.integers(0, len(bad), 8):
                bad[place] = random.integers(0, 256)
            try:
                decode(bytes(bad), None, max_pixels=10**5)
            except UnusableError:
                refused += 1
    assert refused > 20
