"""Facts about images in the names of their folders and files, read by a pattern with named parts."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.spec.errors import ReidflowError

PARTS = ("identity", "group", "camera", "site", "flank", "time", "role", "side")
FACTS = ("flank", "camera", "site", "group", "time")
"""Parts that may be read from the names of files of any source."""
_TOKEN = re.compile(r"\{([^{}:]*)(?::((?:[^{}]|\{[^{}]*\})*))?\}|(\*\*)|(\*)|(.)", re.DOTALL)


class Pattern:
    """A pattern such as `{site}/{identity}/{camera}_{time}`.

    A part matches text within one folder's or file's name, as little as it can; `{camera:c[0-9]+}` restricts it to a
    regular expression. `*` is any text within a name, `**` any text. A part that occurs twice is joined by `/`. Suffixes
    of images need not be written. Raises ReidflowError for an unknown part or an invalid expression.
    """

    def __init__(self, text: str, where: str, known: Sequence[str] = PARTS) -> None:
        """where: for messages, the source and key of the pattern. known: the parts that it may have, identity being needed if among them."""
        self.text, self.where, self.known = text, where, known
        self._parts: list[str] = []
        pattern = "".join(self._piece(match) for match in _TOKEN.finditer(text))
        if not self._parts:
            known = ", ".join(f"{{{name}}}" for name in self.known)
            raise ReidflowError(f"{where}: '{text}' has no part. Write {known} where names say it.")
        if "identity" in known and "identity" not in self._parts:
            raise ReidflowError(f"{where}: '{text}' has no part {{identity}}. Write it where paths name the identity.")
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ReidflowError(f"{where}: '{text}' is no valid pattern ({error}). Correct it.") from error
        if self._pattern.groups != len(self._parts):
            raise ReidflowError(f"{where}: '{text}' has a group within a part. Write (?:...) for (...).")

    def _piece(self, match: re.Match) -> str:
        part, restricted, deep, some, plain = match.groups()
        if plain is not None:
            return re.escape(plain)
        if deep or some:
            return ".*" if deep else "[^/]*"
        if part not in self.known:
            close = difflib.get_close_matches(part, self.known, n=1)
            hint = f" Did you mean {{{close[0]}}}?" if close else ""
            known = ", ".join(f"{{{name}}}" for name in self.known)
            raise ReidflowError(
                f"{self.where}: '{self.text}' has a part {{{part}}}.{hint} Parts are {known}; * is any other text within a name."
            )
        self._parts.append(part)
        return f"({restricted or '[^/]+?'})"

    def read(self, name: str) -> dict[str, str] | None:
        """Return part -> text of a path; None where the path does not match."""
        stem = (
            name[: -len(PurePosixPath(name).suffix)] if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name
        )
        match = self._pattern.fullmatch(stem) or self._pattern.fullmatch(name)
        if match is None:
            return None
        found: dict[str, str] = {}
        for part, text in zip(self._parts, match.groups(), strict=True):
            found[part] = f"{found[part]}/{text}" if part in found else text
        return found

    def read_last(self, name: str) -> dict[str, str] | None:
        """Return part -> text of the last names of a path, as many as the pattern has (all, with `**`); None where they do not match."""
        deep = "**" in self.text
        return self.read(name if deep else "/".join(name.split("/")[-1 - self.text.count("/") :]))

    def read_all(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return the parts of each path. Raises ReidflowError that counts the paths that do not match, and shows one."""
        found = {name: self.read(name) for name in names}
        bad = [name for name, parts in found.items() if parts is None]
        if bad:
            first = min(bad)
            depth = (
                f" Its folders are {first.count('/')} deep, those of the pattern {self.text.count('/')}."
                if "**" not in self.text and first.count("/") != self.text.count("/")
                else ""
            )
            raise ReidflowError(
                f"{self.where}: {len(bad)} of {len(found)} images do not match '{self.text}', such as '{first}'.{depth} Correct "
                "the pattern (* is any text within a name, ** also across folders), or move these files away."
            )
        return {name: parts for name, parts in found.items() if parts is not None}
