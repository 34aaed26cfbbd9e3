"""Reading what was drawn back from an SVG."""

import re
from pathlib import Path
from xml.etree import ElementTree

from reidflow.figures.text import clean

SVG = "{http://www.w3.org/2000/svg}"


def words(path: Path) -> list[str]:
    """Return the texts of a figure, line by line; fails for anything that is not XML."""
    return ["".join(e.itertext()) for e in ElementTree.parse(path).iter(f"{SVG}text")]


def shows(path: Path, name: str) -> bool:
    """Return whether a name is in the figure, in lines or with its middle cut out."""
    text = squeezed("".join(words(path)))
    whole = squeezed(clean(name))
    return whole in text or bool(re.search(re.escape(whole[:6]) + ".{0,120}…", text) and whole[-4:] in text)


def squeezed(text: str) -> str:
    """Return the text without blanks: a line may be broken at any of them."""
    return re.sub(r"\s+", "", text)


def coloured(path: Path, word: str) -> set[str]:
    """Return the colours in which texts ending with `word` are written."""
    found = set()
    for element in ElementTree.parse(path).iter(f"{SVG}text"):
        if "".join(element.itertext()).endswith(word):
            match = re.search(r"fill: (#[0-9a-f]{6})", element.get("style", ""))
            found.add(match.group(1) if match else "#000000")
    return found
