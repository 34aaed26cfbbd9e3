"""What the figure of pairs of flanks must show of a planted table."""

import figure_tables as planted
import polars as pl

from reidflow.analyses.flanks import figures
from reidflow.analyses.flanks.tables import ABOVE, BELOW, FLANKS
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <flank>?", "demo (demo scale)")
PAIRS = ["same flank", "other flank", "left - left", "left - right", "right - left", "unknown - right"]


def flanks(*arms: str) -> tuple:
    """Return the figure: pairs above, at and below chance, one without an interval, one that a second arm lacks."""
    rows, expected = [], {}
    for k, arm in enumerate(arms):
        for y, pair in enumerate(PAIRS):
            if k and y == 4:
                expected[gid("mAP-text", pair, arm)] = ""
                continue
            row = dict.fromkeys(FLANKS.columns) | {
                "arm": arm,
                "pair": pair,
                "queries": 9,
                "id_map": 0.6 - 0.05 * y + 0.01 * k,
            }
            row |= {"chance": 0.3 + 0.02 * y, "verdict": (ABOVE, "inconclusive", BELOW)[y % 3]}
            own = {"mAP": [(row["id_map"], y)], "chance": [(row["chance"], y - 0.5), (row["chance"], y + 0.5)]}
            own["mAP-text"] = f"{row['id_map']:.2f}"
            if y != 3:
                row |= {"excess_low": -0.02 * y, "excess_high": 0.35}
                own["interval"] = [(row["chance"] - 0.02 * y, y), (row["chance"] + 0.35, y)]
            expected |= {gid(part, pair, arm): shown for part, shown in own.items()}
            rows.append(row)
    other = dict.fromkeys(FLANKS.columns) | {"arm": "not shown", "pair": "left - left", "id_map": 0.1, "verdict": ABOVE}
    return figures.flanks(pl.DataFrame([*rows, other], schema=FLANKS.columns), list(arms), HEADING), expected


CASES = {
    "one arm": lambda: flanks("base"),
    "two arms": lambda: flanks("base", planted.LONG),
    "no flanks": lambda: (figures.flanks(FLANKS.empty(), ["base"], HEADING), {}),
}
