"""The file that a table means: by its own name, or by a name that another machine, spreadsheet or person made of it."""

import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path, PurePosixPath

from reidflow.ingest.rawdigest import Tree, missing_content
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES

OUTSIDE = "outside"
_ELSEWHERE = re.compile(r"(?:.*/)?[A-Za-z]:/|/|~|file:/")
_WEB = re.compile(r"(https?|ftp|s3|gs)://", re.IGNORECASE)
_SAMPLE = 20  # names by which a folder is judged
_HINTED = 20  # misses for which close names are looked for: it takes long among many files


@dataclass(frozen=True)
class Found:
    """The path of a file in the dataset, or the reason (a key of `listing.REASONS`, or OUTSIDE) with details why not.

    how: what was overlooked, a key of `HOW`; '' where the name is exact.
    """

    path: str
    reason: str = ""
    detail: str = ""
    how: str = ""


HOW = {
    "above": "begin with folders above the data set's own",
    "prefix": "are paths of another machine, and their ends are looked for in the data set",
    "capitals": "differ from those of the files in capitals",
    "suffix": "lack the suffix of their file",
}


class Files:
    """Looks up the files that rows name.

    Stray blanks, backslashes, Unicode forms, capitals and a missing suffix make no difference where one file alone fits.
    Of a path that is absolute and not there, the longest end that is a file of the dataset counts, as long as two such
    paths never mean one file. written: all names that will be looked up.
    """

    def __init__(self, tree: Tree, written: Iterable[str] = ()) -> None:
        self.tree = tree
        self.root = os.path.realpath(tree.root)
        self.missed: list[str] = []
        self.outside: list[str] = []
        self.elsewhere = self._ends({text for name in written if _ELSEWHERE.match(text := _slashes(name))})

    def find(self, written: str) -> Found:
        """Return the file of a row."""
        if not written.strip():
            return Found("", "missing", "the row names no file")
        if _WEB.match(written.strip()):
            return Found(written, "missing", f"'{written}' is a web address: download the images first")
        relative = None
        for spelling in dict.fromkeys([written, written.strip(), _slashes(written)]):
            relative = self._relative(spelling)
            if relative is not None and relative not in self.tree.files:
                relative = self._normal.get(unicodedata.normalize("NFC", relative), relative)
            if relative is not None and relative in self.tree.files:
                return self._usable(relative)
        end = self.elsewhere.get(_slashes(written))
        if end is not None:
            return self._usable(end, "prefix")
        if relative is None:
            real = os.path.realpath(posixpath.join(self.root, written.strip()))
            if written.strip().startswith("/") and not os.path.lexists(real):
                return Found(
                    written, "missing", f"there is no '{written}', nor is an end of it a file in {self.tree.root}"
                )
            self.outside.append(written.strip())
            return Found(written, OUTSIDE, f"'{written}' leads outside the dataset {self.tree.root}, to {real}")
        for tail in self._above:
            if relative.startswith(tail) and relative.removeprefix(tail) in self.tree.files:
                return self._usable(relative.removeprefix(tail), "above")
        if relative not in self.tree.odd and not _hidden(relative):
            # `luna0.jpg` lacks no suffix: luna0.jpg.png is another file, perhaps its mask.
            whole = PurePosixPath(relative).suffix.lower() in IMAGE_SUFFIXES
            for how, known in (("capitals", self._folded), ("suffix", {} if whole else self._stems)):
                fitting = known.get(_fold(relative), [])
                if len(fitting) == 1:
                    return self._usable(fitting[0], how)
        self.missed.append(relative)
        return Found(relative, *self._absent(relative))

    def remedy(self) -> str:
        """Return what brings most of the files that were not found into the dataset: a line of its config, or ''.

        A folder is named only where it was tried and holds them.
        """
        if self.outside:
            folder = self._outer([name for name in self.outside if Path(self.root, name).is_file()])
            return folder and self._naming(Path(folder))
        if not self.missed:
            return ""
        some = self.missed[:: max(1, len(self.missed) // _SAMPLE)][:_SAMPLE]
        inside = {
            str(above) for folder in self._folders for above in (PurePosixPath(folder), *PurePosixPath(folder).parents)
        }
        for folder in sorted(inside - {"."}, key=lambda name: (name.count("/"), name)):
            if 2 * sum(f"{folder}/{name}" in self.tree.files for name in some) > len(some):
                return self._naming(Path(self.root, folder))
        for above in (Path(self.root).parent, Path(self.root).parent.parent):
            if 2 * sum(os.path.isfile(f"{above}/{name}") for name in some) > len(some):  # noqa: PTH113
                return self._naming(above)
        return ""

    def _naming(self, folder: Path) -> str:
        return f"Write under source, where it takes `images`: `images: {self._shown(folder)}`, which holds these files."

    def _outer(self, names: list[str]) -> str:
        """Return the folder in which files outside the dataset lie, if names relative to it lead nowhere else; else ''."""
        places = [posixpath.normpath(f"{self.root}/{name}" if not name.startswith("/") else name) for name in names]
        if not places:
            return ""
        folder = posixpath.commonpath([posixpath.dirname(place) for place in places])
        fits = all(
            posixpath.normpath(f"{folder}/{name}" if not name.startswith("/") else name) == place
            for name, place in zip(names, places, strict=True)
        )
        whole = len(folder.strip("/").split("/")) > 1 and len(names) == len(self.outside)
        return folder if fits and whole else ""

    def _shown(self, folder: Path) -> str:
        """Return a folder as a config would name it: relative to the working folder where it is below."""
        here = Path.cwd()
        return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)

    def _ends(self, written: set[str]) -> dict[str, str]:
        """Return absolute path that is not there -> the file of the dataset that its longest fitting end names."""
        ends: dict[str, str] = {}
        for name in written:
            if self._relative(name) in self.tree.files or (name.startswith("/") and os.path.exists(name)):  # noqa: PTH110
                continue
            parts = [part for part in name.split("/") if part not in ("", ".", "..")]
            tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
            found = next((file for tail in tails if (file := self._exact(tail))), None)
            if found is not None:
                ends[name] = found
        counts = Counter(ends.values())
        return {name: file for name, file in ends.items() if counts[file] == 1}

    def _exact(self, tail: str) -> str | None:
        if tail in self.tree.files:
            return tail
        fitting = self._folded.get(_fold(tail), [])
        return fitting[0] if len(fitting) == 1 else None

    def _absent(self, relative: str) -> tuple[str, str]:
        """Return reason and detail of a path at which no file was found."""
        if relative in self.tree.odd:
            return "unreadable", f"'{relative}' is {self.tree.odd[relative]}, not a file"
        if _hidden(relative):
            return "missing", "hidden files are not part of a dataset"
        if (self.tree.root / relative).is_dir():
            return "missing", f"'{relative}' is a folder, not an image"
        close = self._close(relative) if len(self.missed) <= _HINTED else ""
        hint = f"; did you mean '{close}'?" if close else ""
        return "missing", f"no file '{relative}' in {self.tree.root}{hint}"

    def _close(self, relative: str) -> str:
        """Return the one file of a like name: in other capitals, with another suffix, in another folder, or misspelt."""
        folder, name = posixpath.split(relative)
        below = [file for file in self._names.get(_fold(name), []) if _fold(file).endswith("/" + _fold(relative))]
        stem = _fold(PurePosixPath(relative).with_suffix("").as_posix())
        for fitting in (self._folded.get(_fold(relative)), self._stems.get(stem), below, self._names.get(_fold(name))):
            if fitting:
                return fitting[0] if len(fitting) == 1 else ""
        beside = [PurePosixPath(file).name for file in self._folders.get(folder, [])]
        close = get_close_matches(name, beside, n=2, cutoff=0.85)
        return f"{folder}/{close[0]}".lstrip("/") if len(close) == 1 else ""

    def _relative(self, written: str) -> str | None:
        """Return the path relative to the dataset, or None if it leads outside."""
        for top in (self.root, posixpath.normpath(self.tree.root.absolute().as_posix())):
            place = posixpath.normpath(written if written.startswith("/") else f"{top}/{written}")
            if place.startswith(top + "/"):
                return place.removeprefix(top + "/")
            if place == top:
                return "."
        return None

    def _usable(self, relative: str, how: str = "") -> Found:
        if self.tree.files[relative] is None:
            return Found(relative, "missing", missing_content(self.tree.root / relative))
        try:
            relative.encode()
        except UnicodeEncodeError:
            return Found(relative, "unreadable", "the file's name is not UTF-8: rename it")
        return Found(relative, how=how)

    @cached_property
    def _above(self) -> list[str]:
        """The last folders of the dataset's path, the longest first."""
        parts = self.root.strip("/").split("/")
        return ["/".join(parts[start:]) + "/" for start in range(max(0, len(parts) - 6), len(parts))]

    @cached_property
    def _normal(self) -> dict[str, str]:
        return {unicodedata.normalize("NFC", name): name for name in sorted(self.tree.files, reverse=True)}

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return _by(self.tree.files, _fold)

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        images = (name for name in self.tree.files if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES)
        return _by(images, lambda name: _fold(PurePosixPath(name).with_suffix("").as_posix()))

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        return _by(self.tree.files, lambda name: _fold(posixpath.basename(name)))

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        return _by(self.tree.files, posixpath.dirname)


def _by(names: Iterable[str], key) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        found[key(name)].append(name)
    return found


def _slashes(written: str) -> str:
    """Return a written path with slashes, without blanks around it."""
    return written.strip().replace("\\", "/")


def _hidden(relative: str) -> bool:
    return any(part.startswith(".") and part != "." for part in relative.split("/"))


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
