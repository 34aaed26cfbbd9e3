"""Labeled Faces in the Wild, as scikit-learn's `fetch_lfw_people` lays it out (Huang et al., 2007)."""

from collections import Counter

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, walk
from reidflow.ingest.sources._folders import named
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(*, path: str = "~/scikit_learn_data", faces: int = 20) -> Listing:
    """List the images of the people of whom there are at least `faces`.

    path: scikit-learn's `data_home`, with `lfw_home/lfw_funneled/<person>/*.jpg`. With 20 faces they are the 3,023
    images of 62 people of `fetch_lfw_people(min_faces_per_person=20)`, whole, 250 pixels to a side; what that
    function cuts out of each is `{name: centre, wide: 0.376, high: 0.5, down: 0.53}` as the frame.
    Nothing is downloaded. Raises ReidflowError with the command that fetches missing data.
    """
    root, _ = dataset_paths({"name": "lfw", "path": path})
    tree = walk(root)
    inside = [name for name in named(tree) if "/" in name and counts_as_image(tree.root / name)]
    counts = Counter(name.split("/")[0] for name in inside)
    rows = [Row(name, _person(name)) for name in inside if counts[name.split("/")[0]] >= faces]
    if not rows:
        most = max(counts.values(), default=0)
        raise ReidflowError(f"{root}: nobody has {faces} images; the most of one person is {most}. Lower 'faces'.")
    return settle(tree, rows)


def _person(name: str) -> str:
    return name.split("/")[0].replace("_", " ")
