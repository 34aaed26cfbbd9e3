"""The demo holds what its truth table says, and the same settings draw the same bits."""

import csv
import hashlib
import io
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.ingest.demo.body import FORELEG, GROUND, HINDLEG, REST, TORSO, Camera, Pose, joints, surface
from reidflow.ingest.demo.coat import coat
from reidflow.ingest.demo.draw import TRUTH, altered, draw, encoded
from reidflow.ingest.demo.noise import generator
from reidflow.ingest.demo.plan import ALTERATIONS, DEFECTS, counts, habitat_of, photographs
from reidflow.ingest.demo.scene import photograph
from reidflow.ingest.demo.settings import DemoSettings
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

SMALL = DemoSettings(identities=4, images=72, size=96, duplicates=0.2, defects=0.3, seed=3)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "small"
    draw(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def truth(demo: Path) -> pl.DataFrame:
    return read_table(demo / "truth.parquet", TRUTH)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def pixels(demo: Path, image: str) -> np.ndarray:
    return np.asarray(Image.open(demo / image))


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def all_photographs(settings: DemoSettings) -> list[list]:
    first, earlier, result = 1, 0, []
    for identity, (files, copies) in enumerate(zip(*counts(settings), strict=True)):
        result.append(photographs(settings, identity, first, files, copies, earlier))
        first, earlier = first + files, earlier + copies
    return result


def test_the_bits_depend_neither_on_the_call_nor_on_the_workers(demo: Path, tmp_path: Path) -> None:
    draw(tmp_path / "again", SMALL, workers=2)
    assert digests(tmp_path / "again") == digests(demo)


def test_a_photograph_does_not_depend_on_those_before_it() -> None:
    plans = [plan for animal in all_photographs(SMALL) for plan in animal]
    backwards = [photograph(SMALL, plan) for plan in reversed(plans[::6])][::-1]
    assert all(np.array_equal(a, photograph(SMALL, plan)) for a, plan in zip(backwards, plans[::6], strict=True))


def test_another_seed_gives_other_animals_and_sites() -> None:
    plan = all_photographs(replace(SMALL, defects=0.0))[0][0]
    first, other = (photograph(replace(SMALL, seed=seed), plan) for seed in (3, 4))
    assert first.shape != other.shape or np.abs(first.astype(int) - other).mean() > 10


def test_the_layout_is_the_competitions(demo: Path, truth: pl.DataFrame) -> None:
    train, meta = rows(demo / "train.csv"), rows(demo / "meta.csv")
    names = [f"train_{i:04d}.png" for i in range(1, SMALL.images + 1)]
    assert list(train[0]) == ["filename", "ground_truth"]
    assert list(meta[0]) == ["filename", "sighting", "flank", "time"]
    assert [r["filename"] for r in train] == [r["filename"] for r in meta] == names
    assert sorted(p.name for p in (demo / "train" / "train").iterdir()) == names
    assert truth["image"].to_list() == [f"train/train/{name}" for name in names]
    assert [r["ground_truth"] for r in train] == truth["identity"].to_list()
    assert [r["flank"] for r in meta] == truth["flank"].to_list()
    assert [r["time"] for r in meta] == truth["time"].to_list()


def test_files_of_an_animal_are_consecutive_in_the_order_of_capture(truth: pl.DataFrame) -> None:
    identities = truth["identity"].to_list()
    changes = sum(a != b for a, b in pairwise(identities))
    assert changes == SMALL.identities - 1
    assert all(group["time"].is_sorted() for group in truth.partition_by("identity"))


def test_every_image_is_an_rgba_png_with_a_plausible_mask_and_a_habitat_under_it(
    demo: Path, truth: pl.DataFrame
) -> None:
    for row in truth.iter_rows(named=True):
        picture = Image.open(demo / row["image"])
        assert (picture.format, picture.mode) == ("PNG", "RGBA")
        seen = np.asarray(picture)
        assert 0.1 < (seen[..., 3] > 127).mean() < 0.7
        behind = seen[seen[..., 3] == 0][:, :3]
        assert behind.std(axis=0).max() > 1, "no picture under alpha 0"


def test_the_longest_side_is_the_setting_unless_resolution_was_lost(demo: Path, truth: pl.DataFrame) -> None:
    sizes = {r["image"]: Image.open(demo / r["image"]).size for r in truth.iter_rows(named=True)}
    whole = truth.filter(pl.col("alteration").is_null())
    for row in whole.iter_rows(named=True):
        longest = max(sizes[row["image"]])
        assert longest <= 0.5 * SMALL.size if row["defect"] == "low_resolution" else longest == SMALL.size
    ratios = {round(w / h, 2) for w, h in sizes.values()}
    assert len(ratios) > 5


def test_copies_have_the_alterations_of_the_truth(demo: Path, truth: pl.DataFrame) -> None:
    copies = truth.filter(pl.col("duplicate_of").is_not_null())
    assert set(copies["alteration"]) == set(ALTERATIONS)
    for row in copies.iter_rows(named=True):
        a, b = demo / row["duplicate_of"], demo / row["image"]
        one, two = pixels(demo, row["duplicate_of"]), pixels(demo, row["image"])
        if row["alteration"] == "same_bytes":
            assert a.read_bytes() == b.read_bytes()
            continue
        assert a.read_bytes() != b.read_bytes()
        if row["alteration"] == "same_pixels":
            assert np.array_equal(one, two)
        elif row["alteration"] in ("resized", "cropped"):
            assert two.shape[0] < one.shape[0] and two.shape[1] < one.shape[1]
        else:
            difference = np.abs(one[..., :3].astype(int) - two[..., :3]).mean()
            assert 0 < difference < 60
            assert np.array_equal(one[..., 3], two[..., 3])


def test_nothing_else_is_a_copy(demo: Path, truth: pl.DataFrame) -> None:
    own = truth.filter(pl.col("duplicate_of").is_null())["image"].to_list()
    assert len({pixels(demo, image).tobytes() for image in own}) == len(own)


def test_a_resized_copy_still_shows_the_photograph_and_its_background() -> None:
    plan = all_photographs(replace(SMALL, defects=0.0))[1][0]
    one = photograph(replace(SMALL, defects=0.0), plan)
    data = altered(one, encoded(one), "resized", generator(0, "test"))
    small = Image.open(io.BytesIO(data)).convert("RGB")
    restored = np.asarray(small.resize(one.shape[1::-1], Image.Resampling.BICUBIC)).astype(int)
    behind = one[..., 3] == 0
    assert np.abs(restored - one[..., :3])[behind].mean() < 8


def test_only_copies_that_a_hash_must_find_are_filed_under_another_sighting(demo: Path, truth: pl.DataFrame) -> None:
    sightings = [r["sighting"] for r in rows(demo / "meta.csv")]
    filed = truth.with_columns(sighting=pl.Series(sightings))
    again = filed.filter(pl.col("sighting") != pl.col("burst"))
    assert set(again["alteration"]) == {"same_bytes", "recompressed", "same_pixels"}
    assert not set(again["sighting"]) & set(truth["burst"])


def test_counts_are_exact_and_unbalanced() -> None:
    for settings in (
        DemoSettings(),
        SMALL,
        DemoSettings(identities=7, images=1000),
        DemoSettings(identities=30, images=61),
    ):
        files, copies = counts(settings)
        assert files.sum() == settings.images
        assert (2 * copies <= files).all() and files.min() >= 1
    files, copies = counts(DemoSettings())
    assert copies.sum() == 40
    assert files.min() >= 8 and files.max() >= 4 * files.min()


def test_every_animal_has_bursts_for_a_closed_set_split_and_both_flanks() -> None:
    for animal in all_photographs(DemoSettings()):
        bursts = {plan.burst.number: plan.burst for plan in animal}.values()
        left = sum(b.flank == "left" for b in bursts) / len(bursts)
        assert len(bursts) >= 8
        assert 0.35 <= left <= 0.65


def test_a_burst_is_one_event() -> None:
    for animal in all_photographs(DemoSettings()):
        times = {}
        for plan in animal:
            times.setdefault(plan.burst, []).append(plan.time)
        assert len(times) == len({burst.number for burst in times})
        assert all(1 <= len(t) <= 4 and (max(t) - min(t)).total_seconds() <= 10 for t in times.values())
        starts = sorted(min(t) for t in times.values())
        assert all((b - a).total_seconds() > 3600 for a, b in pairwise(starts))


@pytest.mark.parametrize(("shortcut", "low", "high"), [(0.0, 0.0, 0.1), (0.8, 0.7, 0.9), (1.0, 1.0, 1.0)])
def test_the_shortcut_is_the_share_of_sightings_at_home(shortcut: float, low: float, high: float) -> None:
    plans = all_photographs(DemoSettings(identities=24, images=3000, shortcut=shortcut))
    bursts = {(i, plan.burst) for i, animal in enumerate(plans) for plan in animal}
    at_home = np.mean([burst.site == identity for identity, burst in bursts])
    assert low <= at_home <= high


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_occluders_nights_and_defects_have_the_shares_of_the_settings(share: float) -> None:
    settings = DemoSettings(identities=24, images=3000, occluded=share, night=share, defects=share)
    plans = [plan for animal in all_photographs(settings) for plan in animal]
    bursts = {(plan.identity, plan.burst.number): plan.burst for plan in plans}.values()
    found = (
        np.mean([burst.occluder is not None for burst in bursts]),
        np.mean([burst.light == "night" for burst in bursts]),
        np.mean([plan.defect is not None for plan in plans]),
    )
    assert np.abs(np.subtract(found, share)).max() <= (0.05 if 0 < share < 1 else 0)


def test_a_habitat_is_home_to_several_animals() -> None:
    homes = [habitat_of(identity) for identity in range(24)]
    assert len(set(homes)) >= 4
    assert all(homes.count(habitat) >= 4 for habitat in homes)


def test_frames_of_a_burst_share_the_background_and_other_bursts_at_the_site_do_not() -> None:
    settings = DemoSettings(identities=2, images=60, size=96, defects=0, duplicates=0, occluded=0, night=0, shortcut=1)
    animal = all_photographs(settings)[0]
    pair = next((a, b) for a, b in pairwise(animal) if a.burst == b.burst)
    one, two = (photograph(settings, plan) for plan in pair)
    assert one.shape == two.shape and not np.array_equal(one, two)
    top = slice(0, 8)
    unrelated = next(plan for plan in animal if plan.burst != pair[0].burst)
    other = photograph(settings, unrelated)[top, :, :3].astype(int)
    same = np.abs(one[top, :, :3].astype(int) - two[top, :, :3]).mean()
    assert same < 4 < np.abs(one[top, :, :3] - other).mean()


def body_coats(identity: int, flank: str, seed: int = 0) -> np.ndarray:
    """Return the brightness of the coat on the flank proper: between hip and shoulder, above the belly."""
    painted = coat(seed, identity, flank, 1.0, 96.0)
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 100), np.linspace(-0.15, 0.15, 30))
    return painted.at(x + 1j * y).mean(axis=-1).ravel()


def test_coats_differ_between_flanks_and_between_animals_but_not_between_calls() -> None:
    one = body_coats(0, "left")
    coat.cache_clear()
    assert np.array_equal(one, body_coats(0, "left"))
    for other in (body_coats(0, "right"), body_coats(1, "left"), body_coats(0, "left", seed=1)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.3


def test_rosettes_have_dark_rims_and_tawny_insides() -> None:
    for identity in range(6):
        brightness = body_coats(identity, "left")
        assert 0.1 < (brightness < 0.25).mean() < 0.6
        assert (brightness > 0.4).mean() > 0.3


def test_the_coat_moves_with_the_limbs() -> None:
    camera = Camera(240, 180, 80.0, 0 - 0.15j, 1)
    plane = camera.plane()
    bones = (*TORSO, *FORELEG, *HINDLEG)
    for pose in (Pose(), Pose(phase=0.1, stride=0.2, neck=-0.5, head=0.3), Pose(phase=0.6, stride=0.15, crouch=0.1)):
        placed = joints(pose)
        seen = surface(bones, placed, camera, plane)
        for name in ("palm", "hock", "nose"):
            where = camera.pixel(np.array([placed[name]]))[0]
            row, column = int(where.imag), int(where.real)
            assert seen.alpha[row, column] == 1
            assert abs(seen.rest[row, column] - REST[name]) < 0.06


def test_bones_keep_their_length_and_paws_stay_on_the_ground() -> None:
    random = generator(0, "poses")
    for _ in range(50):
        pose = Pose.sample(random)
        for far in (False, True):
            placed = joints(pose, far)
            for start, end, _, _ in (*FORELEG[:1], *HINDLEG[:1], *FORELEG[2:], *HINDLEG[2:]):
                assert abs(placed[end] - placed[start]) == pytest.approx(abs(REST[end] - REST[start]), rel=1e-6)
            assert min(placed[n].imag for n in ("fingers", "toes", "palm", "sole")) > GROUND - 0.05


def test_a_camera_inverts_its_projection() -> None:
    camera = Camera(120, 90, 40.0, 0.1 - 0.2j, -1, roll=0.05, yaw=0.3, pitch=0.1)
    found = camera.pixel(camera.plane().astype(complex))
    assert np.allclose(found.real, np.arange(120)[None, :] + 0.5, atol=1e-3)
    assert np.allclose(found.imag, np.arange(90)[:, None] + 0.5, atol=1e-3)


def test_each_defect_alters_the_photograph_as_named() -> None:
    settings = replace(SMALL, size=192, occluded=0.0, night=0.0)
    plan = next(p for animal in all_photographs(settings) for p in animal if p.burst.light == "day")
    sound = photograph(settings, replace(plan, defect=None))
    drawn = {defect: photograph(settings, replace(plan, defect=defect)) for defect in DEFECTS}

    def sharpness(image: np.ndarray) -> float:
        return float(np.abs(np.diff(image[..., :3].astype(float), axis=1))[image[:, 1:, 3] > 200].mean())

    def at_edge(image: np.ndarray) -> int:
        return int(max((image[:, 0, 3] > 127).sum(), (image[:, -1, 3] > 127).sum()))

    assert sharpness(drawn["motion_blur"]) < 0.75 * sharpness(sound)
    assert drawn["dark"][..., :3].mean() < 0.4 * sound[..., :3].mean()
    assert drawn["over_exposed"][..., :3].mean() > 1.4 * sound[..., :3].mean()
    assert drawn["low_resolution"].shape[1] <= 0.5 * sound.shape[1]
    assert at_edge(drawn["truncated"]) > at_edge(sound) + 10


def test_times_agree_with_the_light(truth: pl.DataFrame) -> None:
    for row in truth.iter_rows(named=True):
        hour = datetime.fromisoformat(row["time"]).hour
        expected = "night" if hour >= 20 or hour < 4 else "dusk" if hour in (17, 18) else "day"
        assert row["light"] == expected


def test_rendering_again_replaces_a_demo_and_refuses_other_folders(tmp_path: Path) -> None:
    tiny = DemoSettings(identities=2, images=4, size=64)
    draw(tmp_path / "demo", tiny)
    (tmp_path / "demo" / "train" / "train" / "train_0099.png").write_bytes(b"left over")
    draw(tmp_path / "demo", tiny)
    assert len(list((tmp_path / "demo" / "train" / "train").iterdir())) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(ReidflowError, match="not the demo's"):
        draw(tmp_path / "mine", tiny)
    assert (tmp_path / "mine" / "holiday.jpg").read_bytes() == b"precious"


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(ReidflowError) as error:
        DemoSettings(identities=1, images=0, size=10, shortcut=2.0)
    assert all(f"{name}:" in str(error.value) for name in ("identities", "images", "size", "shortcut"))


def test_a_hundred_thousand_images_are_planned_animal_by_animal() -> None:
    settings = DemoSettings(identities=1000, images=100_000)
    files, copies = counts(settings)
    assert files.sum() == 100_000 and copies.sum() == 8000
    last = photographs(settings, 999, 100_001 - files[-1], files[-1], copies[-1], 8000 - copies[-1])
    assert max([p.image for p in last] + [n for p in last for n, _ in p.copies]) == 100_000
