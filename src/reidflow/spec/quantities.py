"""Quantities: what an experiment may be about beside identity-balanced mAP, and the check of those that it puts first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reidflow.spec.errors import Problems


@dataclass(frozen=True)
class Quantity:
    """A number of each arm, with the words for it.

    name: its entry in the `headline` of an experiment's file. heading: begins a sentence about it, and its column.
    meaning: one sentence. better: which of two values is to be preferred. format: how a value is printed, a name in
    `reidflow.tables.text.FORMATS`. unit: of the stored values.
    """

    name: str
    heading: str
    meaning: str
    better: Literal["higher", "lower"]
    format: str = "number"
    unit: str = ""


def check_headline(headline: Iterable[str], known: Iterable[str], where: str, problems: Problems) -> None:
    """Report the entries of an experiment's `headline` that nothing measures, or that are repeated."""
    known, seen = list(known), set()
    for name in headline:
        if name not in known:
            choice = f"Choose among: {', '.join(known)}." if known else "Remove it: there is none."
            problems.add(f"{where}, key 'headline'", f"this experiment has no quantity '{name}'.", choice)
        elif name in seen:
            problems.add(f"{where}, key 'headline'", f"'{name}' is listed twice.", "Remove one of them.")
        seen.add(name)
