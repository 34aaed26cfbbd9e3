"""Masks as people have them: polygons and run lengths as COCO writes them, and mask files of another size."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_images import blob, encoded, picture
from PIL import Image

from reidflow.ingest.build import Outputs, ingest
from reidflow.ingest.decode import decode
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.segmentation import draw, looks_like, parse
from reidflow.ingest.sources import folder, table
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

REPORTED = Path(__file__).parent / "reported"
NAMES = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
WIDTH, HEIGHT = 40, 30
BY_PYCOCOTOOLS = [
    ([[3.2, 2.7, 30.9, 8.1, 12.4, 25.6]], "k33k02N3N1N3M2N3M2O1NO100O1O2N1O1O1O1O2N1O1O1O1O2N1O100OW8"),
    ([[4.5, 3.5, 20.5, 3.5, 20.5, 18.5, 4.5, 18.5]], "j4??00000000000000000000000000000fa0"),
    ([[2, 2, 30, 25, 30, 2, 2, 25]], "n1g08N2N2N2N1O2O1N2N2N2N1O2O1N10O2N101N2N2N2N2N101N2N2N2N2Y9"),
    (
        [[1, 1, 20, 1, 20, 20, 1, 20], [10.3, 10.7, 38.2, 12.1, 25, 29.9]],
        "o0c0;000000000000000000000000000000001O28GO1O2N100O00O1O1N2O1N2O1O1N2O1O1N2Oa1",
    ),
    ([[-10, 5, 55, -4, 30, 44]], "4;b02O1O1O1O1O1O1O1N2O1O1O1O1O1O1N100000000000n>1o@2"),
]
"""Polygons at 40 x 30 pixels, and the compressed run lengths that pycocotools 2.0.11 makes of them."""


def drawn(text: str, width: int = WIDTH, height: int = HEIGHT, **changes) -> np.ndarray:
    return np.asarray(draw(parse(text), width, height, **changes)) > 0


def refused(image: bytes, mask: bytes | None = None, **given) -> UnusableError:
    with pytest.raises(UnusableError) as caught:
        decode(image, mask, max_pixels=10**6, **given)
    return caught.value


def ingested(listing, out: Path) -> tuple[list[dict], np.ndarray]:
    outputs = Outputs(*(out / name for name in NAMES))
    settings = {"frame": {"name": "pad"}, "size": 160, "max_bad_share": 0.0, "max_pixels": 10**6, "workers": 2}
    ingest(listing, outputs, **settings)
    return read_table(outputs.manifest, MANIFEST).to_dicts(), np.load(outputs.masks)


@pytest.mark.parametrize(("polygons", "compressed"), BY_PYCOCOTOOLS)
def test_polygons_and_compressed_runs_are_drawn_as_pycocotools_does(polygons, compressed):
    runs = {"counts": compressed, "size": [HEIGHT, WIDTH]}
    expected = drawn(json.dumps(polygons))
    assert 0 < expected.sum() < WIDTH * HEIGHT
    assert (drawn(json.dumps(runs), 1, 1) == expected).all()
    assert (drawn(str({**runs, "counts": compressed.encode()}), 1, 1) == expected).all()


def test_runs_go_down_the_columns():
    expected = [[False, True, False], [True, True, False]]
    assert drawn('{"counts": [1, 3, 2], "size": [2, 3]}').tolist() == expected
    assert drawn("{'counts': [1, 3, 2], 'size': (2, 3)}").tolist() == expected
    assert drawn("{'counts': '132', 'size': [2, 3]}").tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "[10, 5, 20, 5, 20, 25, 10, 25]",
        "[[10, 5, 20, 5, 20, 25, 10, 25]]",
        "[[10, 5], [20, 5], [20, 25], [10, 25]]",
        "[[[10, 5], [20, 5], [20, 25], [10, 25]]]",
        "((10.0, 5.0, 20.0, 5.0, 20.0, 25.0, 10.0, 25.0),)",
        "[[10, 5, 20, 5, 20, 25, 10, 25, 10, 5]]",
        "[[10, 5, 15, 5, 15, 25, 10, 25], [15, 5, 20, 5, 20, 25, 15, 25]]",
        "[[10, 5, 20, 5, 20, 25, 10, 25], [30, 5, 35, 9], []]",
        "[array([10.,  5., 20.,  5., 20., 25., 10., 25.])]",
        "[np.int64(10), np.int64(5), np.int64(20), np.int64(5), np.int64(20), np.int64(25), np.int64(10), np.int64(25)]",
        "[array([[10.,  5.],\n       [20.,  5.],\n       [20., 25.],\n       [10., 25.]])]",
        "[10.  5. 20.  5. 20. 25. 10. 25.]",
    ],
)
def test_a_polygon_is_read_as_people_write_it(text):
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:25, 10:20] = True
    assert (drawn(text) == expected).all()


def test_relative_polygons_are_shares_of_the_photograph():
    assert (
        drawn("[[0.25, 0.5, 0.5, 0.5, 0.5, 1, 0.25, 1]]", relative=True) == drawn("[10,15,20,15,20,30,10,30]")
    ).all()


@pytest.mark.parametrize(
    "text",
    [
        "masks/1.png",
        "3021 40 3171 40 3321 40",
        "[1. 2. 3. ... 4. 5. 6.]",
        "[1, 2, 3, 4]",
        "[1, 2, 3, 4, 5, 6, 7]",
        "[[1, 2, 3], 4]",
        "[[1, 2, 3, 4, 5, 1e400]]",
        "__import__('os').system('true')",
        "[[1, 2, 3, 4, 5, (lambda: 6)()]]",
        "{'counts': [1, 2], 'size': [2, 3]}",
        "{'counts': [-1, 7], 'size': [2, 3]}",
        "{'counts': 'ooooooooooooooooooo', 'size': [2, 3]}",
        "{'counts': '13', 'size': [2, 3]}",
        "{'counts': [6]}",
        "{'counts': [6], 'size': [None, 3]}",
        "{'counts': [6], 'size': [1e400, 3]}",
        "[" * 5000,
    ],
)
def test_anything_else_is_quarantined_as_no_segmentation(text):
    assert refused(encoded(picture()), polygons=text).reason == "segmentation"
    assert not looks_like(text)


def test_runs_of_more_pixels_than_allowed_are_never_drawn():
    bomb = "{'counts': [10000000000], 'size': [100000, 100000]}"
    assert refused(encoded(picture()), polygons=bomb).reason == "too_large"


def test_a_segmentation_is_the_mask_and_a_file_of_its_own_goes_before_it():
    box = "[10, 5, 20, 5, 20, 25, 10, 25]"
    photo = decode(encoded(picture()), None, max_pixels=10**6, polygons=box)
    assert (photo.source, photo.bounds, photo.background_present) == ("segmentation", (10, 5, 20, 25), True)
    assert decode(encoded(picture()), encoded(blob()), max_pixels=10**6, polygons=box).source == "sidecar"
    assert decode(encoded(picture()), None, max_pixels=10**6, polygons=box, box=(12, 0, 28, 30)).bounds == (0, 5, 8, 25)
    assert refused(encoded(picture()), polygons="[50, 5, 60, 5, 60, 25]").reason == "empty_mask"


@pytest.mark.parametrize(
    ("polygon", "relative"), [("[[10, 5, 20, 5, 20, 25]]", True), ("[[0, 0, 0.5, 0, 0.5, 1]]", False)]
)
def test_polygons_of_another_unit_are_refused_with_the_remedy(polygon, relative):
    refusal = refused(encoded(picture()), polygons=polygon, relative=relative)
    assert f"{'remove' if relative else 'write'} relative: true" in refusal.detail
    decode(encoded(picture()), None, max_pixels=10**6, polygons=polygon, relative=not relative)


def test_rows_of_one_photograph_are_cut_to_their_segmentations(tmp_path):
    (tmp_path / "p.png").write_bytes(encoded(picture(WIDTH, HEIGHT)))
    (tmp_path / "q.png").write_bytes(encoded(picture(WIDTH, HEIGHT, seed=1)))
    runs = {"counts": [HEIGHT * 20 + 3, 4, HEIGHT - 4, 6, 0], "size": [HEIGHT, WIDTH]}
    runs["counts"][-1] = WIDTH * HEIGHT - sum(runs["counts"])
    shapes = [("p", "[[2, 4, 12, 4, 12, 14, 2, 14]]"), ("p", json.dumps(runs)), ("q", "[[2, 4, 12, 4, 12, 14, 2, 14]]")]
    lines = [f"{name}.png\tid{number}\t{shape}\n" for number, (name, shape) in enumerate(shapes)]
    (tmp_path / "t.csv").write_text("path\tidentity\tshape\n" + "".join(lines))
    rows, _ = ingested(table.open_source(path=str(tmp_path / "t.csv"), segmentation="shape"), tmp_path)
    assert {row["identity"]: row["box"] for row in rows} == {"id0": "2,4,10,10", "id1": "20,3,2,6", "id2": None}
    drawn_runs = Image.fromarray(drawn(json.dumps(runs)))
    assert drawn_runs.getbbox() == (20, 3, 22, 9)


def test_a_column_of_segmentations_may_name_files_in_some_rows(tmp_path):
    for name in "pq":
        (tmp_path / f"{name}.png").write_bytes(encoded(picture()))
    (tmp_path / "m.png").write_bytes(encoded(blob()))
    (tmp_path / "t.csv").write_text('path,identity,shape\np.png,a,"[[2,4,12,4,12,14]]"\nq.png,b,m.png\n')
    rows, _ = ingested(table.open_source(path=str(tmp_path / "t.csv"), segmentation="shape"), tmp_path)
    assert [row["mask"] for row in rows] == ["segmentation", "sidecar"]


def test_exchanged_height_and_width_of_runs_are_named():
    runs = json.dumps({"counts": [100, 300, 800], "size": [WIDTH, HEIGHT]})
    assert "exchanged" in refused(encoded(picture()), polygons=runs).detail


def test_a_reported_column_of_polygons_is_drawn(tmp_path):
    listing = table.open_source(path=str(REPORTED / "polygons" / "seg.csv"), segmentation="segmentation")
    rows, masks = ingested(listing, tmp_path)
    assert [row["mask"] for row in rows] == ["segmentation"] * 2
    expected = np.zeros((160, 160), np.uint8)
    expected[20 + 10 : 20 + 60, 10:80] = 255
    assert (masks == expected).all()


def test_polygons_in_the_column_of_mask_files_are_an_error_whose_remedy_works(tmp_path):
    path = str(REPORTED / "polygons" / "seg.csv")
    with pytest.raises(ReidflowError, match=r"2 of 2 rows.*Write 'segmentation: segmentation' in place of 'mask: seg"):
        table.open_source(path=path, mask="segmentation")
    assert len(table.open_source(path=path, segmentation="segmentation").rows) == 2


def test_reported_masks_at_half_size_are_scaled(tmp_path):
    listing = folder.open_source(path=str(REPORTED / "mask_size"), images="im", masks="mk")
    rows, masks = ingested(listing, tmp_path)
    assert [row["mask"] for row in rows] == ["sidecar"] * 2
    for row, mask in zip(rows, masks, strict=True):
        with Image.open(REPORTED / "mask_size" / row["path"].replace("im/", "mk/").replace(".jpg", ".png")) as given:
            half = np.asarray(given.convert("L")) > 127
        assert row["width"] == 2 * half.shape[1]
        assert (mask[20:140] > 0).mean() == pytest.approx(half.mean(), abs=0.01)
        assert ((mask[20:140] > 0) != half.repeat(2, 0).repeat(2, 1)).mean() < 0.01


@pytest.mark.parametrize("size", [(20, 15), (80, 60), (13, 10), (14, 10), (400, 300)])
def test_a_mask_of_the_same_proportions_covers_the_same_share(size):
    mask = encoded(np.asarray(Image.fromarray(blob()).resize(size, Image.Resampling.NEAREST)))
    photo = decode(encoded(picture()), mask, max_pixels=10**6)
    assert photo.mask.size == (40, 30) and set(np.unique(photo.mask)) == {0, 255}
    assert photo.foreground == pytest.approx((blob() > 0).mean(), abs=0.06)


@pytest.mark.parametrize("size", [(30, 30), (30, 40), (40, 27), (256, 256)])
def test_a_mask_of_other_proportions_is_refused_with_both_sizes(size):
    error = refused(encoded(picture()), encoded(np.full(size[::-1], 255, np.uint8)))
    assert error.reason == "mask_size"
    assert f"{size[0]} x {size[1]} pixels, but the image has 40 x 30" in error.detail


def test_a_mask_of_exactly_the_size_of_a_box_is_that_of_the_box():
    box = (3, 4, 20, 20)
    cropped, whole = encoded(blob()[4:24, 3:23]), encoded(blob())
    masks = [decode(encoded(picture()), mask, max_pixels=10**6, box=box).mask for mask in (cropped, whole)]
    assert (np.asarray(masks[0]) == blob()[4:24, 3:23]).all() and (np.asarray(masks[1]) == blob()[4:24, 3:23]).all()
    assert refused(encoded(picture()), cropped, box=(3, 4, 21, 20)).reason == "mask_size"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_small_values_of_a_mask_are_labels(kind):
    labels = blob().astype(kind) // 255
    labels[10:15][labels[10:15] > 0] = 3
    photo = decode(encoded(picture()), encoded(labels, "TIFF"), max_pixels=10**6)
    assert (np.asarray(photo.mask) == blob()).all()


def test_outlines_of_labels_are_left_out_and_labels_without_0_are_refused():
    labels = blob() // 255
    outlined = labels.copy()
    outlined[0] = 255
    assert (np.asarray(decode(encoded(picture()), encoded(outlined), max_pixels=10**6).mask) == blob()).all()
    trimap = refused(encoded(picture()), encoded(np.where(labels, 1, 2).astype(np.uint8)))
    assert trimap.reason == "unreadable" and "labels 1, 2 and no 0" in trimap.detail


def test_a_photograph_in_place_of_a_mask_is_refused_and_soft_masks_are_none():
    large, mask = picture(200, 150), blob(200, 150)
    for photograph in (large, np.where(mask[..., None] > 0, large, 0), np.where(mask[..., None] > 0, large, 255)):
        refusal = refused(encoded(large), encoded(photograph.astype(np.uint8)))
        assert refusal.reason == "unreadable" and "no mask" in refusal.detail
    soft = (
        Image.fromarray(mask).resize((20, 15), Image.Resampling.BILINEAR).resize((200, 150), Image.Resampling.BICUBIC)
    )
    for kind in ("JPEG", "PNG"):
        found = np.asarray(decode(encoded(large), encoded(np.asarray(soft), kind), max_pixels=10**6).mask)
        assert ((found > 0) == (mask > 0)).mean() > 0.95


def test_alpha_that_hides_nothing_is_no_mask():
    soft = np.dstack([picture(), np.where(blob(), 255, 250).astype(np.uint8)])
    photo = decode(encoded(soft), None, max_pixels=10**6)
    assert (photo.source, photo.background_present) == ("none", True)


def test_an_animal_of_one_pixel_survives_a_smaller_mask():
    large = np.zeros((300, 400), np.uint8)
    large[150, 200] = 255
    photo = decode(encoded(picture()), encoded(large), max_pixels=10**6)
    assert 1 <= (np.asarray(photo.mask) > 0).sum() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_photograph_is_turned_with_it(orientation, scale, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {5: lambda a: a.T, 6: np.rot90, 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}[orientation]
    stored = np.dstack([turned(picture()[..., channel]) for channel in range(3)])
    mask = encoded(turned(blob()).repeat(scale, 0).repeat(scale, 1))
    photo = decode(encoded(stored, kind, exif=exif), mask, max_pixels=10**6)
    assert photo.mask.size == (40, 30)
    assert (np.asarray(photo.mask) == blob()).all()
    upright = decode(encoded(stored, kind, exif=exif), encoded(blob()), max_pixels=10**6)
    assert (np.asarray(upright.mask) == blob()).all()
