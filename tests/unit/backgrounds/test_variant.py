import hashlib

import numpy as np
import polars as pl
import pytest
from planted_animals import EACH, animals, row_of, variant

from reidflow.backgrounds.photo import donor_pools
from reidflow.backgrounds.variant import write_variant
from reidflow.ingest.manifest import PIXELS
from reidflow.spec.components import names, resolve
from reidflow.spec.errors import ReidflowError


@pytest.fixture(scope="module")
def planted():
    return animals()


def donors(planted, folder, **more):
    result = variant(planted, "random", folder, **more)
    return [row_of(result[row], planted.behind[row]) for row in range(len(result))]


@pytest.mark.parametrize("name", names("background"))
def test_a_variant_is_the_same_bytes_each_time(planted, name, tmp_path):
    for folder in ("first", "second"):
        variant(planted, name, tmp_path / folder)
    assert (tmp_path / "first/images.npy").read_bytes() == (tmp_path / "second/images.npy").read_bytes()


def test_other_images_do_not_touch_the_noise_of_an_image(planted, tmp_path):
    chosen = [9, 2, 5]
    everything = variant(planted, "noise", tmp_path)
    assert np.array_equal(variant(planted.rows(chosen), "noise", tmp_path), everything[chosen])
    assert len(np.unique(everything[:, 0, 0], axis=0)) > 1


@pytest.mark.parametrize("name", ["noise", "random", "unrelated_background"])
def test_the_seed_decides_what_is_random(planted, name, tmp_path):
    first, again, other = (variant(planted, {"name": name, "seed": seed}, tmp_path) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_order_of_the_images_does_not_decide_the_donors(planted, tmp_path):
    order = list(range(12))[::-1]
    assert np.array_equal(variant(planted.rows(order), "random", tmp_path), variant(planted, "random", tmp_path)[order])


def test_a_donor_of_another_group_is_preferred(planted, tmp_path):
    groups = ["one place" if row < 9 else "another" for row in range(12)]
    together = planted.with_columns(group=groups)
    assert all(donor >= 9 for donor in donors(together, tmp_path)[:9])
    everywhere = donors(planted.with_columns(group=["one place"] * 12), tmp_path)
    assert all(donor // EACH != row // EACH for row, donor in enumerate(everywhere))


def test_a_donor_is_of_the_images_own_pool(planted, tmp_path):
    pools = ["test" if row % 2 else "train" for row in range(12)]
    for seed in range(3):
        found = variant(planted, {"name": "random", "seed": seed}, tmp_path, pools=pools)
        assert all(row_of(found[row], planted.behind[row]) % 2 == row % 2 for row in range(12))
    mixed = donors(planted, tmp_path, pools=[None] * 12)
    assert any(donor % 2 != row % 2 for row, donor in enumerate(mixed))
    with pytest.raises(ReidflowError, match="among the images of 'val'"):
        variant(planted, "random", tmp_path, pools=["val"] * 3 + ["train"] * 9)


def test_an_unlabelled_photograph_gives_its_background_to_unlabelled_ones_alone(planted, tmp_path):
    identity = [None if row < 3 else name for row, name in enumerate(planted.manifest["identity"])]
    partly = planted.with_columns(identity=identity, group=[None] * 12)
    taken = [donors(partly, tmp_path)]
    for seed in range(1, 4):
        found = variant(partly, {"name": "random", "seed": seed}, tmp_path)
        taken.append([row_of(found[row], partly.behind[row]) for row in range(12)])
    assert all(donor >= 3 for found in taken for donor in found[3:])
    assert all(donor != row for found in taken for row, donor in enumerate(found[:3]))
    assert any(donor < 3 for found in taken for donor in found[:3])


def test_an_animal_that_fills_its_frame_is_no_donor(planted, tmp_path):
    full = animals()
    full.masks[3:11] = 255
    result = variant(full, "random", tmp_path)
    assert [row_of(result[row], full.behind[row]) for row in range(3)] == [11] * 3
    full.masks[11] = 255
    with pytest.raises(ReidflowError, match="does not fill the frame"):
        variant(full, "random", tmp_path)
    assert list(tmp_path.glob("*.part")) == []


def test_table_and_summary_identify_the_pixels(planted, tmp_path):
    arguments = (planted.manifest, planted.images, planted.masks)
    table, summary = write_variant(
        *arguments, resolve("background", "silhouette"), tmp_path / "a.npy", without_mask="error"
    )
    PIXELS.check(table, "table")
    rows = np.load(tmp_path / "a.npy")
    assert table["image"].to_list() == planted.manifest["image"].to_list()
    assert table["pixels"].to_list() == [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
    assert {**summary, "digest": ""} == {"count": 12, "size": 48, "digest": "", "without_mask": 0, "blank": 0}
    _, other = write_variant(*arguments, resolve("background", "gray"), tmp_path / "b.npy", without_mask="error")
    assert other["digest"] != summary["digest"]


def test_pictures_without_anything_on_them_are_counted(planted, tmp_path):
    tight = {"name": "background_only", "dilation": 5.0}
    arguments = (planted.manifest, planted.images, planted.masks, resolve("background", tight), tmp_path / "a.npy")
    assert write_variant(*arguments, without_mask="error")[1]["blank"] == 12


def test_images_without_a_mask_are_refused_or_kept_and_counted(planted, tmp_path):
    mask = ["none" if row in (1, 4) else "alpha" for row in range(12)]
    partly = planted.with_columns(mask=mask)
    with pytest.raises(ReidflowError, match=r"2 of 12 images have no mask \(01.png, 04.png\).*without_mask: keep"):
        variant(partly, "gray", tmp_path)
    table, summary = write_variant(
        partly.manifest,
        partly.images,
        partly.masks,
        resolve("background", "gray"),
        tmp_path / "images.npy",
        without_mask="keep",
    )
    result = np.load(tmp_path / "images.npy")
    assert summary["without_mask"] == 2 and len(table) == 12
    assert np.array_equal(result[[1, 4]], partly.images[[1, 4]])
    assert not (result[[0, 2]] == partly.images[[0, 2]]).all(axis=(1, 2, 3)).any()
    for seed in range(4):
        result = variant(partly, {"name": "random", "seed": seed}, tmp_path, without_mask="keep")
        changed = [row for row in range(12) if row not in (1, 4)]
        assert not {1, 4} & {row_of(result[row], partly.behind[row]) for row in changed}


def test_a_data_set_without_any_mask_is_refused_whatever_the_policy(planted, tmp_path):
    bare = planted.with_columns(mask=["none"] * 12)
    for policy in ("error", "keep"):
        with pytest.raises(ReidflowError, match="12 of 12 images have no mask") as caught:
            variant(bare, "gray", tmp_path, without_mask=policy)
        assert "keep to leave" not in str(caught.value)


@pytest.mark.parametrize("name", ["original", "gray", "background_only"])
def test_a_background_removed_from_the_files_stops_every_intervention(planted, name, tmp_path):
    removed = planted.with_columns(background_present=[row > 6 for row in range(12)])
    with pytest.raises(ReidflowError, match="background was removed from 7 of 12"):
        variant(removed, name, tmp_path)
    variant(planted.with_columns(background_present=[row > 5 for row in range(12)]), name, tmp_path)


def test_one_identity_alone_has_no_donor(planted, tmp_path):
    alone = planted.rows([0, 1, 2])
    for name in ("random", "unrelated_background"):
        with pytest.raises(ReidflowError, match=r"00.png: no image can give it.*another identity"):
            variant(alone, name, tmp_path)
    variant(alone, "blur", tmp_path)


def test_a_users_own_intervention_is_held_to_the_shape(planted, tmp_path, monkeypatch):
    (tmp_path / "my_backgrounds").mkdir()
    code = "def apply(photo, *, by: int = 2):\n    return photo.pixels[::by, ::by]\n"
    (tmp_path / "my_backgrounds" / "halved.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ReidflowError, match=r"my_backgrounds.halved' returned uint8 \(24, 24, 3\) for 00.png"):
        variant(planted, "my_backgrounds.halved", tmp_path)
    whole = variant(planted, {"name": "my_backgrounds.halved", "by": 1}, tmp_path)
    assert np.array_equal(whole, planted.images)


def test_donors_come_from_the_same_role_and_the_same_side():
    manifest = pl.DataFrame({"image": list("abcd"), "side": ["query", "gallery", None, "gallery"]})
    split = pl.DataFrame({"image": list("abc"), "role": ["test", "test", "train"]})
    assert donor_pools(manifest, split) == ["test", "test, gallery side", "train", None]
