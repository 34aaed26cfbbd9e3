"""What the learning-rate curves must show of planted tables."""

from collections.abc import Callable

import polars as pl
from figure_tables import names

from reidflow.analyses.schedules import figures
from reidflow.analyses.schedules.tables import KEPT, RATES
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <loss> costs $5 & gives $x_1$?", "demo (demo scale), 3 seeds")


def rates(count: int) -> tuple:
    """The learning rates of every arm, the last one's by seed, and where the weights were kept."""
    rows, kept, expected = [], [], {}
    for i, arm in enumerate(names(count)):
        for seed in (0, 1) if i == count - 1 else (None,):
            curve = [(n / 5, 0.1 * (1 - n / 20) * (i + 1) / (1 + (seed or 0))) for n in range(20)]
            rows += [(arm, seed, n, epoch, rate, bool(i % 2)) for n, (epoch, rate) in enumerate(curve)]
            expected[gid("line", "every seed" if seed is None else f"seed {seed}", arm)] = curve
        if i != 1:
            kept += [(arm, seed, 2.0 + seed, 0.05 + seed / 100) for seed in (0, 1)]
            expected[gid("kept", "weights", arm)] = [(2.0, 0.05), (3.0, 0.06)]
    table = pl.DataFrame(rows[::-1], schema=RATES.columns, orient="row")
    table = table.reverse() if count < 12 else table.sort("arm", maintain_order=True)
    return figures.rates(table, pl.DataFrame(kept, schema=KEPT, orient="row"), "base", HEADING), expected


CASES: dict[str, Callable[[], tuple]] = {f"rates, {count}": lambda count=count: rates(count) for count in (2, 12, 40)}
