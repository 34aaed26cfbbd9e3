"""Masks that a network computes: for images without one, once for each photograph, and reproducibly."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_images import encoded, rgba
from onnx_networks import bright, byte_network, channels, classifier, mean, shaped
from PIL import Image

from reidflow.ingest import network_file, network_masks, rawdigest
from reidflow.ingest.build import Outputs, ingest
from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.ingest.segmenter import Segmenter, store_key
from reidflow.ingest.sources import folder
from reidflow.retrieval.image_files import Framing, find_images, squares
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

PLAIN = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
SIZE = 64


def photograph(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Return a dark picture with a bright animal, uint8 (128, 128, 3), whose box has even sides."""
    pixels = np.full((128, 128, 3), 40, np.uint8)
    pixels[:, ::3] = 60
    pixels[top:bottom, left:right] = 230
    return pixels


BOXES = {"leo/0.jpg": (20, 30, 80, 90), "leo/1.jpg": (40, 10, 120, 60), "maya/0.jpg": (0, 0, 60, 128)}


@pytest.fixture
def data(tmp_path) -> Path:
    """Three JPEGs with a bright animal, one without, and a PNG whose alpha is its mask."""
    for name, box in {**BOXES, "maya/empty.jpg": (0, 0, 0, 0)}.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(encoded(photograph(*box), "JPEG", quality=95))
    (tmp_path / "data" / "leo" / "own.png").write_bytes(encoded(rgba()))
    return tmp_path / "data"


@pytest.fixture
def spec(tmp_path) -> dict:
    return resolve("segmenter", {"name": "onnx", "file": str(bright(tmp_path / "bright.onnx", SIZE)), **PLAIN})


class Counting:
    """A segmenter that counts the photographs it sees."""

    def __init__(self, spec: dict, cache: Path) -> None:
        self.spec, self.network = spec, network_file.identify(spec, cache)
        self.segmenter, self.seen = Segmenter(spec, self.network, 10**6), 0

    def __call__(self, *given):
        self.seen += 1
        return self.segmenter(*given)


def computed(listing: Listing, spec: dict, root: Path, workers: int = 2) -> tuple[pl.DataFrame, int]:
    """Return the table of masks, and how many photographs the network saw."""
    counting = Counting(spec, root / "network.json")
    place = root / "masks" / store_key(spec, counting.network)
    files = rawdigest.snapshot(listing.root, root / "raw.json").files
    return network_masks.compute(listing, files, counting, place, workers=workers), counting.seen


def ingested(listing: Listing, spec: dict, root: Path, **changes) -> Outputs:
    table, _ = computed(listing, spec, root)
    facts = {"segmenter": spec, "sha256": network_file.identify(spec, root / "network.json")}
    network_masks.write(table, facts, root / "network.parquet", root / "network.digest")
    names = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
    out = Outputs(*(root / "out" / name for name in names))
    settings = {"frame": {"name": "squash"}, "size": 128, "max_bad_share": 0.5, "max_pixels": 10**6, "workers": 2}
    network = network_masks.read(root / "network.parquet", root / "network.digest")
    ingest(listing, out, **(settings | changes), network=network)
    return out


def test_an_image_without_a_mask_gets_that_of_the_animal_and_one_with_a_mask_keeps_it(data, spec, tmp_path):
    out = ingested(folder.open_source(path=str(data)), spec, tmp_path)
    manifest, masks = read_table(out.manifest, MANIFEST), np.load(out.masks)
    assert dict(manifest.select("image", "mask").iter_rows()) == {
        **dict.fromkeys(BOXES, "network"),
        "leo/own.png": "alpha",
    }
    for row, image in enumerate(manifest["image"]):
        if image in BOXES:
            left, top, right, bottom = BOXES[image]
            planted = np.zeros((128, 128), np.uint8)
            planted[top:bottom, left:right] = 255
            assert (masks[row] == planted).all(), image
            share = (right - left) * (bottom - top) / 128**2
            assert manifest["foreground"][row] == pytest.approx(share) and manifest["background_present"][row]
    summary = json.loads(out.digest.read_text())
    assert summary["masks"] == {"alpha": 1, "sidecar": 0, "network": 3, "none": 0}
    assert summary["network"]["segmenter"] == spec


def test_an_image_in_which_the_network_finds_nothing_is_quarantined(data, spec, tmp_path):
    out = ingested(folder.open_source(path=str(data)), spec, tmp_path)
    (row,) = read_table(out.quarantine, QUARANTINE).rows(named=True)
    assert (row["image"], row["reason"]) == ("maya/empty.jpg", "empty_mask") and "network" in row["detail"]


def test_computed_masks_of_nearly_all_of_an_image_are_noted(data, spec, tmp_path):
    (data / "leo" / "0.jpg").write_bytes(encoded(photograph(0, 0, 128, 126), "JPEG"))
    (note,) = json.loads(ingested(folder.open_source(path=str(data)), spec, tmp_path).digest.read_text())["notes"]
    assert note.startswith(
        "1 of 3 masks that the network computed cover over 95% of the image, such as that of leo/0.jpg"
    )


def test_a_computed_mask_places_the_frame(data, spec, tmp_path):
    out = ingested(folder.open_source(path=str(data)), spec, tmp_path, frame={"name": "mask_box", "margin": 0.0})
    images, manifest = np.load(out.images), read_table(out.manifest, MANIFEST)
    # The animal is 60 x 60: nothing of the dark background is left but a blurred border.
    assert (images[manifest["image"].to_list().index("leo/0.jpg")][2:-2, 2:-2] > 200).all()


def test_new_photographs_are_framed_as_the_pipeline_framed_the_same_ones(data, spec, tmp_path):
    out = ingested(
        folder.open_source(path=str(data)), spec, tmp_path, frame={"name": "mask_box", "margin": 0.1}, size=32
    )
    images, stored = np.load(out.images), read_table(out.manifest, MANIFEST)["image"].to_list()
    framing = Framing.of_pipeline(json.loads(out.digest.read_text()), 10**6)
    found = find_images(data)
    ((usable, (seen, larger), left_out),) = squares(found, list(found.digests), framing, 256, 2, sides=[64])
    assert usable == stored and (seen.pixels == images).all() and (seen.masks == np.load(out.masks)).all()
    assert larger.pixels.shape == (len(usable), 64, 64, 3) and larger.masks.shape == (len(usable), 64, 64)
    assert [(one.key, one.reason) for one in left_out] == [("maya/empty.jpg", "empty_mask")]
    # A frame that does not look at masks needs no network, and another network is another frame.
    facts = json.loads(out.digest.read_text())
    assert Framing.of_pipeline(facts | {"frame": {"name": "pad"}}, 10**6).network is None
    assert Framing.of_pipeline(facts | {"frame": {"name": "pad"}}, 10**6, masks=True).network
    bright(Path(spec["file"]), SIZE, threshold=0.1)
    with pytest.raises(ReidflowError, match="not the network that masks were computed with before"):
        list(
            squares(found, list(found.digests), Framing.of_pipeline(json.loads(out.digest.read_text()), 10**6), 256, 1)
        )


def test_a_box_of_a_photograph_has_a_mask_of_its_own(data, spec, tmp_path):
    rows = [
        Row("leo/0.jpg", "leo", box=(10.0, 20.0, 40.0, 50.0)),
        Row("leo/0.jpg", "leo", box=(0.5, 0.5, 0.25, 0.25), relative=True),
    ]
    rows += [
        Row("leo/1.jpg", "leo", segmentation="[[0, 0, 64, 0, 64, 64, 0, 64]]"),
        Row("maya/0.jpg", "maya", segmentation="nan"),
    ]
    out = ingested(settle(rawdigest.walk(data), rows), spec, tmp_path)
    manifest, masks = read_table(out.manifest, MANIFEST), np.load(out.masks)
    found = dict(zip(manifest["image"], masks, strict=True))
    first = found["leo/0.jpg#10,20,40,50"] == 255
    expected = np.zeros((50, 40), bool)
    expected[10:, 10:] = True  # the animal from (20, 30) to (80, 90)
    wanted = np.asarray(Image.fromarray(expected).resize((128, 128), Image.Resampling.NEAREST))
    assert (first ^ wanted).mean() < 0.03
    assert found["leo/0.jpg#0.5,0.5,0.25,0.25"][:50, :30].all()
    assert manifest["mask"].to_list() == ["network", "network", "segmentation", "network"]


def test_a_network_sees_a_photograph_of_twelve_bits_in_its_own_range(tmp_path, spec):
    values = np.where(photograph(20, 30, 80, 90)[..., 0] > 200, 3000, 400).astype(np.uint16)
    segmenter = Segmenter(spec, network_file.sha256(Path(spec["file"])), 10**6)
    mask = Image.open(io.BytesIO(segmenter(encoded(values)))).resize((128, 128))
    assert (np.asarray(mask) == (values == 3000)).all()


def test_only_photographs_not_seen_before_are_computed(data, spec, tmp_path):
    listing = folder.open_source(path=str(data))
    first, seen = computed(listing, spec, tmp_path)
    assert seen == 5 and first["image"].to_list() == sorted([*BOXES, "maya/empty.jpg"])
    again, seen = computed(listing, spec, tmp_path, workers=1)
    assert seen == 0 and again.equals(first)
    (data / "leo" / "0.jpg").write_bytes(encoded(photograph(2, 2, 20, 20), "JPEG"))
    (data / "leo" / "copy.jpg").write_bytes((data / "leo" / "1.jpg").read_bytes())
    edited, seen = computed(folder.open_source(path=str(data)), spec, tmp_path)
    assert seen == 1 and len(edited) == 5
    masks = {image: mask for image, _, mask in edited.iter_rows()}
    assert masks["leo/copy.jpg"] == masks["leo/1.jpg"] != masks["leo/0.jpg"]
    assert masks["leo/1.jpg"] == {image: mask for image, _, mask in first.iter_rows()}["leo/1.jpg"]


def test_what_was_computed_before_an_interruption_is_not_computed_again(data, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(network_masks, "_SHARD", 2)
    listing, whole = folder.open_source(path=str(data)), Counting.__call__

    def interrupted(self, *given):
        if self.seen == 4:
            raise KeyboardInterrupt
        return whole(self, *given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Counting, "__call__", interrupted)
        computed(listing, spec, tmp_path, workers=1)
    assert computed(listing, spec, tmp_path)[1] == 1


def test_another_network_or_threshold_and_a_damaged_file_are_computed_again(data, spec, tmp_path):
    listing = folder.open_source(path=str(data))
    computed(listing, spec, tmp_path)
    (kept,) = (tmp_path / "masks").glob("*/*.parquet")
    kept.write_bytes(kept.read_bytes()[:-40] + b"\0" * 40)
    assert computed(listing, spec, tmp_path)[1] == 5
    assert computed(listing, {**spec, "threshold": 0.6}, tmp_path)[1] == 5
    bright(Path(spec["file"]), SIZE, threshold=0.4)
    assert computed(listing, spec, tmp_path)[1] == 5
    moved = Path(spec["file"]).rename(tmp_path / "moved.onnx")
    assert computed(listing, {**spec, "file": str(moved)}, tmp_path)[1] == 0


def test_a_photograph_that_changes_meanwhile_stops_and_an_unreadable_one_is_left_to_ingest(data, spec, tmp_path):
    listing = folder.open_source(path=str(data))
    files = rawdigest.snapshot(data, tmp_path / "raw.json").files
    (data / "leo" / "0.jpg").write_bytes(b"\xff\xd8\xff")
    counting = Counting(spec, tmp_path / "network.json")
    with pytest.raises(ReidflowError, match=r"leo/0\.jpg: the data changed during the run"):
        network_masks.compute(listing, files, counting, tmp_path / "masks", workers=1)
    table, _ = computed(folder.open_source(path=str(data)), spec, tmp_path)
    assert "leo/0.jpg" not in table["image"]


# The network's file.


def test_the_identity_of_a_network_is_its_bytes(spec, tmp_path):
    file, cache = Path(spec["file"]), tmp_path / "cache.json"
    first = network_file.identify(spec, cache)
    os.utime(file, (10**9, 10**9))
    assert network_file.identify(spec, cache) == first
    (tmp_path / "bright.onnx.data").write_bytes(b"weights of a large network")
    beside = network_file.identify(spec, cache)
    bright(file, SIZE, threshold=0.1)
    assert len({first, beside, network_file.identify(spec, cache)}) == 3
    with pytest.raises(ReidflowError, match="not the network that masks were computed with before"):
        Segmenter(spec, first, 10**6)


def test_rembg_looks_where_rembg_keeps_its_networks_and_says_how_to_fetch_one(tmp_path, monkeypatch):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    spec = resolve("segmenter", {"name": "rembg", "model": "u2netp"})
    with pytest.raises(ReidflowError, match=r"rembg d u2netp.*file: path/to/u2netp\.onnx"):
        network_file.identify(spec, tmp_path / "cache.json")
    mean(tmp_path / "u2netp.onnx", 320)
    assert network_file.identify(spec, tmp_path / "cache.json") == network_file.sha256(tmp_path / "u2netp.onnx")
    assert network_file.with_file(spec)["file"] == str(tmp_path / "u2netp.onnx")
    with pytest.raises(ReidflowError, match=r"there is no file 'gone\.onnx'"):
        network_file.identify({**spec, "file": "gone.onnx"}, tmp_path / "cache.json")


def test_a_network_of_the_hub_is_that_in_its_cache_and_is_downloaded_only_when_named(tmp_path, monkeypatch):
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(file_download.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    spec = resolve("segmenter", {"name": "onnx", "file": "hf-hub:lab/animals/seg/net.onnx", **PLAIN})
    assert network_file.identify(spec, tmp_path / "cache.json") == spec["file"]
    with pytest.raises(ReidflowError, match="could not be downloaded: the hub cannot be reached"):
        network_file.download(spec, lambda: False)
    place = tmp_path / "hub" / "models--lab--animals"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    (place / "snapshots" / ("0" * 40) / "seg").mkdir(parents=True)
    file = bright(place / "snapshots" / ("0" * 40) / "seg" / "net.onnx")
    network_file.download(spec, lambda: pytest.fail("it is there already"))
    assert network_file.identify(spec, tmp_path / "cache.json") == network_file.sha256(file)
    assert network_file.with_file({**spec, "file": "hf-hub:lab/animals@main/seg/net.onnx"})["file"] == str(file)
    with pytest.raises(ReidflowError, match=r"hf-hub:owner/name/path\.onnx"):
        network_file.local({**spec, "file": "hf-hub:lab"})


def test_a_missing_extra_is_named(spec, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ReidflowError, match=r"\.\[masks\]"):
        call("segmenter", spec)


# Conventions of networks.


def as_rembg_does(image: Image.Image, side: int, centre: list[float], spread: list[float]) -> np.ndarray:
    """Return rembg's mask, 0 to 1, by its own steps, for a network that returns the mean of the channels."""
    small = np.array(image.resize((side, side), Image.Resampling.LANCZOS)) / 1.0
    small = small / small.max()
    for channel in range(3):
        small[:, :, channel] = (small[:, :, channel] - centre[channel]) / spread[channel]
    answer = small.astype(np.float32).mean(axis=2)
    return (answer - answer.min()) / (answer.max() - answer.min())


@pytest.mark.parametrize(
    ("model", "side", "centre", "spread"),
    [
        ("u2net", 320, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("isnet-general-use", 1024, [0.5] * 3, [1.0] * 3),
    ],
)
def test_rembg_networks_are_fed_and_read_as_rembg_does(model, side, centre, spread, tmp_path):
    image = Image.fromarray(np.random.Generator(np.random.PCG64(0)).integers(0, 256, (9, 7, 3), np.uint8)).resize(
        (70, 90)
    )
    spec = resolve(
        "segmenter", {"name": "rembg", "model": model, "file": str(mean(tmp_path / "net.onnx", side, shift=1.0))}
    )
    found, wanted = call("segmenter", spec)(image), as_rembg_does(image, side, centre, spread)
    assert found.shape == (side, side) and 0.1 < found.mean() < 0.9
    assert (found ^ (wanted >= 0.5)).mean() < 1e-4


def test_birefnet_returns_logits_and_a_rembg_network_that_is_sure_of_nothing_finds_nothing(tmp_path):
    image = Image.fromarray(photograph(20, 20, 60, 60))
    logits = {"name": "rembg", "model": "birefnet-general", "file": str(mean(tmp_path / "b.onnx", 128, 10.0, -5.0))}
    found = call("segmenter", resolve("segmenter", logits))(image)
    assert found[25:55, 25:55].all() and not found[:15].any()
    faint = {"name": "rembg", "file": str(mean(tmp_path / "faint.onnx", 320, 0.01, 0.1))}
    assert not call("segmenter", resolve("segmenter", faint))(image).any()


def foreground(tmp_path: Path, file: Path, **given) -> np.ndarray:
    image = Image.fromarray(np.dstack([photograph(*box)[..., 0] for box in BOXES.values()]))
    return call("segmenter", resolve("segmenter", {"name": "onnx", "file": str(file), **PLAIN, **given}))(image)


def test_channels_classes_labels_and_layouts_of_networks_are_understood(tmp_path):
    def animal(box: tuple[int, int, int, int]) -> np.ndarray:
        return photograph(*box)[..., 0] > 200

    red, green, blue = map(animal, BOXES.values())
    classes = channels(tmp_path / "classes.onnx", 128)
    assert (foreground(tmp_path, classes, classes=[1]) == green).all()
    assert (foreground(tmp_path, classes, classes=[0], colours="bgr") == blue).all()
    assert (foreground(tmp_path, classes, classes=[0], activation="sigmoid", divide=100.0, threshold=0.8) == red).all()
    soft = foreground(tmp_path, classes, classes=[0], activation="softmax", divide=1.0, threshold=0.9)
    assert (soft == (red & ~green & ~blue)).all()
    labels = channels(tmp_path / "labels.onnx", 128, labels=True)
    assert (foreground(tmp_path, labels, classes=[2]) == (blue & ~red & ~green)).sum() > 128 * 128 * 0.99
    assert foreground(tmp_path, labels).dtype == bool
    last = bright(tmp_path / "last.onnx", 128, threshold=0.8, last=True)
    assert (foreground(tmp_path, last) == (red & green & blue)).all()
    assert (foreground(tmp_path, byte_network(tmp_path / "bytes.onnx", 128)) == red).all()
    free = bright(tmp_path / "free.onnx", "side")
    assert foreground(tmp_path, free, size=[32, 96]).shape == (32, 96)


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (lambda p: channels(p, 64), {}, r"has 3 channels\. Set 'classes' to those of the animal, from 0 to 2"),
        (lambda p: channels(p, 64), {"classes": [3]}, "Set 'classes'"),
        (lambda p: bright(p, "side"), {}, "takes images of any size. Set 'size'"),
        (lambda p: bright(p, 64), {"size": 32}, r"takes images of \(64, 64\).* alone. Leave out 'size'"),
        (lambda p: bright(p, 64), {"output": "masks"}, "no output 'masks'. Choose one of: mask"),
        (lambda p: bright(p, 64), {"std": [1.0, 0.0, 1.0]}, "none of `std` is 0"),
        (lambda p: p.write_bytes(b"no network") and p, {}, r"not an ONNX network that can be read.*Export it to ONNX"),
        (lambda p: p.write_bytes(b"<!DOCTYPE html>") and p, {}, "It is a web page"),
        (lambda p: p.write_bytes(b"version https://git-lfs") and p, {}, "run `git lfs pull`"),
        (lambda p: mean(p, 64, 20.0, -10.0), {}, "holds no probabilities. Set 'activation' to sigmoid"),
        (lambda p: shaped(p, [4, 3, 64, 64]), {}, "Export it with a batch of 1"),
        (lambda p: shaped(p, [1, 1, 64, 64]), {}, "for RGB images"),
        (lambda p: classifier(p, 64), {"classes": [0]}, "is no mask"),
    ],
)
def test_a_network_that_does_not_fit_is_an_error_that_says_what_to_set(network, given, message, tmp_path):
    with pytest.raises(ReidflowError, match=message):
        foreground(tmp_path, network(tmp_path / "net.onnx"), **given)


def test_a_segmenter_of_ones_own_is_named_by_its_dotted_path(data, tmp_path, monkeypatch):
    (tmp_path / "my_lab_masks").mkdir()
    (tmp_path / "my_lab_masks" / "good.py").write_text(
        "import numpy as np\n\n\ndef build(*, above: int = 128):\n"
        "    return lambda image: np.asarray(image.convert('L')) > above\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = resolve("segmenter", {"name": "my_lab_masks.good", "above": 150})
    assert (
        own == {"name": "my_lab_masks.good", "above": 150} and network_file.identify(own, tmp_path / "cache.json") == ""
    )
    out = ingested(folder.open_source(path=str(data)), own, tmp_path)
    assert read_table(out.manifest, MANIFEST)["mask"].value_counts(sort=True)["count"][0] == 3
    (tmp_path / "my_lab_masks" / "bad.py").write_text("def build():\n    return lambda image: 1.0\n")
    with pytest.raises(ReidflowError, match=r"Let it return a mask, bool \(H, W\)"):
        Segmenter(resolve("segmenter", "my_lab_masks.bad"), "", 10**6)(encoded(photograph(0, 0, 9, 9), "JPEG"))
