"""Whether the weights of a described network are available."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from reidflow.spec.errors import ReidflowError


def unavailable(path: str | Path) -> str | None:
    """Return why the network described in the file `path` is unavailable; None where it is available.

    Raises ReidflowError for a file that is no description.
    """
    found = json.loads(Path(path).read_text())
    if not isinstance(found.get("available"), bool):
        raise ReidflowError(f"{path}: does not state whether the network is available. Delete it and run again.")
    return None if found["available"] else f"{found['reason']} To try again, delete {Path(path).as_posix()}."


def first_reason(paths: Sequence[str | Path]) -> str | None:
    """Return why one of several described networks is unavailable; None where all are available."""
    return next(filter(None, map(unavailable, paths)), None)


def missing_arms(downloaded: Mapping[str, Sequence[str | Path]], baseline: str) -> dict[str, str]:
    """Return arm -> why its network is unavailable, for the arms that lack one.

    downloaded: arm -> the descriptions of the networks that it downloads. Raises ReidflowError where the baseline lacks
    its own: nothing could be compared with it.
    """
    reasons = {arm: first_reason(paths) for arm, paths in downloaded.items()}
    missing = {arm: reason for arm, reason in reasons.items() if reason}
    if baseline in missing:
        raise ReidflowError(f"the baseline '{baseline}' cannot be trained: {missing[baseline]}")
    return missing
