"""Roles and sides as data sets state them: in one column, or as two columns of true and false."""

from collections.abc import Sequence

from reidflow.ingest.listing import side_of
from reidflow.spec.errors import ReidflowError

_TRUTH = {"true": True, "1": True, "1.0": True, "yes": True, "t": True, "y": True}
_TRUTH |= {"false": False, "0": False, "0.0": False, "no": False, "f": False, "n": False, "": False}


def role_and_side(text: str | None, known: bool = True) -> dict[str, str]:
    """Return the fields of a row: `query` and `gallery` (or another word of `listing.SIDES`) are the sides of the role test.

    known: whether it is known whom the image shows. An image that may show anybody has no role: as a distractor, a match would
    count as wrong.
    """
    word = (text or "").strip()
    side = side_of(word)
    role = {"role": "test" if side else word} if known and word else {}
    return role | ({"side": side} if side else {})


NEITHER = "neither"


def sides(query: Sequence[str | None], gallery: Sequence[str | None], where: str) -> list[str | None]:
    """Return the side of each row by two columns of true and false; None where a row is both, NEITHER where it is neither.

    Raises ReidflowError that names the first value that is neither.
    """
    known = [[_truth(text) for text in column] for column in (query, gallery)]
    wrong = [number for number, pair in enumerate(zip(*known, strict=True), 1) if None in pair]
    if wrong:
        texts = ", ".join(repr(column[wrong[0] - 1]) for column in (query, gallery))
        raise ReidflowError(
            f"{where}: {len(wrong)} of {len(query)} rows are neither true nor false, such as row {wrong[0]} ({texts}). Write true, "
            "false, 1 or 0."
        )
    return [(None if b else "query") if a else "gallery" if b else NEITHER for a, b in zip(*known, strict=True)]


def _truth(text: str | None) -> bool | None:
    return _TRUTH.get((text or "").strip().lower())
