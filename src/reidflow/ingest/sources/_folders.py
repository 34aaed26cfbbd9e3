"""The files in a dataset's folders: the identities that folders name, and the masks that file names mark."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from reidflow.ingest.rawdigest import Tree, near_path
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.spec.errors import ReidflowError

_MARKED = re.compile(
    r"(?:masks?|seg)[_-](?P<after>.+)|(?P<before>.+)[_-](?:masks?|seg|segmentation|matte)", re.IGNORECASE
)


def named(tree: Tree) -> list[str]:
    """Return the files of a dataset, and non-files named like images, which end in quarantine."""
    return [*tree.files, *(name for name in tree.odd if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES)]


def below(tree: Tree, folder: str, key: str) -> dict[str, str]:
    """Return the files under a folder of the dataset: name relative to the folder -> name relative to the dataset."""
    prefix = PurePosixPath(folder).as_posix().rstrip("/") + "/"
    if prefix == "./":
        return {name: name for name in named(tree)}
    inside = {name.removeprefix(prefix): name for name in named(tree) if name.startswith(prefix)}
    if not inside:
        near = near_path(tree.root / folder)
        hint = (
            f" Did you mean '{PurePosixPath(near).relative_to(tree.root)}'?" if near.startswith(f"{tree.root}/") else ""
        )
        raise ReidflowError(
            f"{tree.root}: '{key}' names the folder '{folder}', which holds no file.{hint} Correct '{key}', "
            "a folder of the dataset."
        )
    return inside


def identity_of(name: str, depth: int = 1) -> str:
    """Return the folder, at a level, of a name relative to the identities' folders; blank where it lies in none."""
    parts = name.split("/")
    return parts[depth - 1] if len(parts) > depth else ""


def unmarked(name: str) -> str:
    """Return the image that a mask names, without suffix: of `a/1_mask.png` it is `a/1`; '' for any other name."""
    path = PurePosixPath(name)
    match = _MARKED.fullmatch(path.stem) if path.suffix.lower() in IMAGE_SUFFIXES else None
    return (path.parent / (match["after"] or match["before"])).as_posix() if match else ""


def marked_beside(names: Iterable[str]) -> set[str]:
    """Return the names that are marked as masks of others among them."""
    names = list(names)
    known = {*names, *(PurePosixPath(name).with_suffix("").as_posix() for name in names)}
    return {name for name in names if unmarked(name) in known}
