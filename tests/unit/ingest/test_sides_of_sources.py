"""Query and gallery images: two folders, a table with sides; faces as scikit-learn stores them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from made_images import encoded, picture
from PIL import Image
from sklearn.datasets import fetch_lfw_people

from reidflow.ingest.frames import centre
from reidflow.ingest.listing import Reading, reread
from reidflow.ingest.rawdigest import dataset_paths, snapshot
from reidflow.ingest.sources import lfw, query_gallery, table
from reidflow.spec.errors import ReidflowError

PNG = encoded(picture())


def write(path: Path, content: bytes | str = PNG) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def facts(listing):
    return {row.image: (row.identity, row.side) for row in listing.rows}


@pytest.fixture
def folders(tmp_path):
    for name in ("train/Leo/1.png", "train/Mia/deep/1.png", "query/1.png", "query/Leo/1.png", "gallery/1.png"):
        write(tmp_path / name)
    write(tmp_path / "gallery" / "Mia" / "1.png")
    write(tmp_path / "query" / "notes.txt", "none")
    write(tmp_path / "elsewhere" / "1.png")
    return tmp_path


def test_equal_names_in_two_folders_are_two_images(folders):
    listing = query_gallery.open_source(path=str(folders), train="train")
    assert facts(listing) == {
        "train/Leo/1.png": ("Leo", None),
        "train/Mia/deep/1.png": ("Mia", None),
        "query/1.png": (None, "query"),
        "query/Leo/1.png": (None, "query"),
        "gallery/1.png": (None, "gallery"),
        "gallery/Mia/1.png": (None, "gallery"),
    }
    assert not listing.faults and listing.ignored == {".png": 1, ".txt": 1}


def test_folders_of_a_labelled_query_and_gallery_are_identities(folders):
    listing = query_gallery.open_source(path=str(folders), labelled=True)
    assert facts(listing) == {"query/Leo/1.png": ("Leo", "query"), "gallery/Mia/1.png": ("Mia", "gallery")}
    assert {fault.image: fault.reason for fault in listing.faults} == dict.fromkeys(
        ["query/1.png", "gallery/1.png"], "no_identity"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"query": "queries"}, "'query' names the folder 'queries', which holds no file"),
        (
            {"query": "gallery"},
            "'query' names the folder 'gallery' and 'gallery' the folder 'gallery', which share files",
        ),
        ({"train": "."}, "'train' names the folder '.' and 'query' the folder 'query', which share files"),
        ({"gallery": "query/Leo"}, "which share files"),
    ],
)
def test_folders_that_are_empty_or_hold_one_another_are_named(folders, given, message):
    with pytest.raises(ReidflowError) as caught:
        query_gallery.open_source(path=str(folders), **given)
    assert message in str(caught.value)


def test_a_folder_without_images_is_an_error(folders):
    write(folders / "texts" / "a.txt", "none")
    with pytest.raises(ReidflowError, match="the folder of 'query' holds no image"):
        query_gallery.open_source(path=str(folders), query="texts")


def test_a_table_may_have_sides_and_unlabelled_images_together(folders):
    lines = ["path,identity,s", "train/Leo/1.png,Leo,", "query/1.png,?,query", "gallery/1.png,?,Gallery"]
    write(folders / "t.csv", "\n".join([*lines, "gallery/Mia/1.png,Mia,gallery", "query/Leo/1.png,,query"]) + "\n")
    listing = reread(table.open_source(path=str(folders / "t.csv"), side="s"), Reading(unlabelled=["?"]))
    assert facts(listing) == {
        "train/Leo/1.png": ("Leo", None),
        "query/1.png": (None, "query"),
        "gallery/1.png": (None, "gallery"),
        "gallery/Mia/1.png": ("Mia", "gallery"),
    }
    assert [(fault.image, fault.reason) for fault in listing.faults] == [("query/Leo/1.png", "no_identity")]


@pytest.fixture
def faces(tmp_path):
    """Return scikit-learn's folder with three people, of whom one has too few images."""
    home = tmp_path / "sklearn"
    for person, count in {"Ada_Lovelace": 3, "Bo": 2, "Carl_Q_Public": 4}.items():
        for k in range(count):
            pixels = np.random.default_rng(len(person) * 10 + k).integers(0, 256, (250, 250, 3), np.uint8)
            write(home / "lfw_home" / "lfw_funneled" / person / f"{person}_{k:04d}.jpg", encoded(pixels))
    for name in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
        write(home / "lfw_home" / name, "")
    write(home / "other_data.bin", b"1")
    return home


def test_lfw_lists_the_people_that_scikit_learn_lists_and_centre_cuts_as_it_does(faces):
    listing = lfw.open_source(path=str(faces), faces=3)
    theirs = fetch_lfw_people(
        data_home=str(faces), min_faces_per_person=3, color=True, resize=None, download_if_missing=False
    )
    counts = Counter(row.identity for row in listing.rows)
    assert counts == Counter(theirs.target_names[theirs.target])
    box = centre.box(250, 250, None, wide=0.376, high=0.5, down=0.53)
    assert box == pytest.approx((78, 70, 172, 195))
    whole = [Image.open(listing.root / row.path) for row in listing.rows]
    ours = sorted(np.asarray(image.crop([round(edge) for edge in box])).tobytes() for image in whole)
    assert ours == sorted((face * 255).round().astype(np.uint8).tobytes() for face in theirs.images)


def test_of_scikit_learns_data_only_the_people_are_the_data_set(faces):
    root, extra = dataset_paths({"name": "lfw", "path": str(faces)})
    names = snapshot(root, faces.parent / "cache.json").files
    assert not extra and set(names) == {row.path for row in lfw.open_source(path=str(faces), faces=1).rows}


def test_faces_that_are_not_there_are_an_error_with_the_command_that_fetches_them(tmp_path):
    with pytest.raises(ReidflowError) as caught:
        lfw.open_source(path=str(tmp_path))
    assert 'python -c "from sklearn.datasets import fetch_lfw_people; fetch_lfw_people(data_home=' in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_more_faces_than_anybody_has_are_too_many(faces):
    with pytest.raises(ReidflowError, match=r"nobody has 9 images; the most of one person is 4"):
        lfw.open_source(path=str(faces), faces=9)


@pytest.mark.parametrize("given", [{"wide": 0.0}, {"wide": 0.6, "across": 0.2}, {"high": 1.2}, {"down": 0.9}])
def test_a_part_outside_the_image_is_refused(given):
    with pytest.raises(ReidflowError, match="is not within the image"):
        centre.box(100, 80, None, **given)


def test_the_centre_is_kept_by_shares():
    assert centre.box(100, 80, None) == (25, 20, 75, 60)
    assert centre.box(100, 80, (1, 2, 3, 4), wide=1.0, high=1.0) == (0, 0, 100, 80)
