"""What the figures on several splits must show of planted tables."""

import figure_tables as planted
import polars as pl

from reidflow.analyses.gap import figures
from reidflow.analyses.gap.tables import GAP, LOST
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <remedy> closes the gap?", "demo (demo scale)")
CONDITIONS = ("known identities, one domain", "unseen", "$across$ <b>", "unseen identities, across domains", "fifth")


def tables(arms: int, conditions: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return GAP and LOST: signs of differences alternate, no interval is symmetric, some scores are missing."""
    gap, lost = [], []
    for i, arm in enumerate(planted.names(arms)):
        for k, condition in enumerate(["validation", *CONDITIONS[:conditions]]):
            value = 0.7 - 0.09 * k + 0.003 * i
            row = dict.fromkeys(GAP.columns) | {"arm": arm, "baseline": i == 0, "condition": condition}
            row |= {"id_map": value, "id_map_by_seed": [value - 0.02, value + 0.05], "verdict": "baseline"}
            row |= {"val_id_map": None if k == 2 else value + 0.11, "chance": 0.02 + 0.01 * k if k else None}
            if i and k:
                delta = 0.04 * (-1) ** (i + k) + 0.001 * i
                row |= {"delta": delta, "delta_low": delta - 0.01, "delta_high": delta + 0.03, "verdict": "worse"}
                row |= {"smallest_detectable": 0.2}
            if i == 2:
                row |= {"against": "base", "against_delta": 0.017 * k, "against_low": -0.01, "against_high": 0.09}
                row |= {"against_verdict": "better"}
            if i == 3 and k == 1:
                row |= dict.fromkeys(["id_map", "id_map_by_seed", "delta", "delta_low", "delta_high"])
            gap.append(row)
            ends = {"above_low": value - 0.02 - 0.01 * k - 0.06, "above_high": value - 0.02 - 0.01 * k + 0.04}
            if k and i != 1:
                lost.append(dict.fromkeys(LOST.columns) | {"arm": arm, "condition": condition} | ends)
    return pl.DataFrame(gap, schema=GAP.columns), pl.DataFrame(lost, schema=LOST.columns)


def scores(arms: int, conditions: int) -> tuple:
    gap, lost = tables(arms, conditions)
    expected = {}
    for k, condition in enumerate(CONDITIONS[:conditions], 1):
        for y, arm in enumerate(planted.names(arms)):
            value, chance = 0.7 - 0.09 * k + 0.003 * y, 0.02 + 0.01 * k
            own = {"id_map-text": ""}
            if (y, k) != (3, 1):
                own = {"id_map": [(value, y)], "id_map-text": f"{value:.3f}"}
                own["seeds"] = [(value - 0.02, y + 0.3), (value + 0.05, y + 0.3)]
                own["chance"] = [(chance, y - 0.5), (chance, y + 0.5)]
                own |= {} if y == 1 else {"interval": [(value - 0.06, y), (value + 0.04, y)]}
                own |= {} if k == 2 else {"validation": [(value + 0.11, y - 0.28)]}
            expected |= {gid(part, arm, condition): shown for part, shown in own.items()}
    return figures.gap(gap, lost, HEADING), expected


def remedies(arms: int, conditions: int) -> tuple:
    gap, _ = tables(arms, conditions)
    expected = {}
    for k, condition in enumerate(CONDITIONS[:conditions], 1):
        for y, arm in enumerate(planted.names(arms)[1:]):
            i = y + 1
            delta = 0.04 * (-1) ** (i + k) + 0.001 * i
            low, high = delta - 0.01, delta + 0.03
            if i == 2:
                delta, low, high = 0.017 * k, -0.01, 0.09
            own = {"delta": [(delta, y)], "interval": [(low, y), (high, y)]}
            own["delta-text"] = f"{delta:+.3f}".replace("-", "\u2212")
            if (i, k) == (3, 1):
                own = {"delta-text": ""}
            expected |= {gid(part, arm, condition): shown for part, shown in own.items()}
    if arms == 12:
        expected |= {gid("margin", "all", condition): [(-0.02, 0), (0.02, 1)] for condition in CONDITIONS[:conditions]}
    return figures.remedies(gap, HEADING, 0.02 if arms == 12 else None), expected


def nothing() -> tuple:
    lone = pl.DataFrame([{**dict.fromkeys(GAP.columns), "arm": "a", "baseline": True}], schema=GAP.columns)
    return figures.remedies(lone, HEADING), {}


CASES = {
    **{f"gap, {n} arms": lambda n=n, k=k: scores(n, k) for n, k in ((3, 2), (12, 4), (30, 5))},
    **{f"remedies, {n} arms": lambda n=n, k=k: remedies(n, k) for n, k in ((3, 2), (12, 4), (30, 5))},
    "no remedy": nothing,
}
