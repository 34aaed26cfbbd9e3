"""Names in braces that a text of an experiment's file may hold, and what is written in their place."""

from string import Formatter
from typing import Any


def fields(text: Any) -> set[str] | None:
    """Return the names in braces in a text; None where the braces do not match or hold more than a name.

    `{epochs:99999999}` or `{epochs.__class__}` would be formatting, and no name.
    """
    try:
        parsed = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
    except (ValueError, TypeError):
        return None
    if any(layout or conversion or not name.isidentifier() for name, layout, conversion in parsed):
        return None
    return {name for name, _, _ in parsed}
