import hashlib
import json
import shutil

import numpy as np
import polars as pl
import pytest
from planted_folder import draw

from reidflow.retrieval import gallery as galleries
from reidflow.retrieval import image_embedder
from reidflow.retrieval.gallery import open_gallery, update
from reidflow.retrieval.image_embedder import ImageEmbedder
from reidflow.retrieval.image_files import Framing
from reidflow.spec.errors import ReidflowError

FLAT = {"name": "flat"}


class Fake:
    """Embeds a square as the mean colours of its quarters, and counts the squares."""

    dim = 12

    def __init__(self, name="a run"):
        self.name, self.seen, self.fails_after = name, 0, None

    def identity(self):
        return self.name

    def __call__(self, pixels):
        if self.fails_after is not None and self.seen + len(pixels) > self.fails_after:
            raise KeyboardInterrupt
        self.seen += len(pixels)
        quarters = pixels.reshape(len(pixels), 2, 8, 2, 8, 3).mean(axis=(2, 4), dtype=np.float64)
        return (quarters.reshape(len(pixels), 12) - 128).astype(np.float32)


def maker(embed, **framing):
    return ImageEmbedder(
        embed, Framing(**({"frame": {"name": "squash"}, "size": 16, "max_pixels": 10**6} | framing)), embed.name
    )


def keys_of(out):
    return open_gallery(out).keys


def files_of(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "files.json"}


@pytest.fixture
def images(tmp_path):
    for number in range(9):
        draw(tmp_path / "images" / "ab"[number % 2] / f"{number // 2}.png", number)
    return tmp_path / "images"


def test_equal_file_names_in_two_folders_are_two_keys(tmp_path, images):
    done = update(images, tmp_path / "g", maker(Fake()), FLAT)
    expected = [*(f"a/{n}.png" for n in range(5)), *(f"b/{n}.png" for n in range(4))]
    assert keys_of(tmp_path / "g") == expected
    assert (done.count, done.embedded, done.gone, done.left_out) == (9, 9, 0, [])
    table = pl.read_parquet(tmp_path / "g" / "keys.parquet")
    assert table["sha256"].to_list() == [
        hashlib.sha256((images / key).read_bytes()).hexdigest() for key in table["key"]
    ]
    vectors = np.load(tmp_path / "g" / "vectors.npy")
    assert vectors.dtype == np.float32 and np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_only_images_not_seen_before_are_embedded_and_those_gone_leave(tmp_path, images):
    embed = Fake()
    update(images, tmp_path / "g", maker(embed), FLAT)
    for number in range(3):
        draw(images / "new" / f"{number}.jpg", 100 + number)
    (images / "a" / "0.png").rename(images / "renamed.png")
    (images / "b" / "1.png").unlink()
    shutil.copy(images / "a" / "2.png", images / "copy.png")
    shutil.copy(images / "new" / "0.jpg", images / "copy of a new one.jpg")
    embed.seen = 0
    done = update(images, tmp_path / "g", maker(embed), FLAT)
    assert embed.seen == done.embedded == 3 and done.gone == 2
    assert update(images, tmp_path / "g", maker(embed), FLAT).embedded == 0 and embed.seen == 3
    update(images, tmp_path / "at once", maker(Fake()), FLAT)
    assert files_of(tmp_path / "g") == files_of(tmp_path / "at once")


def test_nothing_is_written_where_nothing_changed(tmp_path, images):
    first = update(images, tmp_path / "g", maker(Fake()), {"name": "hnsw"})
    inode = (tmp_path / "g" / "index.faiss").stat().st_ino
    assert update(images, tmp_path / "g", maker(Fake()), {"name": "hnsw"}).recall == first.recall
    assert (tmp_path / "g" / "index.faiss").stat().st_ino == inode
    update(images, tmp_path / "g", maker(Fake()), {"name": "hnsw", "m": 8})
    assert json.loads((tmp_path / "g" / "gallery.json").read_text())["index"]["m"] == 8


def test_an_image_whose_bytes_changed_is_embedded_again(tmp_path, images):
    embed = Fake()
    update(images, tmp_path / "g", maker(embed), FLAT)
    before = open_gallery(tmp_path / "g").vectors[0].copy()
    draw(images / "a" / "0.png", 50)
    embed.seen = 0
    update(images, tmp_path / "g", maker(embed), FLAT)
    assert embed.seen == 1 and not np.allclose(open_gallery(tmp_path / "g").vectors[0], before)


@pytest.mark.parametrize("changes", [{"name": "another"}, {"frame": {"name": "pad"}}, {"size": 32}])
def test_vectors_made_otherwise_are_never_mixed(tmp_path, images, changes):
    update(images, tmp_path / "g", maker(Fake()), FLAT)
    old = files_of(tmp_path / "g")
    other = Fake(changes.pop("name", "a run"))
    with pytest.raises(ReidflowError, match="--rebuild"):
        update(images, tmp_path / "g", maker(other, **changes), FLAT)
    assert files_of(tmp_path / "g") == old and other.seen == 0
    if "size" not in changes:
        assert update(images, tmp_path / "g", maker(other, **changes), FLAT, rebuild=True).embedded == 9
        assert files_of(tmp_path / "g") != old


def test_what_cannot_be_read_is_listed_and_left_out(tmp_path, images):
    (images / "bad.jpg").write_bytes(b"not an image")
    (images / "c").mkdir()
    (images / "c" / "bad.jpg").write_bytes(b"not an image")
    (images / "empty.png").write_bytes(b"")
    (images / "cut.png").write_bytes((images / "a" / "1.png").read_bytes()[:300])
    (images / "notes.txt").write_text("of no interest")
    done = update(images, tmp_path / "g", maker(Fake()), FLAT)
    reasons = [(one.key, one.reason) for one in done.left_out]
    assert reasons == [
        ("bad.jpg", "unreadable"),
        ("c/bad.jpg", "unreadable"),
        ("cut.png", "truncated"),
        ("empty.png", "zero_size"),
    ]
    assert done.count == 9 and len(keys_of(tmp_path / "g")) == 9
    stored = json.loads((tmp_path / "g" / "gallery.json").read_text())["left_out"]
    assert [(one["key"], one["reason"]) for one in stored] == reasons


def test_a_folder_without_a_usable_image_is_refused_by_name(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(ReidflowError, match="no image is in this folder"):
        update(tmp_path / "images", tmp_path / "g", maker(Fake()), FLAT)
    (tmp_path / "images" / "bad.jpg").write_bytes(b"no")
    with pytest.raises(ReidflowError, match=r"bad\.jpg \(unreadable"):
        update(tmp_path / "images", tmp_path / "g", maker(Fake()), FLAT)
    with pytest.raises(ReidflowError, match="no such file or folder"):
        update(tmp_path / "nowhere", tmp_path / "g", maker(Fake()), FLAT)


def test_a_folder_with_other_files_is_never_touched(tmp_path, images):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    with pytest.raises(ReidflowError, match=r"diary\.txt"):
        update(images, tmp_path / "mine", maker(Fake()), FLAT, rebuild=True)
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"
    with pytest.raises(ReidflowError, match="is inside the folder of images"):
        update(images, images / "g", maker(Fake()), FLAT)


def test_a_kill_while_embedding_loses_only_the_block_at_hand(tmp_path, images, monkeypatch):
    monkeypatch.setattr(image_embedder, "BLOCK", 2)
    update(images, tmp_path / "g", maker(Fake()), FLAT)
    old = files_of(tmp_path / "g")
    for number in range(7):
        draw(images / f"new {number}.png", 100 + number)
    embed = Fake()
    embed.fails_after = 5
    with pytest.raises(KeyboardInterrupt):
        update(images, tmp_path / "g", maker(embed), FLAT)
    assert files_of(tmp_path / "g") == old and embed.seen == 4
    embed.fails_after = None
    assert update(images, tmp_path / "g", maker(embed), FLAT).embedded == 3 and embed.seen == 7
    update(images, tmp_path / "at once", maker(Fake()), FLAT)
    assert files_of(tmp_path / "g") == files_of(tmp_path / "at once")
    assert sorted(path.name for path in tmp_path.iterdir() if ".part" in path.name or ".old" in path.name) == []


@pytest.mark.parametrize("step", ["write_index", "write_table", "write_text", "_swap"])
def test_a_kill_while_writing_leaves_the_old_gallery_whole(tmp_path, images, monkeypatch, step):
    update(images, tmp_path / "g", maker(Fake()), FLAT)
    old = files_of(tmp_path / "g")
    draw(images / "new.png", 100)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(galleries, step, killed)
        with pytest.raises(KeyboardInterrupt):
            update(images, tmp_path / "g", maker(Fake()), FLAT)
    assert files_of(tmp_path / "g") == old and len(keys_of(tmp_path / "g")) == 9
    assert update(images, tmp_path / "g", maker(Fake()), FLAT).count == 10


def test_between_the_two_renames_the_old_gallery_still_answers(tmp_path, images):
    update(images, tmp_path / "g", maker(Fake()), FLAT)
    old = files_of(tmp_path / "g")
    (tmp_path / "g").rename(tmp_path / ".g.old")
    assert len(keys_of(tmp_path / "g")) == 9
    embed = Fake()
    assert update(images, tmp_path / "g", maker(embed), FLAT).count == 9 and embed.seen == 0
    assert files_of(tmp_path / "g") == old and not (tmp_path / ".g.old").exists()


def test_a_damaged_gallery_is_named(tmp_path, images):
    with pytest.raises(ReidflowError, match="there is no gallery here"):
        open_gallery(tmp_path / "g")
    update(images, tmp_path / "g", maker(Fake()), FLAT)
    np.save(tmp_path / "g" / "vectors.npy", np.zeros((3, 12), np.float32))
    with pytest.raises(ReidflowError, match=r"9 keys, 3 vectors"):
        open_gallery(tmp_path / "g")
    (tmp_path / "g" / "vectors.npy").write_bytes(b"")
    with pytest.raises(ReidflowError, match="damaged gallery"):
        open_gallery(tmp_path / "g")
    assert update(images, tmp_path / "g", maker(Fake()), FLAT, rebuild=True).count == 9


def test_the_recall_of_an_approximate_index_stands_beside_it(tmp_path, images):
    exact = update(images, tmp_path / "g", maker(Fake()), FLAT)
    graph = update(
        images, tmp_path / "h", maker(Fake()), {"name": "hnsw", "m": 4, "ef_construction": 9, "ef_search": 9}
    )
    assert exact.recall is None and graph.recall == 1.0
    assert json.loads((tmp_path / "h" / "gallery.json").read_text())["recall_at_10"] == 1.0
