"""Whether the weights of a described network are available, and whether it is worth trying again where they were not."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from reidflow.spec.errors import ReidflowError

HUB = "https://huggingface.co"
SECONDS = 3.0  # to wait for the hub's answer


def unavailable(path: str | Path) -> str | None:
    """Return why the network described in the file `path` is unavailable; None where it is available.

    Raises ReidflowError for a file that is no description.
    """
    found = json.loads(Path(path).read_text())
    if not isinstance(found.get("available"), bool):
        raise ReidflowError(f"{path}: does not state whether the network is available. Delete it and run again.")
    if found["available"]:
        return None
    return (
        f"{found['reason']} The next run tries again where the network is back or a model was added to the cache; to try at "
        f"once: snakemake --forcerun backbones_{Path(path).stem} -- all_tables"
    )


def hub_reachable() -> bool:
    """Return whether the Hugging Face hub answers; whatever it answers."""
    # Imported here: only a run that lacked weights before needs it.
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    try:
        urlopen(Request(os.environ.get("HF_ENDPOINT", HUB), method="HEAD"), timeout=SECONDS).close()
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def cached_models() -> list[str]:
    """Return the names of the models in the hub's cache, sorted."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{base}/huggingface"
    folder = Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()
    try:
        return sorted(path.name for path in folder.glob("models--*"))
    except OSError:
        return []


def circumstances() -> dict[str, object]:
    """Return what a description keeps of a failed download: whether the hub was reachable, and the models in its cache."""
    return {"online": hub_reachable(), "cached": cached_models()}


def installed() -> dict[str, object]:
    """Return what decides whether a package or weights that it may carry are there: the network, and what is installed."""
    from importlib.metadata import distributions

    return {"online": hub_reachable(), "installed": sorted({str(one.metadata["Name"]) for one in distributions()})}


def worth_retrying(paths: Iterable[str | Path], reachable: Callable[[], bool] = hub_reachable) -> list[Path]:
    """Return the files that say what is unavailable, networks or local features, and may be made now.

    The network is probed once, and only where a download failed without it.
    """
    probe = cache(reachable)
    return [path for path in map(Path, paths) if _may_succeed(path, probe)]


def _may_succeed(path: Path, online: Callable[[], bool]) -> bool:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    if (found.get("available") is not False and "unavailable" not in found) or "online" not in found:
        return False
    if "installed" in found:
        changed = installed()["installed"] != found["installed"]
    else:
        changed = cached_models() != found["cached"]
    return changed or (not found["online"] and online())


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
