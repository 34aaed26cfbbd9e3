"""What the figures of backgrounds must show of planted tables."""

from collections.abc import Callable

import polars as pl
from figure_tables import names

from reidflow.analyses.backgrounds import figures
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <background> costs $5?", "demo")
VERSIONS = ["original", "base", "blur", "background_only", "unrelated_background", "silhouette"]
MINUS = str.maketrans("-", "\u2212")


def matrix(arms: list[str], versions: list[str]) -> pl.DataFrame:
    rows = []
    for i, arm in enumerate(arms):
        for k, version in enumerate(versions):
            for mode in ("both", "query") if version != "original" else ("both",):
                delta = None if version == "original" else 0.02 if k == 2 else -0.011 * k - 0.01 * i - 0.003 * len(mode)
                row = {"arm": arm, "tested_on": version, "mode": mode, "own": arm == version, "chance": 0.05}
                row |= {"id_map": 0.7 - 0.01 * i + (delta or 0) / 2, "delta": delta}
                verdict = "reference" if delta is None else "inconclusive" if k == 2 else "worse"
                rows.append(row | {"verdict": verdict})
    return pl.DataFrame(rows, schema_overrides={"delta": pl.Float64})


def cells(mode: str, value: str, count: int, versions: list[str], most: int = 99) -> tuple:
    arms = names(count)
    table = matrix(arms, versions)
    figure = (figures.tested_on if mode == "both" else figures.query_only)(table, HEADING)
    rows = table.filter(pl.col("mode") == mode).to_dicts()
    shown = [version for version in versions if mode == "both" or version != "original"]
    expected = {}
    for start in range(0, len(shown), most):
        band, panel = shown[start : start + most], f"band {start // most + 1}" if len(shown) > most else ""
        own = [row for row in rows if row["tested_on"] in band]
        places = [(band.index(row["tested_on"]), arms.index(row["arm"])) for row in own]
        marks = [(x, y, row[value]) for (x, y), row in zip(places, own, strict=True) if row[value] is not None]
        expected[gid("cells", "all", panel)] = sorted(marks, key=lambda mark: (mark[1], mark[0]))
        for (x, y), row in zip(places, own, strict=True):
            words = f"{row['id_map']:.3f}"
            if row["delta"] is not None:
                words += f"\n{row['delta']:+.3f}{'*' if row['verdict'] == 'worse' else ''}".translate(MINUS)
            if row[value] is not None:
                expected[gid("cell", f"{row['arm']}|{row['tested_on']}", panel)] = words
            if row["own"]:
                corners = [(x - 0.47, y - 0.44), (x + 0.47, y + 0.44)]
                expected[gid("own", f"{row['arm']}|{row['tested_on']}", panel)] = corners
    return figure, expected


def reliance(count: int) -> tuple:
    verdicts, rows = ["lower", "inconclusive", "higher"], []
    for i, arm in enumerate(names(count)):
        value = None if i == 3 else 0.5 - 0.02 * i
        row = {"arm": arm, "baseline": i == 0, "background": 0.3 + i / 100, "control": 0.06, "foreground": 0.5 + i / 90}
        row |= {"silhouette": 0.2 + i / 80, "chance": 0.05, "reliance": value, "low": value and value - 0.1}
        row |= {"high": value and value + 0.2, "verdict": verdicts[i % 3] if i else "baseline"}
        rows.append(row)
    figure = figures.reliance(pl.DataFrame(rows), HEADING)
    expected = {"reference:baseline": [(0.5, 0), (0.5, 1)]}
    for y, row in enumerate(rows):
        for i, role in enumerate(("foreground", "background", "silhouette", "control")):
            expected[gid(role, row["arm"])] = [(row[role], y - 0.24 + 0.16 * i)]
        expected[gid("chance", row["arm"])] = [(0.05, y - 0.5), (0.05, y + 0.5)]
        if row["reliance"] is None:
            expected[gid("reliance-text", row["arm"])] = "not defined"
            continue
        expected[gid("reliance-text", row["arm"])] = f"{row['reliance']:.3f}  {row['verdict']}".translate(MINUS)
        expected[gid("reliance", row["arm"])] = [(row["reliance"], y)]
        expected[gid("interval", row["arm"])] = [(row["low"], y), (row["high"], y)]
    return figure, expected


MANY = ["original", *(f"version_{n:02d}" for n in range(24))]
CASES: dict[str, Callable[[], tuple]] = {
    **{f"tested on, {n}": lambda n=n: cells("both", "id_map", n, VERSIONS) for n in (1, 9)},
    "tested on, many versions": lambda: cells("both", "id_map", 3, MANY, most=11),
    **{f"query only, {n}": lambda n=n: cells("query", "delta", n, VERSIONS) for n in (1, 9)},
    **{f"reliance, {n}": lambda n=n: reliance(n) for n in (1, 9)},
}
