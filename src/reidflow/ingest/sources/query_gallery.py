"""A folder of photographs that ask and one that is searched, perhaps with labelled ones to learn from."""

from itertools import combinations

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import Tree, places, walk
from reidflow.ingest.sources._folders import below, identity_of
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(
    *, path: str, train: str | None = None, query: str = "query", gallery: str = "gallery", labelled: bool = False
) -> Listing:
    """List the photographs in the folders of `path`, at any depth; equal file names in two folders never collide.

    query, gallery: the folders, relative to `path`, of those that ask and of those that are searched: the two sides.
    train: the folder of the labelled photographs, one folder per identity in it; None where there are none.
    labelled: whether query and gallery hold a folder per identity too; else theirs are unlabelled.
    Raises ReidflowError where a folder is empty, or holds another one of them.
    """
    root, _ = places({"name": "query_gallery", "path": path})
    tree = walk(root)
    folders = {"train": train, "query": query, "gallery": gallery}
    parts = {key: below(tree, folder, key) for key, folder in folders.items() if folder is not None}
    for (one, ours), (other, theirs) in combinations(parts.items(), 2):
        if set(ours.values()) & set(theirs.values()):
            raise ReidflowError(
                f"{root}: '{one}' names the folder '{folders[one]}' and '{other}' the folder '{folders[other]}', which share "
                "files. Name folders of which none holds another."
            )
    return settle(tree, [row for key, files in parts.items() for row in _rows(tree, key, files, labelled)])


def _rows(tree: Tree, key: str, files: dict[str, str], labelled: bool) -> list[Row]:
    """Return the rows of one folder. files: name relative to the folder -> name relative to the dataset."""
    found = {name: file for name, file in files.items() if counts_as_image(tree.root / file)}
    if not found:
        raise ReidflowError(f"{tree.root}: the folder of '{key}' holds no photograph. Correct '{key}'.")
    if key == "train":
        return [Row(file, identity_of(name)) for name, file in found.items()]
    return [Row(file, identity_of(name) if labelled else None, side=key) for name, file in found.items()]
