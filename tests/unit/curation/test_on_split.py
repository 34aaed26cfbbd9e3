"""On another split the selection is repeated, on that split's training images."""

import numpy as np
import polars as pl
import pytest

from reidflow.curation.on_split import SelectionData, select_on_split
from reidflow.curation.scores import score
from reidflow.curation.selection import curated, without_duplicates
from reidflow.curation.subset import dropped
from reidflow.dedup.images import DUPLICATES
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import method_id, subset_id
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.tables import write_table

COUNT = 24
NAMES = [f"{n:02d}.png" for n in range(COUNT)]
IDENTITIES = [f"cat {n // 6}" for n in range(COUNT)]
BASE = {
    "model": {"backbone": {"name": "small", "family": "resnet_half"}, "size": 32},
    "loss": {"name": "arcface"},
    "sampler": {"name": "pk"},
    "optimizer": {"name": "adamw"},
    "scheduler": {"name": "constant"},
}
DEDUP = {"dedup": {"method": {"name": "phash"}, "threshold": 2}}
QUALITY = {"curation": {"method": {"name": "quality"}, "share": 0.5}}
RANDOM = {"curation": {"method": {"name": "random"}, "share": 0.5}}


def spec(seed=200, **changes):
    return RunSpec.model_validate({**BASE, **changes, "seed": seed})


def split(training):
    roles = ["train" if n in training else "test" for n in range(COUNT)]
    columns = {"image": NAMES, "identity": IDENTITIES, "group": NAMES, "role": roles, "side": [None] * COUNT}
    return pl.DataFrame(columns, schema=SPLIT.columns)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(3)
    arrays = {
        "images": generator.integers(0, 255, (COUNT, 24, 24, 3), dtype=np.uint8),
        "masks": np.full((COUNT, 24, 24), 255, np.uint8),
        "features": generator.normal(size=(COUNT, 2, 8)).astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    pairs = {"image": NAMES[:2], "other": NAMES[1:3], "distance": [1.0, 1.0], "same_identity": [True, True]}
    write_table(pl.DataFrame(pairs, schema=DUPLICATES.columns), folder / "pairs.parquet", DUPLICATES)
    known = {"image": NAMES, "identity": IDENTITIES, "group": NAMES, "mask": ["alpha"] * COUNT}
    known |= {"width": [24] * COUNT, "height": [24] * COUNT, "foreground": [1.0] * COUNT}
    kinds = {name: MANIFEST.columns[name] for name in known}
    files = {name: folder / f"{name}.npy" for name in arrays}
    method = method_id(spec(**DEDUP).dedup.method)
    return SelectionData(pl.DataFrame(known, schema=kinds), **files, pairs={method: folder / "pairs.parquet"})


@pytest.mark.parametrize("method", [{"name": "quality"}, {"name": "combined", "doubt": 0.4}, {"name": "k_center"}])
def test_the_choice_is_that_of_the_methods_on_the_training_images_of_the_split(data, method):
    training = set(range(1, COUNT, 2)) | {2}
    wanted = spec(**DEDUP, curation={"method": method, "share": 0.5})
    (choice,) = select_on_split([wanted], split(training), data).values()
    rows = np.array(sorted(training))
    named = data.manifest.with_row_index("row")[rows.tolist()]
    images, masks, features = (np.load(f) for f in (data.images, data.masks, data.features))
    pairs = pl.read_parquet(next(iter(data.pairs.values())))
    near = without_duplicates(named, wanted.plain()["dedup"], pairs, images, masks)
    scores = score(named, images, rows, masks, features[rows, 0])
    own = curated(named, near, wanted.plain()["curation"], scores, features, [200])
    assert choice.equals(own)
    assert choice["image"].to_list() == [NAMES[row] for row in rows]
    assert len(dropped(choice, 200) & {NAMES[1], NAMES[2]}) >= 1


def test_a_duplicate_in_another_role_drops_nothing(data):
    apart = select_on_split([spec(**DEDUP)], split({0, 2, 5, 7}), data)
    together = select_on_split([spec(**DEDUP)], split({0, 1, 5, 7}), data)
    assert [dropped(choice, 200) for choice in apart.values()] == [set()]
    assert [len(dropped(choice, 200)) for choice in together.values()] == [1]


def test_other_training_images_make_another_choice(data):
    wanted = spec(**QUALITY)
    kept = [
        set(select_on_split([wanted], split(own), data)[subset_id(wanted)].filter("kept")["image"])
        for own in (set(range(12)), set(range(12, COUNT)))
    ]
    assert not kept[0] & kept[1] and all(len(own) == 6 for own in kept)


def test_a_random_choice_is_made_for_each_seed_and_runs_on_all_images_choose_nothing(data):
    wanted = [spec(seed, **RANDOM) for seed in (201, 200)]
    (choice,) = select_on_split([*wanted, spec()], split(set(range(COUNT))), data).values()
    assert choice["seed"].unique().sort().to_list() == [200, 201]
    assert dropped(choice, 200) != dropped(choice, 201)
    assert select_on_split([spec()], split({0}), data) == {}


def test_two_runs_with_one_seed_share_one_choice(data):
    (choice,) = select_on_split([spec(200, **RANDOM), spec(200, **RANDOM)], split(set(range(COUNT))), data).values()
    assert choice["image"].n_unique() == choice.height
