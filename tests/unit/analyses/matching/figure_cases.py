"""What the figure of gain against cost must show of planted tables."""

import figure_tables as planted
import polars as pl

from reidflow.analyses.matching import figures
from reidflow.analyses.matching.cost import COST
from reidflow.analyses.matching.tables import MATCHING
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <matcher> is worth $5?", "demo (demo scale)")
DELTAS = (0.05, -0.04, 0.01)


def tables(count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return MATCHING and COST: the more an arm costs, the less it may gain; intervals are not symmetric."""
    rows, costs = [], []
    for n, arm in enumerate(planted.names(count)):
        row = dict.fromkeys(MATCHING.columns) | {"arm": arm, "baseline": n == 0, "id_map": 0.4, "top1": 0.3}
        if n:
            delta = DELTAS[n % 3] + n * 1e-3
            row |= {"delta": delta, "delta_low": delta - 0.02, "delta_high": delta + 0.05}
        rows.append(row)
        parts = {"features_ms": 3.0 * n, "search_ms": 0.5, "compare_ms": 7.0 * n}
        costs.append(dict.fromkeys(COST.columns) | {"arm": arm, "query_ms": 0.5 + 10.0 * n} | parts)
    return pl.DataFrame(rows, schema=MATCHING.columns), pl.DataFrame(costs, schema=COST.columns)


def cost(count: int) -> tuple:
    table, costs = tables(count)
    times = [0.5 + 10.0 * n for n in range(count)]
    gains = [0.0, *table["delta"].to_list()[1:]]
    expected: dict = {}
    for arm, x, y in zip(planted.names(count), times, gains, strict=True):
        expected[gid("point", arm)] = [(x, y)]
        if y:
            expected[gid("interval", arm)] = [(x, y - 0.02), (x, y + 0.05)]
    front = [(x, y) for n, (x, y) in enumerate(zip(times, gains, strict=True)) if y > max(gains[:n], default=-1)]
    return figures.cost(table, costs, HEADING), expected | {"front:all": front}


def nothing() -> tuple:
    table, costs = tables(2)
    return figures.cost(table.filter("baseline"), costs, HEADING), {}


CASES = {**{f"cost, {n} arms": lambda n=n: cost(n) for n in (2, 12)}, "no cost": nothing}
