"""The data behind runs, with the digests of large arrays saved between two commands."""

import hashlib
import json
from pathlib import Path

from polars.exceptions import PolarsError

from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.store.atomic import write_text
from reidflow.training.execute import OtherSplit, Source

# Data that are missing or outdated are no error before they are made.
UNREADABLE = (ReidflowError, OSError, ValueError, KeyError, IndexError, PolarsError)


class Digests:
    """Digests of arrays by path and purpose, with size, times and inode of the file when it was digested."""

    def __init__(self, results: Path) -> None:
        self._file = results / ".cache" / "arrays.json"
        try:
            self.known: dict[str, list] = json.loads(self._file.read_text())
        except (OSError, ValueError):
            self.known = {}
        self._before = json.dumps(self.known)

    def save(self) -> None:
        """Save the digests, if there are new ones."""
        if json.dumps(self.known) != self._before:
            write_text(self._file, json.dumps(self.known))


class CachedSource(Source):
    """The data behind runs. An array is not read again while its size, times and inode stay the same."""

    def __init__(self, results: Path, gallery: str, split: str | None, digests: Digests) -> None:
        super().__init__(results, gallery, OtherSplit.at(split))
        self._cached = digests.known
        self._rows = f"{split or ''} {hashlib.sha256(self.rows.tobytes()).hexdigest()[:16]} {self.split_digest}"

    @classmethod
    def of(cls, results: Path, gallery: str, split: str | None, digests: Digests) -> "CachedSource | None":
        """Return the data on a split: its folder, None for the pipeline's own. None while they cannot be read."""
        try:
            return cls(results, gallery, split, digests)
        except UNREADABLE:
            return None

    def known_key(self, spec: RunSpec) -> str | None:
        """Return the key of a run; None while its data cannot be read."""
        try:
            return self.key(spec)
        except UNREADABLE:
            return None

    def _digest(self, path: Path, whole: bool, training: bool = False) -> str:
        if not whole:
            return super()._digest(path, whole, training)
        found = path.stat()
        mark = [self._rows, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        name = f"{path} {self.other.folder if self.other else ''} {'training' if training else 'ranked'}"
        if self._cached.get(name, [None])[:-1] != mark:
            self._cached[name] = [*mark, super()._digest(path, whole, training)]
        return self._cached[name][-1]
