"""Colours as a config writes them."""

import re

from reidflow.spec.errors import ReidflowError


def rgb(text: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a colour like "#7c7468". Raises ReidflowError for any other text."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise ReidflowError(f"the colour {text!r} of a background is not '#' and six hexadecimal digits. Correct it.")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
