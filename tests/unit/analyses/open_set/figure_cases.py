"""What the figures of new individuals must show of planted tables."""

import figure_tables as planted
import polars as pl

from reidflow.analyses.open_set import figures
from reidflow.analyses.open_set.tables import CURVES, OPEN_SET, RATES
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <query> is worth $5?", "demo (demo scale)")
LINE = {"roc": ([0.0, 0.25, 1.0], [0.0, 0.5, 1.0]), "risk": ([0.1, 0.5, 1.0], [0.0, 0.3, 0.6])}


def curves(count: int) -> pl.DataFrame:
    """Return CURVES whose lines differ from arm to arm."""
    rows = [
        {"experiment": "e", "arm": arm, "curve": curve, "x": a, "y": b * (1 - 0.01 * n)}
        for n, arm in enumerate(planted.names(count))
        for curve, (x, y) in LINE.items()
        for a, b in zip(x, y, strict=True)
    ]
    return pl.DataFrame(rows, schema=CURVES.columns)


def arms(count: int) -> pl.DataFrame:
    rows = [dict.fromkeys(OPEN_SET.columns) | {"arm": arm, "promised": 0.05} for arm in planted.names(count)]
    return pl.DataFrame(rows, schema=OPEN_SET.columns)


def line(count: int, curve: str, part: str) -> dict:
    x, y = LINE[curve]
    return {
        gid(part, arm, arm): [(a, b * (1 - 0.01 * n)) for a, b in zip(x, y, strict=True)]
        for n, arm in enumerate(planted.names(count))
    }


def roc(count: int) -> tuple:
    promised = {gid("promised", arm, arm): [(0.05, 0.0), (0.05, 1.0)] for arm in planted.names(count)}
    return figures.roc(curves(count), arms(count), HEADING), promised | line(count, "roc", "true-match")


def risk(count: int) -> tuple:
    return figures.risk(curves(count), HEADING), line(count, "risk", "wrong")


def rates(count: int) -> tuple:
    rows, expected = [], {}
    for n, arm in enumerate(planted.names(count)):
        seeds, mean = [], []
        for promised in (0.05, 0.1):
            values = [promised * 0.5, promised * (1.0 + 0.1 * n)]
            for seed, value in enumerate(values):
                own = {"arm": arm, "seed": seed, "promised": promised, "false_match": value, "kept": True}
                rows.append(dict.fromkeys(RATES.columns) | own)
            seeds += [(promised, value) for value in values]
            mean.append((promised, sum(values) / 2))
        expected |= {gid("seeds", arm, arm): seeds, gid("mean", arm, arm): mean}
    rows.append(dict.fromkeys(RATES.columns) | {"arm": planted.names(1)[0], "seed": 0, "promised": 0.2, "kept": True})
    return figures.promises(pl.DataFrame(rows, schema=RATES.columns), HEADING), expected


CASES = {
    "roc": lambda: roc(3),
    "roc of many arms": lambda: roc(9),
    "risk": lambda: risk(3),
    "promises": lambda: rates(3),
    "promises of many arms": lambda: rates(9),
    "no curve": lambda: (figures.risk(CURVES.empty(), HEADING), {}),
    "no rate": lambda: (figures.promises(RATES.empty(), HEADING), {}),
}
