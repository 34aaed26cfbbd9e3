"""Folders of a dataset: what lies in them, and whose pictures they are."""

from pathlib import PurePosixPath

from reidflow.ingest.rawdigest import Tree
from reidflow.spec.errors import ReidflowError


def below(tree: Tree, folder: str, key: str) -> dict[str, str]:
    """Return the files under a folder of the dataset: name relative to the folder -> name relative to the dataset."""
    prefix = PurePosixPath(folder).as_posix().rstrip("/") + "/"
    if prefix == "./":
        return {name: name for name in tree.files}
    inside = {name.removeprefix(prefix): name for name in tree.files if name.startswith(prefix)}
    if not inside:
        raise ReidflowError(f"{tree.root}: '{key}' names the folder '{folder}', but no file is there. Correct it.")
    return inside


def identity_of(name: str) -> str:
    """Return the first folder of a name relative to the identities' folders; blank where it lies in none."""
    parts = name.split("/")
    return parts[0] if len(parts) > 1 else ""
