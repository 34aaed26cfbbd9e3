"""A folder of query images and one of gallery images, optionally with labelled training images."""

from itertools import combinations

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import Tree, dataset_paths, walk
from reidflow.ingest.sources._folders import below, identity_of
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(
    *, path: str, train: str | None = None, query: str = "query", gallery: str = "gallery", labelled: bool = False
) -> Listing:
    """List the images in the folders of `path`, at any depth; equal file names in two folders never collide.

    query, gallery: the folders, relative to `path`, of the two sides.
    train: the folder of the labelled training images, one folder per identity; None without any.
    labelled: whether query and gallery hold a folder per identity too; else their images are unlabelled.
    Raises ReidflowError where a folder is empty, or holds another one of them.
    """
    root, _ = dataset_paths({"name": "query_gallery", "path": path})
    tree = walk(root)
    folders = {"train": train, "query": query, "gallery": gallery}
    parts = {key: below(tree, folder, key) for key, folder in folders.items() if folder is not None}
    for (one, ours), (other, theirs) in combinations(parts.items(), 2):
        if set(ours.values()) & set(theirs.values()):
            raise ReidflowError(
                f"{root}: '{one}' names the folder '{folders[one]}' and '{other}' the folder '{folders[other]}', which share "
                "files. Name separate folders."
            )
    return settle(tree, [row for key, files in parts.items() for row in _rows(tree, key, files, labelled)])


def _rows(tree: Tree, key: str, files: dict[str, str], labelled: bool) -> list[Row]:
    """Return the rows of one folder. files: name relative to the folder -> name relative to the dataset."""
    found = {name: file for name, file in files.items() if counts_as_image(tree.root / file)}
    if not found:
        raise ReidflowError(f"{tree.root}: the folder of '{key}' holds no image. Correct '{key}'.")
    if key == "train":
        return [Row(file, identity_of(name)) for name, file in found.items()]
    return [Row(file, identity_of(name) if labelled else None, side=key) for name, file in found.items()]
