"""`reidflow init`: look at a folder or table of images and write a config that fits it and runs."""

import csv
import io
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
from PIL import Image

from reidflow.commands import init_folds
from reidflow.commands.init_folds import Gain
from reidflow.ingest.decode import UnusableError, decode
from reidflow.ingest.listing import Listing, Row, summary
from reidflow.ingest.recognise import Recognised, recognise
from reidflow.spec import plan as plans
from reidflow.spec.components import resolve
from reidflow.spec.config import COLUMN, Config, Dataset, read, require
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.experiment import build, locate
from reidflow.spec.plan import Plan
from reidflow.spec.run import ORIGINAL
from reidflow.splits.roles import TEST, TRAIN, VAL
from reidflow.splits.split import split_images
from reidflow.store.atomic import write_text
from reidflow.workflow.estimates import planned_seconds
from reidflow.workflow.units import duration

SAMPLE = 40  # images whose headers are read
COMPUTED = (
    "  # A network computes masks, for the frame mask_box and eda_backgrounds (docs/your-images.md):",
    "  # masks: {name: rembg, model: u2net}",
)
DECODED = 4  # of those, images whose masks are looked at
SIZE, SMALLEST = 224, 64  # sides at which networks see images, pixels
MANY_TRAINED = 0.25  # share of an experiment's runs that train from images, above which it is left out
DISJOINT = 10  # individuals from which on some can be kept for validation and test alone
GENERIC = {"annotations", "data", "images", "index", "labels", "meta", "metadata", "train"}  # names of tables
CENTRE = {"name": "centre", "wide": 0.376, "high": 0.5, "down": 0.53}  # what scikit-learn cuts out of an image of LFW
CORES = 2  # those of profiles/default
SHARES = {"train": 0.5, "val": 0.2, "test": 0.3, "seed": 0}
HELD = 0.2  # share of given training images that become validation images, where the data give none


@dataclass(frozen=True)
class Looks:
    """What the sampled images look like. side: median of their longer sides, pixels. masks: their origin, or ''."""

    side: int
    masks: str
    background: bool


@dataclass(frozen=True)
class Division:
    """How the images are divided, and why. gain: what folds test more, where they are worth their time.

    shares: the parameters of the split.
    """

    split: str
    gallery: str
    sides: str | None
    why: str
    gain: Gain | None
    shares: dict[str, Any] = field(default_factory=lambda: dict(SHARES))


@dataclass(frozen=True)
class Found:
    """What was found: how the images are laid out, the labelled ones, and why experiments are left out.

    given: the folder or table as given. folded: the experiments that run on folds. command: what to run next.
    """

    given: str
    data: Recognised
    rows: list[Row]
    looks: Looks
    division: Division
    left_out: dict[str, str]
    folded: list[str]
    command: str


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
    looks, division = _look(data.listing), _given(data) or _divide(given, rows, data.source["name"] == "jaguar")
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
    found = Found(given, data, rows, looks, division, left_out, folded, _command([*base, out.as_posix()]))
    if data.table:
        write_text(Path(data.source["path"]), _csv(data.table))
    write_text(out, _config(found, settings))
    extent = _extent(made, len(data.listing.rows), below.protocol.model.size)
    print("\n".join([*_seen(found, made.config), f"{out}: {extent}", *_next(found, made.config)]))
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
            with Image.open(listing.root / row.path) as opened:
                sides.append(_longer(row, *opened.size))
                masked += [row] if row.mask or row.segmentation or opened.has_transparency_data else []
        except (OSError, ValueError):  # ingest will name it
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


def _given(found: Recognised) -> Division | None:
    """Return the split that the data give; None where they give none, or one that cannot be scored, which is noted."""
    rows = [row for row in found.listing.rows if row.identity is not None]
    roles = {row.role for row in rows}
    if TRAIN not in roles or not roles & {VAL, TEST}:
        return None
    shares: dict[str, Any] = {} if {VAL, TEST} <= roles else {"val": HELD} | ({} if TEST in roles else {"tested": VAL})
    columns = ("image", "identity", "side", "role", "group")
    values = [[getattr(row, name) for name in columns] for row in rows]
    manifest = pl.DataFrame(values, dict.fromkeys(columns, pl.String), orient="row").with_columns(pixels="image")
    groups = manifest.select("image", group=pl.coalesce("group", "image"), block="image")
    try:
        split_images(manifest, groups, resolve("split", {"name": COLUMN, **shares}), "role")
    except ReidflowError as error:
        found.notes.append(f"the split that the data give is not used: {str(error).rstrip('.')}")
        return None
    counts = Counter(row.role for row in rows if row.role)
    why = (
        "the data give "
        + ", ".join(f"{counts[role]} {role}" for role in (TRAIN, VAL, TEST) if counts[role])
        + " images"
    )
    return Division(COLUMN, "role", None, why, None, shares)


def _divide(given: str, rows: list[Row], known: bool) -> Division:
    """Return the split that scores most individuals, tried on these images. Raises ReidflowError where none does.

    known: whether queries will be of these individuals, so that a split into known ones is preferred.
    """
    groups = {row.image: f"{row.identity}/{row.group}" if row.group else row.image for row in rows}
    of: dict[str, set[str]] = {}
    for row in rows:
        if row.side != "gallery":
            of.setdefault(row.identity or "", set()).add(groups[row.image])
    counts = [len(some) for some in of.values()]
    unit = "groups" if any(row.group for row in rows) else "images"
    two_sides = {"gallery"} < {row.side or "query" for row in rows}
    manifest = pl.DataFrame(
        {"image": [r.image for r in rows], "identity": [r.identity for r in rows], "side": [r.side for r in rows]},
        schema={"image": pl.String, "identity": pl.String, "side": pl.String},
    )
    blocks = list(groups.values())
    table = pl.DataFrame({"image": list(groups), "group": blocks, "block": blocks})
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
                    gain = init_folds.gain(manifest, table, {"name": split, **SHARES}, gallery, sides)
                except ReidflowError as error:
                    refused = refused or error
                    continue
                return Division(split, gallery, sides if two_sides else None, why, gain)
    raise ReidflowError(f"{given}: {refused}")


def _settings(name: str, found: Recognised, rows: list[Row], looks: Looks, division: Division) -> dict[str, Any]:
    """Return the config as data, all but its experiments."""
    size = SIZE if looks.side >= SIZE else max(SMALLEST, 32 * math.ceil(looks.side / 32))
    frame = {"name": "mask_box", "margin": 0.1} if looks.masks else {"name": "pad"}
    benchmark = _is_benchmark(found)
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
    return f"{local if local.exists() else 'snakemake'} --configfile {' '.join(map(_word, files))} -- all_tables"


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _csv(table: dict[str, str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("path", "identity"), *table.items()])
    return text.getvalue()


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value, re.ASCII)
    return (
        value
        if plain and value.lower() not in ("true", "false", "null", "yes", "no")
        else json.dumps(value, ensure_ascii=False)
    )


def _config(found: Found, settings: dict[str, Any]) -> str:
    """Return the text of the config."""
    looks, division = found.looks, found.division
    dataset = settings["dataset"]
    known = {
        "closed_set": "each is in training, validation and test, as when known ones are looked up",
        "identity_disjoint": "those in validation and test are never trained on",
        COLUMN: "this split is taken as it is, and checked by the leak audit",
    }
    pool = {
        "role": "A query is ranked among the images of its role",
        "all": "With so few, a query is ranked among all labelled images",
    }
    ranked = {
        "across": "  # photographs are queries, the side gallery is ranked",
        "within": "  # the side gallery is left aside",
    }
    lines = [
        f"# Written by `reidflow init {_word(found.given)}`, to be merged into the demo's config:",
        f"#   {found.command}",
        *(f"{key}: {_flow(settings[key])}" for key in ("title", "scale", "results")),
        "",
        f"# {found.data.kind[0].upper()}{found.data.kind[1:]}. {_unlabelled(found)}",
        "dataset:",
        f"  source: {_flow(dataset['source'])}",
        *(f"  {key}: {_flow(value)}" for key, value in found.data.keys.items()),
        f"  # {_framed(dataset['frame'], looks)}",
        f"  frame: {_flow(dataset['frame'])}",
        *(COMPUTED if dataset["frame"]["name"] == "pad" else []),
        *([f"backgrounds: {_flow(settings['backgrounds'])}  # an image without a mask stays as it is"] if looks.masks else []),
        f"# {_grouped(found)}",
        f"groups: {_flow(settings.get('groups', {'phash_distance': 4}))}",
        *([f"ignore: {_flow(settings['ignore'])}"] if "ignore" in settings else []),
        "",
        f"# {division.why[0].upper()}{division.why[1:]}: {known[division.split]}.",
        f"# {pool[division.gallery]}.",
        f"split: {_flow(settings['split'])}",
        f"gallery: {division.gallery}",
        *([f"sides: {division.sides}{ranked[division.sides]}"] if division.sides else []),
        f"protocol: {_flow(settings['protocol'])}",
        f"seeds: {_flow(settings['seeds'])}",
        "",
        *_reasons(found.left_out, "# "),
        f"experiments: {_flow(settings['experiments'])}",
        *_folds(found, settings.get("overrides", {})),
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _folded(found: Found) -> str:
    gain = found.division.gain
    if gain is None or not found.folded:
        return ""
    own = f"on them, with {len(init_folds.SEEDS)} seeds each, run {', '.join(found.folded)}"
    return f"Folds: one split tests {gain.one}, five folds {gain.folds}; {own}."


def _folds(found: Found, overrides: dict[str, Any]) -> list[str]:
    """Return the lines of the config that change experiments: most put them on folds, and share the first one's settings."""
    gain, (first, *others) = found.division.gain, found.folded or [""]
    if gain is None or not first:
        lines = [
            f"  {name}: {_flow(changes)}  # the split is given: there are no others"
            for name, changes in overrides.items()
        ]
        return ["", "overrides:", *lines] if lines else []
    ranking = [name for name in overrides if name not in found.folded]
    return [
        "",
        f"# One split tests {gain.one}, too few for verdicts; on five folds these experiments test",
        f"# {gain.folds} (docs/folds.md), each fold with {len(init_folds.SEEDS)} seeds. For one split and all seeds, delete the overrides.",
        "overrides:",
        f"  {first}: {'&folds ' if others else ''}{_flow(overrides[first])}",
        *(f"  {name}: *folds" for name in others),
        *(f"  {name}: {_flow(overrides[name])}  # one split alone can be ranked" for name in ranking),
    ]


def _unlabelled(found: Found) -> str:
    rows = [row for row in found.data.listing.rows if row.identity is None]
    placed = sum(row.role is not None for row in rows) if found.division.split == COLUMN else 0
    texts = [f"{placed} unlabelled images are distractors in the galleries."] if placed else []
    texts += [f"{len(rows) - placed} unlabelled images are embedded, never scored."] if len(rows) > placed else []
    return " ".join(texts)


def _framed(frame: dict[str, Any], looks: Looks) -> str:
    where = {"alpha": "the alpha channels", "sidecar": "files of their own", "segmentation": "polygons or run lengths"}
    texts = {
        "mask_box": f"Masks from {where.get(looks.masks, '')}: cut to the animal, with a margin.",
        "pad": "No masks: the whole picture, padded to a square.",
        "squash": "The whole picture, as a square.",
        "centre": "What scikit-learn cuts out of each photograph.",
    }
    return texts[frame["name"]]


def _grouped(found: Found) -> str:
    if _is_benchmark(found.data):
        return "As its protocol has it: no near-duplicates, and no images of the same individual by the query's camera."
    given, timed = (any(getattr(row, name) for row in found.rows) for name in ("group", "time"))
    own = "Groups (sightings, bursts) as given" if given else "No groups are given; each image is one"
    near = "images of one moment and near-duplicates" if timed else "near-duplicates"
    return f"{own}, {near} within an individual joined. A group is never split."


def _is_benchmark(data: Recognised) -> bool:
    """Return whether a published protocol, with its filter of cameras, goes with the data."""
    return data.source["name"] == "market1501"


def _reasons(left_out: dict[str, str], start: str) -> list[str]:
    why: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        why.setdefault(reason, []).append(name)
    return [f"{start}Left out, {reason}: {', '.join(names)}." for reason, names in why.items()]


def _seen(found: Found, config: Config) -> list[str]:
    """Return what was found, a line each."""
    data, division = found.data, found.division
    counts = sorted(Counter(row.identity for row in found.rows).values())
    alike = counts[0] == counts[-1]
    each = f"{counts[0]}" if alike else f"{counts[0]} to {counts[-1]} (median {median(counts):g})"
    facts = [
        f"{len(found.rows)} images of {len(counts)} individuals, {each} of each",
        _unlabelled(found),
        _framed(config.dataset.frame, found.looks),
        _grouped(found),
        f"Split: {division.split}, gallery {division.gallery}, since {division.why}.",
        _folded(found),
        *(f"{note}." for note in data.notes),
        *(f"{len(data.listing.faults)} images are left out, such as {one.image} ({one.detail})." for one in data.listing.faults[:1]),
        *_reasons(found.left_out, ""),
    ]  # fmt: skip
    return [f"{found.given}: {data.kind}", *(f"  {fact}" for fact in facts if fact)]


def _next(found: Found, config: Config) -> list[str]:
    """Return what comes next: the command, and that for the ranking of a competition's unlabelled images."""
    lines, source = ["", "Read it, then run:", f"  {found.command}"], config.dataset.source
    if source["name"] in ("jaguar", "query_gallery") and not source.get("labelled"):
        command = found.command.replace("-- all_tables", "-- submission")
        lines += ["and, for the ranking of the unlabelled images:", f"  {command}"]
    return lines


def _extent(made: Plan, images: int, demo_size: int) -> str:
    """Return how much there is to run, and roughly how long it takes. demo_size: side of the demo's images, pixels."""
    jobs = [job for name in made.experiments for job in made.training(name)]
    jobs += [job for name, own in made.experiments.items() if own.tuned for job in made.sweep(name)]
    number = f"{len(made.experiments)} experiments" if len(made.experiments) > 1 else "1 experiment"
    took = duration(planned_seconds(made, images, demo_size) / CORES)
    return f"{number}, {sum(map(len, jobs))} trainings, about {took} on {CORES} cores by the demo's recorded times"
