"""A folder per identity; file formats and names do not matter, unless a pattern reads them."""

from pathlib import Path, PurePosixPath

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, walk
from reidflow.ingest.sources._folders import below, identity_of, marked_beside, unmarked
from reidflow.ingest.sources._pattern import Pattern
from reidflow.ingest.sources._roles import role_and_side
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(
    *,
    path: str,
    images: str = ".",
    masks: str | None = None,
    groups: bool = False,
    depth: int = 1,
    pattern: str | None = None,
) -> Listing:
    """List the images under `path`/`images`/<identity>/, at any depth.

    images: the folder that holds the identities' folders, relative to `path`.
    masks: a folder, relative to `path`, with a mask for each image, under the same relative name, maybe with another suffix or
    one more (`1.jpg.png`), or marked as a mask (`1_mask.png`, `mask_1.png`, `1-seg.png`); marked masks may lie beside their images,
    in the folder `images` itself. Photographs without one are used as they are.
    groups: whether the folders within an identity's folder are its groups (sightings, bursts).
    depth: the level of the identities' folders; with 2, those of sites hold them (<site>/<identity>/), and an identity at
    two sites is one.
    pattern: instead of depth and groups, what folders and file names mean, below `images` and without the suffix, e.g.
    `{site}/{identity}/{camera}_{time}`. Parts are identity, group, camera, site, flank, time, role (train, val, test) and
    side (query, gallery); `*` is any text within a name, `**` any text, `{camera:c[0-9]+}` a part with a regular
    expression. A part that occurs twice is joined by `/`.
    An image in no identity's folder has no label and ends in quarantine.
    Raises ReidflowError if there is none at all, and for images that do not match the pattern.
    """
    root, _ = dataset_paths({"name": "folder", "path": path})
    if pattern is not None and (groups or depth != 1):
        raise ReidflowError("source 'folder': 'pattern' says itself what folders mean. Remove 'groups' and 'depth'.")
    if depth < 1:
        raise ReidflowError("source 'folder': 'depth' is the level of the identities' folders. The first level is 1.")
    tree = walk(root)
    files = below(tree, images, "images")
    beside = {name: files[name] for name in sorted(marked_beside(files))}
    together = masks is not None and PurePosixPath(masks) == PurePosixPath(images)
    if masks is None and beside:
        raise ReidflowError(
            f"{root}: {len(beside)} of {len(files)} files are named as masks of the images beside them, e.g. "
            f"{min(beside.values())}. Write `masks: {images}` under source, and they are used as masks; or rename them, and they "
            "are images."
        )
    sidecars = beside if together or masks is None else below(tree, masks, "masks")
    taken = set(sidecars.values())
    found = {name: file for name, file in files.items() if file not in taken and counts_as_image(tree.root / file)}
    if not found:
        raise ReidflowError(f"{root}: no image is in this folder. It should hold a folder per identity.")
    if pattern is not None:
        facts = {
            name: _sided(parts)
            for name, parts in Pattern(pattern, "source 'folder', 'pattern'").read_all(found).items()
        }
    else:
        if not any(identity_of(name, depth) for name in found):
            raise _no_identity(root if images == "." else root / images, list(found), depth)
        facts = {name: _of_folders(name, depth, groups) for name in found}
    masked = _masked(found, sidecars)
    if masks is not None and not masked:
        raise ReidflowError(
            f"{root}: no file in '{masks}' is named as the mask of an image{_example(sidecars, found)}. Name each mask as its "
            f"image, folders included, {'with any suffix, or ' if not together else ''}with `_mask` before the suffix; or write a table with the columns path, "
            "identity and mask, and use the source 'table'."
        )
    return settle(tree, [Row(file, mask=masked.get(name), **facts[name]) for name, file in found.items()])


def _masked(found: dict[str, str], sidecars: dict[str, str]) -> dict[str, str]:
    """Return the mask file of each image that has one. found, sidecars: name in their folder -> file."""
    backwards = sorted(sidecars.items(), reverse=True)
    by_stem = {_stem(name): file for name, file in backwards}
    marked = {unmarked(name): file for name, file in backwards}
    marked.pop("", None)
    masks = {
        name: sidecars.get(name)
        or next((files[key] for files in (by_stem, marked) for key in (_stem(name), name) if key in files), None)
        for name in found
    }
    return {name: mask for name, mask in masks.items() if mask}


def _example(sidecars: dict[str, str], found: dict[str, str]) -> str:
    return f" (e.g. {min(sidecars.values())}, and the image {min(found.values())})" if sidecars else ""


def _of_folders(name: str, depth: int, groups: bool) -> dict[str, str | None]:
    """Return identity, site and group of a path.

    Groups are named by all folders: a first sighting of one animal is not the first sighting of another.
    """
    parts = name.split("/")
    grouped = groups and len(parts) > depth + 1
    return {
        "identity": identity_of(name, depth),
        "site": "/".join(parts[: depth - 1]) if len(parts) > depth > 1 else None,
        "group": "/".join(parts[:-1]) if grouped else None,
    }


def _sided(parts: dict[str, str]) -> dict[str, str]:
    """Return the parts of a path, with the side where the role is one."""
    return role_and_side(parts.pop("role", None)) | parts


def _no_identity(folder: Path, found: list[str], depth: int) -> ReidflowError:
    if depth > 1:
        return ReidflowError(
            f"{folder}: no image lies {depth} folders deep, such as '{min(found)}'. Correct 'depth', the level of the identities' folders."
        )
    return ReidflowError(
        f"{folder}: its {len(found)} images lie directly in this folder. Put them into a "
        "folder per identity within it; or write a table with a path and an identity in each row, and use the source "
        "'table'; or let 'pattern' read the identity off the files' names. `reidflow init` writes that table where they hold it."
    )


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()
