"""Canonical JSON: the text that identifies a spec."""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """Return `value` as JSON whose bytes depend on the content alone: sorted keys, no blanks, no NaN.

    Raises TypeError for anything that JSON does not know, so that nothing is identified by its `repr`.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def short(value: Any, length: int = 16) -> str:
    """Return the first `length` hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]
