"""The page on which a person compares pairs of images, and from which the answers are saved as CSV."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from markupsafe import Markup

from reidflow.analyses.browsing.images import thumbnails
from reidflow.curation.review import shown
from reidflow.ingest.review import COLUMNS
from reidflow.pages.page import script_digest, styles
from reidflow.spec import code
from reidflow.store.atomic import write_text
from reidflow.tables.sections import render

TEMPLATE, SCRIPT = (Path(__file__).with_name(f"review.{kind}") for kind in ("html.j2", "js"))
SIDE, BYTES = 224, 3_500_000
"""Side of an image on the page, pixels, a multiple of 16; and of all together as a JPEG, where a quality allows it."""


def write_review(
    pairs: pl.DataFrame, images: np.ndarray, names: Sequence[str], out: Path, *, subtitle: str, digest: str
) -> None:
    """Write the page.

    pairs: REVIEW. images: (N, H, W, 3) uint8, row i being the image names[i]. digest: of the data set, by which a browser
    keeps answers apart from those on other data. Answers are saved to a file named by the data and the pairs, so that
    those on the next pairs do not overwrite it.
    """
    row_of = {name: row for row, name in enumerate(names)}
    listed = shown(pairs)
    side = max(16, min(SIDE, images.shape[1] // 16 * 16))
    sheet = thumbnails(images, [row_of[name] for name in listed], side, BYTES)
    place = {name: number for number, name in enumerate(listed)}
    labels = dict(pairs.select("image", "label").iter_rows()) | dict(pairs.select("other", "other_label").iter_rows())
    compared = json.dumps([digest, pairs.select("image", "other").rows()])
    file = f"review-{hashlib.sha256(compared.encode()).hexdigest()[:8]}.csv"
    data = {
        "key": f"reidflow review {digest}",
        "file": file,
        "columns": COLUMNS,
        "images": [[name, labels[name]] for name in listed],
        "pairs": [
            [place[image], place[other], after]
            for image, other, after in pairs.select("image", "other", "after").iter_rows()
        ],
        "sheet": {"columns": sheet.columns},
    }
    script = code.read_data(SCRIPT)
    page = render(
        TEMPLATE,
        subtitle=subtitle,
        data=data,
        file=file,
        questioned=pairs["after"].null_count(),
        thumbnails=f"data:image/jpeg;base64,{base64.b64encode(sheet.jpeg).decode()}",
        script=Markup(script),
        policy=script_digest(script),
        style=Markup(styles()),
    )
    write_text(out, page)
