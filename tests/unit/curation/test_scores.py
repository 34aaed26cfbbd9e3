import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from reidflow.curation.scores import SCORES, contrast, exposure, luminance, neighbourhood, score, truncation
from reidflow.ingest.framing import GREY

SIDE = 96


def animal(kind, seed):
    """Return pixels and mask of a spotted animal; `kind` says what is wrong with the photograph."""
    random = np.random.default_rng(seed)
    coat = gaussian_filter(random.standard_normal((SIDE, SIDE)), 1.2)
    picture = 128 + 45 * np.repeat((coat / coat.std())[..., None], 3, axis=2)
    shift = 40 if kind == "truncated" else 0
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = ((x - 48 - shift) / 34) ** 2 + ((y - 48) / 24) ** 2 < 1
    if kind == "blurred":
        picture = gaussian_filter(picture, (1.5, 1.5, 0))
    picture *= {"dark": 0.2, "over_exposed": 2.4}.get(kind, 1.0)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    pixels[:10] = GREY
    mask[:10] = False
    return pixels, np.where(mask, 255, 0).astype(np.uint8)


KINDS = ["blurred", "dark", "over_exposed", "truncated", "small"] + ["fine"] * 15
MATCHING = {
    "blurred": "sharpness",
    "dark": "exposure",
    "over_exposed": "exposure",
    "truncated": "truncation",
    "small": "resolution",
}


def table(kinds, mask="alpha"):
    return pl.DataFrame(
        {
            "image": [f"{i}-{kind}" for i, kind in enumerate(kinds)],
            "identity": [f"J{i % 4}" for i in range(len(kinds))],
            "group": [None if i % 2 else f"g{i}" for i in range(len(kinds))],
            "width": [100 if kind == "small" else 400 for kind in kinds],
            "height": [300] * len(kinds),
            "mask": [mask] * len(kinds),
            "foreground": [0.25 if mask != "none" else None] * len(kinds),
        },
        schema_overrides={"width": pl.Int32, "height": pl.Int32, "foreground": pl.Float64, "group": pl.String},
    )


@pytest.fixture(scope="module")
def drawn():
    pictures = [animal(kind, seed) for seed, kind in enumerate(KINDS)]
    pixels, masks = (np.stack(part) for part in zip(*pictures, strict=True))
    features = np.random.default_rng(0).standard_normal((len(KINDS), 8)).astype(np.float32)
    return table(KINDS), pixels, np.arange(len(KINDS)), masks, features


@pytest.fixture(scope="module")
def scores(drawn):
    return score(*drawn)


@pytest.mark.parametrize("kind", MATCHING)
def test_a_planted_defect_is_the_worst_in_its_score_and_among_the_worst_in_quality(scores, kind):
    row, name = KINDS.index(kind), MATCHING[kind]
    values = scores[name] * (-1 if name == "truncation" else 1)
    fine = values.to_numpy()[[k == "fine" for k in KINDS]]
    assert values[row] < fine.min()
    assert scores["quality"][row] < np.sort(scores["quality"].to_numpy())[5]


def test_a_blurred_copy_is_less_sharp_and_of_lower_quality_than_its_original():
    pixels, mask = animal("fine", 0)
    blurred = gaussian_filter(pixels, (1, 1, 0))
    blurred[:10] = GREY
    found = score(table(["fine", "fine"]), np.stack([pixels, blurred]), np.arange(2), np.stack([mask] * 2), np.eye(2))
    assert found["sharpness"][1] < 0.5 * found["sharpness"][0]
    assert found["quality"][1] < found["quality"][0]


def test_scores_fit_their_contract_and_keep_the_order_of_the_images(drawn, scores):
    SCORES.check(scores, "scores")
    assert scores["image"].to_list() == drawn[0]["image"].to_list()
    assert scores["resolution"][5] == 400 * 300 * 0.25


def test_scores_see_the_training_images_alone(drawn, scores):
    manifest, pixels, rows, masks, features = drawn
    random = np.random.default_rng(1)
    others = random.integers(0, 255, (30, SIDE, SIDE, 3), np.uint8)
    store = np.concatenate([others[:17], pixels, others[17:]])
    all_masks = np.concatenate([masks[:17], masks, masks[:13]])
    assert score(manifest, store, rows + 17, all_masks, features).equals(scores)


def test_scores_of_an_image_do_not_depend_on_blocks(drawn, scores, monkeypatch):
    monkeypatch.setattr("reidflow.curation.scores.BLOCK", 3)
    monkeypatch.setattr("reidflow.curation.greedy.BLOCK_ELEMENTS", 5)
    assert score(*drawn).equals(scores)


def test_images_without_a_mask_have_no_mask_scores_and_are_ranked_among_themselves(drawn):
    _, pixels, rows, masks, features = drawn
    bare = np.array([kind == "fine" for kind in KINDS]) & (rows % 2 == 0)
    manifest = table(KINDS).with_columns(
        mask=pl.Series(np.where(bare, "none", "alpha")),
        foreground=pl.Series([None if b else 0.25 for b in bare], dtype=pl.Float64),
    )
    masks = np.where(bare[:, None, None], 255, masks).astype(np.uint8)
    found = score(manifest, pixels, rows, masks, features)
    assert found["truncation"].is_null().to_list() == found["foreground"].is_null().to_list() == bare.tolist()
    without = np.flatnonzero(bare)
    alone = score(manifest[without.tolist()], pixels, rows[without], masks, features[without])
    assert alone["quality"].to_list() == found["quality"].to_numpy()[without].tolist()
    assert found["resolution"][int(without[0])] == 400 * 300


def test_padding_counts_neither_as_photograph_nor_as_an_edge_of_it():
    photograph = animal("fine", 3)[0][20:80, 20:80]
    frames = np.full((2, SIDE, SIDE, 3), GREY, np.uint8)
    frames[0, :60, :60] = frames[1, 30:90, 18:78] = photograph
    manifest, masks = table(["fine", "fine"], "none"), np.full((2, SIDE, SIDE), 255, np.uint8)
    found = score(manifest, frames, np.arange(2), masks, np.eye(2))
    light = luminance(photograph, np.ones((60, 60), bool))
    assert found["exposure"].to_list() == [exposure(light)] * 2
    assert found["contrast"].to_list() == [contrast(light)] * 2
    assert found["sharpness"][0] == pytest.approx(found["sharpness"][1], rel=0.02)


def test_exposure_and_contrast_of_known_luminances():
    assert exposure(np.array([0.5, 0.5])) == 1
    assert exposure(np.array([0.5, 0.0])) == pytest.approx((1 + np.exp(-3.125)) / 2)
    assert contrast(np.array([0.2, 0.6])) == pytest.approx(0.2)
    pixels = np.array([[[255, 0, 0], [255, 255, 255]]], np.uint8)
    assert luminance(pixels, np.array([[True, True]])) == pytest.approx([0.299, 1.0])


def test_luminance_is_that_of_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    grey = np.asarray(Image.fromarray(pixels).convert("L"), float)
    assert np.abs(luminance(pixels, np.ones((9, 9), bool)).reshape(9, 9) * 255 - grey).max() < 0.51


def test_truncation_is_the_share_of_the_outline_on_the_edge_of_the_photograph():
    mask = np.zeros((10, 10), bool)
    mask[3:7, 2:6] = True
    inside = np.ones((10, 10), bool)
    assert truncation(mask, inside) == 0
    inside[7:] = False
    assert truncation(mask, inside) == 4 / 12
    inside[:, :2] = False
    assert truncation(mask, inside) == 7 / 12


def test_uniqueness_is_one_less_the_cosine_to_the_nearest_of_the_identity():
    features = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.96, 0.28]])
    near = neighbourhood(features, np.array([0, 0, 0, 1]), np.arange(4))
    assert near.uniqueness[:3] == pytest.approx([0.2, 0.2, 0.4], abs=1e-6)
    assert np.isnan(near.uniqueness[3])
    assert near.representativeness[0] == pytest.approx((0.8 + 0 + 0.96) / 3, abs=1e-6)


def test_label_doubt_compares_the_nearest_of_the_identity_with_images_placed_at_random():
    angles = np.deg2rad([0, 40, 10, 20, 30, 60])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    identity = np.array([0, 0, 1, 1, 2, 2])
    doubt = neighbourhood(features, identity, np.arange(6)).label_doubt
    assert doubt[0] == pytest.approx(3 / 4)
    assert doubt[2] == pytest.approx(1 / 8)
    assert doubt[3] == pytest.approx(1 / 8)


def test_images_of_the_own_group_have_no_say_on_a_label():
    angles = np.deg2rad([0, 1, 30, 10, 20])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    identity = np.array([0, 0, 0, 1, 1])
    apart = neighbourhood(features, identity, np.arange(5)).label_doubt
    burst = neighbourhood(features, identity, np.array([0, 0, 1, 2, 3])).label_doubt
    assert apart[0] == 0 and burst[0] == 1
    alone = neighbourhood(features[:2], np.zeros(2, int), np.zeros(2, int)).label_doubt
    assert np.isnan(alone).all()


def test_a_planted_label_error_is_the_most_doubtful():
    random = np.random.default_rng(0)
    centres = random.standard_normal((6, 16))
    identity = np.arange(60) % 6
    features = centres[identity] + 0.5 * random.standard_normal((60, 16))
    identity[7] = (identity[7] + 1) % 6
    doubt = neighbourhood(features, identity, np.arange(60)).label_doubt
    assert np.argmax(doubt) == 7 and doubt[7] > 0.5 and np.delete(doubt, 7).max() < 0.2


def test_orders_run_from_the_first_choice_to_copies(drawn):
    manifest, pixels, rows, masks, features = drawn
    features = features.copy()
    features[9] = features[2]
    found = score(manifest, pixels, rows, masks, features)
    for name in ("facility_location", "k_center"):
        assert sorted(found[name].round(6)) == pytest.approx(np.arange(1, 21) / 20)
        assert found[name][9] == pytest.approx(1 / 20)
