"""Names that people give: which of them become files and folders, and how."""

import re
import unicodedata
from collections.abc import Iterable

from reidflow.spec.canonical import short
from reidflow.spec.errors import Problems

PLAIN = "Use letters (A-Z, a-z), digits, '_', '-' and '.', beginning with a letter or a digit, at most 80 of them."
RESERVED = {"leaderboard", "data", "review"}
"""Experiments of these names would write over the files of all experiments together."""
LONGEST = 500


def slug_of(name: str) -> str:
    """Return a name that is safe as a folder and in a shell: unchanged where possible, else cleaned with a digest."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name) and not name.endswith("."):
        return name
    clean = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-_")[:60]
    return f"{clean or 'arm'}-{short(name, 8)}"


def look(name: str) -> str:
    """Return how a name looks: two that look alike are indistinguishable in a table."""
    shown = (c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
    return " ".join("".join(shown).split())


def check_names(names: Iterable[str], where: str, problems: Problems, kind: str = "arm") -> None:
    """Report the names of arms (or another kind) that no table could show, or that look like another's."""
    seen: dict[str, str] = {}
    for name in names:
        place, shown = f"{where}, {kind} {name[:80]!r}", look(name)
        if not shown:
            problems.add(place, "its name is blank.", "Give it a name that can be read.")
        elif len(name) > LONGEST:
            problems.add(place, f"its name has {len(name)} characters.", f"At most {LONGEST} are allowed.")
        elif any(unicodedata.category(c) == "Cs" for c in name):
            problems.add(place, "its name is not valid text (half of a surrogate pair).", "Write the character itself.")
        elif shown in seen:
            problems.add(place, f"its name looks like that of {kind} {seen[shown][:80]!r}.", "Rename one of them.")
        else:
            seen[shown] = name


def check_experiment(name: str, taken: Iterable[str], place: str, problems: Problems) -> bool:
    """Return whether an experiment may have a name, after reporting why not: its files and folders are called so."""
    before, taken = len(problems.found), list(taken)
    twin = next((other for other in taken if other.lower() == name.lower()), None)
    if twin is not None:
        problems.add(
            place,
            f"two files are called '{twin}'." if twin == name else f"'{name}' and '{twin}' differ in capitals alone.",
            "Rename one of them.",
        )
    below = next((other for other in taken if name.startswith(f"{other}.") or other.startswith(f"{name}.")), None)
    if below is not None:
        problems.add(place, f"the files of '{name}' would be called like those of '{below}'.", "Rename one of them.")
    if slug_of(name) != name:
        problems.add(place, "the file's name is not usable as a folder.", PLAIN)
    if name.lower() in RESERVED:
        problems.add(place, f"the name '{name}' is taken by results of all experiments together.", "Rename the file.")
    return len(problems.found) == before
