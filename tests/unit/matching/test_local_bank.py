"""The bank of local features: read from the images' files, kept by content, verified, the same for any number of threads."""

import hashlib
import json

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.evaluation.runs import read_jobs
from reidflow.ingest.framing import frame_of
from reidflow.ingest.listing import Row
from reidflow.ingest.sources import folder
from reidflow.ingest.squares import Squares
from reidflow.matching import bank
from reidflow.matching.bank import Bank, BankFiles, BankJob, build_matcher
from reidflow.matching.features import of_length_one
from reidflow.models import available
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.extras import install
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import LocalScore, Ranking
from reidflow.store.runs import RunStore

SIFT = resolve("matcher", {"name": "rootsift", "size": 128, "keypoints": 60})

LOCAL = LocalScore(matcher=SIFT)
RANKINGS = {"plain": None, "fused": Ranking(scores=["embedding", LOCAL]).model_dump(mode="json")}


def spots(seed, blank=False):
    """Return a photograph, RGBA, of an animal with spots before a lively background."""
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (140, 150, 4), np.uint8)
    cv2.ellipse(picture, (75, 70), (55, 40), 0, 0, 360, (200, 180, 150, 0), -1)
    for x, y, r in zip(
        random.integers(35, 115, 25), random.integers(45, 95, 25), random.integers(2, 7, 25), strict=True
    ):
        if not blank:
            cv2.circle(picture, (int(x), int(y)), int(r), (40, 30, 20, 0), -1)
    alpha = np.zeros((140, 150), np.uint8)
    cv2.ellipse(alpha, (75, 70), (55, 40), 0, 0, 360, 255, -1)
    picture[..., 3] = alpha
    return Image.fromarray(picture)


@pytest.fixture
def data(tmp_path):
    for number in range(6):
        place = tmp_path / "data" / f"a{number % 3}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        spots(number, blank=number == 4).save(place)
    return tmp_path / "data"


def job(data, store, workers=1, matcher=SIFT):
    listing = folder.open_source(path=str(data))
    hashes = [hashlib.sha256((data / row.path).read_bytes()).hexdigest() for row in listing.rows]
    manifest = pl.DataFrame({"image": [row.image for row in listing.rows], "sha256": hashes})
    squares = Squares(listing.root, frame_of(resolve("frame", "mask_box")), matcher["size"], 10**8, {}, None)
    return BankJob(listing, manifest, squares, matcher, store, "cpu", workers)


def make(one, place):
    place.mkdir(parents=True, exist_ok=True)
    one.make(BankFiles(**{name: place / file for name, file in bank.FILES.items()}))
    return {file: (place / file).read_bytes() for file in bank.FILES.values()}


@pytest.fixture
def extracted(monkeypatch):
    """The number of images that the matcher sees."""
    seen, build = [], bank.build_matcher

    def counting(*given):
        extract = build(*given)

        def one(images, masks):
            seen.extend(images)
            return extract(images, masks)

        one.versions = extract.versions
        return one

    monkeypatch.setattr(bank, "build_matcher", counting)
    return seen


def test_features_are_those_of_the_square_and_do_not_depend_on_threads(data, tmp_path):
    assert make(job(data, tmp_path / "s1"), tmp_path / "b1") == make(job(data, tmp_path / "s2", 3), tmp_path / "b2")
    opened, one = Bank(tmp_path / "b1"), job(data, tmp_path / "s1")
    extract = build_matcher(SIFT, "cpu")
    for row, file in enumerate(one.listing.rows):
        square = one.squares.read(file, {})
        points, descriptors = extract(square.pixels[None], square.mask[None])[0]
        kept = opened.of(row)
        assert np.array_equal(kept.points, points)
        np.testing.assert_allclose(kept.descriptors, descriptors, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(kept.descriptors, axis=1), 1, atol=1e-6)
    gallery = opened.together(np.array([3, 0]), np.array([0, 0]))
    assert np.array_equal(gallery.points[gallery.owners == 1], opened.of(0).points)
    assert np.array_equal(of_length_one(gallery.descriptors[gallery.owners == 1]), opened.of(0).descriptors)


def test_keypoints_are_the_strongest_inside_the_mask(data, tmp_path):
    square = job(data, tmp_path).squares.read(Row("a0/0.png", "a0"), {})
    found = build_matcher(SIFT, "cpu")(square.pixels[None], square.mask[None])[0]
    x, y = np.rint(found.points).astype(int).T
    assert len(found.points) > 20
    assert (square.mask[y, x] == 255).all()
    few = build_matcher({**SIFT, "keypoints": 10}, "cpu")(square.pixels[None], square.mask[None])[0]
    assert np.array_equal(few.points, found.points[:10])


def test_rootsift_is_the_root_of_sift_that_sums_to_one(data, tmp_path):
    square = job(data, tmp_path).squares.read(Row("a0/0.png", "a0"), {})
    found = build_matcher(SIFT, "cpu")(square.pixels[None], square.mask[None])[0]
    sift = cv2.SIFT_create(contrastThreshold=SIFT["contrast"], edgeThreshold=SIFT["edge"])
    keypoints, raw = sift.detectAndCompute(cv2.cvtColor(square.pixels, cv2.COLOR_RGB2GRAY), None)
    places = {tuple(np.float32(keypoint.pt)): [] for keypoint in keypoints}
    for keypoint, one in zip(keypoints, raw, strict=True):
        places[tuple(np.float32(keypoint.pt))].append(np.sqrt(one / one.sum()))
    for point, descriptor in zip(found.points, found.descriptors, strict=True):
        assert min(np.abs(descriptor - one).max() for one in places[tuple(point)]) < 1e-6


def test_only_images_that_are_not_known_are_extracted(data, tmp_path, extracted):
    make(job(data, tmp_path / "s"), tmp_path / "b")
    assert len(extracted) == 6
    before = make(job(data, tmp_path / "s"), tmp_path / "b")
    assert len(extracted) == 6
    spots(99).save(data / "a0" / "0.png")
    after = make(job(data, tmp_path / "s"), tmp_path / "b")
    assert len(extracted) == 7
    assert before["local.json"] != after["local.json"]


def test_features_that_are_damaged_after_their_shard_are_extracted_again(data, tmp_path, extracted):
    whole = make(job(data, tmp_path / "s1"), tmp_path / "b1")
    one = job(data, tmp_path / "s2")
    one.make_shard([1, 1], tmp_path / "shard.json")
    (kept,) = one.place.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:-300])
    out = BankFiles(**{name: tmp_path / file for name, file in bank.FILES.items()})
    job(data, tmp_path / "s2").make(out, json.loads((tmp_path / "shard.json").read_text()))
    assert len(extracted) == 18
    assert {file: (tmp_path / file).read_bytes() for file in bank.FILES.values()} == whole


def test_a_bank_whose_weights_or_package_are_missing_says_so_until_they_are_there(data, tmp_path, monkeypatch):
    command, missing = install("local"), []

    def refuse(*_):
        raise missing[-1]

    raw = json.dumps({"runs": [{"arm": arm, "seed": 0, "key": arm, "members": [arm], "spec": {
        "ensemble": None, "inference": [], "ranking": ranking}} for arm, ranking in RANKINGS.items()], "unavailable": {}})  # fmt: skip
    (tmp_path / "runs.json").write_text(raw)
    place = tmp_path / local_bank_id(LOCAL.matcher)
    digest = place / "local.json"
    for one_missing, reason in (
        (MissingWeightsError(f"the weights are not installed. Install them: {command}"), command),
        (ModuleNotFoundError("No module named 'absent'", name="absent"), "'absent' is not installed"),
    ):
        missing.append(one_missing)
        with monkeypatch.context() as patched:
            patched.setattr(bank, "build_matcher", refuse)
            patched.setattr(available, "hub_reachable", lambda: False)
            one = job(data, tmp_path / "s")
            make(one, place)
            with pytest.raises(ReidflowError, match=r"A baseline is ranked by these features"):
                one.make(BankFiles(**{name: place / file for name, file in bank.FILES.items()}), required=True)
            one.make_shard([1, 2], tmp_path / "shard.json")
            assert json.loads((tmp_path / "shard.json").read_text()) == []
        with pytest.raises(ReidflowError, match="no local features") as error:
            Bank(place)
        assert reason in str(error.value)
        jobs = read_jobs([str(tmp_path / "runs.json")], [*RANKINGS], RunStore(tmp_path / "s"), [str(digest)])
        assert [run.arm for run in jobs.runs] == ["plain"] and len(jobs.specs) == 1
        assert reason in jobs.unavailable["fused"]
        assert not available.worth_retrying([digest], lambda: False)
        assert available.worth_retrying([digest], lambda: True) == [digest]
        digest.write_text(json.dumps(json.loads(digest.read_text()) | {"installed": []}))
        assert available.worth_retrying([digest], lambda: False) == [digest]
    make(job(data, tmp_path / "s"), place)
    jobs = read_jobs([str(tmp_path / "runs.json")], [*RANKINGS], RunStore(tmp_path / "s"), [str(digest)])
    assert [run.arm for run in jobs.runs] == ["plain", "fused"] and not jobs.unavailable


def test_another_parameter_is_another_bank(data, tmp_path, extracted):
    make(job(data, tmp_path / "s"), tmp_path / "b")
    make(job(data, tmp_path / "s", matcher={**SIFT, "keypoints": 61}), tmp_path / "b")
    assert len(extracted) == 12


def test_a_flipped_byte_in_the_store_is_found_and_made_again(data, tmp_path, extracted):
    before = make(job(data, tmp_path / "s"), tmp_path / "b")
    (kept,) = (tmp_path / "s" / "local").glob("*/*.npz")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    assert make(job(data, tmp_path / "s"), tmp_path / "b") == before
    assert len(extracted) == 12


def test_shards_make_the_bank_of_the_whole(data, tmp_path, extracted):
    whole = make(job(data, tmp_path / "s"), tmp_path / "b")
    sharded, digests = job(data, tmp_path / "t"), []
    for number in (1, 2):
        sharded.make_shard([number, 2], tmp_path / "shard.json")
        digests += json.loads((tmp_path / "shard.json").read_text())
    files = BankFiles(**{name: tmp_path / "b" / file for name, file in bank.FILES.items()})
    sharded.make(files, digests)
    assert {file: (tmp_path / "b" / file).read_bytes() for file in bank.FILES.values()} == whole
    assert len(extracted) == 12


def test_an_image_without_keypoints_or_file_has_no_features(data, tmp_path, capsys):
    one = job(data, tmp_path / "s", matcher={**SIFT, "contrast": 0.9})
    make(one, tmp_path / "none")
    assert Bank(tmp_path / "none").count.sum() == 0
    one = job(data, tmp_path / "s")
    (data / "a1" / "1.png").unlink()
    make(one, tmp_path / "b")
    opened = Bank(tmp_path / "b")
    gone = opened.rows["image"].to_list().index(next(row.image for row in one.listing.rows if row.path == "a1/1.png"))
    assert opened.count[gone] == 0
    assert (np.delete(opened.count, gone) > 0).sum() >= 4
    assert "1 images have no local features" in capsys.readouterr().out


def test_a_file_that_is_another_than_ingest_read_is_refused(data, tmp_path):
    one = job(data, tmp_path / "s")
    spots(99).save(data / "a1" / "1.png")
    with pytest.raises(ReidflowError, match=r"a1/1\.png: the data changed .* run the same command again"):
        make(one, tmp_path / "b")
