"""What a page lets its reader browse, planted: each image has a colour of its own, and names are hostile."""

import io
import json
from pathlib import Path

from PIL import Image

from reidflow.pages.browse import browse
from reidflow.pages.page import Opening, write_page
from reidflow.tables.layout import Block

EVIL = "</script><script>window.hit = 1</script><img src=x onerror=alert(1)>\u202e\u2028&amp;'\""
IDENTITIES = ["ann", EVIL, "cy"]
COUNT, TILE, COLUMNS = 30, 48, 6
COLOURS = [(40 * (n % 6), 50 * (n // 6), 255 - 8 * n) for n in range(COUNT)]
WRONG = {"base": {0, 1, 2, 7, 20}, "new <b>": {1, 29}}
UNMATCHED = 12
"""The query without a match in the gallery."""


def identity(image: int) -> int:
    return image % 3


def name(image: int) -> str:
    return f"{EVIL}/{image}.jpg" if image == 4 else f"photos/{image:02d}.jpg"


def candidates(image: int, wrong: bool) -> list[list]:
    """Return ten candidates: the first of another identity, or of the query's own; the others alternate."""
    own = [other for other in range(COUNT) if other != image and identity(other) == identity(image)]
    others = [other for other in range(COUNT) if identity(other) != identity(image)]
    order = [others[0], own[0]] if wrong else [own[0], others[0]]
    order += [found for pair in zip(own[1:5], others[1:5], strict=True) for found in pair]
    return [[other, round(0.99 - 0.05 * rank, 2)] for rank, other in enumerate(order)]


def planted(**more) -> dict:
    arms = []
    for seed, (arm, wrong) in enumerate(WRONG.items()):
        queries = [
            [
                n,
                None if n == UNMATCHED else round(0.9 - 0.02 * n if n not in wrong else 0.01 * n, 2),
                candidates(n, n in wrong),
            ]
            for n in range(COUNT)
        ]
        points = [[(n % 6) / 2.5 - 1, (n // 6) / 2 - 1] for n in range(COUNT)]
        points[3 + seed] = None
        arms.append({"arm": arm, "seed": 0, "points": points, "queries": queries})
    images = [[name(n), identity(n)] for n in range(COUNT)]
    sheet = {"tile": TILE, "columns": COLUMNS}
    return {
        "identities": IDENTITIES,
        "images": images,
        "of": COUNT,
        "baseline": "base",
        "sheet": sheet,
        "arms": arms,
    } | more


def browsed(folder: Path, **more) -> dict:
    """Return what `browse` makes of the planted files, which it writes."""
    (folder / "browsing.json").write_text(json.dumps(planted(**more)))
    canvas = Image.new("RGB", (COLUMNS * TILE, COUNT // COLUMNS * TILE))
    for image, colour in enumerate(COLOURS):
        canvas.paste(
            colour,
            (
                image % COLUMNS * TILE,
                image // COLUMNS * TILE,
                (image % COLUMNS + 1) * TILE,
                (image // COLUMNS + 1) * TILE,
            ),
        )
    written = io.BytesIO()
    canvas.save(written, "JPEG", quality=95, subsampling=0)
    (folder / "thumbnails.jpg").write_bytes(written.getvalue())
    return browse(folder / "browsing.json", folder / "thumbnails.jpg")


def browsed_page(folder: Path) -> Path:
    """Return the page of an experiment on which nothing but queries can be browsed."""
    out = folder / "page.html"
    write_page(Opening("which", "Which?"), Block("", ["arm"], []), [], "", {}, out, browsed=browsed(folder))
    return out
