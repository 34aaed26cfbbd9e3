"""The layout of Kaggle's re-identification competitions, shared by `jaguar` and `demo`."""

from pathlib import Path

from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import Tree, dataset_paths, walk
from reidflow.ingest.sources import _table
from reidflow.ingest.sources._folders import named
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.errors import ReidflowError


def list_layout(name: str, path: str, metadata: str | None, columns: dict[str, str | None]) -> Listing:
    """List `train.csv` with the images of `train/train` (or `train`), and the unlabelled images of the test set.

    The demo may also have `gallery.csv` with `gallery/`, labelled images of the side gallery.

    columns: field of a row (group, flank, time) -> column of the `metadata` table, or None.
    Raises ReidflowError for a missing table or column.
    """
    root, _ = dataset_paths({"name": name, "path": path})
    tree = walk(root)
    if "train.csv" not in tree.files:
        raise ReidflowError(
            f"{root}: there is no train.csv. The source '{name}' needs the competition's folder: train.csv and train/. "
            "Correct 'path', or unpack the archive there."
        )
    if metadata is None and any(columns.values()):
        column = next(c for c in columns.values() if c)
        raise ReidflowError(f"source '{name}': the column '{column}' needs a table. Set 'metadata' to its path.")
    tables = {"train.csv": _table.read(root / "train.csv")}
    facts = _facts(tree, metadata, columns, tables) if metadata is not None else {}
    train = tables["train.csv"]
    if not len(train):
        raise ReidflowError(f"{train.path}: the table has no rows. It needs one per image.")
    folder, origin = _folder(tree, "train"), {"table": str(train.path)}
    rows = [
        Row(_inside(folder, file), label or "", row=number, **facts.get((file or "").strip(), {}), **origin)
        for number, (file, label) in enumerate(
            zip(train.column("filename"), train.column("ground_truth"), strict=True), 1
        )
    ]
    rows += _test_rows(tree, tables)
    rows += _gallery_rows(tree, tables) if name == "demo" else []
    return settle(tree, rows, {name: table.sha256 for name, table in tables.items()})


def _gallery_rows(tree: Tree, tables: dict[str, _table.Table]) -> list[Row]:
    """Return the images of the second style, where the demo has any."""
    if "gallery.csv" not in tree.files:
        return []
    table = tables["gallery.csv"] = _table.read(tree.root / "gallery.csv")
    listed = zip(table.column("filename"), table.column("ground_truth"), strict=True)
    return [
        Row(_inside("gallery", file), label, side="gallery", row=number, table=str(table.path))
        for number, (file, label) in enumerate(listed, 1)
    ]


def _inside(folder: str, file: str | None) -> str:
    """Return the path of a file that a table names; a blank stays one, and an absolute path stays absolute."""
    name = (file or "").strip()
    return f"{folder}/{name}" if name and not name.startswith("/") else name


def _folder(tree: Tree, part: str) -> str:
    """Return where the images of a part lie: Kaggle's archives double the folder's name."""
    doubled = f"{part}/{part}"
    return doubled if any(name.startswith(doubled + "/") for name in tree.files) else part


def _test_rows(tree: Tree, tables: dict[str, _table.Table]) -> list[Row]:
    """Return the images that `test.csv` names, in its order; without it, those in the folder of the test set."""
    folder = _folder(tree, "test")
    if "test.csv" not in tree.files:
        inside = sorted(name for name in named(tree) if name.startswith(folder + "/"))
        return [Row(name, None) for name in inside if counts_as_image(tree.root / name)]
    table = tables["test.csv"] = _table.read(tree.root / "test.csv")
    pairs = "query_image" in table.columns or "gallery_image" in table.columns
    columns = [table.column(c) for c in (("query_image", "gallery_image") if pairs else ("filename",))]
    first: dict[str, int] = {}
    for number, names in enumerate(zip(*columns, strict=True), 1):
        for name in names:
            first.setdefault((name or "").strip(), number)
    return [Row(_inside(folder, name), None, row=number, table=str(table.path)) for name, number in first.items()]


def _facts(
    tree: Tree, metadata: str, columns: dict[str, str | None], tables: dict[str, _table.Table]
) -> dict[str, dict[str, str | None]]:
    """Return file name -> its fields in the metadata."""
    inside = Path(metadata).as_posix()
    if inside not in tree.files:
        raise ReidflowError(
            f"{tree.root}: 'metadata' names '{metadata}', which does not exist. The name is relative to the dataset."
        )
    table = tables[inside] = _table.read(tree.root / inside)
    fields = {field: table.column(column) for field, column in columns.items() if column is not None}
    facts: dict[str, dict[str, str | None]] = {}
    for number, file in enumerate(table.column("filename")):
        fact = {field: values[number] for field, values in fields.items()}
        if facts.setdefault((file or "").strip(), fact) != fact:
            raise ReidflowError(f"{table.path}, row {number + 1}: '{file}' has two different rows. Remove one.")
    return facts
