import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_images import encoded, picture, rgba
from PIL import Image

from reidflow.dedup.groups import Rules, group_images
from reidflow.ingest import build, framing, rawdigest
from reidflow.ingest.arrays import RowFile, need_space
from reidflow.ingest.build import Outputs, Raw, ingest
from reidflow.ingest.listing import REASONS
from reidflow.ingest.manifest import MANIFEST, OPTIONAL, QUARANTINE
from reidflow.ingest.sources import folder, jaguar, table
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
NAMES = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")


def outputs(root: Path) -> Outputs:
    return Outputs(*(root / name for name in NAMES))


def run(listing, out: Path, **changes) -> Outputs:
    settings = {"frame": {"name": "pad"}, "size": 16, "max_bad_share": 0.0, "max_pixels": 10**6, "workers": 2}
    ingest(listing, outputs(out), **(settings | changes))
    return outputs(out)


@pytest.fixture
def data(tmp_path) -> Path:
    """Forty images of four animals; the third of each is broken."""
    root = tmp_path / "data"
    for identity in range(4):
        (root / f"animal-{identity}").mkdir(parents=True)
        for number in range(10):
            whole = encoded(rgba(seed=10 * identity + number) if number % 2 else picture(seed=10 * identity + number))
            content = {2: whole[: len(whole) // 2]}.get(number, whole)
            (root / f"animal-{identity}" / f"{number}.png").write_bytes(content)
    return root


def test_every_row_of_the_arrays_is_the_image_of_its_row_of_the_manifest(data, tmp_path):
    out = run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.1, size=40)
    manifest = read_table(out.manifest, MANIFEST)
    pixels, masks = np.load(out.images, mmap_mode="r"), np.load(out.masks, mmap_mode="r")
    assert pixels.shape == (36, 40, 40, 3) and masks.shape == (36, 40, 40)
    assert pixels.dtype == masks.dtype == np.uint8
    assert manifest["image"].to_list() == sorted(manifest["image"])
    for i, row in enumerate(manifest.iter_rows(named=True)):
        identity, number = int(row["identity"][-1]), int(Path(row["image"]).stem)
        assert (pixels[i, 5:35] == picture(seed=10 * identity + number)).all()
        assert (masks[i] == 255).all() == (number % 2 == 0) == (row["mask"] == "none")
    summary = json.loads(out.digest.read_text())
    assert summary["count"] == 36
    assert summary["masks"] == {"alpha": 20, "sidecar": 0, "none": 16}
    assert summary["quarantined"] == {"truncated": 4}


def test_broken_images_are_quarantined_with_their_reason(data, tmp_path):
    out = run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.1)
    quarantine = read_table(out.quarantine, QUARANTINE)
    assert quarantine["image"].to_list() == [f"animal-{i}/2.png" for i in range(4)]
    assert set(quarantine["reason"]) == {"truncated"}
    assert quarantine["identity"].to_list() == [f"animal-{i}" for i in range(4)]
    assert not out.rejected.exists()


def test_outputs_do_not_depend_on_the_number_of_workers(data, tmp_path):
    listing = folder.open_source(path=str(data))
    one = run(listing, tmp_path / "one", max_bad_share=0.1, workers=1)
    three = run(listing, tmp_path / "three", max_bad_share=0.1, workers=3)
    for name in NAMES[:-1]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes(), name
    assert (
        sorted(p.name for p in one.images.parent.iterdir())
        == sorted(NAMES[:-1])
        == sorted(p.name for p in three.images.parent.iterdir())
    )


def test_the_digest_follows_pixels_masks_and_labels(tmp_path):
    def digest(name: str, array: np.ndarray, identity: str) -> str:
        (tmp_path / name / identity).mkdir(parents=True)
        (tmp_path / name / identity / "1.png").write_bytes(encoded(array))
        out = run(folder.open_source(path=str(tmp_path / name)), tmp_path / f"{name}-out")
        return json.loads(out.digest.read_text())["digest"]

    first = digest("a", rgba(), "leo")
    assert digest("b", rgba(), "leo") == first
    brighter, other_mask = rgba(), rgba()
    brighter[..., 0] += 9
    other_mask[..., 3] = np.roll(other_mask[..., 3], 5, axis=1)
    assert len({first, digest("c", brighter, "leo"), digest("d", other_mask, "leo"), digest("e", rgba(), "mia")}) == 4


def test_too_many_bad_rows_stop_it_with_counts_examples_and_remedy(data, tmp_path):
    (data / "animal-0" / "7.png").write_bytes(b"")
    with pytest.raises(ReidflowError) as caught:
        run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.1)
    text = str(caught.value)
    assert "5 of 40" in text and "4 x truncated" in text and "1 x zero_size" in text
    assert "animal-0/2.png" in text and "max_bad_share" in text
    out = outputs(tmp_path / "out")
    assert str(out.rejected) in text
    assert len(read_table(out.rejected, QUARANTINE)) == 5
    assert [p.name for p in out.rejected.parent.iterdir()] == ["rejected.parquet"]
    (data / "animal-0" / "7.png").write_bytes(encoded(picture()))
    run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.1)
    assert not out.rejected.exists()


def test_exactly_the_allowed_share_of_bad_rows_passes(data, tmp_path):
    run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=4 / 40)
    with pytest.raises(ReidflowError, match="4 of 40"):
        run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=3 / 40)


def test_no_usable_image_is_an_error_whatever_share_is_allowed(tmp_path):
    (tmp_path / "data" / "leo").mkdir(parents=True)
    (tmp_path / "data" / "leo" / "1.png").write_bytes(b"x")
    with pytest.raises(ReidflowError, match="1 of 1"):
        run(folder.open_source(path=str(tmp_path / "data")), tmp_path / "out", max_bad_share=1.0)


def test_bad_rows_of_the_table_count_and_keep_their_row_number(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encoded(picture()))
    (tmp_path / "huge.png").write_bytes(encoded(np.zeros((1001, 1000), np.uint8)))
    (tmp_path / "t.csv").write_text("path,identity\na.png,x\nb.png,\nnone.png,y\nhuge.png,z\nc.png,x\n")
    out = run(table.open_source(path=str(tmp_path / "t.csv")), tmp_path / "out", max_bad_share=0.7)
    found = {row["row"]: row["reason"] for row in read_table(out.quarantine, QUARANTINE).iter_rows(named=True)}
    assert found == {2: "no_identity", 3: "missing", 4: "too_large"}
    assert set(found.values()) <= set(REASONS)
    assert read_table(out.manifest, MANIFEST)["image"].to_list() == ["a.png", "c.png"]


@pytest.fixture
def planned(data, tmp_path) -> Raw:
    cache = tmp_path / "cache.json"
    return Raw(rawdigest.snapshot(data, cache).digest, cache)


def test_data_that_changed_since_planning_are_refused(data, tmp_path, planned):
    listing = folder.open_source(path=str(data))
    run(listing, tmp_path / "out", raw=planned, max_bad_share=0.1)
    (data / "animal-1" / "1.png").write_bytes(encoded(picture(seed=99)))
    with pytest.raises(ReidflowError, match=r"changed during the run.*run the same command again"):
        run(listing, tmp_path / "out", raw=planned, max_bad_share=0.1)


@pytest.mark.parametrize("event", ["rewritten", "rewritten and back", "added", "removed"])
def test_data_that_change_while_they_are_read_are_refused(data, tmp_path, planned, monkeypatch, event):
    listing = folder.open_source(path=str(data))
    victim, before = data / "animal-3" / "9.png", (data / "animal-3" / "9.png").read_bytes()
    original, seen = framing.decode, []

    def meddle(content, *rest, **options):
        seen.append(content)
        if len(seen) == 1 and event.startswith("rewritten"):
            victim.write_bytes(encoded(picture(seed=77)))
        if len(seen) == 1 and event == "added":
            (data / "animal-3" / "new.png").write_bytes(before)
        if len(seen) == 40 and event == "rewritten and back":
            victim.write_bytes(before)
        if len(seen) == 40 and event == "removed":
            victim.unlink()
        return original(content, *rest, **options)

    monkeypatch.setattr(framing, "decode", meddle)
    with pytest.raises(ReidflowError, match="changed during the run"):
        run(listing, tmp_path / "out", raw=planned, max_bad_share=0.1, workers=1)
    assert len(seen) == 40
    assert not any((tmp_path / "out" / name).exists() for name in NAMES)


def test_a_table_that_changed_after_it_was_read_is_refused(data, tmp_path):
    write = (data / "t.csv").write_text
    write("path,identity\nanimal-0/1.png,b\n")
    listing = table.open_source(path=str(data / "t.csv"))
    write("path,identity\nanimal-0/1.png,c\n")
    raw = Raw(rawdigest.snapshot(data, tmp_path / "c.json").digest, tmp_path / "c.json")
    with pytest.raises(ReidflowError, match=r"t\.csv: the data changed"):
        run(listing, tmp_path / "out", raw=raw)


def test_the_cache_of_the_planner_is_left_alone(data, tmp_path, planned):
    before = planned.cache.stat()
    run(folder.open_source(path=str(data)), tmp_path / "out", raw=planned, max_bad_share=0.1)
    assert planned.cache.stat().st_mtime_ns == before.st_mtime_ns


def test_each_file_is_decoded_once(data, tmp_path, monkeypatch):
    original, count = framing.decode, []
    monkeypatch.setattr(framing, "decode", lambda *a, **k: (count.append(1), original(*a, **k))[1])
    run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.1)
    assert len(count) == 40


def test_the_summary_is_written_last_and_removed_first(data, tmp_path, monkeypatch):
    listing = folder.open_source(path=str(data))
    out = run(listing, tmp_path / "out", max_bad_share=0.1)

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(build, "write_table", fail)
    with pytest.raises(OSError, match="the disk is full"):
        run(listing, tmp_path / "out", max_bad_share=0.1)
    assert not out.digest.exists()


def test_what_a_killed_process_left_is_replaced(data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "images.npy.part").write_bytes(b"x" * 10**6)
    out = run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.1)
    assert np.load(out.images).shape == (36, 16, 16, 3)
    assert not list((tmp_path / "out").glob("*.part"))


def test_progress_is_reported(data, tmp_path):
    reported = []
    run(
        folder.open_source(path=str(data)),
        tmp_path / "out",
        max_bad_share=0.1,
        progress=lambda a, b: reported.append((a, b)),
    )
    assert reported[-1] == (40, 40) and reported == sorted(reported) and len(reported) > 1


@pytest.mark.parametrize("kept", [[], [0], [4], [0, 1, 2, 3, 4], [1, 3], [0, 2, 3], [2, 3, 4]])
def test_holes_in_the_arrays_are_closed(tmp_path, kept, monkeypatch):
    monkeypatch.setattr("reidflow.ingest.arrays._BLOCK", 5)
    array = np.arange(5 * 12, dtype=np.uint8).reshape(5, 4, 3)
    file = RowFile(tmp_path / "a.npy", (4, 3))
    for i in (3, 0, 4, 2, 1):
        file.write(array[i].tobytes(), i)
    file.finish(kept)
    file.discard()
    assert (np.load(tmp_path / "a.npy") == array[kept]).all()
    assert np.load(tmp_path / "a.npy", mmap_mode="r").shape == (len(kept), 4, 3)


def test_a_disk_that_is_too_small_is_noticed_before_the_work(tmp_path):
    with pytest.raises(ReidflowError, match="are free"):
        need_space(tmp_path, 10**18)


def test_a_file_that_may_not_be_read_is_quarantined(data, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    (data / "animal-0" / "1.png").chmod(0)
    out = run(folder.open_source(path=str(data)), tmp_path / "out", max_bad_share=0.2)
    assert "unreadable" in read_table(out.quarantine, QUARANTINE)["reason"].to_list()


@pytest.mark.skipif(not (SHARED / "orl").is_dir(), reason="the ORL faces are not at ../shared/data/orl")
def test_real_faces_are_ingested(tmp_path):
    listing = folder.open_source(path=str(SHARED / "orl"))
    out = run(listing, tmp_path / "out", size=32)
    manifest = read_table(out.manifest, MANIFEST)
    assert manifest.select("width", "height", "format", "mask").unique().rows() == [(92, 112, "PPM", "none")]
    assert manifest["pixels"].n_unique() == 400
    raw = (SHARED / "orl" / manifest["path"][0]).read_bytes()[-92 * 112 :]
    face = np.load(out.images, mmap_mode="r")[0, :, 3:29, 0]
    assert abs(face.mean() - np.frombuffer(raw, np.uint8).mean()) < 3


@pytest.mark.skipif(not (SHARED / "nyala40").is_dir(), reason="the nyala are not at ../shared/data/nyala40")
def test_real_animals_are_ingested(tmp_path):
    listing = jaguar.open_source(path=str(SHARED / "nyala40"), metadata="meta.csv", group="sighting", flank="flank")
    out = run(listing, tmp_path / "out", size=32, frame={"name": "mask_box", "margin": 0.1})
    manifest = read_table(out.manifest, MANIFEST)
    masks = np.load(out.masks, mmap_mode="r")
    assert len(manifest) == 376 and set(manifest["mask"]) == {"alpha"} and manifest["background_present"].all()
    assert manifest.filter(pl.col("identity").is_null()).height == 113
    for i in range(0, 376, 25):
        alpha = np.asarray(Image.open(SHARED / "nyala40" / manifest["path"][i]).getchannel("A")) > 127
        rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
        side = 1.2 * max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
        assert (masks[i] > 0).mean() == pytest.approx(alpha.sum() / side**2, rel=0.15)
        assert manifest["foreground"][i] == pytest.approx(alpha.mean())


def test_rows_reach_the_disk_before_the_file_gets_its_name(tmp_path, monkeypatch):
    path, seen = tmp_path / "rows.npy", []
    monkeypatch.setattr("reidflow.ingest.arrays.sync", lambda part: seen.append((part.exists(), path.exists())))
    file = RowFile(path, (2,))
    file.write(b"\1\2", 0)
    file.finish([0])
    file.discard()
    assert seen == [(True, False)] and np.load(path).tolist() == [[1, 2]]


def test_reported_pictures_that_differ_under_alpha_0_alone_are_equal_where_they_show(tmp_path):
    reported = Path(__file__).parent / "reported" / "hidden_colours"
    for source in sorted(reported.iterdir()):
        shutil.copy(source, write(tmp_path / "data" / "a" / source.name))
    manifest = read_table(run(folder.open_source(path=str(tmp_path / "data")), tmp_path / "out").manifest, MANIFEST)
    assert manifest["visible"].n_unique() == 1 and manifest["sha256"].n_unique() == 3
    hashes = np.arange(24, dtype=np.uint8).reshape(3, 8) * 9
    assert group_images(manifest, hashes, Rules(4)).groups["group"].n_unique() == 1


def test_what_shows_differs_with_a_colour_or_the_alpha_and_is_no_part_of_the_digest(tmp_path):
    pictures = {"a": rgba(), "b": rgba(), "c": rgba(), "d": rgba()}
    pictures["b"][0, 0, :3] += 1
    pictures["c"][10, 10, :3] += 1
    pictures["d"][0, 0, 3] = 255
    for name, array in pictures.items():
        write(tmp_path / "data" / "a" / f"{name}.png").write_bytes(encoded(array))
    write(tmp_path / "data" / "b" / "plain.png").write_bytes(encoded(picture()))
    out = run(folder.open_source(path=str(tmp_path / "data")), tmp_path / "out")
    shown = read_table(out.manifest, MANIFEST)["visible"].to_list()
    assert shown[0] == shown[1] and len(set(shown)) == 4 and shown[4] is None
    without = [
        {key: value for key, value in row.items() if key != "visible"}
        for row in pl.read_parquet(out.manifest).to_dicts()
    ]
    assert digest_of(without, np.load(out.masks)) == json.loads(out.digest.read_text())["digest"]


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def digest_of(rows: list[dict], masks: np.ndarray) -> str:
    total = hashlib.sha256()
    for row, mask in zip(rows, masks, strict=True):
        facts = {key: value for key, value in row.items() if value is not None or key not in OPTIONAL}
        total.update(canonical([facts, hashlib.sha256(mask.tobytes()).hexdigest()]).encode() + b"\n")
    return total.hexdigest()
