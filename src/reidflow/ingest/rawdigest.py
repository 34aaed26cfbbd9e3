"""Identity of the raw data: a digest of names and bytes, kept current through a cache of file stats.

It runs while the workflow is planned, hence imports only the standard library.
"""

import difflib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reidflow.spec.errors import ReidflowError
from reidflow.spec.reading import Links
from reidflow.store.atomic import write_text

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
UNREADABLE = "unreadable"
_RACY_NS = 2_000_000_000
_SHOWN = 200
_FOLDERS = ("demo", "folder", "jaguar", "market1501", "query_gallery", "sop")
_STORES = {
    "annex/objects/": "run `git annex get .` in the data set",
    "/blobs/": "download it again, e.g. `hf download`",
    "/cache/files/md5/": "run `dvc pull`",
    ".dvc/": "run `dvc pull`",
}
_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"}

Stat = tuple[int, int, int, int]


@dataclass(frozen=True)
class Tree:
    """The files of a dataset.

    `files`: path relative to the root (posix) -> (size, mtime_ns, ctime_ns, inode), or None for a link to nothing.
    `litter`: names that are not part of a dataset (hidden files, thumbnail caches, pipes), in no digest.
    `odd`: those of them that are neither files nor folders -> what they are (a pipe, a socket, a device).
    `outside`: links that lead out of the dataset -> where to; what they lead to is listed below their own names.
    """

    root: Path
    files: dict[str, Stat | None]
    litter: list[str]
    odd: dict[str, str]
    outside: dict[str, str] = field(default_factory=dict)

    def require_inside(self) -> None:
        """Raise ReidflowError if a link leads out of the dataset."""
        if self.outside:
            raise _outside(self.root, self.outside)


@dataclass(frozen=True)
class Snapshot:
    """The digest of a dataset and the SHA-256 of each of its files (`UNREADABLE` where it could not be read)."""

    digest: str
    files: dict[str, str]


def dataset_paths(source: dict[str, Any], detections: str | None = None) -> tuple[Path, list[Path]]:
    """Return the folder whose files are the dataset of a source, and the files outside it that also belong to it.

    detections: the file of boxes that belongs to it, where there is one. Raises ReidflowError where two files have one name.
    """
    root, extra = _source_paths(source)
    if detections is not None:
        file = Path(detections).expanduser()
        if not file.is_file():
            raise ReidflowError(
                f"dataset.detections: there is no file '{detections}' (looked from {Path.cwd()}). Correct 'path'."
            )
        extra += [] if file.resolve().is_relative_to(root.resolve()) else [file]
    if len({path.name for path in extra}) < len(extra):
        raise ReidflowError(f"{extra[0]} and {extra[1]} lie outside the dataset and have one name. Rename one of them.")
    return root, extra


def table_name(file: Path, root: Path) -> str:
    """Return the name of a table in the digest of a dataset: its path below the root, `/` and its name where it lies outside."""
    file, root = file.resolve(), root.resolve()
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else f"/{file.name}"


def _source_paths(source: dict[str, Any]) -> tuple[Path, list[Path]]:
    """Return the folder of a source, and its table where that lies outside it.

    `path` is that folder, or a table in it; with `images` beside a table, that folder is the dataset. Of scikit-learn's
    data (`lfw`) it is the folder of the people, without its other data sets.
    Raises ReidflowError for a path that does not exist, or is a file where a folder is needed.
    """
    name = source.get("name", "")
    path = _existing(name, "path", source.get("path") or "", needed=name != "lfw")
    if name == "lfw":
        return _lfw(path), []
    if path.is_dir():
        return path, []
    if name in _FOLDERS or not path.is_file():
        table = (
            " For a table: `{name: table, path: " + str(path) + "}`." if path.suffix.lower() in TABLE_SUFFIXES else ""
        )
        raise ReidflowError(
            f"data source '{name}': '{path}' is not a folder. Set 'path' to the data set's folder.{table}"
        )
    root = _existing(name, "images", source["images"]) if source.get("images") else path.parent
    if not root.is_dir():
        raise ReidflowError(f"data source '{name}': '{root}' is not a folder. Set 'images' to the images' folder.")
    inside = path.resolve().is_relative_to(root.resolve())
    return root, [] if inside else [path]


def _existing(name: str, key: str, given: str, needed: bool = True) -> Path:
    """Return the path that a key of a source names. Raises ReidflowError where it is invalid or missing."""
    try:
        path = Path(given).expanduser()
        there = bool(given) and path.exists()
    # An unknown home, a name too long, a folder without permission.
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReidflowError(
            f"data source '{name}': '{key}' cannot be accessed ({reason}): {_short(given)}. Correct '{key}'."
        ) from error
    if needed and not there:
        near = near_path(path) if given else ""
        hint = f" Did you mean '{near}'?" if near else ""
        raise ReidflowError(
            f"data source '{name}': there is no file or folder '{given}' (looked from {Path.cwd()}).{hint} Correct '{key}', "
            "or fetch the data first."
        )
    return path


def near_path(path: Path) -> str:
    """Return the path that exists and is written nearly like `path`: in other capitals, misspelt or without a suffix; or ''."""
    found = path
    while not found.is_dir():
        if found == found.parent:
            return ""
        found = found.parent
    for part in path.relative_to(found).parts:
        try:
            names = sorted(entry.name for entry in os.scandir(found) if not entry.name.startswith("."))
        except OSError:
            return ""
        same = [name for name in names if part.casefold() in (name.casefold(), Path(name).stem.casefold())]
        close = same or difflib.get_close_matches(part, names, n=1, cutoff=0.7)
        if len(close) != 1:
            return ""
        found = found / close[0]
    return str(found) if found != path else ""


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _lfw(home: Path) -> Path:
    """Return the folder in which scikit-learn keeps the people of LFW."""
    people = home / "lfw_home" / "lfw_funneled"
    if people.is_dir():
        return people
    call = f"fetch_lfw_people(data_home={str(home)!r}, min_faces_per_person=20, color=True, resize=None)"
    raise ReidflowError(
        f"data source 'lfw': there is no folder '{people}', and reidflow downloads nothing by itself. Run once, with a network:\n"
        f'  python -c "from sklearn.datasets import fetch_lfw_people; {call}"\n'
        "or correct 'path', which is the data_home of scikit-learn."
    )


def walk(root: Path, links: Links = "follow") -> Tree:
    """Return the files under `root`, by the names that they have there, links followed.

    Sources list what links lead to; whether links may lead outside is decided before, when the data are identified.
    Raises ReidflowError that names a link to a folder that contains it, a folder that cannot be read, and with `refuse`
    the links that lead outside.
    """
    if not root.is_dir():
        raise ReidflowError(f"{root}: no such folder. Correct the 'path' of the dataset.")
    top = os.path.realpath(root)
    tree = Tree(root, {}, [], {})
    stack: list[tuple[str, str, tuple[str, ...]]] = [(top, "", (top,))]
    while stack:
        folder, prefix, chain = stack.pop()
        for entry in _entries(folder):
            relative = prefix + entry.name
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                tree.litter.append(relative)
                continue
            real = f"{chain[-1]}/{entry.name}"
            if entry.is_symlink():
                real = os.path.realpath(entry.path)
                if not _within(real, top):
                    tree.outside[relative] = real
                    if links == "refuse":
                        continue
            found = _stat(entry)
            if found is not None and stat.S_ISDIR(found.st_mode):
                if any(_within(above, real) for above in chain):
                    raise ReidflowError(
                        f"{entry.path}: the link '{relative}' leads to a folder that contains it. Remove it."
                    )
                stack.append((entry.path, relative + "/", (*chain, real)))
            elif found is None:
                tree.files[relative] = None
            elif stat.S_ISREG(found.st_mode):
                tree.files[relative] = stat_key(found)
            else:
                tree.litter.append(relative)
                tree.odd[relative] = _kind(found.st_mode)
    if links == "refuse":
        tree.require_inside()
    return tree


def missing_content(link: Path) -> str:
    """Return what a link to nothing lacks: what fetches it, where the link is that of a tool for large files."""
    try:
        target = str(link.readlink())
    except OSError:
        target = ""
    fetch = next((how for mark, how in _STORES.items() if mark in target), None)
    return f"the link leads to a file that is not here: {fetch}" if fetch else "the link is broken or circular"


def snapshot(
    root: Path, cache: Path, extra: Sequence[Path] = (), *, links: Links = "refuse", save: bool = True
) -> Snapshot:
    """Return the digest of the dataset under `root` (and of the `extra` files outside it) with that of each file.

    Bytes are read only where size, mtime, ctime or inode differ from those in `cache`, or where the file had changed
    less than 2 s before it was last looked at; of a link they are those of the file that it leads to. `cache` is
    rewritten only if its content changes, and only if `save`. links: `refuse` raises ReidflowError for those that lead
    out of the dataset.
    """
    now = time.time_ns()
    tree = walk(root, links)
    path_of = {relative: root / relative for relative in tree.files}
    stats = dict(tree.files)
    for path in extra:
        name = table_name(path, root)
        path_of[name], stats[name] = path, stat_key(path.stat())
    old = _load(cache)
    new: dict[str, list] = {}
    todo: list[str] = []
    for name, found in stats.items():
        entry = old.get(name)
        if found is not None and entry is not None and tuple(entry[:4]) == found:
            new[name] = entry
        else:
            todo.append(name)
    for name, digest, after in _hash_all(todo, path_of, stats):
        found = stats[name]
        trusted = found is not None and after == found and settled(found, now) and digest != UNREADABLE
        new[name] = [*(found or (0, 0, 0, 0)), digest] if trusted else [-1, 0, 0, 0, digest]
    new = {name: new[name] for name in sorted(new)}
    if save and new != old:
        # The cache only saves time: a read-only folder is still usable.
        with suppress(OSError):
            write_text(cache, json.dumps({"version": 1, "files": new}, separators=(",", ":")))
    files = {name: entry[4] for name, entry in new.items()}
    return Snapshot(_combine(files), files)


def _combine(files: dict[str, str]) -> str:
    total = hashlib.sha256()
    for name, sha in files.items():
        total.update(os.fsencode(name) + b"\0" + sha.encode() + b"\n")
    return total.hexdigest()


def _entries(folder: str) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise ReidflowError(f"{folder}: this folder of the dataset cannot be read ({error.strerror}).") from error


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _outside(root: Path, links: dict[str, str]) -> ReidflowError:
    first = min(links)
    count = f"{len(links)} links lead" if len(links) > 1 else "a link leads"
    return ReidflowError(
        f"{root}: {count} out of the data set, e.g. '{first}' to {links[first]}. If whoever made the links is to be "
        "trusted, since all that they lead to is read, write under dataset: `links: follow`. Else copy the files into the data set, "
        "or remove the links."
    )


def _stat(entry: os.DirEntry) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _kind(mode: int) -> str:
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def stat_key(found: os.stat_result) -> Stat:
    """Return what of a file's stat tells another content: size, mtime_ns, ctime_ns and inode."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def settled(found: Stat, now: int) -> bool:
    """Return whether a file read at `now` (ns) had changed long before.

    As in git: a change within the clock's resolution of the read may leave no trace.
    """
    return found[2] <= now - _RACY_NS


def _load(cache: Path) -> dict[str, list]:
    """Return the entries of the cache; none if it is absent, damaged or of another version."""
    try:
        content = json.loads(cache.read_bytes())
        entries = content["files"] if content["version"] == 1 else {}
        whole = isinstance(entries, dict) and all(len(entry) == 5 for entry in entries.values())
        return entries if whole else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _hash_all(
    names: Iterable[str], where: dict[str, Path], stats: dict[str, Stat | None]
) -> Iterator[tuple[str, str, Stat | None]]:
    """Yield name, SHA-256 and the stat after reading, for each of `names`, read in parallel."""
    names = list(names)
    if not names:
        return

    def one(name: str) -> tuple[str, str, Stat | None]:
        if stats[name] is None:
            return name, UNREADABLE, None
        try:
            with where[name].open("rb") as file:
                sha = hashlib.file_digest(file, "sha256").hexdigest()
                return name, sha, stat_key(os.fstat(file.fileno()))
        except OSError:
            return name, UNREADABLE, None

    # Imported here: most plans find every file in the cache and need no threads.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(one, names)
