"""A table (CSV or Parquet) with a row per image."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from reidflow.ingest.boxes import BLANK, Box, parse_column
from reidflow.ingest.listing import ROLES, Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, table_name, walk
from reidflow.ingest.segmentation import bounded, looks_like
from reidflow.ingest.sources import _table
from reidflow.ingest.sources._roles import NEITHER, role_and_side, sides
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.spec.errors import ReidflowError

_FACTS = ("mask", "group", "flank", "time", "camera", "site")


def open_source(
    *,
    path: str,
    images: str | None = None,
    image: str = "path",
    identity: str = "identity",
    mask: str | None = None,
    group: str | None = None,
    flank: str | None = None,
    time: str | None = None,
    side: str | None = None,
    camera: str | None = None,
    site: str | None = None,
    role: str | None = None,
    roles: dict | None = None,
    query: str | None = None,
    gallery: str | None = None,
    bbox: str | list[str] | None = "auto",
    corners: bool = False,
    relative: bool = False,
    segmentation: str | None = None,
) -> Listing:
    """List the images that the table at `path` names.

    images: the folder to which the file names are relative and which is the dataset; without it, the table's own.
    image, identity, mask, group, flank, time, side, camera, site, role: the columns; columns not named here are not
    used. mask holds file names, time a form of docs/your-images.md, side `query` or `gallery`, role `train`, `val` or `test`;
    a role `query` or `gallery` is test and that side. roles: what other values of role mean, e.g. `{validation: test}`; null: none.
    query, gallery: instead of side, two columns of true and false (`is_query`, `is_gallery`); rows that are both have no side, and those
    that are neither have no role unless they are trained on.
    bbox: the column of boxes, or a list of four columns: x and y of the left upper corner, width and height in pixels of
    the upright photograph. Each row is then an image of its own, cut out of its photograph; a blank is all of it. auto: the
    column `bbox` where the table has one that is not blank; null: none, each row is its whole photograph.
    corners: the last two are x and y of the right lower corner instead. relative: boxes and polygons are shares of width
    and height. segmentation: the column of masks as COCO writes them: polygons, or run lengths (plain or compressed), or the
    names of mask files. Where a photograph has several rows, one without a box is cut to the bounds of its segmentation.
    A blank label ends in quarantine. Raises ReidflowError for an unknown column or a damaged table.
    """
    root, extra = dataset_paths({"name": "table", "path": path, "images": images})
    table = _table.read(Path(path).expanduser())
    columns = [table.column(image), table.column(identity)]
    _check_masks(table, mask)
    columns += [table.optional(name) for name in (mask, group, flank, time, camera, site)]
    divided = _divided(table, role, roles or {}, side, query, gallery)
    drawn, masks = _segmentations(table, segmentation, columns[2])
    found = bounded(columns[0], _boxes(table, bbox, corners), drawn, relative)
    columns = [drawn, found, divided, *columns[:2], masks, *columns[3:]]
    rows = [
        Row(
            file or "",
            (label or "").strip(),
            **dict(zip(_FACTS, rest, strict=True)),
            **given,
            box=box,
            relative=relative,
            segmentation=shape,
            row=number,
            table=path,
        )
        for number, (shape, box, given, file, label, *rest) in enumerate(zip(*columns, strict=True), 1)
    ]
    if not rows:
        raise ReidflowError(f"{table.path}: the table has no rows. It needs one per image.")
    return settle(walk(root), rows, {table_name(table.path, root): table.sha256}, extra)


def _divided(
    table: _table.Table, role: str | None, meanings: dict, side: str | None, query: str | None, gallery: str | None
) -> list[dict[str, str | None]]:
    """Return role and side of each row, as far as the table has them."""
    if (query is None) != (gallery is None):
        raise ReidflowError(
            "source 'table': 'query' and 'gallery' name two columns of true and false. Name both, or neither."
        )
    if query is not None and side is not None:
        raise ReidflowError("source 'table': 'query' and 'gallery' stand for 'side'. Name them, or it.")
    odd = [meaning for meaning in meanings.values() if not isinstance(meaning, str | None)]
    if odd:
        raise ReidflowError(
            f"source 'table', parameter 'roles': {odd[0]!r} is no role. Write train, val, test, query, gallery or null."
        )
    known = {str(value).strip().lower(): meaning for value, meaning in meanings.items()}
    texts = [known.get((text or "").strip().lower(), text) for text in table.optional(role)]
    given: list[dict[str, str | None]] = [dict(role_and_side(text)) for text in texts]
    if query is not None and gallery is not None:
        found = sides(table.column(query), table.column(gallery), f"{table.path}, columns '{query}' and '{gallery}'")
    else:
        found = table.optional(side) if side else [one.get("side") for one in given]
    return [_placed(one, own) for one, own in zip(given, found, strict=True)]


def _placed(given: dict[str, str | None], side: str | None) -> dict[str, str | None]:
    """Return role and side of a row; one that is neither query nor gallery is trained on, or left aside."""
    if side != NEITHER:
        return given | {"side": side}
    trained = (given.get("role") or "").lower() in ROLES["train"]
    return {"role": given.get("role") if trained else None, "side": None}


def _segmentations(
    table: _table.Table, name: str | None, masks: Sequence[str | None]
) -> tuple[list[str | None], list[str | None]]:
    """Return the segmentation and the mask file of each row; the column of segmentations may name files."""
    texts = [(text or "").strip() or None for text in table.structured(name)]
    files = [text is not None and PurePath(text).suffix.lower() in IMAGE_SUFFIXES for text in texts]
    both = list(zip(texts, files, masks, strict=True))
    return [None if file else text for text, file, _ in both], [
        mask or (text if file else None) for text, file, mask in both
    ]


def _check_masks(table: _table.Table, mask: str | None) -> None:
    """Raise ReidflowError where the column of mask files holds polygons or run lengths."""
    texts = table.structured(mask)
    drawn = [number for number, text in enumerate(texts, 1) if looks_like(text)]
    if drawn:
        raise ReidflowError(
            f"{table.path}: the column '{mask}' holds polygons or run lengths ({len(drawn)} of {len(texts)} rows, e.g. row "
            f"{drawn[0]}: {texts[drawn[0] - 1][:40]!r}), and masks are files. Write 'segmentation: {mask}' in place of "
            f"'mask: {mask}' in dataset.source."
        )


def _boxes(table: _table.Table, bbox: str | list[str] | None, corners: bool) -> list[Box | None]:
    if bbox == "auto":
        texts = table.structured("bbox") if "bbox" in {*table.columns, *table.nested} else []
        bbox = "bbox" if any((text or "").strip().lower() not in BLANK for text in texts) else None
    if bbox is None or isinstance(bbox, str):
        texts, name = table.structured(bbox), f"column '{bbox}'"
    else:
        if len(bbox) != 4:
            raise ReidflowError(f"source 'table', parameter 'bbox': {len(bbox)} columns instead of one or four.")
        texts = [
            ",".join((value or "").replace(",", ".") for value in four)
            for four in zip(*map(table.column, bbox), strict=True)
        ]
        texts, name = ["" if text == ",,," else text for text in texts], f"columns {', '.join(bbox)}"
    unused = " Or write bbox: null in dataset.source, and the column is not used."
    return parse_column(texts, f"{table.path}, {name}", corners=corners, remedy=unused)
