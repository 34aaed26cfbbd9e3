"""What the figures of curation must show of planted tables."""

from collections.abc import Callable
from statistics import mean

import curation_tables as planted
import numpy as np
import polars as pl

from reidflow.analyses.curation import figures
from reidflow.analyses.curation.tables import contrasts_table
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <image> is worth $5?", "demo (demo scale)")


def shares(count: int, single: bool = False) -> tuple:
    table = planted.arms(count)
    if single:
        table = table.filter((pl.col("matched") == "epochs") & ((pl.col("share") == 0.25) | pl.col("baseline")))
    figure, expected = figures.shares(table, HEADING), {}
    rows = table.to_dicts()
    for panel in ["epochs"] if single else ["epochs", "steps"]:
        expected[f"{panel}/line:all images"] = [(0.25, 0.6), (1, 0.6)]
        expected[f"{panel}/band:all images"] = [(0.25, 0.55), (1, 0.55), (1, 0.65), (0.25, 0.65)]
        own = [row for row in rows if row["matched"] == panel and not row["baseline"]]
        random = [(row["share"], row["id_map_by_seed"]) for row in own if row["control"]]
        expected[f"{panel}/line:random images"] = [(share, mean(values)) for share, values in random]
        low, high = ([(share, pick(values)) for share, values in random] for pick in (min, max))
        expected[f"{panel}/band:random images"] = low + high[::-1]
        for label in dict.fromkeys(row["label"] for row in own if not row["control"]):
            of = [row for row in own if row["label"] == label and row["id_map"] is not None]
            points = [(row["share"], row["id_map"]) for row in of]
            expected[gid("line", label, panel)] = points
            expected[gid(of[0]["against_verdict"], label, panel)] = points
    return figure, expected


def distributions(count: int) -> tuple:
    table = planted.arms(count)
    curated = planted.curated(
        table, foreground=[None] * 12, truncation=[None] * 11 + [0.5], sharpness=[0, 1, 2, 3, 4, 9, 9, 9, 6, 5, 5, 5]
    )
    figure, expected = figures.distributions(curated, contrasts_table(curated, table), HEADING), {}
    for score in curated.scores.columns[2:]:
        values = [np.nan if v is None else v for v in curated.scores[score]]
        for part, half, shift in (("kept", values[:6], -0.16), ("dropped", values[6:], 0.16)):
            known = [v for v in half if np.isfinite(v)]
            for y, label in enumerate(table.filter(~pl.col("baseline"))["label"].unique(maintain_order=True)):
                if known:
                    low, median, high = np.percentile(known, [25, 50, 75])
                    expected[gid(f"{part} half", label, score)] = [(low, y + shift), (high, y + shift)]
                    expected[gid(f"{part} median", label, score)] = [(median, y + shift)]
    return figure, expected


CASES: dict[str, Callable[[], tuple]] = {
    **{f"shares, {count}": lambda count=count: shares(count) for count in (3, 12)},
    "shares, one share": lambda: shares(4, single=True),
    **{f"distributions, {count}": lambda count=count: distributions(count) for count in (3, 12)},
}
