import numpy as np
import pytest
from PIL import Image
from planted_animals import animals

from reidflow.analyses.backgrounds.sheet import choose, draw
from reidflow.figures.contact import MARGIN
from reidflow.figures.style import Heading
from reidflow.spec.errors import ReidflowError


@pytest.fixture(scope="module")
def planted():
    return animals()


def test_rows_are_photographs_and_columns_interventions(tmp_path):
    shades = {label: np.full((5, 16, 16, 3), i, np.uint8) for i, label in enumerate(["original", "<b>$x$"])}
    for i, images in enumerate(shades.values()):
        images += (np.arange(5, dtype=np.uint8) * 40 + 20 * i)[:, None, None, None]
    draw(shades, [3, 1], ["J01\nimage", ""], Heading("Title", "demo"), tmp_path / "sheet.png", tile=32)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    left = MARGIN + 190 + 16
    found = [[shade for shade in line if shade in {120, 141, 40, 61}] for line in sheet[:, [left, left + 42], 0]]
    assert [line for line in dict.fromkeys(map(tuple, found)) if len(line) == 2] == [(120, 141), (40, 61)]


def test_a_caption_is_needed_for_each_photograph(tmp_path):
    with pytest.raises(ReidflowError, match="2 photographs and 1 captions"):
        draw({}, [0, 1], ["a"], Heading(""), tmp_path / "sheet.png")


def test_photographs_are_chosen_over_the_identities_and_by_the_difficulty_of_their_masks(planted):
    masks = planted.masks.copy()
    masks[10, ::2, ::2] = 255
    masks[4, ::3, ::3] = 255
    rows = choose(planted.manifest, masks, 6)
    assert [row // 3 for row in rows[:4]] == [0, 1, 2, 3] and rows[4:] == [10, 4]
    assert len(set(choose(planted.manifest, masks, 20))) == 12
    bare = planted.with_columns(mask=["none"] * 6 + ["alpha"] * 6, identity=["a"] * 9 + [None] * 3)
    assert sorted(choose(bare.manifest, masks, 5)) == [6, 7, 8]
    nobody = planted.with_columns(mask=["none"] * 12)
    assert choose(nobody.manifest, masks, 5) == []
