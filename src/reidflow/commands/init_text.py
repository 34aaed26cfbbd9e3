"""What `reidflow init` writes and says: the text of the config, with the reason of each line."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from reidflow.commands import init_folds
from reidflow.commands.init_folds import Gain
from reidflow.ingest.listing import Row
from reidflow.ingest.recognise import Recognised
from reidflow.spec.config import COLUMN, Config
from reidflow.spec.plan import Plan
from reidflow.spec.yaml import flow
from reidflow.workflow.estimates import planned_seconds
from reidflow.workflow.units import duration

COMPUTED = (
    "  # A network computes masks, for the frame mask_box and eda_backgrounds (docs/your-images.md):",
    "  # masks: {name: rembg, model: u2net}",
)
FLANKS = 4  # viewpoints that the config names
CORES = 2  # those of profiles/default
PHOTOGRAPHS = "config/photographs.yaml"
PEOPLE = ("lfw", "market1501", "query_gallery")
"""Sources whose images show people."""
SHARES = {"train": 0.5, "val": 0.2, "test": 0.3, "seed": 0}


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

    given: the folder or table as given. folded: the experiments that run on folds. command: what to run next. out: the config
    that is written.
    """

    given: str
    data: Recognised
    rows: list[Row]
    looks: Looks
    division: Division
    left_out: dict[str, str]
    folded: list[str]
    command: str
    out: str


def word(text: str) -> str:
    """Return a word of a command line, quoted where a shell needs it."""
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def config_text(found: Found, settings: dict[str, Any]) -> str:
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
        f"# Written by `reidflow init {word(found.given)}`, to be merged into the demo's config:",
        f"#   {found.command}",
        *(f"{key}: {flow(settings[key])}" for key in ("title", "scale", "results")),
        "",
        f"# {found.data.kind[0].upper()}{found.data.kind[1:]}. {_unlabelled(found)}",
        "dataset:",
        f"  source: {flow(dataset['source'])}",
        *(f"  {key}: {flow(value)}" for key, value in found.data.keys.items()),
        f"  # {_framed(dataset['frame'], looks)}",
        f"  frame: {flow(dataset['frame'])}",
        *(COMPUTED if dataset["frame"]["name"] == "pad" else []),
        *([f"backgrounds: {flow(settings['backgrounds'])}  # an image without a mask stays as it is"] if looks.masks else []),
        f"# {_grouped(found)}",
        f"groups: {flow(settings.get('groups', {'phash_distance': 'auto'}))}",
        *([f"ignore: {flow(settings['ignore'])}"] if "ignore" in settings else []),
        *_flanks(found.rows),
        "",
        f"# {division.why[0].upper()}{division.why[1:]}: {known[division.split]}.",
        f"# {pool[division.gallery]}.",
        f"split: {flow(settings['split'])}",
        f"gallery: {division.gallery}",
        *([f"sides: {division.sides}{ranked[division.sides]}"] if division.sides else []),
        f"protocol: {flow(settings['protocol'])}",
        f"seeds: {flow(settings['seeds'])}",
        "",
        *_reasons(found.left_out, "# "),
        f"experiments: {flow(settings['experiments'])}",
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
            f"  {name}: {flow(changes)}  # the split is given: there are no others"
            for name, changes in overrides.items()
        ]
        return ["", "overrides:", *lines] if lines else []
    ranking = [name for name in overrides if name not in found.folded]
    return [
        "",
        f"# One split tests {gain.one}, too few for verdicts; on five folds these experiments test",
        f"# {gain.folds} (docs/folds.md), each fold with {len(init_folds.SEEDS)} seeds. For one split and all seeds, delete the overrides.",
        "overrides:",
        f"  {first}: {'&folds ' if others else ''}{flow(overrides[first])}",
        *(f"  {name}: *folds" for name in others),
        *(f"  {name}: {flow(overrides[name])}  # one split alone can be ranked" for name in ranking),
    ]


def _unlabelled(found: Found) -> str:
    rows = [row for row in found.data.listing.rows if row.identity is None]
    placed = (
        sum(row.role is not None and row.side == "gallery" for row in rows) if found.division.split == COLUMN else 0
    )
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
    if is_benchmark(found.data):
        return "As its protocol has it: no near-duplicates, and no images of the same individual by the query's camera."
    given, timed = (any(getattr(row, name) for row in found.rows) for name in ("group", "time"))
    # Times of EXIF are read by ingest.
    moment = "images of one moment" if timed else "images whose EXIF times are near"
    own = "Groups (sightings, bursts) as given" if given else "No groups are given; each image is one"
    return f"{own}, {moment} and near-duplicates within an individual joined. A group is never split."


def _flanks(rows: list[Row]) -> list[str]:
    """Return lines on what can be done with flanks, where several are known."""
    counted = Counter(row.flank for row in rows if row.flank)
    counts = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    if len(counts) < 2:
        return []
    known = ", ".join(f"{flank} {count}" for flank, count in counts[:FLANKS])
    more = f" and {len(counts) - FLANKS} more" if len(counts) > FLANKS else ""
    return [
        f"# Flanks or viewpoints are known ({known}{more}). To rank a query among those of its own alone (docs/metric.md):",
        "# candidates: {same: flank}",
    ]


def is_benchmark(data: Recognised) -> bool:
    """Return whether a published protocol, with its filter of cameras, goes with the data."""
    return data.source["name"] == "market1501"


def _reasons(left_out: dict[str, str], start: str) -> list[str]:
    why: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        why.setdefault(reason, []).append(name)
    return [f"{start}Left out, {reason}: {', '.join(names)}." for reason, names in why.items()]


def seen(found: Found, config: Config) -> list[str]:
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


def next_steps(found: Found, config: Config) -> list[str]:
    """Return what comes next: the command, that for a competition's unlabelled images, and that for the preset of photographs."""
    lines, source = ["", "Read it, then run:", f"  {found.command}"], config.dataset.source
    if source["name"] in ("jaguar", "query_gallery") and not source.get("labelled"):
        command = found.command.replace("-- all_tables", "-- submission")
        lines += ["and, for the ranking of the unlabelled images:", f"  {command}"]
    if PHOTOGRAPHS not in found.command and source["name"] not in PEOPLE:
        local = Path(".venv/bin/reidflow")
        command = f"{local if local.exists() else 'reidflow'} init {word(found.given)} --configfile {PHOTOGRAPHS}"
        command += f" --out {word(found.out)} --force"
        lines += [
            "For photographs of animals, write it for the preset that ranks by local features as well, in the place of this one (--force):",
            f"  {command}",
        ]
    return lines


def extent(made: Plan, images: int, demo_size: int) -> str:
    """Return how much there is to run, and roughly how long it takes. demo_size: side of the demo's images, pixels."""
    jobs = [job for name in made.experiments for job in made.training(name)]
    jobs += [job for name, own in made.experiments.items() if own.tuned for job in made.sweep(name)]
    number = f"{len(made.experiments)} experiments" if len(made.experiments) > 1 else "1 experiment"
    took = duration(planned_seconds(made, images, demo_size) / CORES)
    return f"{number}, {sum(map(len, jobs))} trainings, about {took} on {CORES} cores by the demo's recorded times"
