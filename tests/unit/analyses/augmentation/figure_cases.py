"""What the figures of augmentation must show of planted tables."""

from collections.abc import Callable

import polars as pl
from figure_tables import names

from reidflow.analyses.augmentation import figures
from reidflow.analyses.augmentation.tables import PARTS, STRENGTHS
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <augmentation>?", "demo")


def part_effects(count: int) -> tuple:
    rows, expected = [], {}
    for i, part in enumerate(names(count)):
        row = {"path": "augmentation", "part": part, "why": "x"}
        for k, side in enumerate(("add", "leave")):
            value = [0.08, -0.05, 0.004][(i + k) % 3] + i / 1000
            verdict = ["better", "worse", "inconclusive"][(i + k) % 3]
            missing = i == 1 and side == "leave"
            key, y = f"{part} {side}", 2 * i + k
            if missing:
                expected[gid("delta-text", key)] = "not compared"
                continue
            row |= {f"{side}_delta": value, f"{side}_low": value - 0.02, f"{side}_high": value + 0.05}
            row |= {f"{side}_verdict": verdict, f"{side}_id_map": 0.6}
            expected[gid("delta", key)] = [(value, y)]
            expected[gid("interval", key)] = [(value - 0.02, y), (value + 0.05, y)]
            expected[gid("delta-text", key)] = f"{value:+.3f}  {verdict}".replace("-", "\u2212")
        rows.append(row)
    table = pl.DataFrame([{name: row.get(name) for name in PARTS.columns} for row in rows], schema=PARTS.columns)
    return figures.part_effects(table, HEADING), expected


def strength_curves(count: int) -> tuple:
    rows, expected = [], {}
    for i, part in enumerate(names(count)):
        own = []
        for n, label in enumerate(["without", "p = 0.25", "p = 0.5", "degrees = 30, p = 1"]):
            test = 0.4 + n / 50 + i / 90
            row = {
                "part": part,
                "position": n,
                "label": label,
                "declared": n == 2,
                "id_map": test,
                "val_id_map": 0.7 - n / 40,
            }
            row |= {"id_map_by_seed": [test - 0.02, test + 0.01], "val_id_map_by_seed": [0.69 - n / 40, None]}
            own.append(row | ({"val_id_map": None, "val_id_map_by_seed": [None]} if n == 3 and i == 0 else {}))
        rows += own
        for key, column in (("test", "id_map"), ("validation", "val_id_map")):
            seeds = [(r["position"], value) for r in own for value in r[f"{column}_by_seed"] if value is not None]
            expected[gid("seeds", key, part)] = seeds
            expected[gid("line", key, part)] = [(r["position"], r[column]) for r in own if r[column] is not None]
        expected[gid("declared", "p = 0.5", part)] = [(1.88, 0), (2.12, 1)]
    table = pl.DataFrame(
        [{name: row.get(name) for name in STRENGTHS.columns} for row in rows], schema=STRENGTHS.columns
    )
    return figures.strength_curves(table, HEADING), expected


CASES: dict[str, Callable[[], tuple]] = {
    **{f"part effects, {n}": lambda n=n: part_effects(n) for n in (2, 12, 30)},
    **{f"strength curves, {n}": lambda n=n: strength_curves(n) for n in (1, 2, 5)},
}
