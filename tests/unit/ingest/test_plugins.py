"""HEIC and JPEG XL: read where the extra of this package is installed, and named where it is not."""

import io
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from made_images import picture
from PIL import Image

from reidflow.ingest import opening
from reidflow.ingest.decode import decode
from reidflow.ingest.jpeg_xl import STARTS, size_of
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.sources._sniff import counts_as_image, is_image

EXTRAS = {"heic": ("pillow_heif", "HEIF"), "jxl": ("pillow_jxl", "JXL")}


def written(extra: str, array: np.ndarray, **options) -> bytes:
    module, kind = EXTRAS[extra]
    plugin = pytest.importorskip(module)
    if extra == "heic":
        plugin.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, quality=95, **options)
    return buffer.getvalue()


@pytest.fixture
def without_plugins(monkeypatch):
    for module, _ in EXTRAS.values():
        monkeypatch.setitem(sys.modules, module, None)
    opening._formats.cache_clear()
    yield
    opening._formats.cache_clear()


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_photograph_is_read_where_its_plugin_is_installed(extra, tmp_path):
    data = written(extra, picture(128, 96))
    photo = decode(data, None, max_pixels=10**6)
    assert (photo.width, photo.height, photo.format) == (128, 96, EXTRAS[extra][1])
    assert np.abs(np.asarray(photo.colours).astype(int) - picture(128, 96)).mean() < 3
    assert is_image(data[:32])
    (tmp_path / "photo").write_bytes(data)
    assert counts_as_image(tmp_path / "photo")
    with pytest.raises(UnusableError, match="too_large"):
        decode(data, None, max_pixels=1000)


@pytest.mark.parametrize(
    "size",
    [
        (8, 8),
        (256, 256),
        (40, 24),
        (40, 30),
        (1, 1),
        (16, 9),
        (1920, 1080),
        (7, 513),
        (9000, 2),
        (300, 250),
        (360, 300),
    ],
)
def test_the_size_of_a_jpeg_xl_image_is_known_before_it_is_decoded(size):
    assert size_of(written("jxl", np.zeros((size[1], size[0], 3), np.uint8))) == size


def test_a_jpeg_xl_image_over_max_pixels_is_never_decoded(monkeypatch):
    data = written("jxl", picture(128, 96))
    monkeypatch.setattr(sys.modules["pillow_jxl"].JpegXLImagePlugin, "Decoder", None)
    with pytest.raises(UnusableError, match="too_large: 128 x 96"):
        decode(data, None, max_pixels=1000)


@pytest.mark.parametrize("extra", EXTRAS)
def test_half_a_photograph_is_refused(extra):
    data = written(extra, picture(128, 96))
    with pytest.raises(UnusableError):
        decode(data[: len(data) // 2], None, max_pixels=10**6)


def test_a_photograph_of_a_telephone_is_turned_upright_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8769] = {0x9003: "2025:06:01 05:04:03"}
    data = written("heic", np.ascontiguousarray(np.rot90(picture(128, 96))), exif=exif.tobytes())
    photo = decode(data, None, max_pixels=10**6)
    assert (photo.width, photo.height, photo.time) == (128, 96, "2025-06-01T05:04:03")
    assert np.abs(np.asarray(photo.colours).astype(int) - picture(128, 96)).mean() < 3


def test_jpeg_xl_has_an_orientation_of_its_own_and_that_of_exif_does_not_count():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = written("jxl", picture(128, 96), exif=exif.tobytes())
    photo = decode(data, None, max_pixels=10**6)
    assert data.startswith(STARTS[1]) and size_of(data) == (128, 96)
    assert (photo.width, photo.height) == photo.colours.size == (128, 96)


def test_a_jpeg_packed_as_jpeg_xl_is_turned_as_the_jpeg_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = tmp_path / "a.jpg"
    Image.fromarray(np.ascontiguousarray(np.rot90(picture(128, 96)))).save(jpeg, quality=95, exif=exif)
    pytest.importorskip("pillow_jxl")
    buffer = io.BytesIO()
    with Image.open(jpeg) as opened:
        opened.save(buffer, "JXL", lossless_jpeg=True)
    photo = decode(buffer.getvalue(), None, max_pixels=10**6)
    assert size_of(buffer.getvalue()) == (96, 128)
    assert (photo.width, photo.height) == photo.colours.size == (128, 96)
    assert np.abs(np.asarray(photo.colours).astype(int) - picture(128, 96)).mean() < 3


@pytest.mark.parametrize(
    ("extra", "data"),
    [
        ("heic", b"\0\0\0\x18ftypheic" + bytes(40)),
        ("heic", b"\0\0\0\x18ftypmif1" + bytes(40)),
        ("jxl", b"\xff\x0a" + bytes(40)),
        ("jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)),
    ],
)
def test_the_extra_is_named_where_its_plugin_is_not_installed(extra, data, without_plugins):
    assert is_image(data[:32])
    with pytest.raises(UnusableError) as caught:
        decode(data, None, max_pixels=10**6)
    assert caught.value.reason == "unreadable"
    assert f"install what reads it: .venv/bin/pip install -e '.[{extra}]'; or" in caught.value.detail
    declared = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert extra in declared["optional-dependencies"]
