"""The config: one pydantic model per section. The shipped YAML defaults and the JSON schema are generated from it."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from reidflow.spec.components import is_given, parameters, wrong_shares
from reidflow.spec.config_errors import add_errors
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.merge import merge
from reidflow.spec.reading import Dates, Links, Spellings
from reidflow.spec.run import RunSpec, Seed
from reidflow.spec.strict import Strict, component
from reidflow.spec.submission import Submission
from reidflow.spec.yaml import load

FOLDS = "folds"
COLUMN = "column"
Share = Annotated[float, Field(ge=0, le=1)]
Margin = Annotated[float, Field(ge=0, lt=1)]


def _distinct(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("holds a value twice")
    return values


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


def _as_list(value: Any) -> Any:
    """Return one text as a list of it."""
    return [value] if isinstance(value, str) else value


Overrides = Annotated[dict[str, Any], BeforeValidator(_or_empty)]
Facets = Annotated[list[Literal["camera", "site", "flank"]], AfterValidator(_distinct)]
Shared = Annotated[Facets, BeforeValidator(_as_list)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]


def _inside(value: str) -> str:
    if not value or Path(value).is_absolute() or ".." in Path(value).parts or value[0] in ".~":
        raise ValueError("must be a folder below the working directory, such as 'results'")
    if len(value) > 100 or not all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", part) for part in Path(value).parts):
        raise ValueError(
            "may hold letters (A-Z, a-z), digits, '_', '-', '.' and '/', at most 100 of them, such as 'results'"
        )
    return value


def _readable(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank: write the name of the dataset")
    return value


def fitting(split: dict[str, Any]) -> dict[str, Any]:
    """Return a resolved split, without `folds` where it has none. Raises ReidflowError for impossible shares."""
    wrong = wrong_shares(split)
    if wrong:
        raise ReidflowError(f"{wrong}. Correct them.")
    return split if split.get(FOLDS, 0) > 1 else without_folds(split)


def without_folds(split: dict[str, Any]) -> dict[str, Any]:
    """Return a resolved split as a single one."""
    return {key: value for key, value in split.items() if key != FOLDS}


def _shares(split: dict[str, Any]) -> dict[str, Any]:
    wrong = wrong_shares(split)
    if wrong:
        raise ValueError(wrong)
    return fitting(split)


def _as_texts(value: Any) -> Any:
    """Return the entries of a list as text: a label may be a number. One text counts as a list of it."""
    entries = [value] if isinstance(value, str) else value
    if isinstance(entries, list) and any(entry is None or isinstance(entry, bool) for entry in entries):
        raise ValueError('holds null, true or false: put labels of this name in quotes, e.g. ["null"]')
    return [str(entry) for entry in entries] if isinstance(entries, list) else entries


class Detections(Strict):
    """Boxes of a detector, to which photographs without a box are cut."""

    path: str = Field(description="the detector's file: JSON of MegaDetector, or of PyTorch-Wildlife's command")
    confidence: Share = Field(0.2, description="detections below this confidence do not count")
    category: str = Field("animal", description="the detector's category that counts")
    several: Literal["best", "each"] = Field(
        "best",
        description="photographs with several detections. best: the most confident one; each: all of them, where a photograph is unlabelled",
    )
    without: Literal["keep", "quarantine"] = Field(
        "keep", description="photographs without a detection. keep: they are used whole; quarantine: they are not used"
    )


def _ascending(levels: list[float]) -> list[float]:
    if not levels[0] < levels[1]:
        raise ValueError("the first must be smaller than the second: the values that become 0 and 255")
    return levels


def _with_column_of_roles(data: Any) -> Any:
    """Return a config's content in which `split: {name: column, role: ...}` and the source both name the column."""
    split = data.get("split") if isinstance(data, dict) else None
    dataset = data.get("dataset") if isinstance(split, str | dict) else None
    source = dataset.get("source") if isinstance(dataset, dict) else None
    split = {"name": split} if isinstance(split, str) else split
    source = {"name": source} if isinstance(source, str) else source
    if not isinstance(source, dict) or split.get("name") != COLUMN or not isinstance(source.get("name"), str):
        return data
    try:
        taken = parameters("source", source["name"])
    except ReidflowError:
        return data
    takes, default = "role" in taken, taken.get("role", ("", False, None))[2]
    role, own = split.get("role"), source.get("role")
    if not takes:
        if role:
            raise ValueError(
                f"split '{COLUMN}', role: the source '{source['name']}' reads no column of roles. Leave 'role' out where it "
                "gives roles by itself, or use the source table."
            )
        return data
    if role and own and role != own:
        raise ValueError(f"split '{COLUMN}', role: {role}, but dataset.source has role: {own}. Leave one of them out.")
    if not (role or own or default):
        raise ValueError(
            f"split '{COLUMN}' needs the column that holds train, val and test: split: {{name: {COLUMN}, role: split}}."
        )
    given = {"role": role or own or default}
    return {**data, "split": {**split, **given}, "dataset": {**dataset, "source": {**source, **given}}}


class Dataset(Strict):
    """Where the images are and how each becomes a square."""

    @model_validator(mode="before")
    @classmethod
    def _misplaced(cls, data: Any) -> Any:
        source = data.get("source") if isinstance(data, dict) else None
        if not isinstance(source, dict) or "." in str(source.get("name")):
            return data
        for key in ("unlabelled", "spellings", "dates", "links", "from_names"):
            if key in source:
                rest = {name: value for name, value in source.items() if name != key}
                written = [source[key]] if key == "unlabelled" and not isinstance(source[key], list) else source[key]
                raise ValueError(
                    f"'{key}' is a key of dataset, for every source. Write\n"
                    f"dataset:\n  source: {json.dumps(rest, ensure_ascii=False)}\n  {key}: {json.dumps(written, ensure_ascii=False)}"
                )
        return data

    source: component("source") = Field(
        description="where images and labels come from: a file of ingest/sources/, with its path and columns"
    )
    frame: component("frame") = Field(
        {"name": "mask_box"},
        description="how an image becomes a square: a file of ingest/frames/, e.g. mask_box (the animal with a margin), pad, squash",
        validate_default=True,
    )
    masks: component("segmenter") | None = Field(
        None,
        description="the network that computes masks for images without one (ONNX): a file of ingest/masks/, e.g. "
        "{name: rembg, model: u2net}, or none",
    )
    unlabelled: Annotated[list[str], BeforeValidator(_as_texts)] | None = Field(
        None,
        description='labels of unidentified individuals, in any source: values and patterns, e.g. [unknown, "new_*"], without regard to '
        'case; "!nan" keeps a label. []: every label is an identity; null: labels such as unknown and nan stop the run '
        "(docs/your-images.md)",
    )
    spellings: Spellings = Field(
        "keep",
        description="labels that differ in their spelling alone (Luna, luna; 7, 007): keep: identities of their own, with a warning; "
        "join: one identity, in the commonest spelling",
    )
    dates: Dates = Field(
        "iso",
        description="how times are written: iso: ISO 8601 and other forms that leave no doubt; day_first or month_first: "
        "06/03/2015 too; unix: seconds since 1970; excel: days since 1900 (docs/your-images.md)",
    )
    from_names: str | None = Field(
        None,
        description="what file names say of images of any source, where it does not say it itself: a pattern with {flank}, {camera}, "
        '{site}, {group} or {time}, such as "*_{flank:left|right}_*" (docs/your-images.md)',
    )
    detections: Detections | None = Field(
        None, description="boxes that MegaDetector found, to which photographs without a box of their own are cut"
    )
    review: Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_distinct)] = Field(
        [],
        description="files of answers on pairs of images, as the page pages/review.html exports them: labels are corrected by "
        "them, in any source (docs/review.md)",
    )
    links: Links = Field(
        "refuse",
        description="links that lead out of the data set's folder: refuse: an error; follow: they are read under their own names, "
        "whatever they lead to, and watched by the size and times of their targets",
    )
    max_bad_share: Share = Field(0.05, description="ingest stops when more than this share of the rows is unusable")
    max_pixels: Annotated[int, Field(gt=0)] = Field(
        200_000_000, description="larger images are quarantined instead of decoded"
    )
    levels: Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_ascending)] | None = Field(
        None,
        description="the values that become 0 and 255 in images of more than 8 bits a channel; null: the range of all such images",
    )


class Groups(Strict):
    """Images that belong together: splits that reidflow makes keep them in one role, and none is an easy positive of another."""

    phash_distance: Annotated[int, Field(ge=0, le=64)] | Literal["auto"] | None = Field(
        "auto",
        description="images of one identity whose 64-bit pHashes differ in at most this many bits join a group; auto: at most 4, and "
        "fewer where too many images of different identities would be as close (docs/your-images.md); null: none",
    )
    minutes: Annotated[float, Field(ge=0, le=525_600)] | None = Field(
        5,
        description="images of one identity whose times differ by at most so many minutes join a group, and so do chains of "
        "them; null: times join nothing",
    )
    by: Annotated[list[Literal["identity", "camera", "site", "flank"]], AfterValidator(_distinct)] = Field(
        ["identity"],
        description="what images must have in common for their times to join them; with `minutes: null` and more than the "
        "identity, all images that have it in common join; without identity, images of several share a role, in groups of their own",
    )
    numbers: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="images of one identity and folder whose names differ in their last number alone, by at most so much, "
        "join a group: 1 for IMG_0412.jpg and IMG_0413.jpg",
    )
    edited: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None,
        description="crops, mirror images, turned, brightened, compressed and captioned copies join like near-duplicates where "
        "the method `edited` finds them at most this far apart, e.g. 0.3; null: they are not searched for",
    )
    photographs: bool = Field(
        True,
        description="crops of one photograph have one role, whoever they show; false: crops of several identities may stand in "
        "two roles, which the audit counts",
    )


class CandidateFilter(Strict):
    """Which images of the gallery are candidates of a query, whatever identity they show."""

    same: Shared = Field(
        [],
        description="flank (or camera, site): only images that have the query's are its candidates; one whose flank is unknown may "
        "have any; part of the metric's name (docs/metric.md)",
    )


class Backgrounds(Strict):
    """What interventions on the background do with images that have no mask."""

    without_mask: Literal["error", "keep"] = Field(
        "error", description="error: stop; keep: leave such images unchanged and report their number"
    )


class Compute(Strict):
    """Settings that affect speed and no result."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where networks run")
    workers: Annotated[int, Field(ge=1)] = Field(
        2, description="threads that decode images, processes that render the demo"
    )
    runs_per_job: Annotated[int, Field(ge=1)] = Field(5, description="training runs on images in one process, at most")
    feature_runs_per_job: Annotated[int, Field(ge=1)] = Field(
        60,
        description="training runs on frozen features in one process, at most; starting a process takes longer than such a run",
    )
    search_workers: Annotated[int, Field(ge=1)] = Field(
        2, description="processes that share the trials of one study, where cores are free"
    )
    memory_mb: Annotated[int, Field(ge=100)] = Field(
        1500, description="memory that a job without images requests from a scheduler, MB"
    )
    image_memory_mb: Annotated[int, Field(ge=100)] = Field(
        6000, description="memory that a job with images requests, MB"
    )
    minutes: Annotated[int, Field(ge=1)] = Field(60, description="time that a job requests from a scheduler, minutes")


class Config(Strict):
    """A whole config file."""

    title: Annotated[str, AfterValidator(_readable)] = Field(
        "demo", description="name of the dataset, printed above every table"
    )
    scale: str = Field("", description="a remark printed beside the title, e.g. 'demo scale'")
    results: Annotated[str, AfterValidator(_inside)] = Field(
        "results", description="folder that receives all results; give each dataset its own"
    )
    dataset: Dataset = Field(description="the images")
    groups: Groups = Field(Groups(), description="images that belong together")
    backgrounds: Backgrounds = Field(Backgrounds(), description="interventions on the background")
    split: Annotated[component("split"), AfterValidator(_shares)] = Field(
        description="closed_set (every identity is trained on), identity_disjoint (none of those tested is), open_set (some are in no gallery either), time (train on earlier images, "
        "test on later ones), image_level (leaks, and says so) or column (given by the data: {name: column, role: split}, the table's column with train, val and test); "
        "with `folds: 5` experiments run on as many splits, which test every image that can be scored once (docs/folds.md)"
    )
    split_seed: Literal["fixed", "each"] = Field(
        "fixed",
        description="fixed: all runs share a split, that of `split.seed`; each: every training seed has a split of its own, "
        "that of the same seed (docs/folds.md)",
    )
    gallery: Literal["role", "all"] = Field(
        "role", description="the gallery of a query: images of its role (train, val, test), or all labelled images"
    )
    sides: Literal["across", "within"] = Field(
        "across",
        description="for images of two sides (query, gallery): across: images of the side query are ranked against those of "
        "the side gallery; within: gallery images are left out, except in experiments that set `sides` themselves",
    )
    queries: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="share of the validation and test images that are queries, the others being the gallery; 0: each image is a query against all others",
    )
    ignore: Facets = Field(
        [],
        description="[camera], site or flank: of a query's identity, images that share its camera are no candidates, as in "
        "Market-1501's protocol; part of the metric's name (docs/metric.md)",
    )
    candidates: CandidateFilter = Field(
        CandidateFilter(), description="which images of the gallery a query is ranked among"
    )
    distractors: bool = Field(
        False,
        description="whether unlabelled images join the galleries of validation and test, as nobody's match (docs/metric.md)",
    )
    protocol: RunSpec = Field(
        description="the run from which every arm starts; arms change what their experiment declares"
    )
    overrides: Annotated[dict[str, Overrides], BeforeValidator(_or_empty)] = Field(
        {},
        description="experiment -> changes to its file, where this dataset needs them: {hpo: {search: {trials: 200}}}; null "
        "for an arm, a part, a study or another named entry removes it, and for all of an experiment's changes undoes them",
    )
    seeds: Seeds = Field([0, 1, 2], description="training seeds of every arm; at least five on real data")
    sweep_seeds: Seeds = Field(
        [100, 101], description="seeds that choose tuned settings on validation; they are never reported"
    )
    equivalence: Margin | None = Field(
        0.02,
        description="margin in identity-balanced mAP: an arm whose whole interval lies within it is called equivalent to the "
        "baseline, a difference too small to matter; null: no arm is",
    )
    experiments: Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)] = Field(
        description="files of config/experiments/, or paths ending in .yaml"
    )
    analyses: Annotated[list[str], AfterValidator(_distinct)] = Field(
        [],
        description="your own analyses by dotted path, beside those in src/reidflow/analyses, which apply by themselves",
    )
    submission: Submission = Field(
        Submission(),
        description="what the targets submission and faces_submission write (docs/retrieval.md, docs/faces.md)",
    )
    compute: Compute = Field(Compute(), description="settings that affect speed and no result")

    @model_validator(mode="before")
    @classmethod
    def _named_once(cls, data: Any) -> Any:
        return _with_column_of_roles(data)

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.split_seed == "each" and is_given(self.split):
            raise ValueError(
                f"split_seed: each would test the same images with every seed, as the split '{self.split['name']}' comes from the "
                "data. Write split_seed: fixed"
            )
        listed = any(self.dataset.source.get(key) for key in ("side", "query", "gallery"))
        if self.queries and listed and is_given(self.split):
            raise ValueError("queries: the data give queries and gallery already. Leave 'queries' out")
        contradiction = ignored_and_shared(self.ignore, self.candidates.same)
        if contradiction:
            raise ValueError(contradiction)
        shared = sorted(set(self.seeds) & set(self.sweep_seeds))
        if shared:
            raise ValueError(
                f"seeds and sweep_seeds share {shared}: a setting must not be reported on a seed that chose it"
            )
        return self


def ignored_and_shared(ignore: Sequence[str], same: Sequence[str]) -> str:
    """Return why a query has no positive, where its candidates must share what is ignored if shared; or nothing."""
    both = [column for column in same if column in ignore]
    if not both:
        return ""
    return (
        f"'{both[0]}' is in 'ignore' and in 'candidates.same': images of a query's identity with the same {both[0]} would be ignored, "
        "and all others are no candidates. Leave it out of one of them"
    )


def metric_filters(ignore: Sequence[str], distractors: bool, same: Sequence[str] = ()) -> str:
    """Return what the metric's name says of its candidates beside the gallery, such as `same camera ignored`; or nothing."""
    shared = f"candidates of the same {' and '.join(same)}" if same else ""
    ignored = f"same {' or '.join(ignore)} ignored" if ignore else ""
    return ", ".join(filter(None, [shared, ignored, "with distractors" if distractors else ""]))


def subtitle(config: Config) -> str:
    """Return the words below a title: the data set, the remark on its scale, and the filters of the metric."""
    filters = metric_filters(config.ignore, config.distractors, config.candidates.same)
    return " · ".join(filter(None, [config.title, config.scale, filters]))


def read(paths: list[str | Path], overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the merged plain content of config files, later ones over earlier ones, then of `overrides`."""
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, load(path))
    return merge(merged, overrides or {})


def file_of(paths: Sequence[str | Path], overrides: dict[str, Any] | None = None) -> Callable[[str], str]:
    """Return the function from the dotted path of a key to the config file that gives it, the last one where several do.

    A missing key is that of the file that holds most of its path. The files are read again at each call.
    """

    def find(key: str) -> str:
        layers = [*((str(path), load(path)) for path in paths), *([("--config", overrides)] if overrides else [])]
        depths = [_depth(content, key.split(".")) for _, content in layers]
        if not max(depths):
            return ", ".join(name for name, _ in layers)
        return next(name for (name, _), depth in reversed([*zip(layers, depths, strict=True)]) if depth == max(depths))

    return find


def _depth(content: Any, path: list[str]) -> int:
    """Return how many parts of a dotted path a content has."""
    for depth, part in enumerate(path):
        if isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        elif isinstance(content, dict) and part in content:
            content = content[part]
        else:
            return depth
    return len(path)


def parse(data: dict[str, Any], problems: Problems) -> Config | None:
    """Return the config in `data`, or None after adding every error to `problems`."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        add_errors(error, Config, None, problems)
        return None


def require(data: dict[str, Any], where: str) -> Config:
    """Return the config in `data`. Raises ReidflowError that lists every error."""
    problems = Problems(lambda key: where)
    config = parse(data, problems)
    problems.raise_if_any(where)
    if config is None:
        raise ReidflowError(f"{where}: not a config.")
    return config


PROJECT_FOLDERS = {"benchmarks", "config", "docs", "envs", "profiles", "rules", "src", "tests", "workflow"}


def check_results(config: Config, problems: Problems) -> None:
    """Report a results folder that contains the images, is inside their folder, or is one of the project's own folders."""
    results = Path(config.results)
    if results.parts[0] in PROJECT_FOLDERS:
        problems.add_key(
            "results", f"'{results.parts[0]}' is a folder of the project itself.", "Write e.g. results: results."
        )
    if results.is_file():
        problems.add_key("results", f"'{results}' is a file.", "Name a folder, or one that does not exist yet.")
    data = _data_folder(config)
    if data is None:
        return
    ours, theirs = results.resolve(), data.resolve()
    if ours == theirs or theirs.is_relative_to(ours):
        problems.add_key(
            "results",
            f"the folder '{results}' holds the images ('{data}').",
            "Results are written and removed there: give them a folder of their own.",
        )
    elif ours.is_relative_to(theirs):
        problems.add_key(
            "results",
            f"the folder '{results}' is inside that of the images ('{data}').",
            "What is written there would become part of the data: move one of them, or give 'images' beside a table.",
        )


def _data_folder(config: Config) -> Path | None:
    """Return the folder of the dataset; None where its source has none, or where it is unreadable."""
    source = config.dataset.source
    given = source.get("path")
    if not given or source["name"] == "demo":
        return None
    try:
        path = Path(given).expanduser()
        if path.is_file():
            path = Path(source["images"]).expanduser() if source.get("images") else path.parent
        path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None
    return path
