import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reidflow.ingest import rawdigest
from reidflow.ingest.listing import Reading, reread
from reidflow.ingest.rawdigest import UNREADABLE, dataset_paths, snapshot, walk
from reidflow.ingest.sources import folder
from reidflow.spec.errors import ReidflowError

OLD = time.time_ns() - 10**12


def digest(*args):
    return snapshot(*args).digest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "a").mkdir(parents=True)
    (root / "b").mkdir()
    (root / "a" / "1.png").write_bytes(b"one")
    (root / "b" / "1.png").write_bytes(b"two")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "raw.json"


@pytest.fixture
def clock(monkeypatch):
    """Moves the clock that the digest reads, so that young files become old ones without waiting."""
    offset = [0]
    real = time.time_ns
    monkeypatch.setattr(rawdigest.time, "time_ns", lambda: real() + offset[0])
    return offset


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """The names of the files whose bytes are read."""
    names: list[str] = []
    original = rawdigest._hash_all

    def spy(todo, *rest):
        todo = list(todo)
        names.extend(todo)
        return original(todo, *rest)

    monkeypatch.setattr(rawdigest, "_hash_all", spy)
    return names


def test_the_digest_follows_names_and_bytes_and_nothing_else(data, cache):
    first = digest(data, cache)
    os.utime(data / "a" / "1.png", ns=(OLD, OLD))
    assert digest(data, cache) == first
    (data / "a" / "1.png").write_bytes(b"One")
    changed = digest(data, cache)
    (data / "a" / "1.png").write_bytes(b"one")
    assert changed != first == digest(data, cache)
    (data / "a" / "1.png").rename(data / "a" / "2.png")
    assert digest(data, cache) not in (first, changed)
    (data / "a" / "2.png").rename(data / "a" / "1.png")
    (data / "new.txt").write_bytes(b"")
    assert digest(data, cache) != first


def test_a_copy_of_the_data_has_the_same_digest(data, cache, tmp_path):
    copy = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", data, copy], check=True, timeout=600)
    assert digest(copy, tmp_path / "other.json") == digest(data, cache)


def test_swapping_the_content_of_two_files_changes_the_digest(data, cache):
    first = digest(data, cache)
    (data / "a" / "1.png").write_bytes(b"two")
    (data / "b" / "1.png").write_bytes(b"one")
    assert digest(data, cache) != first


def test_unchanged_files_are_not_read_again(data, cache, clock, hashed):
    digest(data, cache)
    clock[0] = 5 * 10**9
    digest(data, cache)
    hashed.clear()
    digest(data, cache)
    assert hashed == []
    (data / "a" / "1.png").write_bytes(b"new")
    digest(data, cache)
    assert hashed == ["a/1.png"]


def test_a_file_changed_within_two_seconds_is_read_again(data, cache, hashed):
    digest(data, cache)
    hashed.clear()
    digest(data, cache)
    assert sorted(hashed) == ["a/1.png", "b/1.png"]


def test_a_modification_time_in_the_future_does_not_cost_a_reading_each_time(data, cache, clock, hashed):
    future = time.time_ns() + 10**18
    os.utime(data / "a" / "1.png", ns=(future, future))
    clock[0] = 5 * 10**9
    digest(data, cache)
    hashed.clear()
    digest(data, cache)
    assert hashed == []


def test_same_size_and_mtime_do_not_hide_a_change(data, cache, clock):
    file = data / "a" / "1.png"
    os.utime(file, ns=(OLD, OLD))
    clock[0] = 5 * 10**9
    first = digest(data, cache)
    file.write_bytes(b"eno")
    os.utime(file, ns=(OLD, OLD))
    assert digest(data, cache) != first


def test_the_cache_is_written_only_if_it_changes(data, cache, clock):
    clock[0] = 5 * 10**9
    digest(data, cache)
    before = cache.stat()
    digest(data, cache)
    assert (cache.stat().st_ino, cache.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (data / "a" / "1.png").write_bytes(b"new")
    snapshot(data, cache, save=False)
    assert cache.stat().st_ino == before.st_ino
    assert sorted(cache.parent.iterdir()) == [cache]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1, "files": {"a/1.png": [1]}}', '{"version": 9}'])
def test_a_damaged_cache_is_made_anew(data, cache, content):
    first = digest(data, cache)
    cache.write_text(content)
    assert digest(data, cache) == first
    assert set(json.loads(cache.read_text())["files"]) == {"a/1.png", "b/1.png"}


def test_links_inside_the_dataset_are_followed(data, cache):
    first = digest(data, cache)
    (data / "c").symlink_to(data / "a")
    assert snapshot(data, cache).files["c/1.png"] == snapshot(data, cache).files["a/1.png"]
    assert digest(data, cache) != first


def test_a_link_that_leads_outside_is_refused_by_name(data, cache, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "data-2").mkdir()
    for target in (tmp_path / "secret", tmp_path / "data-2", Path("../../secret"), Path("/nowhere")):
        link = data / "a" / "link"
        link.symlink_to(target)
        with pytest.raises(ReidflowError, match=r"a link leads out of the data set, e\.g\. 'a/link'.*`links: follow`"):
            digest(data, cache)
        link.unlink()


@pytest.fixture
def farm(data, tmp_path) -> Path:
    """A folder of links into a store: to a file by its own path, to one relative to the link, and to a folder."""
    root = tmp_path / "farm"
    (root / "a").mkdir(parents=True)
    (root / "a" / "1.png").symlink_to(data / "a" / "1.png")
    (root / "a" / "2.png").symlink_to("../../data/b/1.png")
    (root / "b").symlink_to(data / "b")
    return root


def test_links_to_the_outside_are_followed_under_their_own_names_on_request(farm, data, cache, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(farm, copy)
    with pytest.raises(
        ReidflowError, match=r"3 links lead out of the data set, e\.g\. 'a/1\.png' to .*`links: follow`"
    ):
        snapshot(farm, cache)
    assert snapshot(farm, cache, links="follow").files == snapshot(copy, cache, links="follow").files
    assert set(walk(farm).files) == {"a/1.png", "a/2.png", "b/1.png"} == set(walk(copy).files)
    assert set(walk(farm).outside) == {"a/1.png", "a/2.png", "b"} and not walk(copy).outside


@pytest.mark.parametrize("change", ["content", "target", "folder"])
def test_a_change_behind_a_link_is_noticed(farm, data, cache, clock, change):
    first = snapshot(farm, cache, links="follow")
    clock[0] = 10 * 10**9
    assert snapshot(farm, cache, links="follow") == first
    if change == "content":
        (data / "b" / "1.png").write_bytes(b"new")
    if change == "target":
        (farm / "a" / "1.png").unlink()
        (farm / "a" / "1.png").symlink_to(data / "b" / "1.png")
    if change == "folder":
        (data / "b" / "2.png").write_bytes(b"more")
    assert snapshot(farm, cache, links="follow").digest != first.digest


@pytest.mark.parametrize("target", ["/", "..", "../farm", "../farm/a"])
def test_links_that_lead_back_are_refused_though_links_are_followed(farm, cache, target):
    (farm / "a" / "back").symlink_to(f"../{target}" if target != "/" else "/")
    with pytest.raises(ReidflowError, match="'a/back' leads to a folder that contains it"):
        snapshot(farm, cache, links="follow")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (".git/annex/objects/Xk/0M/MD5E-s3--1.jpg/MD5E-s3--1.jpg", "git annex get"),
        ("/scratch/cache/files/md5/3f/ab", "dvc pull"),
        ("../../blobs/3fab", "hf download"),
        ("nowhere", "broken or circular"),
        ("2.png", "broken or circular"),
    ],
)
def test_a_link_to_nothing_is_left_out_with_what_fetches_its_content(data, target, said):
    (data / "a" / "2.png").symlink_to(target)
    (fault,) = reread(folder.open_source(path=str(data)), Reading(links="follow")).faults
    assert (fault.image, fault.reason) == ("a/2.png", "missing") and said in fault.detail


def test_a_link_to_a_folder_that_contains_it_is_refused(data, cache):
    (data / "a" / "up").symlink_to(data)
    with pytest.raises(ReidflowError, match="a/up"):
        digest(data, cache)
    (data / "a" / "up").unlink()
    (data / "a" / "l").symlink_to(data / "b")
    (data / "b" / "l").symlink_to(data / "a")
    with pytest.raises(ReidflowError, match="contains it"):
        digest(data, cache)


def test_hidden_files_caches_and_pipes_are_no_part_of_it(data, cache):
    first = digest(data, cache)
    (data / ".git").mkdir()
    (data / ".git" / "x").write_text("x")
    (data / "a" / ".DS_Store").write_text("x")
    (data / "a" / "Thumbs.db").write_text("x")
    os.mkfifo(data / "pipe")
    assert digest(data, cache) == first
    assert sorted(walk(data).litter) == [".git", "a/.DS_Store", "a/Thumbs.db", "pipe"]


def test_a_link_to_nothing_is_known_as_unreadable(data, cache):
    (data / "a" / "gone.png").symlink_to("nothing.png")
    assert snapshot(data, cache).files["a/gone.png"] == UNREADABLE


def test_file_names_that_are_not_utf8_are_told_apart(data, cache):
    first = digest(data, cache)
    with open(os.fsencode(data) + b"/\xff.png", "wb"):  # noqa: PTH123
        pass
    second = digest(data, cache)
    os.rename(os.fsencode(data) + b"/\xff.png", os.fsencode(data) + b"/\xfe.png")  # noqa: PTH104
    assert len({first, second, digest(data, cache)}) == 3


def test_a_table_outside_the_dataset_counts_too(data, cache, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,identity\n")
    root, extra = dataset_paths({"name": "table", "path": str(table), "images": str(data)})
    assert (root, extra) == (data, [table])
    first = digest(root, cache, extra)
    table.write_text("path,identity\na,b\n")
    assert digest(root, cache, extra) != first
    assert dataset_paths({"path": str(data)}) == (data, [])
    assert dataset_paths({"path": str(data / "a" / "1.png"), "images": None}) == (data / "a", [])


def test_a_path_that_does_not_exist_is_named():
    with pytest.raises(ReidflowError, match="'/no/such/place'"):
        dataset_paths({"name": "folder", "path": "/no/such/place"})


def test_it_imports_nothing_heavy():
    code = "import sys, reidflow.ingest.rawdigest; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    ).stdout.split()
    assert not {"numpy", "polars", "PIL", "torch", "skimage", "pydantic"} & set(loaded)
