"""The runs of one job: taken from the run store where they are finished, trained where they are not.

Imports no torch at the top: a job whose runs are all stored must not pay for it.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from reidflow.curation.subset import KEEP, dropped
from reidflow.evaluation.selection import chosen_values
from reidflow.ingest.manifest import MANIFEST, PIXELS
from reidflow.models.device import resolve_device
from reidflow.spec import code
from reidflow.spec.canonical import canonical, short
from reidflow.spec.components import needing
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import background_id, bank_id, mirrored_bank, subset_id, tested_bank, trained_bank
from reidflow.spec.run import ORIGINAL, RunSpec
from reidflow.spec.winners import winner_spec
from reidflow.splits.candidates import joined_groups
from reidflow.splits.roles import ASIDE
from reidflow.splits.split import SPLIT
from reidflow.store import activity
from reidflow.store.atomic import append_line
from reidflow.store.runs import WEIGHTS, WHOLE, RunStore, run_key, verified
from reidflow.store.tables import read_table
from reidflow.training.data import RunData

LOOP = "reidflow.training.loop"


def winner_specs(winner_arms: dict[str, list], winners: str | None) -> dict[str, RunSpec]:
    """Return the run spec, with the seed 0, of each arm with `winner_of`.

    winner_arms: arm -> (`winner_of`, settings that override the winner's). winners: the file of what searches or rankings found.
    """
    found = json.loads(Path(winners).read_text()) if winners else {}
    return {arm: winner_spec(found, *of) for arm, of in winner_arms.items()}


def chosen_runs(
    arms: dict[str, list[list]], runs: list[tuple[str, int, int]], chosen: str | None, winners: dict[str, RunSpec]
) -> list[RunSpec]:
    """Return the run of each (arm, seed, which split): the point of the arm's grid that was chosen on this split.

    Where nothing is tuned, it is the only one.

    arms: arm -> [values, spec with seed 0] at every point of its grid. chosen: the file of the experiment's choices.
    winners: arm -> the spec of its winner, of arms with `winner_of`.
    """
    choices = json.loads(Path(chosen).read_text()) if chosen else {}
    specs = {
        (arm, number): winners[arm] if arm in winners else _point(arm, arms[arm], choices.get(arm), number, chosen)
        for arm, number in dict.fromkeys((arm, number) for arm, _, number in runs)
    }
    return [specs[arm, number].with_seed(seed) for arm, seed, number in runs]


def _point(arm: str, points: list[list], choice: dict[str, Any] | None, split: int, file: str | None) -> RunSpec:
    wanted = canonical(chosen_values(choice, split) if choice else points[0][0])
    fitting = [spec for values, spec in points if canonical(values) == wanted]
    if not fitting:
        raise ReidflowError(f"{file}: {wanted} is not a point of the grid of arm '{arm}'. Run the command again.")
    return RunSpec.model_validate(fitting[0])


def execute(
    runs: list[RunSpec],
    results: Path,
    gallery: str,
    device: str,
    confirm_code: Callable[[], None],
    split: "OtherSplit | None" = None,
    arms: Sequence[str] = (),
    without: Set[str] = WHOLE,
) -> list[dict[str, Any]]:
    """Return for each run of an arm its seed, key and spec, after making those that the store lacks.

    Where the arm is an ensemble, `members` are the keys of all its runs, the first of which is `key`.
    confirm_code is called once all code is loaded and before the first training. split: where it is not the pipeline's.
    arms: of the runs, for people who watch. without: the files of the runs that nobody reads.
    Raises ReidflowError.
    """
    source = Source(results, gallery, split)
    store = RunStore(results / ".store")
    members = [spec.runs() for spec in runs]
    single = [spec for own in members for spec in own]
    keys = [source.key(spec) for spec in single]
    if not all(store.has(key, without) for key in keys):
        for module in sorted({LOOP, *(module for spec in single for module in spec.component_modules())}):
            importlib.import_module(module)
        confirm_code()
    named = [arm for arm, own in zip(arms or [""] * len(members), members, strict=True) for _ in own]
    for spec, key, arm in zip(single, keys, named, strict=True):
        _, restored = store.get_or_make(key, _trainer(source, spec, key, device, {"arm": arm}), without)
        note(results, "restored" if restored else "trained", key, spec, {"arm": arm})
    remaining = iter(keys)
    return [_run_record(spec, [next(remaining) for _ in own]) for spec, own in zip(runs, members, strict=True)]


def execute_on_splits(
    runs: Sequence[tuple[str, RunSpec, int]],
    folders: Sequence[str | None],
    results: Path,
    gallery: str,
    device: str,
    confirm_code: Callable[[], None],
    without: Set[str] = WHOLE,
) -> list[dict[str, Any]]:
    """Return what `execute` does for each (arm, run, which split), with its arm and split, split by split.

    folders: of the splits, None for the pipeline's own. The other arguments are as in `execute`.
    """
    found = []
    for number, folder in enumerate(folders):
        own = {place: arm for place, (arm, _, split) in enumerate(runs) if split == number}
        if own:
            specs, arms = [runs[place][1] for place in own], list(own.values())
            made = execute(specs, results, gallery, device, confirm_code, OtherSplit.at(folder), arms, without)
            found += [{"arm": arm, "split": number, **one} for arm, one in zip(arms, made, strict=True)]
    return found


def _run_record(spec: RunSpec, keys: list[str]) -> dict[str, Any]:
    return {"seed": spec.seed, "key": keys[0], "members": keys, "spec": spec.plain()}


def _trainer(
    source: "Source", spec: RunSpec, key: str, device: str, who: dict[str, Any]
) -> Callable[[Path, Path], None]:
    def make(work: Path, out: Path) -> None:
        activity.run(work, **who, spec=spec.plain())
        from reidflow.training.loop import train

        train(spec, source.load(spec), work, out, resolve_device(device), key=key)

    return make


def mirror_images(folder: Path, spec: RunSpec, rows: np.ndarray, results: Path, device: str) -> np.ndarray:
    """Return the embeddings (len(rows), dim) that a finished run gives to the mirror images of rows of the manifest."""
    from reidflow.training.embedding import embed_stored

    verified(folder, WEIGHTS)
    if spec.frozen:
        features = _mapped(results / "features" / bank_id(mirrored_bank(spec)) / "features.npy")
        return embed_stored(folder, spec, rows, features=features, pixels=None, device=device)
    pixels = _mapped(results / "data" / "images.npy")
    return embed_stored(folder, spec, rows, features=None, pixels=pixels, device=device, mirrored=True)


def _mapped(path: Path) -> np.ndarray:
    """Return the array in a file, memory-mapped; what is assigned to it stays in memory.

    Torch warns of arrays that are read-only. One that is larger than the memory is read-only all the same.
    """
    try:
        return np.load(path, mmap_mode="c")
    except OSError:
        return np.load(path, mmap_mode="r")


def note(results: Path, action: str, key: str, spec: RunSpec, who: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Append to the log of what was trained and what was restored: one JSON line, written at once. who: requested it."""
    entry = {"action": action, "key": key, "loss": spec.loss["name"], "seed": spec.seed}
    line = json.dumps({**entry, "experiment": activity.experiment(), **who})
    append_line(results / ".store" / "log.jsonl", line)


class OtherSplit(NamedTuple):
    """A split beside the pipeline's own: its folder, and the training images chosen on it (`subset_id` -> KEEP)."""

    folder: Path
    choices: Mapping[str, pl.DataFrame] = MappingProxyType({})

    @classmethod
    def at(cls, folder: str | None) -> "OtherSplit | None":
        """Return the split in a folder, on which every run takes all training images; None for the pipeline's own."""
        return cls(Path(folder)) if folder else None


class Source:
    """The data behind the runs of a pipeline: split, features and images, with the digests that identify them."""

    def __init__(self, results: Path, gallery: str, other: OtherSplit | None = None) -> None:
        self.results, self.gallery, self.other = results, gallery, other
        folder = other.folder if other else results / "data"
        self.split_digest = json.loads((folder / "split.json").read_text())["digest"]
        self.split = read_table(folder / "split.parquet", SPLIT)
        self.manifest = read_table(results / "data" / "manifest.parquet", MANIFEST)
        row_of = {image: row for row, image in enumerate(self.manifest["image"])}
        self.rows = np.array([row_of[image] for image in self.split["image"]])
        self._digests: dict[tuple[Path, bool], str] = {}

    def key(self, spec: RunSpec) -> str:
        """Return the key of a run: of its spec, the code that decides its numbers, and its data."""
        executed = code.run_digest(LOOP, *spec.component_modules())
        return run_key(spec.apart_from_data(), executed, short([self.split_digest, *self._seen(spec)]))

    def load(self, spec: RunSpec) -> RunData:
        """Return the labelled images with what the run reads of them."""
        split, tested, trained = self.split, self._tested(spec), self._trained(spec)
        network = json.loads(tested.with_suffix(".json").read_text()) if spec.frozen else {}
        seen = self._labelled(tested)
        return RunData(
            images=split["image"].to_list(),
            identities=split["identity"].to_list(),
            groups=joined_groups(split),
            roles=self._roles(spec),
            features=seen if spec.frozen else None,
            pixels=None if spec.frozen else seen,
            trained_on=None if trained == tested else self._labelled(trained),
            masks=self._labelled(self._masks) if self._masked(spec) else None,
            sides=split["side"].to_list(),
            gallery=self.gallery,
            backbone_parameters=network.get("parameters"),
            backbone_flops=network.get("flops"),
        )

    def _labelled(self, path: Path) -> np.ndarray:
        array = _mapped(path)
        return array if np.array_equal(self.rows, np.arange(len(array))) else array[self.rows]

    @property
    def _masks(self) -> Path:
        return self.results / "data" / "masks.npy"

    def _masked(self, spec: RunSpec) -> bool:
        """Return whether an augmentation of the run uses masks, and a training image has one, and a background."""
        if spec.frozen or not needing("augmentation", spec.augmentation, "masks"):
            return False
        trained = self.rows[(self.split["role"] == "train").to_numpy()]
        facts = self.manifest[trained.tolist()]
        return bool(((facts["mask"] != "none") & facts["background_present"]).any())

    def _tested(self, spec: RunSpec) -> Path:
        """Return the array that a run is evaluated on; its digest is beside it."""
        if spec.frozen:
            return self.results / "features" / bank_id(tested_bank(spec)) / "features.npy"
        return self.results / "data" / "images.npy"

    def _trained(self, spec: RunSpec) -> Path:
        """Return the array that a run is trained on."""
        if spec.background == ORIGINAL:
            return self._tested(spec)
        if spec.frozen:
            return self.results / "features" / bank_id(trained_bank(spec)) / "features.npy"
        return self.results / "backgrounds" / background_id(spec.background) / "images.npy"

    def _roles(self, spec: RunSpec) -> list[str]:
        """Return the role of each labelled image; a training image that the run leaves out is `dropped`."""
        roles = self.split["role"].to_list()
        dropped = self._dropped(spec)
        return ["dropped" if image in dropped else role for image, role in zip(self.split["image"], roles, strict=True)]

    def _dropped(self, spec: RunSpec) -> set[str]:
        return self._aside(spec) | self._unchosen(spec)

    def _aside(self, spec: RunSpec) -> set[str]:
        """Return the training images of the side that the run is not trained on."""
        if spec.train_sides == "both":
            return set()
        other = (pl.col("role") == "train") & (pl.col("side") == "gallery")
        return set(self.split.filter(other)["image"])

    def _unchosen(self, spec: RunSpec) -> set[str]:
        name = subset_id(spec)
        if not name:
            return set()
        if self.other:
            return dropped(self.other.choices[name], spec.seed)
        keep = read_table(self.results / "subsets" / name / "keep.parquet", KEEP)
        return dropped(keep, spec.seed)

    def _seen(self, spec: RunSpec) -> list[Any]:
        """Return what identifies all that a run sees of the labelled images: features or pixels, and those left out.

        Unlabelled images, those left aside, and other bytes of a file with the same pixels, do not count.
        """
        tested, trained, left_out = self._tested(spec), self._trained(spec), sorted(self._dropped(spec))
        seen: list[Any] = [self._digest(tested, spec.frozen)]
        if trained != tested:
            seen.append(self._digest(trained, spec.frozen, training=True))
        if self._masked(spec):
            seen.append(self._digest(self._masks, True, training=True))
        return [*seen, *([left_out, spec.matched] if left_out else [])]

    def _digest(self, path: Path, whole: bool, training: bool = False) -> str:
        """Return the digest of an array's labelled rows but those left aside, or of its training rows alone.

        whole: of their bytes; else of the digests that are known of each image's pixels.
        """
        if (path, training) not in self._digests:
            roles = self.split["role"]
            rows = self.rows[(roles == "train" if training else roles != ASIDE).to_numpy()]
            if whole:
                content = np.ascontiguousarray(np.load(path, mmap_mode="r")[rows])
                digest = hashlib.sha256(content.data).hexdigest()
            else:
                digest = short(self._pixels(path).gather(rows).to_list(), 64)
            self._digests[path, training] = digest
        return self._digests[path, training]

    def _pixels(self, path: Path) -> pl.Series:
        """Return the digest of each row's pixels."""
        drawn = path.with_name("pixels.parquet")
        return read_table(drawn, PIXELS)["pixels"] if drawn.exists() else self.manifest["pixels"]
