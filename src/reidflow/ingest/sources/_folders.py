"""Folders of a dataset: what lies in them, and whose pictures they are."""

from pathlib import PurePosixPath

from reidflow.ingest.rawdigest import Tree
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.spec.errors import ReidflowError


def named(tree: Tree) -> list[str]:
    """Return the files of a dataset, and what is called like an image without being a file, so that this is told."""
    return [*tree.files, *(name for name in tree.odd if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES)]


def below(tree: Tree, folder: str, key: str) -> dict[str, str]:
    """Return the files under a folder of the dataset: name relative to the folder -> name relative to the dataset."""
    prefix = PurePosixPath(folder).as_posix().rstrip("/") + "/"
    if prefix == "./":
        return {name: name for name in named(tree)}
    inside = {name.removeprefix(prefix): name for name in named(tree) if name.startswith(prefix)}
    if not inside:
        raise ReidflowError(
            f"{tree.root}: '{key}' names the folder '{folder}', but no file is there. Correct '{key}', "
            "a folder of the dataset."
        )
    return inside


def identity_of(name: str) -> str:
    """Return the first folder of a name relative to the identities' folders; blank where it lies in none."""
    parts = name.split("/")
    return parts[0] if len(parts) > 1 else ""
