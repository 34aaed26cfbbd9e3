"""The contents of digests: files of code, images of the data set, descriptions of experiments; a cache of parsed code.

The params of jobs hold digests alone. The digest of each file, recorded beside them, shows later which file changed.
"""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reidflow.spec import code
from reidflow.store.atomic import write_bytes, write_text

CODE, IMAGES, EXPERIMENTS = "code", "images", "experiments"
PARSED = Path(".snakemake") / "reidflow-code.json"


def record_code(results: Path, params: Iterable[str]) -> None:
    """Record the files behind the code digests in the params of jobs that are about to run."""
    for param in map(json.loads, params):
        record(results, CODE, param["code"], lambda roots=param["roots"]: code.closure(*roots))


def record_images(results: Path, digest: str, cache: Path) -> None:
    """Record the files behind the digest of the data set. cache: that of their stats (`rawdigest`)."""
    record(results, IMAGES, digest, lambda: image_files(cache))


def image_files(cache: Path) -> dict[str, str]:
    """Return the digest of each file of the data set by its name, from the cache of their stats."""
    return {name: entry[-1] for name, entry in json.loads(cache.read_bytes())["files"].items()}


def record(results: Path, kind: str, digest: str, content: Callable[[], dict[str, Any]]) -> None:
    """Record `content()`, JSON such as file name -> digest, as the content of `digest`, unless that is on record."""
    path = record_file(results, kind, digest)
    if not path.exists():
        text = json.dumps(content(), separators=(",", ":"))
        write_bytes(path, gzip.compress(text.encode(), mtime=0))


def read_record(results: Path, kind: str, digest: str) -> dict[str, Any] | None:
    """Return the content of `digest`; None where it is not on record, or cannot be read."""
    try:
        return json.loads(gzip.decompress(record_file(results, kind, digest).read_bytes()))
    except (OSError, ValueError, EOFError):
        return None


def record_file(results: Path, kind: str, digest: str) -> Path:
    """Return the file with the content of a digest."""
    return results / ".store" / kind / record_name(digest)


def record_name(digest: str) -> str:
    """Return the name of the file with the content of a digest."""
    return f"{digest[:32]}.json.gz"


def load_parsed_code() -> None:
    """Load what earlier processes have parsed; files that have changed since are parsed again."""
    code.recall(PARSED)


def save_parsed_code() -> None:
    """Save what this process has parsed; where that is impossible, later processes parse it again."""
    news = code.news()
    if news and PARSED.parent.is_dir():
        try:
            write_text(PARSED, news)
        except OSError:
            return
