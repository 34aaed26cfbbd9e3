"""Integer codes for names, shared by the query side and the gallery side."""

from collections.abc import Sequence

import numpy as np


def integer_codes(*columns: Sequence[str | None]) -> tuple[np.ndarray, ...]:
    """Return an int64 array for each column of names: the same code for the same name, in any column.

    A missing name (None) gets a code of its own, unlike every other: an image without a group is a group of one, an
    image without an identity is nobody's positive.
    """
    numbers = {name: number for number, name in enumerate(sorted({n for c in columns for n in c if n is not None}))}
    fresh = len(numbers)
    coded = []
    for column in columns:
        codes = np.empty(len(column), dtype=np.int64)
        for row, name in enumerate(column):
            codes[row] = fresh if name is None else numbers[name]
            fresh += name is None
        coded.append(codes)
    return tuple(coded)
