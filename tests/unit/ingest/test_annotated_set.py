"""A set in the form of wildlife-datasets, with boxes, polygons, unknown animals, dates and a split, from its table to its split."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image, ImageDraw

from reidflow.dedup.groups import NO_RULES, Rules, group_images, with_scenes
from reidflow.ingest.build import Outputs, ingest, listing_of
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec import plan
from reidflow.splits.audit import audit
from reidflow.splits.split import split_images
from reidflow.store.tables import read_table

ROOT = Path(__file__).resolve().parents[3]
WHO = 6
CONFIG = """
title: drawn
results: results-drawn
dataset:
  source: {name: wildlife_datasets, path: set/metadata.csv}
  frame: {name: mask_box, margin: 0.0}
backgrounds: {without_mask: keep}
split: {name: column}
gallery: all
protocol: {model: {size: 64}, epochs: 3}
seeds: [0, 1]
experiments: [losses, eda_backgrounds]
"""
SIZE = 32


def colour(who: int) -> tuple[int, int, int]:
    return (40 * who + 20, 250 - 40 * who, 128)


def drawn(folder: Path) -> pd.DataFrame:
    """Draw photographs (96 x 64) of two animals each, filled kites of their colours, in boxes of 40 x 50 pixels.

    Four dates for each animal: two to train on, one for validation, one to test on. In the last photograph an unknown animal
    stands beside one of training.
    """
    rows = []
    (folder / "images").mkdir(parents=True)
    for day, split in enumerate(("train", "train", "val", "test")):
        for first in range(0, WHO, 2):
            rows += _photograph(folder, f"images/{day}_{first}.png", [first, first + 1], split, f"2015-06-0{day + 1}")
    rows += _photograph(folder, "images/last.png", [0, None], "train", "2015-07-01")
    return pd.DataFrame(rows).rename_axis("").assign(image_id=range(len(rows)))


def _photograph(folder: Path, name: str, animals: list[int | None], split: str, date: str) -> list[dict]:
    photo = Image.new("RGB", (96, 64), (10, 90, 10))
    rows = []
    for place, who in enumerate(animals):
        left, top = 2 + 48 * place, 7
        kite = [left + 20, top, left + 40, top + 25, left + 20, top + 50, left, top + 25]
        ImageDraw.Draw(photo).polygon(kite, fill=(9, 9, 9) if who is None else colour(who))
        rows.append(
            {
                "identity": "unknown" if who is None else f"w{who}",
                "path": name,
                "bbox": [float(left), float(top), 40.0, 50.0],
                "segmentation": [float(value) for value in kite],
                "date": date,
                "orientation": "left",
                "split": split,
            }
        )
    photo.save(folder / name)
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The plan of the config, and the manifest, images and masks that ingest makes of the set."""
    root = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        (root / "config").symlink_to(ROOT / "config")
        drawn(root / "set").to_csv("set/metadata.csv")
        Path("mine.yaml").write_text(CONFIG)
        planned = plan.make(["config/config.yaml", "mine.yaml"])
        dataset = planned.config.dataset.model_dump(mode="json")
        names = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
        out = Outputs(*(root / name for name in names))
        ingest(listing_of(dataset, root), out, frame=dataset["frame"], size=SIZE, max_bad_share=0.0, max_pixels=10**6,
               workers=1)  # fmt: skip
    return (
        planned,
        read_table(out.manifest, MANIFEST),
        np.load(out.images),
        np.load(out.masks),
        json.loads(out.digest.read_text()),
    )


def test_a_dozen_lines_plan_both_experiments(made):
    planned, *_ = made
    assert len(CONFIG.split("\n")) <= 14 and sorted(planned.experiments) == ["eda_backgrounds", "losses"]
    assert planned.config.split == {"name": "column", "role": "auto", "val": None, "tested": "test", "seed": 0}


def test_each_entry_is_the_animal_in_its_box_with_its_outline(made):
    _, manifest, images, masks, summary = made
    assert summary["masks"]["segmentation"] == len(manifest) == 4 * WHO + 2 and not summary["quarantined"]
    assert manifest["path"].n_unique() == 2 * WHO + 1
    for row, who in enumerate(manifest["identity"]):
        expected = (9, 9, 9) if who is None else colour(int(who[1:]))
        assert np.abs(images[row, SIZE // 2, SIZE // 2].astype(int) - expected).max() <= 3
        assert masks[row, SIZE // 2, SIZE // 2] == 255 and masks[row, 0, 0] == 0
        # A kite covers half of its box.
        assert 0.42 < (masks[row] > 127).mean() * SIZE**2 / (SIZE * SIZE * 40 / 50) < 0.58
    assert dict(manifest.group_by("identity").len().iter_rows())[None] == 1
    assert set(manifest["time"].str.head(7)) == {"2015-06", "2015-07"}


def test_the_split_is_that_of_the_table_and_photographs_that_straddle_it_are_counted(made):
    planned, manifest, *_ = made
    known = manifest.filter(pl.col("identity").is_not_null())
    rules = Rules(**planned.config.groups.model_dump(mode="json") | {"phash_distance": None})
    none = np.empty((0, 3), np.int64), rules.reach
    grouping = group_images(known, np.empty((0, 8), np.uint8), rules, none)
    groups = with_scenes(grouping.groups, manifest, rules)
    split = split_images(manifest, groups, planned.config.split, planned.config.gallery)
    assert dict(split["role"].value_counts().iter_rows()) == {"train": 2 * WHO + 1, "val": WHO, "test": WHO}
    assert audit(split, manifest, grouping.pairs, "all", rules)["straddling_photographs"] == 0
    # The animals of one photograph in two roles, as a table might have it.
    torn = manifest.with_columns(role=pl.when(image=manifest["image"][0]).then(pl.lit("test")).otherwise("role"))
    assert manifest["role"][0] == "train" and manifest["path"][0] == manifest["path"][1]
    split = split_images(torn, groups, planned.config.split, "all")
    assert audit(split, torn, grouping.pairs, "all", NO_RULES)["straddling_photographs"] == 1
