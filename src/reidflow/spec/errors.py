"""Errors that a person reads: what is wrong, where, and what to do."""

from collections.abc import Callable

MANY = 8  # other places of an error, from which on they are counted


class ReidflowError(Exception):
    """An error in the input, the config or the state of the results, with a message for the user."""


class Problems:
    """Collects the errors of one input so that all of them are reported at once.

    file_of: returns the file that gives a key of the config, by its dotted path ('': all of its files).
    """

    def __init__(self, file_of: Callable[[str], str] = lambda key: "the config") -> None:
        self.found: list[str] = []
        self.places: dict[str, list[str]] = {}
        self.file_of = file_of

    def add(self, where: str, what: str, remedy: str) -> None:
        """Add one error: where it is (file and key, or row), what is wrong, what to do about it."""
        place, text = _visible(where, ""), _visible(f"{what} {remedy}").rstrip()
        self.found.append(f"{place}: {text}")
        self.places.setdefault(text, []).append(place)

    def add_key(self, key: str, what: str, remedy: str) -> None:
        """Add an error in a key of the config ('': in the config as a whole)."""
        self.add(f"{self.file_of(key)}, key '{key}'" if key else self.file_of(key), what, remedy)

    def raise_if_any(self, title: str) -> None:
        """Raise one ReidflowError that lists every error, each a paragraph of its own; nothing if there is none.

        An error in many places is one paragraph, with the number of places and the first ones.
        """
        if self.found:
            count = f"{len(self.found)} error" + ("s" if len(self.found) > 1 else "")
            raise ReidflowError(f"{title}: {count}\n\n" + "\n\n".join(self._paragraphs()))

    def _paragraphs(self) -> list[str]:
        paragraphs = []
        for text, (first, *others) in self.places.items():
            if len(others) < MANY:
                paragraphs += [f"{place}: {text}" for place in (first, *others)]
            else:
                more = "; ".join(others[:MANY]) + ("; ..." if len(others) > MANY else "")
                paragraphs.append(f"{first}: {text}\n  Also in {len(others)} other places: {more}")
        return paragraphs


def first_line(error: Exception) -> str:
    """Return the first line of what a library's error says, without its full stop; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _visible(text: str, kept: str = "\n") -> str:
    """Return a text whose control characters cannot reach a terminal: names in it are a user's."""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)
