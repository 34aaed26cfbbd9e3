"""A data set that cannot answer anything stops, before anything is trained, and says what is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from bad_cases import GOOD, Case, check_quarantined, check_said, check_stops, good_folder, of_cases, read, write

from reidflow.dedup.groups import Rules, group_images
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.splits.split import split_images


def files(*names: str, content: bytes | str = GOOD, source: str = "folder", **keys: Any):
    """Return a layer of files of the same content."""

    def lay(data: Path) -> dict[str, Any]:
        for name in names:
            write(data / name, content)
        return {"name": source, "path": str(data), **keys}

    return lay


def jaguar(train: str | None, *images: str, test: str | None = None):
    def lay(data: Path) -> dict[str, Any]:
        for name, rows in (("train.csv", train), ("test.csv", test)):
            if rows is not None:
                write(data / name, rows)
        return files(*images, source="jaguar")(data)

    return lay


def mostly_bad(data: Path) -> dict[str, Any]:
    files("leo/7.png", "leo/8.jpg", content=b"no image")(data)
    write(data / "leo" / "9.png", b"")
    return good_folder(data)


def sides(**keys: Any):
    return files("query/1.png", "gallery/1.png", source="query_gallery", **keys)


TRAIN = "filename,ground_truth\n"
STOPS = [
    Case("an empty folder", files(), ("{data}: no image is in this folder. It should hold a folder per identity.",)),
    Case("a folder of texts", files("leo/notes.txt", content="no image"), ("{data}: no image is in this folder.",)),
    Case(
        "images in no identity's folder",
        files("1.png", "2.png"),
        (
            "{data}: its 2 images lie directly in this folder. Put them into a folder per identity within it;",
            "`reidflow init`",
        ),
    ),
    Case(
        "nothing but broken images",
        files("leo/1.png", "mia/1.png", content=b"no image"),
        (
            "2 of 2 images cannot be used, so none is left.",
            "2 x unreadable",
            "e.g. leo/1.png (no image format begins",
        ),
    ),
    Case(
        "more broken images than max_bad_share",
        mostly_bad,
        (
            "{data}: 3 of 7 images cannot be used, more than max_bad_share = 0.4 allows.",
            "2 x unreadable: the content is not a readable image",
            "1 x zero_size: the file is empty",
            "image, e.g. leo/7.png (no image format begins like that: b'no image')",
            "rejected.parquet. Correct the files or labels; or, if the rest is enough, raise dataset.max_bad_share.",
        ),
    ),
    Case(
        "no folder of the queries",
        sides(query="queries"),
        ("{data}: 'query' names the folder 'queries', which holds no file. Correct 'query', a folder of the dataset.",),
    ),
    Case(
        "no folder of the gallery",
        files("query/1.png", source="query_gallery"),
        ("'gallery' names the folder 'gallery'",),
    ),
    Case(
        "a gallery without images",
        lambda data: {
            **files("gallery/x.txt", content="no image")(data),
            **files("query/1.png", source="query_gallery")(data),
        },
        ("{data}: the folder of 'gallery' holds no image. Correct 'gallery'.",),
    ),
    Case("one folder for both sides", sides(gallery="query"), ("which share files. Name separate folders.",)),
    Case(
        "the competition's layout without train.csv",
        jaguar(None, "train/1.png"),
        ("{data}: there is no train.csv. The source 'jaguar' needs the competition's folder: train.csv and train/.",),
    ),
    Case(
        "a train.csv without rows",
        jaguar(TRAIN, "train/1.png"),
        ("train.csv: the table has no rows. It needs one per",),
    ),
    Case(
        "a train.csv of another competition",
        jaguar("id,label\n1.png,Leo\n", "train/1.png"),
        ("train.csv: there is no column 'filename'. The columns are: id, label.",),
    ),
    Case(
        "a train.csv whose files were not unpacked",
        jaguar(TRAIN + "1.png,Leo\n2.png,Mia\n"),
        (
            "2 of 2 images cannot be used, so none is left.",
            "2 x missing: the file does not exist",
            "no file 'train/1.png'",
        ),
    ),
    Case(
        "LFW that nobody fetched",
        files("1.png", source="lfw"),
        (
            "there is no folder '{data}/lfw_home/lfw_funneled', and reidflow downloads nothing by itself.",
            "fetch_lfw_people",
        ),
    ),
]

LEFT_OUT = [
    Case(
        "rows of test.csv without files",
        jaguar(TRAIN + "1.png,Leo\n2.png,Mia\n", "train/1.png", "train/2.png", test="filename\n7.png\n"),
        ("test/7.png: missing: no file 'test/7.png' in {data}",),
    ),
]


@of_cases(STOPS)
def test_a_data_set_that_answers_nothing_stops(case, tmp_path):
    check_stops(case, tmp_path / "data", tmp_path / "out", max_bad_share=0.4)


@of_cases(LEFT_OUT)
def test_a_gap_in_a_data_set_is_left_out_with_its_reason(case, tmp_path):
    check_quarantined(case, tmp_path / "data", tmp_path / "out")


def test_what_was_left_out_when_it_stopped_can_be_looked_at(tmp_path):
    with pytest.raises(ReidflowError):
        read(tmp_path / "data", tmp_path / "out", mostly_bad(tmp_path / "data"), max_bad_share=0.4)
    rejected = pl.read_parquet(tmp_path / "out" / "rejected.parquet")
    assert rejected.select("image", "identity", "reason").rows() == [
        ("leo/7.png", "leo", "unreadable"),
        ("leo/8.jpg", "leo", "unreadable"),
        ("leo/9.png", "leo", "zero_size"),
    ]


def groups_of(**identities: int):
    """Return a manifest's labelled rows: identity -> how many groups of two images it has."""
    images = [(f"{i}/{g}-{n}", i, f"{g}") for i, groups in identities.items() for g in range(groups) for n in range(2)]
    return pl.DataFrame(
        images, schema=dict.fromkeys(("image", "identity", "group"), pl.String), orient="row"
    ).with_columns(side=pl.lit(None, pl.String), path="image", visible=pl.lit(None, pl.String))


ENOUGH = {f"animal-{n}": 6 for n in range(4)}
SPLITS = {
    "nobody has a label": (
        groups_of(),
        {"name": "closed_set"},
        ("fewer than two identities: no usable image has a",),
    ),
    "everybody is Leo": (
        groups_of(Leo=8),
        {"name": "closed_set"},
        ("fewer than two identities: all labelled images show 'Leo', so there is nothing to distinguish. Give each",),
    ),
    "everybody is Leo, in an open set": (
        groups_of(Leo=8),
        {"name": "identity_disjoint"},
        ("fewer than two identities",),
    ),
    "identities with too few groups": (
        groups_of(Leo=2, Mia=2, Tom=2, Ida=8),
        {"name": "closed_set"},
        (
            "1 of 4 identities can be scored in 'test', which needs 2. With gallery: role, an identity can be scored where it has 5",
            "What works with these images:\n  gallery: all\n  split: {name: closed_set, train: 0.7, val: 0.0, test: 0.3",
        ),
    ),
    "identities seen once": (
        groups_of(Leo=1, Mia=1, Tom=1, Ida=2),
        {"name": "identity_disjoint"},
        ("No split of these images does: 3 of 4 identities have one group alone. Add images of other moments",),
    ),
    "too few identities for three roles": (
        groups_of(Leo=4, Mia=4),
        {"name": "identity_disjoint", "train": 0.4, "val": 0.2, "test": 0.4},
        (
            "split 'identity_disjoint': 1 of 2 identities can be scored in 'test', which needs 2.",
            "  gallery: all\n  split: {name: closed_set, train: 0.4, val: 0.2, test: 0.4, seed: 0}\nor\n  split: {name: closed_set",
        ),
    ),
    "shares over the whole": (
        groups_of(**ENOUGH),
        {"name": "closed_set", "train": 0.9, "val": 0.2, "test": 0.3},
        ("the shares train 0.9, val 0.2, test 0.3 must sum to 1, train and test above 0. Correct them.",),
    ),
    "no share for testing": (
        groups_of(**ENOUGH),
        {"name": "closed_set", "train": 0.8, "val": 0.2, "test": 0.0},
        ("must sum to 1, train and test above 0. Correct them.",),
    ),
}

CASES = [*STOPS, *LEFT_OUT, *(Case(what, dict, said) for what, (_, _, said) in SPLITS.items())]


@pytest.mark.parametrize(("rows", "method", "said"), SPLITS.values(), ids=SPLITS)
def test_labels_that_no_split_can_score_stop(rows, method, said, tmp_path):
    hashes = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (len(rows), 8), dtype=np.uint8)
    with pytest.raises(ReidflowError) as caught:
        split_images(rows, group_images(rows, hashes, Rules(4)).groups, resolve("split", method), "role")
    check_said(said, str(caught.value), tmp_path)


def test_the_same_labels_with_enough_groups_are_split():
    rows = groups_of(**ENOUGH)
    hashes = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (len(rows), 8), dtype=np.uint8)
    split = split_images(
        rows, group_images(rows, hashes, Rules(4)).groups, resolve("split", {"name": "closed_set"}), "role"
    )
    assert set(split["role"]) == {"train", "val", "test"}
