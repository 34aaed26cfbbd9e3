from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.figures.contact import (
    BORDER,
    MARGIN,
    Row,
    Tile,
    _choose,
    _even,
    identities_sheet,
    masks_sheet,
    write_sheet,
)
from reidflow.figures.style import ORANGE, ROLES, Heading
from reidflow.spec.errors import ReidflowError


def squares(count: int, size: int = 32) -> np.ndarray:
    shades = np.linspace(10, 240, count).astype(np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (count, size, size, 3))


def sheet(out: Path, count: int, captions: list[str], columns: int, title: str = "") -> np.ndarray:
    tiles = [Tile(*parts) for parts in zip(squares(count), captions, strict=True)]
    write_sheet([Row(tiles[i : i + columns]) for i in range(0, count, columns)], out, Heading(title), 64)
    return np.asarray(Image.open(out).convert("RGB"))


def test_images_stand_in_their_order(tmp_path: Path) -> None:
    images = squares(5)
    found = sheet(tmp_path / "s.png", 5, ["", "<b>", "$x$", "nul\x00", "word " * 50], 3)
    assert [found[MARGIN + 32, MARGIN + 32 + i * 74, 0] for i in range(3)] == images[:3, 0, 0, 0].tolist()
    below = np.nonzero((found == images[3, 0, 0, 0]).all(axis=2) & (np.arange(len(found)) > MARGIN + 64)[:, None])
    assert (below[1].min(), below[1].max()) == (MARGIN, MARGIN + 63)


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a.jpg", "b.jpg"):
        sheet(tmp_path / name, 4, list("abcd"), 2, "Title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReidflowError, match=r"\.png or \.jpg"):
        sheet(tmp_path / "s.gif", 1, ["a"], 2)


def test_no_image_at_all_is_a_sheet_that_says_so(tmp_path: Path) -> None:
    assert sheet(tmp_path / "s.png", 0, [], 4).min() < 200


def split(roles: list[str], identity: str = "a") -> pl.DataFrame:
    images = [f"{identity}/{i:02d}" for i in range(len(roles))]
    return pl.DataFrame({"image": images, "identity": identity, "group": images, "role": roles})


def test_every_role_of_an_identity_gets_its_turn() -> None:
    own = split(["train"] * 20 + ["val"] + ["test"] * 5)
    chosen = _choose(own, 6)
    assert [role for _, role in chosen] == ["train"] * 3 + ["val"] + ["test"] * 2
    assert [image for image, role in chosen if role == "train"] == ["a/00", "a/10", "a/19"]
    assert len(_choose(own, 100)) == 26


def test_choices_at_even_distances_hold_both_ends() -> None:
    assert _even(list(range(10)), 4) == [0, 3, 6, 9]
    assert _even([1, 2], 5) == [1, 2]
    assert _even([1, 2], 1) == [1]


def test_borders_have_the_colour_of_the_role_and_rows_are_those_of_the_manifest(tmp_path: Path) -> None:
    roles = split(["train", "test"])
    manifest = pl.DataFrame({"image": ["unlabelled", "a/01", "a/00"]})
    images = squares(3)
    identities_sheet(images, manifest, roles, Heading("Who"), tmp_path / "s.png", tile=64)
    sheet = np.asarray(Image.open(tmp_path / "s.png").convert("RGB"))
    blue = tuple(int(ROLES["train"][i : i + 2], 16) for i in (1, 3, 5))
    rows, columns = np.nonzero((sheet == blue).all(axis=2))
    tile = rows > rows.max() - 64
    top, left = rows[tile].min(), columns[tile].min()
    assert (sheet[top : top + BORDER, left : left + 64] == blue).all()
    assert sheet[top + 32, left + 32, 0] == images[2, 0, 0, 0]
    assert sheet[top + 32, left + 32 + 74, 0] == images[1, 0, 0, 0]


def masked(sources: list[str]) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    """Return images whose masks are boxes at their left, ever wider, in an order that is not that of their shares."""
    masks = np.zeros((len(sources), 32, 32), np.uint8)
    for row in range(len(sources)):
        masks[row, :, : 1 + (7 * row) % len(sources)] = 255
    share = [
        None if source == "none" else float((mask > 0).mean()) for source, mask in zip(sources, masks, strict=True)
    ]
    table = {"image": [f"{row:02d}" for row in range(len(sources))], "mask": sources, "foreground": share}
    return squares(len(sources)), masks, pl.DataFrame(table)


def test_masks_are_outlined_from_the_smallest_share_of_foreground_to_the_largest(tmp_path: Path) -> None:
    images, masks, manifest = masked(["network"] * 30)
    masks_sheet(images, masks, manifest, Heading("Masks"), tmp_path / "s.png", across=4, tile=32)
    sheet = np.asarray(Image.open(tmp_path / "s.png").convert("RGB"))
    line = (sheet == tuple(int(ORANGE[i : i + 2], 16) for i in (1, 3, 5))).all(axis=2)
    # The outline of a box at the left is one column: the last of the mask.
    left = MARGIN + 190 + np.arange(4) * 42
    tops = np.flatnonzero(line.sum(axis=1) == 4)
    rows = np.split(tops, np.flatnonzero(np.diff(tops) > 1) + 1)
    widths = [[int(line[row[0], x : x + 32].argmax()) + 1 for x in left] for row in rows]
    assert [len(row) for row in rows] == [32, 32, 32]
    assert widths == [[1, 2, 3, 4], [5, 12, 19, 26], [27, 28, 29, 30]]


def test_each_source_of_masks_has_rows_of_its_own_and_no_image_is_shown_twice(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr("reidflow.figures.contact.write_sheet", lambda *given: drawn.append(given))
    masks_sheet(*masked(["network"] * 5 + ["alpha", "none"]), Heading("Masks", "demo"), tmp_path / "s.png", across=4)
    ((rows, _, heading, _),) = drawn
    assert [(row.words[0], len(row.tiles)) for row in rows] == [
        ("Alpha channels", 1),
        ("A network", 4),
        ("A network", 1),
    ]
    assert heading.subtitle == "demo · 1 from alpha channels, 5 from a network, 1 without a mask"
    whole = pl.DataFrame({"image": ["a"], "mask": ["network"], "foreground": [1.0]})
    masks_sheet(*masked(["network"])[:2], whole, Heading("Masks"), tmp_path / "s.png")
    assert drawn[1][2].subtitle == "1 from a network · 1 cover over 95% of the image"


def test_a_data_set_without_masks_has_a_sheet_that_says_what_computes_them(tmp_path: Path) -> None:
    masks_sheet(*masked(["none"] * 3), Heading("Masks"), tmp_path / "s.png")
    assert np.asarray(Image.open(tmp_path / "s.png")).min() < 200
