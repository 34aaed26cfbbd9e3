"""What the figures of inference methods must show of planted tables."""

import figure_tables as planted
import numpy as np
import polars as pl

from reidflow.analyses.inference import figures
from reidflow.analyses.inference.tables import INFERENCE
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <step> is worth $5?", "demo (demo scale)")
VERDICTS = ("better", "worse", "inconclusive")
DELTAS = (0.05, -0.04, 0.01)


def table(count: int) -> pl.DataFrame:
    """Return INFERENCE: the second arm is the best on validation; intervals are not symmetric."""
    rows = []
    for n, arm in enumerate(planted.names(count)):
        row = dict.fromkeys(INFERENCE.columns) | {"arm": arm, "baseline": n == 0, "verdict": "baseline"}
        row |= {"transductive": n % 4 == 1, "forward_passes": 1 + n % 2, "id_map": 0.4, "val_id_map": 0.6 - 0.01 * n}
        row |= {"compared": 200, "better": 0, "worse": 0}
        if n:
            delta = DELTAS[n % 3] + n * 1e-4
            row |= {"delta": delta, "delta_low": delta - 0.02, "delta_high": delta + 0.05, "verdict": VERDICTS[n % 3]}
            row |= {"better": 120 - n, "worse": 50 + n, "smallest_detectable": None if n == 2 else 0.03}
        rows.append(row)
    return pl.DataFrame(rows, schema=INFERENCE.columns)


def ranked(count: int) -> list[dict]:
    return table(count).filter(~pl.col("baseline")).sort("delta", descending=True).to_dicts()


def methods(count: int) -> tuple:
    expected = {}
    for y, row in enumerate(ranked(count)):
        own = {"delta": [(row["delta"], y)], "interval": [(row["delta_low"], y), (row["delta_high"], y)]}
        own |= {"reach": [(-0.03, y), (0.03, y)]} if row["smallest_detectable"] else {}
        own["delta-text"] = f"{row['delta']:+.3f}  {row['verdict']}".replace("-", "\u2212")
        expected |= {gid(part, row["arm"]): shown for part, shown in own.items()}
    return figures.methods(table(count), HEADING), expected


def queries(count: int) -> tuple:
    names, generator = planted.names(count), np.random.default_rng(2)
    values = {arm: generator.uniform(0, 1, (2, 9)) for arm in names}
    values[names[1]][:, 0] = values[names[0]][:, 0]
    rows = [
        (arm, seed, f"q{image}", float(own[seed, image]))
        for arm, own in values.items()
        for seed in (0, 1)
        for image in range(9)
    ]
    rows += [(names[0], 0, "unscored", 0.5), (names[1], 0, "unscored", None), (names[1], 0, "unpaired", 0.5)]
    per_query = pl.DataFrame(rows, schema=["arm", "seed", "image", "ap"], orient="row")
    before, after = (values[name].mean(axis=0) for name in names[:2])
    expected = {}
    for part, inside in (("unchanged", before == after), ("better", after > before), ("worse", after < before)):
        shown = [(b, a) for b, a, kept in zip(before, after, inside, strict=True) if kept]
        expected |= {gid(part, names[1]): shown} if shown else {}
    for y, row in enumerate(ranked(count)):
        better, worse = row["better"] / 200, row["worse"] / 200
        own = {"share better": [(0, y - 0.3), (better, y + 0.3)], "share worse": [(0, y - 0.3), (-worse, y + 0.3)]}
        own["shares"] = f"{worse:.0%} worse, {better:.0%} better"
        expected |= {gid(part, row["arm"]): shown for part, shown in own.items()}
    return figures.queries(table(count), per_query, HEADING), expected


def nothing(draw: str) -> tuple:
    alone = table(3).filter("baseline")
    empty = pl.DataFrame(schema={"arm": pl.String, "seed": pl.Int64, "image": pl.String, "ap": pl.Float64})
    return getattr(figures, draw)(alone, *([empty] if draw == "queries" else []), HEADING), {}


CASES = {
    **{f"methods, {n} arms": lambda n=n: methods(n) for n in (2, 12, 30)},
    **{f"queries, {n} arms": lambda n=n: queries(n) for n in (2, 12, 30)},
    **{f"no {name}": lambda name=name: nothing(name) for name in ("methods", "queries")},
}
