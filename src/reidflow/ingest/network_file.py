"""The file of the network that computes masks: where it is, and its identity while planning."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from reidflow.ingest.rawdigest import settled, stat_key
from reidflow.spec.errors import ReidflowError, first_line
from reidflow.store.atomic import write_text

HUB = "hf-hub:"
_PARTS = re.compile(r"hf-hub:(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>[^/\s]+))?/(?P<file>\S+)")


def identify(spec: dict[str, Any], cache: Path) -> str:
    """Return the SHA-256 of a component's file, '' where it has none; of one on the hub, its name until it is downloaded.

    spec: a resolved segmenter. cache: the file that keeps size, times and digest, so that bytes are hashed once.
    Raises ReidflowError where there is no such file.
    """
    file = local(spec)
    if file is None:
        return _written(spec)
    stats = [stat_key(part.stat()) for part in _files(file)]
    mark = [str(file), *map(list, stats)]
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(cache.read_text())
        if known["mark"] == mark:
            return known["sha256"]
    now, digest = time.time_ns(), sha256(file)
    if all(settled(found, now) for found in stats):
        with suppress(OSError):
            write_text(cache, json.dumps({"mark": mark, "sha256": digest}))
    return digest


def local(spec: dict[str, Any]) -> Path | None:
    """Return the file of a component, None where it has none or it is not downloaded yet. Raises ReidflowError."""
    given = _written(spec)
    if not given:
        return None
    if given.startswith(HUB):
        return _downloaded(given)
    file = Path(given).expanduser()
    if file.is_file():
        return file
    if spec.get("file"):
        raise ReidflowError(f"dataset.masks: there is no file '{given}' (looked from {Path.cwd()}). Correct 'file'.")
    model = spec["model"]
    raise ReidflowError(
        f"dataset.masks: there is no file {file}, where rembg keeps its network '{model}', and reidflow downloads nothing "
        f"by itself. Fetch it with rembg (pip install 'rembg[cpu,cli]', then: rembg d {model}), or name a copy: "
        f"{{name: rembg, model: {model}, file: path/to/{model}.onnx}}"
    )


def with_file(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a component with its file as a path on this machine. Raises ReidflowError where it is not downloaded."""
    file = local(spec)
    if file is None and _written(spec):
        raise ReidflowError(
            f"dataset.masks: '{_written(spec)}' is not in the hub's cache. Run the pipeline once with a network, which "
            "downloads it; or copy a filled cache here and set HF_HOME to it."
        )
    return {**spec, "file": str(file)} if file else spec


def download(spec: dict[str, Any], reachable: Callable[[], bool]) -> None:
    """Download the file of a component from the hub where its `file` says so and the cache lacks it.

    reachable: whether the hub answers; its client repeats requests for most of a minute. Raises ReidflowError.
    """
    given = _written(spec)
    if not given.startswith(HUB) or _downloaded(given):
        return
    from huggingface_hub import hf_hub_download

    reason = "the hub cannot be reached"
    if reachable():
        try:
            repo, file, revision = _parts(given)
            hf_hub_download(repo, file, revision=revision)
            return
        except Exception as error:  # whichever client the hub's library uses, with its own errors
            reason = first_line(error)
    raise ReidflowError(
        f"dataset.masks: '{given}' could not be downloaded: {reason}. Connect to the network once, or copy a filled cache "
        "here and set HF_HOME to it, or write the path of the ONNX file as 'file'."
    )


def sha256(file: Path) -> str:
    """Return the SHA-256 of a network's bytes: of its file, and where it has files of weights beside it of all of them."""
    parts = []
    for part in _files(file):
        with part.open("rb") as opened:
            parts.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


def _files(file: Path) -> list[Path]:
    """Return a network's file, and those beside it in which ONNX keeps the weights of a large one, by their usual names."""
    return [file, *(beside for end in (".data", "_data") if (beside := file.with_name(file.name + end)).is_file())]


def _written(spec: dict[str, Any]) -> str:
    """Return what a component's `file` says, or means by default; '' for a component without a file."""
    own = str(kept_by_rembg(spec["model"])) if spec["name"] == "rembg" else ""
    return spec.get("file") or own


def _parts(given: str) -> tuple[str, str, str | None]:
    """Return repository, file and revision of a file on the hub."""
    found = _PARTS.fullmatch(given)
    if not found:
        raise ReidflowError(
            f"dataset.masks: '{given}' names no file of the hub. Write hf-hub:owner/name/path.onnx, or with a revision "
            "hf-hub:owner/name@revision/path.onnx."
        )
    return found["repo"], found["file"], found["revision"]


def _downloaded(given: str) -> Path | None:
    """Return where the hub's cache has a file, None where it has not."""
    from huggingface_hub import try_to_load_from_cache

    repo, file, revision = _parts(given)
    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def kept_by_rembg(model: str) -> Path:
    """Return where rembg keeps a network once it has downloaded it."""
    home = os.environ.get("U2NET_HOME") or f"{os.environ.get('XDG_DATA_HOME') or '~'}/.u2net"
    return Path(home).expanduser() / f"{model}.onnx"
