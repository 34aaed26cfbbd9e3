"""The raw data of a config, while planning: the main process computes digests of them and of their network, jobs read these."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from reidflow.ingest import network_file
from reidflow.ingest.rawdigest import dataset_paths, snapshot
from reidflow.spec.components import module_name
from reidflow.spec.config import Config
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.store.invocation import is_dry_run

DEMO = "demo"


def cache_file(results: Path) -> Path:
    """Return the cache of sizes, times and digests of the raw files."""
    return results / ".cache" / "raw.json"


class Identity(NamedTuple):
    """The digest of the raw data, and the number of their files."""

    digest: str
    files: int


def identify(config: Config, *, refresh: bool) -> Identity:
    """Return what identifies the raw data. The demo has no digest: a job renders it from its parameters.

    refresh: scan the files, as only the main process does; else read what it recorded.
    Raises ReidflowError when the data set does not exist.
    """
    source: dict[str, Any] = config.dataset.source
    if source["name"] == DEMO:
        return Identity("", source["images"])
    known = Path(config.results) / "data" / "raw.digest"
    count = known.with_name("raw.count")
    if not refresh:
        return Identity(_recorded(known), int(_recorded(count)))
    detections = config.dataset.detections
    root, extra = dataset_paths(source, detections.path if detections else None)
    found = snapshot(root, cache_file(Path(config.results)), extra, links=config.dataset.links)
    return Identity(_record(found.digest, known), int(_record(str(len(found.files)), count)))


def identify_network(config: Config, *, refresh: bool) -> str:
    """Return what identifies the network that computes masks, '' where there is none.

    refresh: look at its file, as only the main process does; else read what it recorded.
    Raises ReidflowError where there is no such file.
    """
    if config.dataset.masks is None:
        return ""
    known = Path(config.results) / "data" / "network.digest"
    if not refresh:
        return _recorded(known)
    return _record(
        network_file.identify(config.dataset.masks, cache_file(Path(config.results)).with_name("network.json")), known
    )


def identify_answers(config: Config, *, refresh: bool) -> dict[str, str]:
    """Return file of answers (`dataset.review`) -> SHA-256.

    refresh: look at the files, as only the main process does; else read what it recorded.
    Raises ReidflowError where one is missing.
    """
    found: dict[str, str] = {}
    if not config.dataset.review:
        return found
    known = Path(config.results) / "data" / "answers.digest"
    if not refresh:
        return json.loads(_recorded(known))
    for path in config.dataset.review:
        try:
            found[path] = hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest()
        except OSError as error:
            raise ReidflowError(
                f"dataset.review: '{path}' cannot be read ({error.strerror}; looked from {Path.cwd()}). Correct its name."
            ) from error
    _record(json.dumps(found), known)
    return found


def _recorded(known: Path) -> str:
    if not known.is_file():
        raise ReidflowError(f"{known}: missing. Start the pipeline, not one of its jobs.")
    return known.read_text()


def _record(digest: str, known: Path) -> str:
    """Write a digest for jobs, which read it; a command that only plans must not change it under those of another run."""
    if not is_dry_run() and (not known.is_file() or known.read_text() != digest):
        write_text(known, digest)
    return digest


def modules(config: Config) -> list[str]:
    """Return the components that ingest executes."""
    return [module_name("source", config.dataset.source["name"]), module_name("frame", config.dataset.frame["name"])]
