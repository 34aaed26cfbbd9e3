"""Whether a network's weights could be had, as its description says."""

import json
from pathlib import Path

from reidflow.spec.errors import ReidflowError


def unavailable(path: str | Path) -> str | None:
    """Return why the network described in the file `path` cannot be had; None where it can.

    Raises ReidflowError for a file that is no description.
    """
    found = json.loads(Path(path).read_text())
    if not isinstance(found.get("available"), bool):
        raise ReidflowError(f"{path}: says nothing of whether the network is available. Delete it and run again.")
    return None if found["available"] else f"{found['reason']} To try again, delete {Path(path).as_posix()}."
