"""What lies behind the digests in the params of jobs, by digest: the files of their code, the photographs.

A param holds digests alone. Kept beside them, the digest of each file tells later which file it was that changed.
"""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from reidflow.spec import code
from reidflow.store.atomic import write_bytes


def note(results: Path, kind: str, digest: str, files: Callable[[], dict[str, str]]) -> None:
    """Keep `files()`, the digest of each file by its name, where it is not known yet what lies behind `digest`."""
    path = _file(results, kind, digest)
    if not path.exists():
        content = json.dumps(files(), separators=(",", ":")).encode()
        write_bytes(path, gzip.compress(content, mtime=0))


def behind(results: Path, kind: str, digest: str) -> dict[str, str] | None:
    """Return the digest of each file behind `digest`, by its name; None where it was never noted."""
    try:
        return json.loads(gzip.decompress(_file(results, kind, digest).read_bytes()))
    except (OSError, ValueError, EOFError):
        return None


def note_code(results: Path, params: Iterable[str]) -> None:
    """Keep what lies behind the digests of code in the params of jobs that are about to run."""
    for param in params:
        given = json.loads(param)
        note(results, "code", given["code"], lambda roots=given["roots"]: code.closure(*roots))


def note_photographs(results: Path, digest: str, cache: Path) -> None:
    """Keep what lies behind the digest of the raw data, as the cache of their stats (`rawdigest`) tells it."""

    def files() -> dict[str, str]:
        return {name: entry[-1] for name, entry in json.loads(cache.read_bytes())["files"].items()}

    note(results, "photographs", digest, files)


def _file(results: Path, kind: str, digest: str) -> Path:
    return results / ".store" / kind / f"{digest[:32]}.json.gz"
