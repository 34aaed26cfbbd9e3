"""Reading JSON files that come with a dataset."""

import hashlib
import json
from pathlib import Path
from typing import Any

from reidflow.ingest.sources._sniff import COMPRESSED, kind_of
from reidflow.spec.errors import ReidflowError


def read(path: Path, needed: str) -> tuple[Any, str]:
    """Return the content of a JSON file and its SHA-256. needed: what the file should be, for messages.

    Raises ReidflowError for a file that cannot be read, is compressed, or is not JSON.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReidflowError(f"{path}: cannot be read ({error.strerror}). It should be {needed}.") from error
    if kind_of(data) in COMPRESSED:
        raise ReidflowError(f"{path}: this is compressed. Unpack it first: it should be {needed}.")
    try:
        return json.loads(data), hashlib.sha256(data).hexdigest()
    except (ValueError, RecursionError) as error:
        raise ReidflowError(f"{path}: not readable as JSON ({error}). It should be {needed}.") from error


def look_up(entry: dict[str, Any], key: str) -> Any:
    """Return the value of a key, or of a dotted path through mappings; None where there is none."""
    if key in entry:
        return entry[key]
    value: Any = entry
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def as_text(value: Any) -> str | None:
    """Return a label or a number as text, the only one of a list as itself; None for null, blank and lists of several."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
