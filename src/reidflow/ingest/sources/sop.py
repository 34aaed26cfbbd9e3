"""The layout of Stanford Online Products (Song et al., 2016): lists of training and test images."""

import hashlib

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, walk
from reidflow.spec.errors import ReidflowError

_COLUMNS = ["image_id", "class_id", "super_class_id", "path"]


def open_source(*, path: str, train: str = "Ebay_train.txt", test: str = "Ebay_test.txt") -> Listing:
    """List the images that the two lists name, with the roles train and test.

    train, test: the lists, relative to `path`: `image_id class_id super_class_id path`, separated by blanks, with or without these names as
    a first line. The class is the identity. Use them as they are meant, with `split: {name: column}`.
    Raises ReidflowError for a missing list and names the line that is not of this form.
    """
    root, _ = dataset_paths({"name": "sop", "path": path})
    tree, rows, tables = walk(root), [], {}
    for role, name in (("train", train), ("test", test)):
        if name not in tree.files:
            raise ReidflowError(
                f"{root}: there is no list '{name}'. Correct '{role}', or 'path': the folder with Ebay_train.txt."
            )
        data = (root / name).read_bytes()
        tables[name] = hashlib.sha256(data).hexdigest()
        lines = data.decode("utf-8", "replace").splitlines()
        # The published lists have a header; the first line of another one may be an image.
        headed = bool(lines) and lines[0].removeprefix("\ufeff").lower().split() == _COLUMNS
        for number, line in enumerate(lines[headed:], 1):
            values = line.split(maxsplit=3)
            if not values:
                continue
            if len(values) < len(_COLUMNS):
                raise ReidflowError(
                    f"{root / name}, row {number}: '{line.strip()}' is not of the form '{' '.join(_COLUMNS)}'. Correct the list."
                )
            rows.append(Row(values[3], values[1], role=role, row=number, table=str(root / name)))
    if not rows:
        raise ReidflowError(f"{root}: the lists name no image. They need a line '{' '.join(_COLUMNS)}' for each.")
    return settle(tree, rows, tables)
