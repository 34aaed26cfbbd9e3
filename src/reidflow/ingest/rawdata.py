"""Which raw data a config means, while planning: the main process reads the digest, job processes are told."""

from pathlib import Path
from typing import Any

from reidflow.ingest.rawdigest import places, snapshot
from reidflow.spec.components import module_name
from reidflow.spec.config import Config
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.store.invocation import is_dry_run

DRAWN = "demo"


def cache_file(results: Path) -> Path:
    """Return the file that remembers sizes, times and digests of the raw files."""
    return results / ".cache" / "raw.json"


def identify(config: Config, *, refresh: bool) -> str:
    """Return the digest of the raw data. The demo has none: it is drawn by a job, from settings that the job knows.

    refresh: look at the files, as only the main process does; else take what it found.
    Raises ReidflowError when the data set is not there.
    """
    source: dict[str, Any] = config.dataset.source
    if source["name"] == DRAWN:
        return ""
    known = Path(config.results) / "data" / "raw.digest"
    if not refresh:
        if not known.is_file():
            raise ReidflowError(f"{known}: not there. Start the pipeline itself, not one of its jobs.")
        return known.read_text()
    root, extra = places(source)
    digest = snapshot(root, cache_file(Path(config.results)), extra).digest
    # Jobs read it, and a command that only looks starts none: those of another run may be at work.
    if not is_dry_run() and (not known.is_file() or known.read_text() != digest):
        write_text(known, digest)
    return digest


def modules(config: Config) -> list[str]:
    """Return the components that ingest executes."""
    return [module_name("source", config.dataset.source["name"]), module_name("frame", config.dataset.frame["name"])]
