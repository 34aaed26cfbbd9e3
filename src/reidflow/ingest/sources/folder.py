"""A folder per identity; file formats and names do not matter."""

from pathlib import PurePosixPath

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import Tree, places, walk
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(*, path: str, images: str = ".", masks: str | None = None, groups: bool = False) -> Listing:
    """List the photographs under `path`/`images`/<identity>/, at any depth.

    images: the folder that holds the identities' folders, relative to `path`.
    masks: a folder, relative to `path`, with a mask for each photograph, under the same relative name or the same
    name with another suffix. Photographs without one are used as they are.
    groups: whether the folders within an identity's folder are its groups (sightings, bursts).
    A photograph that lies in no identity's folder has no label and ends in quarantine.
    Raises ReidflowError if there is none at all.
    """
    root, _ = places({"name": "folder", "path": path})
    tree = walk(root)
    photographs = _below(tree, images, "images")
    sidecars = _below(tree, masks, "masks") if masks is not None else {}
    taken = set(sidecars.values())
    found = {
        name: file for name, file in photographs.items() if file not in taken and counts_as_image(tree.root / file)
    }
    if not found:
        raise ReidflowError(f"{root}: no photograph is in this folder. It should hold a folder per identity.")
    by_stem = {_stem(name): file for name, file in sorted(sidecars.items(), reverse=True)}
    rows = [
        Row(file, _identity(name), mask=sidecars.get(name) or by_stem.get(_stem(name)), group=_group(name, groups))
        for name, file in found.items()
    ]
    return settle(tree, rows)


def _below(tree: Tree, folder: str, key: str) -> dict[str, str]:
    """Return the files under a folder of the dataset: name relative to the folder -> name relative to the dataset."""
    prefix = PurePosixPath(folder).as_posix().rstrip("/") + "/"
    if prefix == "./":
        return {name: name for name in tree.files}
    inside = {name.removeprefix(prefix): name for name in tree.files if name.startswith(prefix)}
    if not inside:
        raise ReidflowError(f"{tree.root}: '{key}' names the folder '{folder}', but no file is there. Correct it.")
    return inside


def _identity(name: str) -> str:
    parts = name.split("/")
    return parts[0] if len(parts) > 1 else ""


def _group(name: str, groups: bool) -> str | None:
    """Return identity and folders below it: a first sighting of one animal is not the first sighting of another."""
    parts = name.split("/")
    return "/".join(parts[:-1]) if groups and len(parts) > 2 else None


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()
