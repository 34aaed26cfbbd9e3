"""A run may read another split than the pipeline's own: its roles, its digest, its choice of training images."""

import json

import numpy as np
import polars as pl
import pytest
from training_cases import small_data, small_spec

from reidflow.curation.subset import KEEP
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec import plan
from reidflow.splits.split import SPLIT, split_digest
from reidflow.store.tables import write_table
from reidflow.training.execute import OtherSplit, Source

CHOOSING = {"curation": {"method": {"name": "quality"}, "share": 0.5}}


def lay_split(folder, data, roles):
    folder.mkdir(parents=True)
    columns = {"image": data.images, "identity": data.identities, "group": data.images, "role": roles}
    split = pl.DataFrame({**columns, "side": [None] * len(roles)}, schema=SPLIT.columns)
    write_table(split, folder / "split.parquet", SPLIT)
    (folder / "split.json").write_text(json.dumps({"digest": split_digest(split, "role")}))
    return folder


@pytest.fixture
def results(tmp_path):
    """Lay out data with a split, the same split once more, and one whose roles are turned round."""
    data = small_data()
    lay_split(tmp_path / "data", data, data.roles)
    lay_split(tmp_path / "same", data, data.roles)
    turned = {"train": "test", "test": "train", "val": "val"}
    lay_split(tmp_path / "turned", data, [turned[role] for role in data.roles])
    empty = {name: pl.Series([None] * len(data.images), dtype=kind) for name, kind in MANIFEST.columns.items()}
    manifest = pl.DataFrame(empty).with_columns(image=pl.Series(data.images), identity=pl.Series(data.identities))
    fill = {pl.String: "", pl.Int64: 0, pl.Int32: 0, pl.Float64: 0.0, pl.Boolean: True}
    filled = [
        pl.col(name).fill_null(pl.lit(fill[kind], kind)) for name, kind in MANIFEST.columns.items() if kind in fill
    ]
    write_table(manifest.with_columns(filled), tmp_path / "data" / "manifest.parquet", MANIFEST)
    bank = tmp_path / "features" / plan.bank_id(plan.tested_bank(small_spec()))
    bank.mkdir(parents=True)
    np.save(bank / "features.npy", data.features)
    (bank / "features.json").write_text("{}")
    return tmp_path


def other(results, name, choices=None):
    return Source(results, "role", OtherSplit(results / name, choices or {}))


def test_a_run_on_another_split_has_the_roles_of_that_split(results):
    own, turned = Source(results, "role").load(small_spec()), other(results, "turned").load(small_spec())
    assert own.rows("train").tolist() == turned.rows("test").tolist()
    assert own.rows("test").tolist() == turned.rows("train").tolist()
    assert np.array_equal(own.features, turned.features) and own.images == turned.images


def test_a_run_is_known_by_its_split_wherever_it_lies(results):
    keys = [Source(results, "role").key(small_spec())]
    keys += [other(results, name).key(small_spec()) for name in ("same", "turned")]
    assert keys[0] == keys[1] != keys[2]


def test_the_training_images_left_out_are_those_chosen_on_that_split(results):
    spec, data = small_spec(**CHOOSING), small_data()
    turned = other(results, "turned").load(small_spec())
    left_out = [data.images[row] for row in turned.rows("train")[:2]]
    keep = pl.DataFrame(
        {"image": data.images, "identity": data.identities, "kept": [image not in left_out for image in data.images]}
    ).with_columns(**{name: pl.lit(None, KEEP.columns[name]) for name in ("seed", "group", "reason")})
    source = other(results, "turned", {plan.subset_id(spec): keep.select(list(KEEP.columns))})
    loaded = source.load(spec)
    assert [image for image, role in zip(loaded.images, loaded.roles, strict=True) if role == "dropped"] == left_out
    assert source.key(spec) != other(results, "turned").key(small_spec())


def test_the_choice_of_the_main_split_never_stands_in(results):
    spec = small_spec(**CHOOSING)
    folder = results / "subsets" / plan.subset_id(spec)
    folder.mkdir(parents=True)
    write_table(KEEP.empty(), folder / "keep.parquet", KEEP)
    Source(results, "role").key(spec)
    with pytest.raises(KeyError):
        other(results, "turned").key(spec)


def test_features_of_images_left_aside_are_no_part_of_what_a_run_is(results):
    data = small_data()
    roles = ["aside" if i % 7 == 0 else role for i, role in enumerate(data.roles)]
    lay_split(results / "aside", data, roles)
    before, path = other(results, "aside").key(small_spec()), next(results.glob("features/*/features.npy"))
    features = np.load(path)
    features[::7] = np.nan
    np.save(path, features)
    assert other(results, "aside").key(small_spec()) == before
    features[1] += 1
    np.save(path, features)
    assert other(results, "aside").key(small_spec()) != before
