"""Small tables and images of the shapes that the report on a curation experiment reads."""

import numpy as np
import polars as pl
from figure_tables import names

from reidflow.analyses.curation.tables import ARMS, Curation
from reidflow.curation.scores import SCORES
from reidflow.curation.subset import KEEP

IMAGES = [f"i{n:02d}" for n in range(12)]
WHO = ["A"] * 6 + ["B"] * 6


def pixels(count: int = len(IMAGES), size: int = 16) -> np.ndarray:
    """Images of one shade each, (N, size, size, 3): i00 is 10, the last 240."""
    shades = np.linspace(10, 240, count).astype(np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (count, size, size, 3))


def arms(count: int) -> pl.DataFrame:
    """All images, random ones, and `count` - 2 awkwardly named methods at two shares, at equal epochs and equal steps."""
    rows = [{"arm": "all", "baseline": True, "control": False, "share": 1.0, "matched": "epochs", "id_map": 0.6}]
    rows[0] |= {"id_map_by_seed": [0.55, 0.65], "draws": 1, "verdict": "baseline"}
    for i, label in enumerate(["random", *names(count)[: count - 2]]):
        for matched in ("epochs", "steps"):
            for share in (0.25, 0.5):
                value = 0.4 + share / 4 + i / 100 + (matched == "steps") / 30
                rows.append(
                    {
                        "arm": f"{label} {share} {matched}",
                        "baseline": False,
                        "method": "random" if i == 0 else f"c{i}",
                        "label": label,
                        "control": i == 0,
                        "share": share,
                        "matched": matched,
                        "draws": 2 if i == 0 else 1,
                        "id_map": None if i == 2 and share == 0.5 else value,
                        "id_map_by_seed": [value - 0.01, value + 0.01],
                        "verdict": "inconclusive",
                        "against_verdict": None if i == 0 else ["better", "worse", "inconclusive"][i % 3],
                    }
                )
    rows = [{name: row.get(name) for name in ARMS.columns} for row in rows]
    return pl.DataFrame(rows, schema=ARMS.columns)


def curated(table: pl.DataFrame, **changes: list) -> Curation:
    """Twelve images whose quality falls from the first to the last; every arm keeps the first half."""
    plain = {name: [0.5] * 12 for name, kind in SCORES.columns.items() if kind == pl.Float64}
    columns = {"image": IMAGES, "identity": WHO, **plain, "quality": np.linspace(1, 0, 12).tolist(), **changes}
    keep = [(image, WHO[i], None, i < 6, None, None) for i, image in enumerate(IMAGES)]
    kept = pl.DataFrame(keep, schema=KEEP.columns, orient="row")
    scores = pl.DataFrame(columns, schema=SCORES.columns)
    return Curation(scores, dict.fromkeys(table["arm"], kept), pl.DataFrame({"image": IMAGES}))
