"""`reidflow init`: look at a folder or table of images and write a config that fits it and runs."""

import csv
import io
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from reidflow.commands import init_folds
from reidflow.commands.init_text import (
    SHARES,
    Division,
    Found,
    Looks,
    config_text,
    extent,
    is_benchmark,
    next_steps,
    seen,
    word,
)
from reidflow.dedup.groups import Rules, group_images, with_scenes
from reidflow.ingest.decode import decode
from reidflow.ingest.listing import Listing, Row, summary
from reidflow.ingest.opening import UnusableError, header
from reidflow.ingest.recognise import Recognised, recognise
from reidflow.spec import plan as plans
from reidflow.spec.components import resolve
from reidflow.spec.config import COLUMN, Config, Dataset, read, require
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.experiment import build, locate
from reidflow.spec.run import ORIGINAL
from reidflow.splits.roles import TEST, TRAIN, VAL
from reidflow.splits.split import split_images
from reidflow.store.atomic import write_text

SAMPLE = 40  # images whose headers are read
DECODED = 4  # of those, images whose masks are looked at
SIZE, SMALLEST = 224, 64  # sides at which networks see images, pixels
MANY_TRAINED = 0.25  # share of an experiment's runs that train from images, above which it is left out
DISJOINT = 10  # individuals from which on some can be kept for validation and test alone
GENERIC = {"annotations", "data", "images", "index", "labels", "meta", "metadata", "train"}  # names of tables
CENTRE = {"name": "centre", "wide": 0.376, "high": 0.5, "down": 0.53}  # what scikit-learn cuts out of an image of LFW
HELD = 0.2  # share of given training images that become validation images, where the data give none


def init(given: str, images: str | None, out: Path | None, base: list[str], force: bool) -> Path:
    """Write a config for the images in a folder or table, to be merged into the configs `base`; say what was found.

    images: folder to which a table's file names are relative. Raises ReidflowError where the data cannot be used as they
    are, and where a file would be overwritten without `force`.
    """
    below = require(read([*base]), ", ".join(base))
    data = recognise(_from_here(given), _from_here(images) if images else None)
    name = _name_of(Path(given).expanduser().resolve())
    out = out or Path(f"{name}.yaml")
    if data.table:
        data.source = {**data.source, "path": out.with_suffix(".csv").as_posix()}
    _check_free([out, *([Path(data.source["path"])] if data.table else [])], force)
    _check_usable(given, data.listing)
    rows = [row for row in data.listing.rows if row.identity is not None]
    known_ones = data.source["name"] == "jaguar"
    manifest, groups = _labelled(rows, Rules(**below.groups.model_dump(mode="json")))
    looks = _look(data.listing)
    division = _given(data, manifest, groups) or _divide(given, manifest, groups, known_ones)
    settings, known = _settings(name, data, rows, looks, division), below.experiments
    config = require(read([*base], {**settings, "experiments": known}), ", ".join(base))
    left_out = {name: why for name in known if (why := _lacking(name, config, looks, division))}
    settings["experiments"] = [name for name in known if name not in left_out]
    if alone := [name for name in settings["experiments"] if division.split == COLUMN and _reseeds(name)]:
        settings["overrides"] = {locate(name).stem: {"candidates": {"split_seeds": []}} for name in alone}
    made = plans.make([*base], settings)
    folded = init_folds.on_folds(made) if division.gain else []
    if folded:
        ranking = init_folds.ranking(made, folded)
        left_out |= {n: "as all that they rank runs on folds" for n in known if ranking.get(locate(n).stem) == []}
        settings["experiments"] = [name for name in known if name not in left_out]
        settings["overrides"] = init_folds.overrides(folded, ranking)
        made = plans.make([*base], settings)
    found = Found(
        given, data, rows, looks, division, left_out, folded, _command([*base, out.as_posix()]), out.as_posix()
    )
    if data.table:
        write_text(Path(data.source["path"]), _csv(data.table))
    write_text(out, config_text(found, settings))
    size = extent(made, len(data.listing.rows), below.protocol.model.size)
    print("\n".join([*seen(found, made.config), f"{out}: {size}", *next_steps(found, made.config)]))
    return out


def _from_here(given: str) -> str:
    """Return a path as a config names it: relative where it is below the working folder."""
    path, here = Path(given).expanduser().absolute(), Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def _name_of(path: Path) -> str:
    """Return the name of a data set: that of its folder, or of its table where that says something."""
    own = path.stem if path.is_file() else path.name
    own = path.parent.name if path.is_file() and own.lower() in GENERIC else own
    return re.sub(r"[^A-Za-z0-9_-]+", "-", own).strip("-")[:60] or "images"


def _check_free(files: list[Path], force: bool) -> None:
    there = [str(file) for file in files if file.exists()]
    if there and not force:
        raise ReidflowError(
            f"{there[0]}: exists already. Choose another name with --out, or overwrite it with --force."
        )


def _check_usable(given: str, listing: Listing) -> None:
    """Raise ReidflowError where ingest would stop, or there is only one individual."""
    total, bad = len(listing.rows) + len(listing.faults), len(listing.faults)
    allowed = Dataset.model_fields["max_bad_share"].default
    if bad > allowed * total:
        advice = f"{listing.advice} " if listing.advice else ""
        raise ReidflowError(
            f"{given}: {bad} of {total} images cannot be used.\n{summary(listing.faults)}\n{advice}Correct this first."
        )
    identities = {row.identity for row in listing.rows if row.identity is not None}
    if len(identities) < 2:
        whom = f"all labelled images show '{next(iter(identities))}'" if identities else "no image has a label"
        raise ReidflowError(
            f"{given}: {whom}, so there is nothing to distinguish. It takes a folder (or a label in a table) for each of several "
            "individuals; if this is the folder of one of them, name the folder above it."
        )


def _look(listing: Listing) -> Looks:
    """Return what a sample of the images looks like, by their headers; a few are decoded for their masks."""
    rows = [row for row in listing.rows if row.side is None or row.identity is not None] or listing.rows
    sides, masked = [], []
    for row in rows[:: math.ceil(len(rows) / SAMPLE)]:
        try:
            opened = header((listing.root / row.path).read_bytes(), Dataset.model_fields["max_pixels"].default)
            sides.append(_longer(row, *opened.size))
            masked += [row] if row.mask or row.segmentation or opened.has_transparency_data else []
        except (OSError, ValueError, UnusableError):  # ingest will name it
            continue
    photos = [photo for row in masked[:: max(1, len(masked) // DECODED)] if (photo := _decoded(listing.root, row))]
    origins = [photo.source for photo in photos if photo.source != "none"]
    enough = len(masked) * 2 > len(sides) and len(origins) * 2 > len(photos)
    side = round(median(sides)) if sides else SIZE
    return Looks(side, origins[0] if enough else "", any(photo.background_present for photo in photos))


def _longer(row: Row, width: int, height: int) -> int:
    """Return the longer side of the image, in pixels: that of its box where it has one."""
    if row.box is None:
        return max(width, height)
    across, down = (width, height) if row.relative else (1, 1)
    return round(max(row.box[2] * across, row.box[3] * down))


def _decoded(root: Path, row: Row) -> Any:
    try:
        sidecar = (root / row.mask).read_bytes() if row.mask else None
        return decode(
            (root / row.path).read_bytes(),
            sidecar,
            max_pixels=Dataset.model_fields["max_pixels"].default,
            box=row.box,
            relative=row.relative,
            polygons=row.segmentation,
        )
    except (OSError, UnusableError):
        return None


def _labelled(rows: list[Row], rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the manifest and the groups of labelled rows, as far as they are known before images are read."""
    columns = ("image", "path", "identity", "group", "side", "role", "time", "camera", "site", "flank")
    values = [[getattr(row, name) for name in columns] for row in rows]
    manifest = pl.DataFrame(values, dict.fromkeys(columns, pl.String), orient="row").with_columns(
        pixels="image", visible=pl.lit(None, pl.String)
    )
    rules = replace(rules, phash_distance=None, edited=None)
    none = np.empty((0, 3), np.int64), rules.reach
    groups = group_images(manifest, np.empty((0, 8), np.uint8), rules, none).groups
    return manifest, with_scenes(groups, manifest, rules)


def _given(found: Recognised, manifest: pl.DataFrame, groups: pl.DataFrame) -> Division | None:
    """Return the split that the data give; None where they give none, or one that cannot be scored, which is noted."""
    counts = Counter(manifest["role"].drop_nulls())
    if not counts[TRAIN] or not counts[VAL] + counts[TEST]:
        return None
    shares: dict[str, Any] = {"val": HELD} if not (counts[VAL] and counts[TEST]) else {}
    shares |= {} if counts[TEST] else {"tested": VAL}
    why = ", ".join(f"{counts[role]} {role}" for role in (TRAIN, VAL, TEST) if counts[role])
    refused: ReidflowError | None = None
    for gallery in ("role", "all"):
        try:
            split_images(manifest, groups, resolve("split", {"name": COLUMN, **shares}), gallery)
        except ReidflowError as error:
            refused = refused or error
            continue
        return Division(COLUMN, gallery, None, f"the data give {why} images", None, shares)
    found.notes.append(f"the split that the data give is not used: {str(refused).rstrip('.')}")
    return None


def _divide(given: str, manifest: pl.DataFrame, groups: pl.DataFrame, known: bool) -> Division:
    """Return the split that scores most individuals, tried on these images. Raises ReidflowError where none does.

    known: whether queries will be of these individuals, so that a split into known ones is preferred.
    """
    photographs = groups.filter(~manifest["side"].fill_null("query").eq("gallery"))
    counts = photographs.group_by("identity").agg(pl.col("group").n_unique())["group"].to_list()
    unit = "groups" if groups["group"].n_unique() < len(groups) else "images"
    two_sides = {"gallery"} < set(manifest["side"].fill_null("query"))
    several = sum(count >= 2 for count in counts)
    refused: ReidflowError | None = None
    for wanted in (0.5, 0) if known else (0.8, 0.5, 0):
        # Where no split scores half of those with several groups, the first that scores any.
        for least, split, gallery in (
            (5, "closed_set", "role"),
            (3, "closed_set", "all"),
            (2, "identity_disjoint", "role"),
        ):
            enough = sum(count >= least for count in counts)
            too_few = split == "identity_disjoint" and len(counts) < DISJOINT
            if enough < wanted * several or too_few:
                continue
            why = f"{enough} of {len(counts)} individuals have {least} {unit} or more"
            for sides in ("across", "within") if two_sides else ("within",):
                try:
                    gain = init_folds.gain(manifest, groups, {"name": split, **SHARES}, gallery, sides)
                except ReidflowError as error:
                    refused = refused or error
                    continue
                return Division(split, gallery, sides if two_sides else None, why, gain)
    raise ReidflowError(f"{given}: {refused}")


def _settings(name: str, found: Recognised, rows: list[Row], looks: Looks, division: Division) -> dict[str, Any]:
    """Return the config as data, all but its experiments."""
    size = SIZE if looks.side >= SIZE else max(SMALLEST, 32 * math.ceil(looks.side / 32))
    frame = {"name": "mask_box", "margin": 0.1} if looks.masks else {"name": "pad"}
    benchmark = is_benchmark(found)
    frame = {"name": "squash"} if benchmark else CENTRE if found.source["name"] == "lfw" else frame
    return {
        "title": name,
        "scale": f"{len({row.identity for row in rows})} individuals, {len(rows)} images",
        "results": f"results-{name}",
        "dataset": {"source": found.source, **found.keys, "frame": frame},
        **({"backgrounds": {"without_mask": "keep"}} if looks.masks else {}),
        **({"ignore": ["camera"], "groups": {"phash_distance": None}} if benchmark else {}),
        "split": {"name": division.split, **division.shares},
        "gallery": division.gallery,
        **({"sides": division.sides} if division.sides else {}),
        "protocol": {"model": {"size": size}, "epochs": 30},
        "seeds": [0, 1, 2, 3, 4],
    }


def _lacking(name: str, config: Config, looks: Looks, division: Division) -> str:
    """Return why these images cannot answer an experiment's question; '' where they can."""
    path, problems = locate(name), Problems()
    experiment = build(path.stem, str(path), read([path]), config, problems)
    if experiment is None or problems.found:
        return "as they do not fit the split"
    file = experiment.file
    specs = [spec for arm in experiment.arms.values() for _, point in arm.points for spec in point.runs()]
    backgrounds = [spec.background for spec in specs] + [version.background for version in file.tested_on.values()]
    swapping = any(part["name"] == "background_swap" for spec in specs for part in spec.augmentation)
    if (swapping or any(one != ORIGINAL for one in backgrounds)) and not looks.masks:
        return "for want of masks"
    if file.probes and not looks.background:
        return "for want of backgrounds around the animals"
    sides = [evaluation.sides for evaluation in (file.evaluation, *file.also_on.values())]
    if division.sides is None and (file.score or "across" in sides):
        return "for want of the sides query and gallery"
    if division.sides == "across" and file.evaluation.queries and file.evaluation.sides is None:
        return "as they draw queries and gallery from one side"
    if sum(not spec.frozen for spec in specs) > MANY_TRAINED * len(specs):
        return "as they train networks from images, at the demo's small size"
    return ""


def _reseeds(name: str) -> bool:
    """Return whether an experiment also divides the images by other seeds."""
    return bool((read([locate(name)]).get("candidates") or {}).get("split_seeds"))


def _command(files: list[str]) -> str:
    local = Path(".venv/bin/snakemake")
    return f"{local if local.exists() else 'snakemake'} --configfile {' '.join(map(word, files))} -- all_tables"


def _csv(table: dict[str, str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("path", "identity"), *table.items()])
    return text.getvalue()
