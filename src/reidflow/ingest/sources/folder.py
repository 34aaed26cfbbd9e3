"""A folder per identity; file formats and names do not matter."""

from pathlib import PurePosixPath

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, walk
from reidflow.ingest.sources._folders import below, identity_of
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(*, path: str, images: str = ".", masks: str | None = None, groups: bool = False) -> Listing:
    """List the images under `path`/`images`/<identity>/, at any depth.

    images: the folder that holds the identities' folders, relative to `path`.
    masks: a folder, relative to `path`, with a mask for each image, under the same relative name or the same
    name with another suffix. Photographs without one are used as they are.
    groups: whether the folders within an identity's folder are its groups (sightings, bursts).
    An image in no identity's folder has no label and ends in quarantine.
    Raises ReidflowError if there is none at all.
    """
    root, _ = dataset_paths({"name": "folder", "path": path})
    tree = walk(root)
    files = below(tree, images, "images")
    sidecars = below(tree, masks, "masks") if masks is not None else {}
    taken = set(sidecars.values())
    found = {name: file for name, file in files.items() if file not in taken and counts_as_image(tree.root / file)}
    if not found:
        raise ReidflowError(f"{root}: no image is in this folder. It should hold a folder per identity.")
    if not any(map(identity_of, found)):
        raise ReidflowError(
            f"{root if images == '.' else root / images}: its {len(found)} images lie directly in this folder. Put them into a "
            "folder per identity within it; or write a table with a path and an identity in each row, and use the source "
            "'table'. `reidflow init` writes that table where the files' names hold the identity."
        )
    by_stem = {_stem(name): file for name, file in sorted(sidecars.items(), reverse=True)}
    rows = [
        Row(file, identity_of(name), mask=sidecars.get(name) or by_stem.get(_stem(name)), group=_group(name, groups))
        for name, file in found.items()
    ]
    return settle(tree, rows)


def _group(name: str, groups: bool) -> str | None:
    """Return identity and folders below it: a first sighting of one animal is not the first sighting of another."""
    parts = name.split("/")
    return "/".join(parts[:-1]) if groups and len(parts) > 2 else None


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()
