"""Pairs to review, planted: each image has a colour of its own, and names are hostile."""

from pathlib import Path

import numpy as np
import polars as pl

from reidflow.curation.review import REVIEW
from reidflow.pages.review import write_review

EVIL = '</script><script>window.hit = 1</script>\u202e, "quoted"; né'
NAMES = ["a/1.png", "a/2.png", f"{EVIL}.png", "b/1.png", "b/2.png"]
LABELS = ["a", "a", f"a {EVIL}", "b", "b"]
COLOURS = [(220, 30, 30), (30, 200, 30), (30, 30, 220), (220, 200, 30), (30, 200, 200)]
PAIRS = [(0, 1, None), (2, 3, None), (4, 3, None), (0, 3, 0), (0, 4, 3), (4, 0, 2)]
"""Image, other, and the pair whose answer `different` leads to this one."""


def review_page(folder: Path, digest: str = "d1") -> Path:
    """Return the page with these pairs."""
    rows = [(n, after, NAMES[i], NAMES[j], LABELS[i], LABELS[j], 0.5) for n, (i, j, after) in enumerate(PAIRS)]
    images = np.stack([np.full((48, 48, 3), colour, np.uint8) for colour in COLOURS])
    pairs, out = pl.DataFrame(rows, schema=REVIEW.columns, orient="row"), folder / "review.html"
    write_review(pairs, images, NAMES, out, subtitle="planted", digest=digest)
    return out
