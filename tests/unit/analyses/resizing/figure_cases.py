"""What the figures of image sizes must show of planted tables."""

from collections.abc import Callable
from itertools import pairwise

import polars as pl
from figure_tables import names

from reidflow.analyses.resizing import figures
from reidflow.analyses.resizing.tables import RESIZING, SIZES
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <size> for $5?", "demo (demo scale)")


def a_table(rows: list[dict], contract) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in contract.columns} for row in rows], schema=contract.columns)


def training(count: int) -> pl.DataFrame:
    rows = []
    for i, arm in enumerate(names(count)):
        sizes = [] if i == 2 else [16] * (i % 3 + 1) + [32] * (i % 2 + 2) + [224] * (i % 4)
        row = {"arm": arm, "baseline": i == 0, "sizes": sizes, "train_flops": 1e9 * (1 + (i * 7) % 11), "share": 0.9}
        rows.append(row | {"id_map": None if i == 1 else 0.4 + (i * 5 % 13) / 100})
    return a_table(rows, RESIZING)


def stages(count: int) -> tuple:
    table = training(count)
    expected = {}
    for y, row in enumerate(row for row in table.to_dicts() if row["sizes"]):
        edges = [0, *(n for n, (a, b) in enumerate(pairwise(row["sizes"]), 1) if a != b), len(row["sizes"])]
        for i, (start, end) in enumerate(pairwise(edges), 1):
            key = gid("stage", f"{row['arm']} {i} ({row['sizes'][start]} px)")
            expected[key] = [(start, y - 0.38), (end, y + 0.38)]
    return figures.stages(table, HEADING), expected


def sizes(count: int) -> tuple:
    rows, expected = [], {}
    for i, arm in enumerate(names(count)):
        for k, scale in enumerate((1.5, 0.5, 1.0)):
            value = 0.5 - i / 100 - k / 30
            row = {
                "arm": arm,
                "baseline": i == 0,
                "scale": scale,
                "size": int(32 * scale),
                "chance": 0.1,
                "delta": 0.03,
            }
            row |= {"id_map": value, "id_map_by_seed": [value - 0.02, value + 0.01]}
            rows.append(row | {"verdict": ["better", "worse", "inconclusive"][i % 3] if i else "baseline"})
            panel = f"{scale:g}×"
            expected[gid("id_map", arm, panel)] = [(value, i)]
            expected[gid("seeds", arm, panel)] = [(value - 0.02, i + 0.3), (value + 0.01, i + 0.3)]
            if i == 0:
                expected[gid("reference", "baseline", panel)] = [(value, 0), (value, 1)]
    return figures.sizes(a_table(rows, SIZES), HEADING), expected


def training_flops(count: int) -> tuple:
    table = training(count)
    points = {r["arm"]: (r["train_flops"], r["id_map"]) for r in table.to_dicts() if r["id_map"] is not None}
    found = set(points.values())
    beaten = {p for p in found for q in found if q[0] <= p[0] and q[1] >= p[1] and p != q}
    expected = {gid("point", arm): [point] for arm, point in points.items()}
    return figures.training_flops(table, HEADING), {**expected, "front:all": sorted(found - beaten)}


DRAW = {"stages": stages, "sizes": sizes, "training FLOPs": training_flops}
CASES: dict[str, Callable[[], tuple]] = {
    f"{name}, {count}": lambda make=make, count=count: make(count)
    for name, make in DRAW.items()
    for count in (3, 12, 30)
}
