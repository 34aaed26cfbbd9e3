"""The layout of Market-1501 (Zheng et al., 2015), which DukeMTMC-reID, CUHK03-NP, VeRi-776 and others share."""

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, walk
from reidflow.ingest.sources._folders import below
from reidflow.ingest.sources._pattern import Pattern
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def open_source(
    *,
    path: str,
    train: str | None = "bounding_box_train",
    gallery: str = "bounding_box_test",
    query: str = "query",
    pattern: str = "{identity:-?[0-9]+}_c{camera:[0-9]+}*",
    junk: str | None = "-1",
    distractors: str | None = "0000",
    separate: bool = False,
) -> Listing:
    """List the images in the three folders, with the roles and sides that they name.

    train: the folder of the role train; None without any. gallery, query: those of the two sides of the role test.
    pattern: what a file's name says, as for the source `folder`: `0002_c1s1_000451_03.jpg` is identity 0002, camera 1.
    junk: the label of images that belong to neither side; they are left out and counted. distractors: the label of gallery
    images of nobody who is looked for: unlabelled rows, ranked with the others. None: there is no such label.
    separate: whether equal labels of training and of test are two identities, as in MSMT17; those of training become `train/0000`.
    For VeRi-776: `{train: image_train, gallery: image_test, query: image_query}`.
    Use them as they are meant, with `split: {name: column}`. Raises ReidflowError for a folder without images and for names
    that do not match.
    """
    root, _ = dataset_paths({"name": "market1501", "path": path})
    tree, names = walk(root), Pattern(pattern, "source 'market1501', 'pattern'")
    rows, left_out = [], 0
    for key, folder, role, side in (
        ("train", train, "train", None),
        ("gallery", gallery, "test", "gallery"),
        ("query", query, "test", "query"),
    ):
        if folder is None:
            continue
        files = {name: file for name, file in below(tree, folder, key).items() if counts_as_image(root / file)}
        if not files:
            raise ReidflowError(f"{root}: the folder of '{key}', '{folder}', holds no image. Correct '{key}'.")
        for name, parts in names.read_all(files).items():
            identity = parts.pop("identity")
            if identity == junk:
                left_out += 1
                del tree.files[files[name]]
                continue
            label = None if side == "gallery" and identity == distractors else identity
            label = f"train/{label}" if separate and role == "train" else label
            rows.append(Row(files[name], label, **{"role": role, "side": side} | parts))
    return settle(tree, rows, left_out={f"(junk, label {junk})": left_out} if left_out else None)
