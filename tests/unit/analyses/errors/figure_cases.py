"""What the figure of wrong first candidates must show of a planted table."""

import figure_tables as planted
import polars as pl

from reidflow.analyses.errors import figures
from reidflow.analyses.errors.tables import ERRORS, LESS, MORE
from reidflow.evaluation.error_patterns import CUES
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("What <misleads>?", "demo (demo scale)")


def errors(*arms: str) -> tuple:
    """Return the figure: shares above and below chance, one without an interval, the last cue unknown."""
    rows, expected = [], {}
    for k, arm in enumerate(arms):
        for y, cue in enumerate(CUES):
            share, chance = 0.3 + 0.15 * y - 0.04 * k, 0.35 + 0.02 * y + 0.01 * k
            row = dict.fromkeys(ERRORS.columns) | {"arm": arm, "cue": cue, "queries": 72, "wrong": 30.0 - y}
            if y < len(CUES) - 1:
                row |= {"share": share, "chance": chance, "verdict": (LESS, "inconclusive", MORE)[y]}
                own = {"share": [(share, y)], "chance": [(chance, y - 0.5), (chance, y + 0.5)]}
                own["share-text"] = f"{share:.0%}"
                if y != 1:
                    row |= {"share_low": share - 0.05, "share_high": share + 0.12}
                    own["interval"] = [(share - 0.05, y), (share + 0.12, y)]
                expected |= {gid(part, cue, arm): shown for part, shown in own.items()}
            rows.append(row)
    return figures.errors(pl.DataFrame(rows, schema=ERRORS.columns), HEADING), expected


def nothing() -> tuple:
    lone = pl.DataFrame([dict.fromkeys(ERRORS.columns) | {"arm": "a", "cue": "colour"}], schema=ERRORS.columns)
    return figures.errors(lone, HEADING), {}


CASES = {
    "one arm": lambda: errors("base"),
    "two arms": lambda: errors("base", planted.LONG),
    "nothing wrong": nothing,
}
