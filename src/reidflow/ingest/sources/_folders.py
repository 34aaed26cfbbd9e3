"""The files in a dataset's folders, and the identities that folders name."""

from pathlib import PurePosixPath

from reidflow.ingest.rawdigest import Tree, near_path
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.spec.errors import ReidflowError


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
