"""Images of more than 8 bits a channel: the range of the data set, not of each image, becomes the 8 bits."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from made_images import blob, encoded, png
from PIL import Image

from reidflow.ingest.build import Outputs, ingest
from reidflow.ingest.decode import decode
from reidflow.ingest.depth import (
    FLOAT,
    FULL,
    SIXTEEN,
    THIRTY_TWO,
    Spread,
    describe,
    kind_of,
    levels_of,
    spread_of,
    values_of,
)
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.sources import folder
from reidflow.retrieval.image_files import Framing, find_images, squares
from reidflow.store.tables import read_table

REPORTED = Path(__file__).parent / "reported" / "sixteen_bit"
NAMES = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
LIMIT = 10**6
SIDE = 32


def ramp(low: float, high: float, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(low, high, SIDE * SIDE).reshape(SIDE, SIDE).astype(dtype)


def write(root: Path, files: dict[str, bytes]) -> Path:
    for number, (name, data) in enumerate(files.items()):
        path = root / "data" / f"animal-{number}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root / "data"


def run(data: Path, out: Path, **changes) -> tuple[np.ndarray, dict, list[str]]:
    """Return the pixels (N, S, S, 3), the summary, and the notes of ingest."""
    outputs = Outputs(*(out / name for name in NAMES))
    settings = {"frame": {"name": "squash"}, "size": SIDE, "max_bad_share": 0.0, "max_pixels": LIMIT, "workers": 2}
    notes = ingest(folder.open_source(path=str(data)), outputs, **(settings | changes))
    assert read_table(outputs.manifest, MANIFEST).height == len(np.load(outputs.images))
    return np.load(outputs.images), json.loads(outputs.digest.read_text()), notes


@pytest.mark.parametrize(("name", "low", "high"), [("p0.png", 112, 2720), ("p0.tif", 21056, 22360)])
def test_a_reported_image_of_sixteen_bits_has_the_contrast_that_its_values_have(name, low, high, tmp_path):
    data = write(tmp_path, {name: (REPORTED / name).read_bytes()})
    pixels, summary, notes = run(data, tmp_path / "out")
    assert len(np.unique(pixels)) > 100 and pixels.min() < 8 and pixels.max() > 247
    first, last = summary["levels"][SIXTEEN]
    assert low <= first < low + 0.1 * (high - low) and high - 0.1 * (high - low) < last <= high
    assert len(notes) == 1 and f"{first:g} to {last:g}" in notes[0] and "dataset.levels" in notes[0]


def test_levels_that_leave_nothing_of_an_image_are_noted():
    notes = describe([Spread(SIXTEEN, 160.0, 2300.0)], {SIXTEEN: (0.0, 10.0)})
    assert "1 fewer than 32" in notes[0]


def test_images_of_two_sensors_in_one_data_set_are_noted(tmp_path):
    data = write(tmp_path, {name: (REPORTED / name).read_bytes() for name in ("p0.png", "p0.tif")})
    _, summary, notes = run(data, tmp_path / "out")
    assert notes == summary["notes"] and "2 fewer than 32: are they of another sensor?" in notes[0]
    assert "dataset.levels: [lowest, highest]" in notes[0]


def test_the_range_is_that_of_the_data_set_not_of_each_image(tmp_path):
    dim, bright = png(ramp(1000, 2000), 0, 16), encoded(ramp(2000, 3000), "TIFF")
    pixels, summary, _ = run(write(tmp_path, {"a.png": dim, "b.tif": bright}), tmp_path / "out")
    assert summary["levels"] == {SIXTEEN: pytest.approx([1000, 3000], abs=2)}
    assert (pixels[0].min(), pixels[1].max()) == (0, 255)
    assert abs(int(pixels[0].max()) - 127.5) <= 1 and abs(int(pixels[1].min()) - 127.5) <= 1


def test_photographs_that_use_sixteen_bits_look_as_they_do_anywhere(tmp_path):
    files = {"a.png": png(ramp(300, 60000), 0, 16), "b.png": png(np.dstack([ramp(0, 40000)] * 3), 2, 16)}
    pixels, summary, _ = run(write(tmp_path, files), tmp_path / "out")
    assert summary["levels"] == {SIXTEEN: list(FULL)}
    for made, data in zip(pixels, files.values(), strict=True):
        assert (made == np.asarray(decode(data, None, max_pixels=LIMIT).colours)).all()
    assert np.abs(pixels[0][..., 0] - ramp(300, 60000) / 257).max() <= 1


def test_hot_pixels_do_not_set_the_range():
    values = np.full((100, 100), 500, np.uint16)
    values[:50] = 900
    values[0, :5], values[1, :5] = 65535, 0
    assert spread_of(values, SIXTEEN) == Spread(SIXTEEN, 500, 900)
    assert spread_of(values.astype(np.float32), FLOAT) == Spread(FLOAT, 500, 900)


def test_kinds_of_values_have_ranges_of_their_own_and_eight_bits_none(tmp_path):
    files = {
        "a.tif": encoded(ramp(-2, 1, np.float32), "TIFF"),
        "b.tif": encoded(ramp(0, 4, np.float32), "TIFF"),
        "c.tif": encoded(ramp(-100000, 300000, np.int32), "TIFF"),
        "d.png": encoded(ramp(50, 60, np.uint8)),
    }
    pixels, summary, notes = run(write(tmp_path, files), tmp_path / "out")
    assert summary["levels"] == {
        THIRTY_TWO: pytest.approx([-1e5, 3e5], rel=0.01),
        FLOAT: pytest.approx([-2, 4], abs=0.02),
    }
    assert len(notes) == 2
    assert [int(pixels[0].max()), int(pixels[1].min())] == pytest.approx([127, 85], abs=1)
    assert (pixels[3].min(), pixels[3].max()) == (50, 60)


def test_a_data_set_of_eight_bits_has_no_levels(tmp_path):
    _, summary, notes = run(write(tmp_path, {"a.png": encoded(ramp(0, 255, np.uint8))}), tmp_path / "out")
    assert "levels" not in summary and notes == []


def test_stated_levels_are_used_as_they_are(tmp_path):
    data = write(tmp_path, {"a.png": png(ramp(1000, 2000), 0, 16), "b.tif": encoded(ramp(0, 4000, np.float32), "TIFF")})
    pixels, summary, _ = run(data, tmp_path / "out", levels=(0.0, 4000.0))
    assert summary["levels"] == {SIXTEEN: [0, 4000], FLOAT: [0, 4000]}
    assert [int(pixels[0].min()), int(pixels[0].max())] == pytest.approx([64, 127], abs=1)
    assert (pixels[1].min(), pixels[1].max()) == (0, 255)


def test_new_photographs_are_stretched_as_the_data_set_was(tmp_path):
    files = {"a.png": png(ramp(1000, 2000), 0, 16), "b.png": png(ramp(2000, 3000), 0, 16)}
    data = write(tmp_path, files)
    pixels, summary, _ = run(data, tmp_path / "out")
    framing = Framing({"name": "squash"}, SIDE, LIMIT, summary["levels"])
    found = find_images(data / "animal-1")
    (_, (alone,), left_out), *_ = squares(found, list(found.digests), framing, 8, 1)
    assert (alone.pixels[0] == pixels[1]).all() and not left_out


COLOURS = np.dstack([ramp(0, 4000), ramp(4000, 0), ramp(100, 2000)])
ALPHA = np.where(blob(SIDE, SIDE) > 0, 4095, 0).astype(np.uint16)


def tiff(values: np.ndarray, **options) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric=options.pop("photometric", "rgb"), **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(COLOURS, 2, 16), COLOURS),
        (png(np.dstack([COLOURS, ALPHA]), 6, 16), COLOURS),
        (png(np.dstack([COLOURS[..., 0], ALPHA]), 4, 16), np.dstack([COLOURS[..., 0]] * 3)),
        (tiff(COLOURS), COLOURS),
        (tiff(COLOURS, byteorder=">"), COLOURS),
        (tiff(COLOURS, compression="zlib"), COLOURS),
        (tiff(COLOURS, compression="zlib", byteorder=">"), COLOURS),
        (tiff(np.dstack([COLOURS, ALPHA]), extrasamples=["unassalpha"]), COLOURS),
        (tiff(65535 - COLOURS[..., 0], photometric="miniswhite"), COLOURS[..., 0]),
    ],
    ids=[
        "png",
        "png with alpha",
        "grey png with alpha",
        "tiff",
        "big tiff",
        "zip",
        "big zip",
        "tiff with alpha",
        "white",
    ],
)
def test_every_bit_of_sixteen_is_read(data, expected):
    image = Image.open(io.BytesIO(data))
    kind = kind_of(image)
    image.load()
    assert kind == SIXTEEN
    assert (values_of(image, kind, data) == expected).all()


def test_twelve_bits_of_colour_keep_their_hue(tmp_path):
    pixels, _, _ = run(write(tmp_path, {"a.png": png(COLOURS, 2, 16)}), tmp_path / "out")
    assert np.abs(pixels[0] - COLOURS / 4000 * 255).max() <= 1.5


def test_what_is_under_alpha_0_does_not_set_the_range():
    values = np.where(blob(SIDE, SIDE) > 0, ramp(1000, 2000), 0).astype(np.uint16)
    photo = decode(png(np.dstack([values, ALPHA]), 4, 16), None, max_pixels=LIMIT)
    assert photo.spread.lowest >= 1000


def test_sixteen_bits_are_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(np.ascontiguousarray(np.rot90(ramp(0, 65535)[:20])), "PNG", exif=exif)
    assert (np.asarray(decode(data, None, max_pixels=LIMIT).colours)[..., 0] == ramp(0, 65535)[:20] >> 8).all()


@pytest.mark.parametrize("high", [1, 7, 65535])
def test_a_mask_of_sixteen_bits_may_have_any_white(high):
    mask = (blob() // 255).astype(np.uint16) * np.uint16(high)
    assert (
        np.asarray(decode(encoded(np.zeros((30, 40), np.uint8)), png(mask, 0, 16), max_pixels=LIMIT).mask) == blob()
    ).all()


def test_sixteen_bits_in_uncompressed_planes_are_refused_not_misread():
    data = tiff(np.moveaxis(COLOURS, -1, 0), planarconfig="separate")
    with pytest.raises(UnusableError, match="interleaved"):
        decode(data, None, max_pixels=LIMIT)


@pytest.mark.parametrize("factor", [256, 257])
def test_eight_bits_stored_as_sixteen_are_eight(factor, tmp_path):
    grey = ramp(80, 120)
    pixels, summary, notes = run(write(tmp_path, {"a.png": png(grey * np.uint16(factor), 0, 16)}), tmp_path / "out")
    assert (pixels[0] == grey[..., None]).all()
    assert "levels" not in summary and notes == []


def test_a_constant_data_set_keeps_the_full_range():
    assert levels_of([Spread(SIXTEEN, 500, 500)]) == {SIXTEEN: FULL}
