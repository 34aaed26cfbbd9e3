"""Errors that a person reads: what is wrong, where, and what to do."""


class ReidflowError(Exception):
    """A mistake in the input, the config or the state of the results. Its text is meant to be read by the user."""


class Problems:
    """Collects the mistakes of one input so that all of them are reported at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: str, what: str, remedy: str) -> None:
        """Note one mistake: where it stands (file and key, or row), what is wrong, what to do about it."""
        self.found.append(f"{_visible(where, '')}: {_visible(f'{what} {remedy}')}".rstrip())

    def raise_if_any(self, title: str) -> None:
        """Raise one ReidflowError that lists every mistake, each a paragraph of its own; nothing if there is none."""
        if self.found:
            count = f"{len(self.found)} mistake" + ("s" if len(self.found) > 1 else "")
            raise ReidflowError(f"{title}: {count}\n\n" + "\n\n".join(self.found))


def _visible(text: str, kept: str = "\n") -> str:
    """Return a text whose control characters cannot reach a terminal: names in it are a user's."""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)
