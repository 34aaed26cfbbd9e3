"""What lies in a results folder that no experiment of the given configs uses."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reidflow.backgrounds.drawn import DRAWN
from reidflow.commands.needed import read_json
from reidflow.commands.running import run_name
from reidflow.commands.usage import OPEN, UNUSED, USED, Usage, apart, batches, stored_spec
from reidflow.ingest.manifest import MANIFEST
from reidflow.search.key import FOLDER
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan, background_id, bank_id
from reidflow.spec.run import ORIGINAL
from reidflow.store.activity import ABOUT, JOBS
from reidflow.store.locks import is_held
from reidflow.store.tables import read_table

TRASH = "trash"
KEY, SHELF, IDENTIFIED, NAMED = "[0-9a-f]{32}", "[0-9a-f]{2}", "(?:.+-)?[0-9a-f]{16}", "[^.].*"
MADE = ("runs", "sweep", "search", "metrics.parquet")
COMPARED = 8  # rows of kept features that are looked at to tell which bank they belong to


class Item(NamedTuple):
    """Something that nothing uses: its files and folders, and the name of the lock that whoever works on it holds."""

    kind: str
    what: str
    paths: tuple[Path, ...]
    lock: str = ""


@dataclass
class Found:
    """What is unused, and how many things of each kind are used or may be."""

    items: list[Item] = field(default_factory=list)
    used: Counter = field(default_factory=Counter)
    open: Counter = field(default_factory=Counter)

    def sort_in(self, state: str, item: Item) -> None:
        """Note that an item is USED, OPEN or UNUSED."""
        if state == UNUSED:
            self.items.append(item)
        else:
            {USED: self.used, OPEN: self.open}[state][item.kind] += 1


def find(plans: list[Plan], settled: bool) -> Found:
    """Return what lies in the results folder that these configs share and that none of them uses.

    settled: whether everything that the first of them needs is done; of the others this is never taken for granted.
    """
    results, usage = Path(plans[0].config.results), Usage()
    for made in plans:
        usage.add(made, settled and len(plans) == 1)
    found, told = Found(), _log(results)
    for item, key, spec in [*_runs(results, told), *_unfinished(results)]:
        state = usage.of_run(key, spec)
        found.sort_in(USED if is_held(results / ".store" / "locks" / key) else state, item)
    for folder in _folders(results / ".store" / FOLDER):
        found.sort_in(usage.of_study(folder.name), Item("study", "trials of a search", (folder,)))
    certain = settled and len(plans) == 1 and not (results / "logs" / "faces_submission.log").exists()
    for folder in _folders(results / ".store" / "features"):
        found.sort_in(_features(plans, folder, certain), Item("feature cache", "features kept by image", (folder,)))
    for item, used in _planned(plans, results):
        found.sort_in(USED if used else UNUSED, item)
    for item in [*_experiments(plans, results), *_batches(plans), *_leftovers(results)]:
        found.sort_in(UNUSED, item)
    return found


def _runs(results: Path, told: dict[str, str]) -> Iterator[tuple[Item, str, dict[str, Any] | None]]:
    for shelf in _folders(results / ".store" / "runs", SHELF):
        for folder in _folders(shelf):
            spec = stored_spec(folder)
            who = told.get(folder.name, "")
            yield Item("run", _sentence(who, spec), (folder,), folder.name), folder.name, spec


def _unfinished(results: Path) -> Iterator[tuple[Item, str, dict[str, Any] | None]]:
    for folder in _folders(results / ".store" / "work"):
        about = read_json(folder / ABOUT) or {}
        spec = apart(about["spec"]) if "spec" in about else None
        yield Item("unfinished run", _sentence(run_name(about), spec), (folder,), folder.name), folder.name, spec


def _sentence(who: str, spec: dict[str, Any] | None) -> str:
    """Return what a run was."""
    if spec is None:
        return who or "of settings that cannot be read"
    backbone = spec["model"]["backbone"]
    network = " ".join(filter(None, (backbone["name"], str(backbone.get("model", "")))))
    return ": ".join(filter(None, (who, f"{spec['loss']['name']} on {network}, seed {spec['seed']}")))


def _log(results: Path) -> dict[str, str]:
    """Return key -> who asked for the run last, as far as the log says."""
    found = {}
    try:
        lines = (results / ".store" / "log.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            told = json.loads(line)
            found[told["key"]] = run_name(told)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _planned(plans: list[Plan], results: Path) -> Iterator[tuple[Item, bool]]:
    """Yield the folders that are named after what decides them, and whether a config asks for each."""
    kinds: list[tuple[str, str, Callable[[Plan], Any]]] = [
        ("feature bank", "features", Plan.banks),
        ("background", "backgrounds", Plan.backgrounds),
        ("image choice", "subsets", Plan.subsets),
        ("duplicate list", "duplicates", Plan.duplicates),
        ("split", "data/splits", Plan.splits),
    ]
    for kind, place, names_of in kinds:
        wanted = {wanted for made in plans for wanted in names_of(made)}
        for folder in _folders(results / place, IDENTIFIED):
            yield Item(kind, folder.name, (folder,)), folder.name in wanted


def _experiments(plans: list[Plan], results: Path) -> Iterator[Item]:
    """Yield the results of experiments that are in no config."""
    current = {experiment for made in plans for experiment in made.experiments}
    for folder in _folders(results / "experiments", NAMED):
        if folder.name in current or not any((folder / made).exists() for made in MADE):
            continue
        others = tuple(f"{other}." for other in current if other.startswith(f"{folder.name}."))
        tables = [
            path
            for path in sorted((results / "tables").glob(f"{_literal(folder.name)}.*"))
            if folder.name != "leaderboard" and not path.name.startswith(others)
        ]
        pages = [results / kind / folder.name for kind in ("figures", "details") if folder.name != "data"]
        pages.append(results / "pages" / f"{folder.name}.html")
        yield Item("experiment", folder.name, (folder, *tables, *(path for path in pages if path.exists())))


def _literal(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _batches(plans: list[Plan]) -> Iterator[Item]:
    """Yield the files of jobs that experiments no longer have: their runs were regrouped, or are fewer."""
    for made in plans:
        for experiment in made.experiments.values():
            wanted = {path for each in plans if experiment.name in each.experiments for path in _jobs(each, experiment)}
            folder = Path(made.config.results) / "experiments" / experiment.name
            there = [path for kind in ("runs", "sweep", "search") for path in sorted((folder / kind).glob("*.json"))]
            for path in there if made is plans[0] else ():
                if path not in wanted:
                    yield Item("former job", f"{experiment.name}: {path.parent.name}/{path.name}", (path,))


def _jobs(made: Plan, experiment: Any) -> list[Path]:
    return batches(made, made.experiments[experiment.name])


def _leftovers(results: Path) -> Iterator[Item]:
    """Yield what killed processes left."""
    store = results / ".store"
    for path in sorted([*store.glob(f"{TRASH}/*"), *store.glob(".tmp-features-*")]):
        yield Item("leftover", path.name, (path,))
    for path in sorted((store / JOBS).glob("*.json")):
        if not is_held(store / "locks" / path.stem):
            yield Item("leftover", f"of a killed job: {(read_json(path) or {}).get('job', '')}", (path,), path.stem)


def _features(plans: list[Plan], folder: Path, certain: bool) -> str:
    """Return whether features that are kept by image are those of a bank of the configs.

    What the folder is named after is known to the network alone; its rows tell, since they went into the bank.
    """
    banks = [bank for made in plans for bank in made.banks().values()]
    results = Path(plans[0].config.results)
    missing = [bank for bank in banks if not (results / "features" / bank_id(bank) / "features.npy").exists()]
    if any(_backs(results, bank, folder) for bank in banks if bank not in missing):
        return USED
    return UNUSED if certain and not missing else OPEN


def _backs(results: Path, bank: dict[str, Any], folder: Path) -> bool:
    try:
        rows = {pixels: row for row, pixels in enumerate(_pixels(results, bank["background"]))}
        made = np.load(results / "features" / bank_id(bank) / "features.npy", mmap_mode="r")
        for shard in sorted(folder.glob("[!.]*.npz")):
            with np.load(shard, allow_pickle=False) as content:
                digests, features = content["digests"].tolist(), content["features"]
            known = [(row, rows[digest]) for row, digest in enumerate(digests) if digest in rows][:COMPARED]
            if known and features.shape[1:] == made.shape[1:]:
                return all(np.array_equal(features[row], made[place]) for row, place in known)
    except Exception:  # whatever a damaged file leads to, it is not seen to belong together
        return False
    return False


def _pixels(results: Path, background: dict[str, Any]) -> list[str]:
    if background == ORIGINAL:
        return read_table(results / "data" / "manifest.parquet", MANIFEST)["pixels"].to_list()
    return read_table(results / "backgrounds" / background_id(background) / "pixels.parquet", DRAWN)["pixels"].to_list()


def _folders(place: Path, pattern: str = KEY) -> list[Path]:
    """Return the folders in a folder that are called as the pipeline calls them: no links, which may lead anywhere."""
    try:
        return sorted(
            Path(entry.path)
            for entry in os.scandir(place)
            if entry.is_dir(follow_symlinks=False) and re.fullmatch(pattern, entry.name)
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReidflowError(f"{place}: {error.strerror}.") from error
