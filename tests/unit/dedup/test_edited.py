import io

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw, ImageOps
from scipy.ndimage import gaussian_filter

from reidflow.dedup.edited import copies, hashed_copies
from reidflow.dedup.groups import Rules, group_images
from reidflow.dedup.hashes import image_hashes

SIDE = 120
CLOSE = 0.3
GREY = (124, 116, 104)


def scene(seed, animal, left=30):
    """An animal with spots of its own (seed `animal`) before the background of `seed`."""
    random = np.random.default_rng(seed)
    coarse = gaussian_filter(random.uniform(-1, 1, (SIDE, SIDE, 3)), (9, 9, 0)) * 1200
    fine = gaussian_filter(random.uniform(-1, 1, (SIDE, SIDE, 3)), (2, 2, 0)) * 150
    image = Image.fromarray(np.clip(128 + coarse + fine, 0, 255).astype(np.uint8))
    draw, coat = ImageDraw.Draw(image), np.random.default_rng(1000 + animal)
    draw.ellipse((left, 35, left + 66, 90), fill=(180, 140, 90))
    for _ in range(14):
        x, y = left + 8 + coat.uniform(0, 44), 42 + coat.uniform(0, 38)
        draw.ellipse((x, y, x + 7, y + 5), fill=(40, 30, 20))
    return image


def jpeg(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def captioned(image):
    image = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 110, SIDE, SIDE), fill=(0, 0, 0))
    draw.text((2, 109), "2024-03-01 06:15", fill=(255, 255, 255))
    return image


def marked(image):
    image = image.copy()
    ImageDraw.Draw(image).ellipse((70, 15, 102, 47), fill=(240, 240, 30))
    return image


def framed(image):
    square = Image.new("RGB", (SIDE, SIDE), GREY)
    fitting = ImageOps.contain(image, (SIDE, SIDE))
    square.paste(fitting, ((SIDE - fitting.width) // 2, (SIDE - fitting.height) // 2))
    return np.asarray(square)


EDITS = {
    "crop": lambda image: image.crop((0, 6, 100, 112)),
    "corner": lambda image: image.crop((24, 22, 120, 120)),
    "wide": lambda image: image.crop((0, 30, 120, 105)),
    "mirror": ImageOps.mirror,
    "quarter": lambda image: image.rotate(90, expand=True),
    "half": lambda image: image.rotate(180),
    "three quarters": lambda image: image.rotate(270, expand=True),
    "darker": lambda image: image.point([int(v * 0.6) for v in range(256)] * 3),
    "gamma": lambda image: image.point([int(255 * (v / 255) ** 1.6) for v in range(256)] * 3),
    "brighter": lambda image: image.point([min(255, int(v * 1.4)) for v in range(256)] * 3),
    "jpeg": lambda image: jpeg(image, 20),
    "small": lambda image: jpeg(image.resize((60, 60)), 40),
    "caption": captioned,
    "logo": marked,
    "mirrored crop": lambda image: ImageOps.mirror(image.crop((5, 0, 120, 110))),
    "turned and darker": lambda image: image.rotate(90).point([int(v * 0.7) for v in range(256)] * 3),
    "marked jpeg": lambda image: jpeg(marked(image), 30),
}


@pytest.fixture(scope="module")
def found():
    """The pairs among originals, a copy of each, a moved animal and another animal before the background of each."""
    originals = [scene(number, number) for number in range(len(EDITS))]
    edited = [edit(image) for edit, image in zip(EDITS.values(), originals, strict=True)]
    moved = [scene(number, number, left=42) for number in range(len(EDITS))]
    others = [scene(number, 50 + number) for number in range(len(EDITS))]
    store = np.stack([framed(image) for image in originals + edited + moved + others])
    return store, copies(store, np.arange(len(store)), 1.0)


@pytest.mark.parametrize("number", range(len(EDITS)), ids=list(EDITS))
def test_an_edited_copy_is_closer_than_another_photograph_of_its_scene(found, number):
    _, (pairs, apart) = found
    distance = {tuple(pair): value for pair, value in zip(pairs.tolist(), apart, strict=True)}
    count = len(EDITS)
    assert distance[number, count + number] <= CLOSE
    same_scene = [distance.get((number, k * count + number), 1.0) for k in (2, 3)]
    assert min(same_scene) > CLOSE


def test_other_photographs_are_not_copies(found):
    _, (pairs, apart) = found
    assert {tuple(pair) for pair in pairs[apart <= CLOSE].tolist()} == {(i, len(EDITS) + i) for i in range(len(EDITS))}


def test_exact_copies_are_0_apart_symmetries_nearly_and_an_empty_image_has_no_copy():
    image = np.asarray(scene(3, 3))
    versions = [np.rot90(view, k) for view in (image, image[:, ::-1]) for k in range(4)]
    blank = np.full_like(image, 90)
    store = np.stack([*versions, image, blank, blank, np.asarray(scene(4, 4))])
    pairs, apart = copies(store, np.arange(len(store)), CLOSE)
    assert pairs.tolist() == [[i, j] for i in range(9) for j in range(i + 1, 9)]
    assert apart.max() < 0.03 and pairs[apart == 0].tolist() == [[0, 8]]


def test_results_depend_neither_on_threads_nor_on_the_place_in_the_store(found):
    store, (pairs, apart) = found
    spread = np.zeros((2 * len(store), *store.shape[1:]), np.uint8)
    spread[1::2] = store
    again, distances = copies(spread, np.arange(len(store)) * 2 + 1, 1.0, workers=3)
    assert np.array_equal(again, pairs) and np.array_equal(distances, apart)
    assert len(copies(store, np.arange(0), 1.0)[0]) == 0
    assert hashed_copies(store, np.arange(2), 0.0).shape == (0, 3)


def test_edited_copies_join_groups_within_and_blocks_across_identities(found):
    store, _ = found
    count = len(EDITS)
    rows = np.array([0, count, 3, count + 3, 2 * count])
    edited = hashed_copies(store, rows, CLOSE)
    hashes = image_hashes(store, rows, "phash")
    bits = np.unpackbits(hashes, axis=1)
    assert edited.tolist() == [[i, j, int((bits[i] != bits[j]).sum())] for i, j in ((0, 1), (2, 3))]
    names = list("abcde")
    table = pl.DataFrame(
        {
            "image": names,
            "path": names,
            "identity": ["x", "x", "x", "y", "z"],
            "group": [None] * 5,
            "visible": [None] * 5,
        },
        schema_overrides={"group": pl.String, "visible": pl.String},
    )
    made = group_images(table, hashes, Rules(4, edited=CLOSE), edited=edited)
    assert made.groups["group"].to_list() == ["a", "a", "c", "d", "e"]
    assert made.groups["block"].to_list() == ["a", "a", "c", "c", "e"]
    joined = made.pairs.filter("joined")
    assert joined.select("image", "other", "same_identity").rows() == [("a", "b", True), ("c", "d", False)]
    assert joined["distance"].to_list() == edited[:, 2].tolist()
    plain = group_images(table, hashes, Rules(4))
    assert plain.groups["group"].n_unique() == 5
    assert set(plain.pairs.rows()) <= {(*row[:4], False) for row in made.pairs.rows()}
