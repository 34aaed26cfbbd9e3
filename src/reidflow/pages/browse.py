"""What a page lets its reader browse: every query with its best candidates, and a map of the embeddings."""

import base64
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reidflow.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from reidflow.spec import code
from reidflow.tables.text import one_line

STYLE, SCRIPT = (Path(__file__).with_name(f"browse.{kind}") for kind in ("css", "js"))
PALETTE = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY]


def browse(data: str | Path, thumbnails: str | Path) -> dict[str, Any] | None:
    """Return what `browse.html.j2` shows; None where no run can be shown.

    data, thumbnails: the files `browsing.json` and `thumbnails.jpg` of the analysis `browsing`.
    """
    found = json.loads(Path(data).read_text())
    if not found["arms"]:
        return None
    found |= {
        "identities": [one_line(name) for name in found["identities"]],
        "images": [[one_line(name), identity] for name, identity in found["images"]],
        "arms": [{**run, "arm": one_line(run["arm"])} for run in found["arms"]],
        "baseline": one_line(found["baseline"]),
        "palette": PALETTE,
    }
    return {
        "data": found,
        "thumbnails": f"data:image/jpeg;base64,{base64.b64encode(Path(thumbnails).read_bytes()).decode()}",
        "style": Markup(code.read_data(STYLE)),
        "script": Markup(code.read_data(SCRIPT)),
    }
